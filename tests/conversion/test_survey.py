"""What is counted before any work, and what is said of it: numbers by hand, each oddity once."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.conversion.check import bridged_gap, check, first_look
from deocclusion_d2.conversion.document_index import read_index
from deocclusion_d2.conversion.input_file import InputFile
from deocclusion_d2.conversion.survey import sample
from deocclusion_d2.conversion.survey_picture import draw_report
from deocclusion_d2.structures import WindowMask

from .conftest import HEIGHT, WIDTH, coco

EMPTY = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
SHARES = [[0.375, 0.25, 0.625, 0.25, 0.625, 0.75, 0.375, 0.75]]


def notched(x, y, w, h):
    """Compressed RLE of a rectangle without its top left pixel: w * h - 1 pixels."""
    array = np.zeros((HEIGHT, WIDTH), bool)
    array[y : y + h, x : x + w] = True
    array[y, x] = False
    return WindowMask.from_array(array).to_rle(HEIGHT, WIDTH)


def full(x, y, w, h):
    """A polygon whose pixels are all of a box."""
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def uncompressed(rle):
    """The same RLE, its runs as a list."""
    columns = WindowMask.from_rle(rle).to_array(HEIGHT, WIDTH).ravel(order="F")
    edges = np.flatnonzero(np.diff(columns, prepend=False)).tolist()
    return {**rle, "counts": np.diff([0, *edges, columns.size]).tolist()}


def plain(id, image_id, segmentation, category_id=4, **others):
    """An annotation without box and area, so that nothing can contradict its mask."""
    return {
        "id": id,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": segmentation,
        **others,
    }


# Two that touch, in image 1, of which nothing is odd.
GOOD = [plain(1, 1, notched(3, 2, 6, 6)), plain(2, 1, notched(9, 2, 6, 6))]


def report_on(path, num_workers=0, **settings):
    with_example = settings.pop("with_example", False)
    return check(InputFile(path, **settings), num_workers, with_example)[1]


@pytest.fixture
def counted(write):
    """A file of four images, to be counted by hand.

    Image 1: A at the left border; B beside it; C two pixels from B, and so seven from A.
    Image 2: D and E, which share 2 columns of 6 pixels without one of E's corners; a crowd region.
    Image 3: nothing. Image 4: a box without a mask, and a polygon.
    """
    a, b, c = notched(0, 2, 6, 6), notched(6, 2, 5, 5), notched(13, 2, 5, 5)
    d, e = notched(3, 3, 6, 6), notched(7, 3, 6, 6)
    return write(
        coco(
            [
                plain(1, 1, a),
                plain(2, 1, b),
                plain(3, 1, uncompressed(c), 2),
                plain(4, 2, d),
                plain(5, 2, e),
                plain(6, 2, notched(20, 10, 4, 4), iscrowd=1),
                plain(7, 4, [], 2, bbox=[1, 1, 5, 5]),
                plain(8, 4, full(2, 2, 6, 6)),
            ],
            images=4,
        )
    )


def test_counts(counted):
    found = report_on(counted).to_json()
    assert found["images"] == {
        "listed": 4,
        "annotated": 3,
        "with_instances": 3,
        "sizes": [{"height": HEIGHT, "width": WIDTH, "images": 3}],
    }
    area = {"min": 24, "p5": 24, "p25": 24, "p50": 35, "p75": 35, "p95": 36, "max": 36}
    assert found["instances"] == {
        "count": 7,
        "visible": 6,
        "empty": 1,
        "boxes_without_mask": 1,
        "normalised": 0,
        "crowds": 1,
        "skipped": 0,
        "low_scores": 0,
        "written_as": {"polygons": 1, "compressed_RLE": 4, "uncompressed_RLE": 1, "none": 1},
        "per_image": {"min": 1, "p5": 1, "p25": 1, "p50": 2, "p75": 3, "p95": 3, "max": 3},
        "area": area,
        "sqrt_area": {name: round(value**0.5, 2) for name, value in area.items()},
        "cut_by_border": 1,
        "rectangles": 1,
        "duplicates": 0,
        "tiny": 0,
        "boxes_elsewhere": 0,
    }
    assert found["categories"] == [
        {"id": 2, "name": "person", "instances": 2},
        {"id": 4, "name": "car", "instances": 5},
    ]
    pairs = found["pairs"]
    by_gap, by_overlap = pairs.pop("by_gap"), pairs.pop("by_overlap")
    assert {gap: n for gap, n in enumerate(by_gap) if n} == {0: 1, 2: 1, 7: 1}
    assert by_overlap == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]  # 11 of 35 pixels
    assert pairs == {
        "touching": 2,
        "touching_instances": 4,
        "overlapping": 1,
        "overlapping_pixels": 11,
        "closing": 0,
    }
    assert found["assumed"] == {"it has no mask": 1} and found["skipped"] == {}
    assert json.loads(json.dumps(found)) == found


def test_the_table_says_the_same(counted):
    lines = report_on(counted).table().splitlines()
    rows = {line[:39].strip(): line[39:].strip() for line in lines}
    assert rows["images"] == "4, 3 with annotations"
    assert rows["width x height, px"] == "30 x 20: 3"
    assert rows["instances that take part"] == "7"
    assert rows["by category"] == "car (4): 5, person (2): 2"
    assert rows["touching pairs"] == "2, 1 of them overlap"
    assert rows["instances in them"] == "4 (66.7 %)"
    assert rows["pairs by gap, px"] == "2: 1, 5-8: 1"
    assert rows["cut by the border of the image"] == "1 (16.7 %)"
    assert rows["area, px"] == "24 to 36; 24 / 24 / 35 / 35 / 36 at 5 / 25 / 50 / 75 / 95 %"
    assert "predictions of low score, left out" not in rows and "skipped" not in rows


def apart(gap, images):
    """A pair with a gap in each of so many images."""
    return [
        plain(10 * image + k, image, notched(2 + k * (6 + gap), 2, 6, 6))
        for image in range(1, images + 1)
        for k in range(2)
    ]


@pytest.mark.parametrize(
    ("annotations", "settings", "sentence"),
    [
        ([], {}, "it has no annotations: there is nothing to de-occlude"),
        (
            [plain(1, 1, notched(2, 2, 6, 6), iscrowd=1)],
            {},
            "there is no instance to de-occlude: 1 annotations are crowd regions, ",
        ),
        (
            [plain(1, 1, [], bbox=[1, 1, 9, 9]), plain(2, 1, [], bbox=[1, 1, 9, 9])],
            {},
            "the masks of all 2 instances are empty: there is nothing to de-occlude, only boxes",
        ),
        ([plain(1, 1, SHARES), plain(2, 1, SHARES)], {}, "the polygons of 2 of 2 instances lie "),
        ([*GOOD, plain(3, 2, SHARES)], {}, "the polygons of 1 of 3 instances lie between 0 and 1"),
        (
            [*GOOD, plain(3, 2, [], bbox=[1, 1, 9, 9])],
            {},
            "1 of 3 instances have a box, but no mask: they stay as they are, and hide nothing",
        ),
        (
            [plain(1, 1, notched(2, 2, 6, 6)), plain(2, 2, notched(2, 2, 6, 6))],
            {},
            "no two masks touch: amodal will equal modal: no image has two instances",
        ),
        (
            apart(9, 1),
            {},
            "no two masks touch: amodal will equal modal: they are apart by 9 px or more: ",
        ),
        (
            [plain(10 * i + k, i, full(2 + 3 * k, 2, 1, 16)) for i in range(1, 13) for k in (0, 1)],
            {},
            "no two masks touch: amodal will equal modal: gaps part them, which DEOCCLUSION.GAP ",
        ),
        (
            [*GOOD, plain(3, 1, GOOD[0]["segmentation"])],
            {},
            "1 masks are those of another instance, pixel by pixel (first: image 1 (1.png), "
            "annotation 3): leave one of each out",
        ),
        (
            [*GOOD, plain(3, 2, notched(2, 2, 6, 6), bbox=[12, 2, 6, 6])],
            {},
            "the boxes of 1 of 3 instances are not where their masks are (first: image 2 (2.png), "
            "annotation 3): 'height' and 'width' must be those of the image that was annotated",
        ),
        (
            [*GOOD, plain(3, 2, full(2, 2, 6, 6))],
            {},
            "the masks of 1 of 3 instances are full boxes (first: image 2 (2.png), annotation 3)",
        ),
        (
            [*GOOD, plain(3, 2, notched(2, 2, 4, 4))],
            {},
            "the masks of 1 of 3 instances have fewer than 16 pixels (first: image 2 (2.png), ",
        ),
        (
            # 4 columns of 6 pixels without a corner, of two masks of 35: a third.
            [plain(1, 1, notched(2, 2, 6, 6)), plain(2, 1, notched(4, 2, 6, 6))],
            {},
            "masks share 33 % of their pixels: are they whole (amodal) masks?",
        ),
        (
            [*GOOD, plain(3, 2, notched(2, 2, 6, 6), 0), plain(4, 2, notched(9, 2, 6, 6), -1)],
            {},
            "category ids -1 (1 x), 0 (1 x): a network that multiplies masks by their ids refuses",
        ),
        (
            [*GOOD, plain(3, 1, notched(20, 2, 6, 6), 7), plain(4, 1, notched(9, 9, 6, 6), 7)],
            {"skip_invalid": True},
            "category id 7 (2 x) not among the categories: name them in 'categories'",
        ),
        (
            [*GOOD, plain(3, 1, full(17, 2, 6, 6), inmodal_seg=notched(17, 2, 6, 6))],
            {"format": "coco"},
            "annotation 3 has 'inmodal_seg', as format kins writes it; it is read as coco",
        ),
    ],
)
def test_every_oddity_once(write, annotations, settings, sentence):
    document = coco(annotations, images=12)
    document["categories"] += [{"id": 0, "name": "none"}, {"id": -1, "name": "less"}]
    found = report_on(write(document), **settings).oddities()
    of_sentence = [line for line in found if line.startswith(sentence)]
    assert len(of_sentence) == 1
    if "inmodal_seg" not in sentence:  # its mask is also a full box, read as COCO
        assert found == of_sentence


def test_nothing_odd(write):
    report = report_on(write(coco(GOOD)))
    assert report.oddities() == [] and report.not_touching() is None


def test_a_single_odd_mask_among_many_is_not_odd(write):
    others = [
        plain(10 * image + k, image, notched(3 + 6 * k, 2, 6, 6))
        for image in range(1, 7)
        for k in range(2)
    ]
    assert report_on(write(coco([*others, plain(1, 1, full(20, 2, 6, 6))], 6))).oddities() == []


@pytest.fixture
def many(write):
    """20 images, a pair in each at a gap of 0 to 3 pixels, backwards; some of it odd."""
    annotations = [
        plain(10 * i + k, i + 1, notched(2 + k * (6 + i % 4), 2, 6, 6 + i % 3))
        for i in range(20)
        for k in range(2)
    ]
    annotations += [plain(900 + i, i, full(20, 10, 5, 5)) for i in (17, 3)]
    return write(coco(annotations[::-1], 20))


def test_the_same_for_any_number_of_workers(many, monkeypatch):
    monkeypatch.setattr(sys.modules["deocclusion_d2.conversion.survey"], "_INSTANCES_AT_ONCE", 4)
    reports = [report_on(many, workers, with_example=True) for workers in (0, 1, 2)]
    assert reports[0].survey.first["rectangles"] == "image 3 (3.png), annotation 903"
    for report in reports[1:]:
        assert report.to_json() == reports[0].to_json()
        assert report.survey == reports[0].survey


def test_the_example_is_where_most_pixels_meet(many, tmp_path):
    # Of masks that are 8 pixels high, those of image 3 are the first.
    report = report_on(many, with_example=True)
    example = report.survey.example
    assert example.image.id == 3 and set(example.ids) == {20, 21} and example.contact == 8
    x0, y0, x1, y1 = example.box
    assert 0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT
    draw_report(report, "a title $\N{SNOWMAN}", tmp_path, tmp_path / "picture")
    assert (tmp_path / "picture").read_bytes().startswith(b"\x89PNG")


def test_predictions_as_conversion_takes_them(write):
    images = coco([])
    entries = [
        {"image_id": 1, "category_id": 4, "score": score, "segmentation": mask}
        for score, mask in (
            (0.9, notched(3, 2, 6, 6)),
            (0.8, notched(7, 2, 6, 7)),  # shares 2 columns of 6 pixels without a corner
            (0.2, notched(20, 2, 6, 6)),
        )
    ]
    path = write(entries, "results.json")
    found = report_on(path, images_from=write(images, "images.json")).to_json()
    assert found["instances"]["count"] == 2 and found["instances"]["low_scores"] == 1
    # The first one keeps all of its pixels.
    assert found["instances"]["area"]["min"] == 41 - 11 and found["instances"]["area"]["max"] == 35
    assert found["pairs"]["overlapping"] == 1 and found["pairs"]["overlapping_pixels"] == 11
    assert found["pairs"]["touching"] == 1 and found["odd"] == []


# -------------------------------------------------------------------- when conversion begins


def test_images_at_equal_distances():
    rows = np.arange(100, 111)
    assert sample(rows, 3).tolist() == [100, 105, 110]
    assert sample(rows, 11).tolist() == sample(rows, 99).tolist() == rows.tolist()


def converted(path, capsys, **settings):
    output = path.with_name(f"out-{len(list(path.parent.iterdir()))}.json")
    convert(ConversionJob(path, output, "convex_r", num_workers=0, **settings))
    printed = capsys.readouterr()
    return printed.out.splitlines()[1:4], [
        line for line in printed.err.splitlines() if line.startswith("warning: ")
    ]


def test_three_lines_before_the_conversion(counted, capsys):
    lines, warnings = converted(counted, capsys)
    assert lines == [
        "to convert  8 annotations in 3 of 4 images; looked at: 7 instances",
        "neighbours  2 touching pairs, 1 of them overlap; 4 (66.7 %) of the instances in them; "
        "no gap to be closed",
        "odd         1 of 7 instances have a box, but no mask: they stay as they are, and hide "
        "nothing: make masks of them first (and 1 more: deocclusion-d2 check)",
    ]
    assert warnings == []


def test_a_sample_is_said_to_be_one_and_a_conversion_warns_where_nothing_touches(write, capsys):
    far = [
        plain(10 * i + k, i, notched(2 + 16 * k, 2, 6, 6)) for i in range(1, 151) for k in range(2)
    ]
    path = write(coco(far, 150))
    lines, (warning,) = converted(path, capsys)
    assert lines[0] == (
        "to convert  300 annotations in 150 of 150 images; looked at: 200 instances in 100 images "
        "at equal distances"
    )
    assert lines[2] == "odd         nothing"
    assert warning.startswith(
        f"warning: {path}: no two masks touch in the 100 images looked at: amodal will equal modal:"
    )


@pytest.mark.parametrize(
    ("description", "gap"),
    [
        ({}, 0),
        ({"dilation": 0, "gap": "auto"}, 0),
        ({"dilation": 5}, 2),
        ({"dilation": 0, "gap": {"closed": 3}}, 3),
    ],
)
def test_the_gap_that_a_method_bridges(description, gap):
    assert bridged_gap(description) == gap


def test_what_a_method_bridges_is_not_apart(write):
    index = read_index(write(coco(apart(2, 2))))
    assert first_look(index, False, bridged=1).not_touching().startswith("no two masks touch")
    bridging = first_look(index, False, bridged=2)
    assert bridging.not_touching() is None
    assert bridging.opening()[1].endswith("; gaps of up to 2 px are closed")


def test_bad_annotations_are_left_for_the_conversion_to_refuse(write):
    bad = [plain(1, 1, [[0, 0, 1, 1]]), *apart(0, 2)]
    report = first_look(read_index(write(coco(bad))), False, 0)
    assert report.survey.tally.instances == 4 and sum(report.survey.tally.skipped.values()) == 1

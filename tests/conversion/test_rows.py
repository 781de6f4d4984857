"""Rows of one image each: they make what the whole file makes, without Ray."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from PIL import Image

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.conversion.document_index import read_index
from deocclusion_d2.conversion.gathered import GatheredRows, Totals
from deocclusion_d2.conversion.rows import (
    convert_rows,
    document_of_row,
    images_with_annotations,
    is_row,
    read_row,
    rows_of,
)
from deocclusion_d2.conversion.tally import Tally
from deocclusion_d2.conversion.writers import WRITERS
from deocclusion_d2.data.datasets.image_files import OTHER_FOLDER
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.json_files import NamedDocument

from .conftest import HEIGHT, WIDTH, annotation, coco, rectangle, touching_pair

CONVEX = Deoccluder.baseline("convex_r")


def as_document(document, name="in.json"):
    return NamedDocument(name, json.dumps(document).encode())


def found(document, **settings):
    index = read_index(as_document(document), **settings)
    return list(rows_of(index))


@pytest.fixture
def gathered(tmp_path):
    """Put converted rows together; returns the document that is written, the totals, its path."""

    def gather(rows, can_be_several=False):
        folder = tmp_path / "spool"
        folder.mkdir()
        totals = Totals()
        with closing(GatheredRows(folder, can_be_several)) as document:
            for row in rows:
                totals.add(row.file, row.about, row.tally)
                document.add(row)
            totals.check("in")
            document.describe({})
            WRITERS["coco"].write(document, tmp_path / "rows.json")
        return json.loads((tmp_path / "rows.json").read_text()), totals, tmp_path / "rows.json"

    return gather


def mixed():
    """Annotations of four images in turns, a crowd region, and images without any."""
    annotations = [a for i in (2, 1, 5, 4) for a in touching_pair(10 * i, i)]
    annotations = [*annotations[::2], *annotations[1::2], annotation(90, 4, iscrowd=1)]
    return coco(annotations, 6)


def lines_of(path):
    """All lines but the first, which says how the file was made."""
    return path.read_bytes().split(b"\n", 1)[1]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_same_lines_as_of_the_file(write, tmp_path, gathered, size):
    path = write(mixed())
    convert(ConversionJob(path, tmp_path / "whole.json", "convex_r", num_workers=0))
    rows = found(mixed())
    converted = [
        row for k in range(0, len(rows), size) for row in convert_rows(rows[k : k + size], CONVEX)
    ]
    out, totals, written = gathered(converted)
    assert lines_of(written) == lines_of(tmp_path / "whole.json")
    assert [a["id"] for a in out["annotations"]] == [20, 10, 50, 40, 21, 11, 51, 41, 90]
    assert (totals.tally.images, totals.tally.instances, totals.tally.crowds) == (4, 8, 1)
    assert totals.tally.occluded == 4


def test_what_cannot_be_used_stays_and_is_counted_once(write, tmp_path, gathered):
    bad = [annotation(1, 77), annotation(2, 1, {"size": [3, 3], "counts": "9"}), annotation(3, 2)]
    document = coco([*bad, annotation(4, 2, category_id=9), 5], 2)
    path = write(document)
    job = ConversionJob(path, tmp_path / "whole.json", "convex_r", num_workers=0, skip_invalid=True)
    tally = convert(job).tally
    rows = found(document, skip_invalid=True)
    assert [row.record is None for row in rows] == [False, False, True]
    _, totals, written = gathered(convert_rows(rows, CONVEX, skip_invalid=True))
    assert lines_of(written) == lines_of(job.output)
    assert totals.tally == tally and tally.skipped.total() == 4
    with pytest.raises(UserError, match=r"^in.json: image 1 \(1.png\), annotation 2: 'segment"):
        list(convert_rows(rows, CONVEX))


@pytest.mark.parametrize("name", ["1", "3"])
def test_cocoa(real_data, tmp_path, gathered, name):
    paths = sorted((real_data / "cocoa_scenes").glob("*.json"))
    path = paths[int(name)]
    convert(ConversionJob(path, tmp_path / "whole.json", "convex_r", num_workers=0))
    _, _, written = gathered(convert_rows(list(rows_of(read_index(path))), CONVEX))
    assert lines_of(written) == lines_of(tmp_path / "whole.json")


def test_a_row_says_what_it_needs():
    rows = found(mixed())
    assert [row.about is not None for row in rows] == [True, *[False] * 5]
    assert rows[0].about["rows"] == 6 and rows[0].about["info"] == {"description": "made by hand"}
    assert [row.items for row in rows] == [[1, 5], [0, 4], [], [3, 7, 8], [2, 6], []]
    # Of the file's two categories the one that is named.
    assert [c["name"] for c in rows[0].categories] == ["car"] and rows[2].categories == []
    index = read_index(as_document(mixed()))
    assert images_with_annotations(index) == [0, 1, 3, 4]
    assert [row.image["id"] for row in rows_of(index, only={1, 3})] == [2, 4]


def test_an_empty_file_has_a_row(gathered):
    rows = found(coco([], 0))
    assert len(rows) == 1 and rows[0].record is None
    out, _, _ = gathered(convert_rows(rows, CONVEX))
    assert out["images"] == out["annotations"] == [] and len(out["categories"]) == 2


def test_photos_are_found_when_rows_are_made(tmp_path):
    """The last part of a name is enough where the document has all names, not for a row alone."""
    Image.new("RGB", (WIDTH, HEIGHT), (9, 8, 7)).save(tmp_path / "1.png")
    document = coco(touching_pair(1, 1), 1)
    document["images"][0]["file_name"] = "train/1.png"
    index = read_index(as_document(document))
    (row,) = rows_of(index, tmp_path)
    tally = Tally()
    assert read_row(row, False, tally).scene.image[3, 4].tolist() == [9, 8, 7]
    assert tally.assumed.counts == {OTHER_FOLDER: 1}
    (alone,) = rows_of(index, tmp_path, knows_all_names=False)
    with pytest.raises(UserError, match=r"^in.json: image 1: .*train/1.png.*: check --image-root"):
        read_row(alone, False, Tally())


# -------------------------------------------------------------------- a user's rows


def of_sam(image_id=7):
    """A file as the releases of SA-1B have it: no categories, annotations that name no image."""
    pair = touching_pair(100 * image_id, image_id)
    keys = ("id", "segmentation", "bbox", "area")
    image = {"image_id": image_id, "width": WIDTH, "height": HEIGHT, "file_name": "sa_7.jpg"}
    return {"image": image, "annotations": [{key: a[key] for key in keys} for a in pair]}


def test_rows_of_the_user(gathered):
    row = of_sam()
    given = {**row["image"], "annotations": row["annotations"], "caption": "two bars"}
    as_text = {"image": json.dumps(row["image"]), "annotations": json.dumps(row["annotations"])}
    records = []
    for written in (row, given, as_text):
        rows = list(rows_of(read_index(document_of_row(written, "r.jsonl"))))
        (converted,) = convert_rows(rows, CONVEX)
        annotations = json.loads(f"[{', '.join(converted.lines)}]")
        assert [a["image_id"] for a in annotations] == [7, 7] and converted.ids == [700, 701]
        assert [a["occluder_ids"] for a in annotations] == [[701], []]
        assert converted.categories[0]["name"] == "object"
        records.append(converted.record)
    assert records[0] == records[2] == {**row["image"], "id": 7}
    assert records[1] == {**records[0], "caption": "two bars"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "a row is a list, not an object"),
        ({"id": 1}, "a row has no 'annotations': give an image's keys"),
        ({"id": 1, "annotations": "[{"}, "a row's 'annotations' is not a list"),
        ({"image": 3, "annotations": []}, "a row's 'image' is not an object"),
        ({"image": {}, "annotations": []}, "an image has no key 'id'"),
    ],
)
def test_rows_that_are_none(row, message):
    with pytest.raises(UserError, match=f"^r.jsonl: {message}"):
        read_index(document_of_row(row, "r.jsonl"))


def test_files_of_one_row_are_told():
    behind = dict(reversed(of_sam().items()))
    assert is_row(as_document(of_sam())) and is_row(as_document(behind))
    assert not is_row(as_document(mixed())) and not is_row(as_document([annotation(1)]))
    assert not is_row(as_document({"image": 3, "annotations": [annotation(1)], "images": []}))


# -------------------------------------------------------------------- several documents


def of_files(*documents):
    for number, document in enumerate(documents):
        index = read_index(as_document(document, f"{number}.json"))
        yield from convert_rows(list(rows_of(index)), CONVEX)


def test_several_files_become_one(gathered):
    first, second = coco(touching_pair(1, 1), 1), coco(touching_pair(5, 3), 1)
    second["images"][0]["id"] = 3
    second["categories"] = [{"id": 7, "name": "tram"}, {"id": 4, "name": "car"}]
    second["licenses"] = ["mine"]
    out, totals, _ = gathered(of_files(first, second), can_be_several=True)
    assert [image["id"] for image in out["images"]] == [1, 3]
    assert [a["id"] for a in out["annotations"]] == [1, 2, 5, 6]
    assert [c["id"] for c in out["categories"]] == [2, 4, 7]
    # They say different things.
    assert "licenses" not in out and out["info"]["description"] == "made by hand"
    assert totals.describe("d", "rle") == {"input": "d", "documents": 2, "format": "coco"}


@pytest.mark.parametrize(
    ("first_id", "image_id", "name", "message"),
    [
        (9, 1, "car", r"image id 1 occurs twice in the input \(first in 0.json\): number"),
        (2, 3, "car", "annotation id 2 occurs twice in the input: number all files together"),
        (9, 3, "tram", "category 4 is 'tram', but 'car' in 0.json"),
    ],
)
def test_what_cannot_stand_in_one_json(gathered, first_id, image_id, name, message):
    first, second = coco(touching_pair(1, 1), 1), coco(touching_pair(first_id, image_id), 1)
    second["images"][0]["id"] = image_id
    second["categories"][0]["name"] = name
    with pytest.raises(UserError, match=f"^1.json: {message}"):
        gathered(of_files(first, second), can_be_several=True)


def test_a_row_that_is_missing_is_seen():
    totals = Totals()
    rows = list(convert_rows(found(mixed()), CONVEX))
    for row in rows[:-1]:
        totals.add(row.file, row.about, row.tally)
    with pytest.raises(UserError, match="^in: of 6 rows 5 have come back"):
        totals.check("in")
    with pytest.raises(UserError, match="^in: there is no row in it"):
        Totals().check("in")


def test_doubts_of_many_rows_are_one_line():
    totals = Totals()
    about = {**found(mixed())[0].about, "doubt": "annotation 1 has 'inmodal_seg'"}
    expected = [[], ["a: annotation 1 has 'inmodal_seg'"]]
    expected.append([expected[1][0] + "; and so on in 1 more rows or files"])
    for lines, file in zip(expected, ("a", "b", ""), strict=True):
        assert totals.doubts == lines
        totals.add(file, about, Tally())


def test_counts_travel_without_zeros():
    tally = Tally(images=2, cycles=1)
    tally.skip("image 1, annotation 2: odd")
    tally.assumed.note(["something"], "image 1")
    assert Tally.from_dict(json.loads(json.dumps(tally.counted()))) == tally
    assert set(tally.counted()) == {"images", "cycles", "skipped", "examples", "assumed"}
    assert Tally().counted() == {} and Tally.from_dict({}) == Tally()


def test_an_unknown_category_names_the_file():
    row = found(coco([annotation(1, 1, rectangle(1, 1, 4, 4), category_id=8)], 1))
    with pytest.raises(
        UserError, match=r"^in.json: image 1 \(1.png\), annotation 1: 'category_id' 8"
    ):
        list(convert_rows(row, CONVEX))

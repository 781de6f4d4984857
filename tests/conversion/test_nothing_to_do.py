"""Inputs in which nothing can be de-occluded, and what had to be assumed: it is said."""

from __future__ import annotations

import json

import pytest

from deocclusion_d2.conversion import ConversionJob
from deocclusion_d2.conversion.launch import NOTHING_DONE, run_conversion
from deocclusion_d2.conversion.tally import Tally
from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.errors import UserError

from .conftest import HEIGHT, WIDTH, annotation, coco, rectangle

SHARES = [[0.375, 0.25, 0.625, 0.25, 0.625, 0.75, 0.375, 0.75]]
RECTANGLE = rectangle(2, 3, 5, 4)


def run_program(path, method="convex_r", **settings):
    """Exit code of a conversion, and what it wrote."""
    output = path.with_name("out.json")
    with pytest.raises(SystemExit) as end:
        run_conversion(ConversionJob(path, output, method=method, **settings))
    return end.value.code, json.loads(output.read_text()) if output.exists() else None


@pytest.mark.parametrize(
    ("annotations", "warning"),
    [
        (
            [annotation(1, 1, [], bbox=[2, 3, 5, 4]), annotation(2, 1, [], bbox=[1, 1, 9, 9])],
            "the masks of all 2 instances are empty: there is nothing to de-occlude, only boxes, "
            "which are kept: make masks first",
        ),
        (
            [annotation(1, iscrowd=1), annotation(2, iscrowd=1)],
            "there is no instance to de-occlude: 2 annotations are crowd regions, which stay as "
            "they are (set 'iscrowd' to 0 where one is a single object)",
        ),
        (
            # The first holds the centre of a pixel, the second none.
            [annotation(1, 1, SHARES), annotation(2, 1, [[0.1, 0.1, 0.4, 0.1, 0.4, 0.4]])],
            "the polygons of 2 of 2 instances lie between 0 and 1: coordinates are pixels, "
            "multiply x by the width and y by the height",
        ),
    ],
)
def test_it_is_said_and_the_boxes_are_kept(write, capsys, annotations, warning):
    path = write(coco(annotations))
    code, out = run_program(path)
    assert code == NOTHING_DONE == 3
    assert f"warning: {path}: {warning}\n" in capsys.readouterr().err
    for before, after in zip(annotations, out["annotations"], strict=True):
        assert after["bbox"] == before["bbox"] and after["area"] == before["area"]
        assert after["segmentation"] is not None


def test_all_that_was_skipped_is_nothing_done(write, capsys):
    path = write(coco([annotation(1, category_id=99)]))
    code, out = run_program(path, skip_invalid=True)
    assert code == NOTHING_DONE and len(out["annotations"]) == 1
    assert "there is no instance to de-occlude: 1 annotations cannot be used" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("method", ["convex_r", None])
def test_no_annotations_are_nothing_done(write, capsys, method):
    """Also for the network that comes along, whose order is fitted to the input first."""
    path = write(coco([]))
    code, out = run_program(path, method=method)
    assert code == NOTHING_DONE and out["annotations"] == [] and len(out["images"]) > 0
    said = f"warning: {path}: it has no annotations: there is nothing to de-occlude\n"
    assert said in capsys.readouterr().err


def test_one_visible_pixel_is_no_failure(write, capsys):
    path = write(coco([annotation(1), annotation(2, 1, [])]))
    code, out = run_program(path)
    # The only one that there is hides nothing.
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert code == 0 and len(warnings) == 1 and "no two masks touch" in warnings[0]
    # The box of what has no mask is kept, also by the next conversion.
    assert [a["bbox"] for a in out["annotations"]] == [[2, 3, 5, 4]] * 2
    again = write(out, "again.json")
    code, out = run_program(again, overwrite=True)
    assert code == 0 and out["info"]["deocclusion"]["format"] == "pseudo_amodal"
    kept = out["annotations"][1]
    assert (kept["bbox"], kept["area"], kept["modal_bbox"]) == ([2, 3, 5, 4], 20, [2, 3, 5, 4])


def test_a_hidden_object_of_known_shape_keeps_no_true_box(write, run):
    """Its amodal box would tell the true amodal mask."""
    empty = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
    hidden = annotation(1, 1, RECTANGLE, inmodal_seg=empty, inmodal_bbox=[2, 3, 5, 4])
    (out,) = run(write(coco([hidden])))["annotations"]
    assert (out["bbox"], out["area"]) == ([0, 0, 0, 0], 0)


def test_what_is_assumed_is_counted(write, run, capsys):
    document = coco([annotation("1", 1.0), annotation("2", 1.0, [[2, 3, 7, 3, 7, 7, 2, 7], []])])
    document["images"][0] = {"id": "1", "file_name": "1.png"}
    document["annotations"][0]["area"] = float("nan")
    out = run(write(document))
    lines = capsys.readouterr().out.splitlines()
    place = "image 1 (1.png)"
    for line in (
        f"  1 x                         it has no 'height' and 'width': the size of its masks is "
        f"taken (first: {place})",
        f"  1 x                         an empty part of a polygon is left out (first: {place}, "
        "annotation 2)",
        f"  1 x                         'area' holds NaN or Infinity: computed anew (first: "
        f"{place}, annotation '1')",
        f"  2 x                         'id' is a text that means an integer (first: {place}, "
        "annotation 1)",
    ):
        assert line in lines
    # Ids and sizes go out as they were read.
    assert [(a["id"], a["image_id"], a["area"]) for a in out["annotations"]] == [
        *((1, 1, 20), (2, 1, 20))
    ]
    assert out["images"][0] == {"id": 1, "file_name": "1.png", "height": HEIGHT, "width": WIDTH}


def test_a_tally_is_read_again():
    tally = Tally(instances=3, normalised=1)
    tally.assumed.note(["a", "b"], "here")
    tally.skip("image 1, annotation 2: because")
    again = Tally.from_dict(json.loads(json.dumps(tally.to_dict())))
    assert again == tally
    again.add(tally)
    assert again.assumed.counts == {"a": 2, "b": 2} and again.normalised == 2


def test_a_format_that_the_file_contradicts_is_a_warning(write, capsys):
    path = write(coco([annotation(1), annotation(2, 1, None, inmodal_seg=RECTANGLE)]))
    assert run_program(path, format="coco")[0] == 0
    assert (
        f"warning: {path}: annotation 2 has 'inmodal_seg', as format kins writes it; it is read as "
        "coco, so that amodal masks are taken for visible ones\n"
    ) in capsys.readouterr().err
    assert run_program(path, format="kins", overwrite=True)[0] == 0
    assert "warning" not in capsys.readouterr().err
    path = write(coco([annotation(1)]), "plain.json")
    with pytest.raises(SystemExit, match="1"):
        run_conversion(ConversionJob(path, path.with_name("no.json"), "raw", format="kins"))
    assert "plain.json: no annotation has 'inmodal_seg'" in capsys.readouterr().err


def test_an_image_root_that_is_not_there(write, run, tmp_path):
    with pytest.raises(UserError, match="--image-root .*photos: there is no such folder"):
        run(write(coco([annotation(1)])), image_root=tmp_path / "photos")


def test_the_second_pass_is_only_for_another_way_of_indexing(write, monkeypatch):
    from deocclusion_d2.conversion import document_index

    passes = []
    read = document_index._read
    monkeypatch.setattr(document_index, "_read", lambda *a: passes.append(1) or read(*a))
    plain = annotation(1)
    kins = annotation(2, 1, None, inmodal_seg=RECTANGLE)
    assert document_index.read_index(write(coco([plain, kins]))).format.name == "kins"
    assert len(passes) == 1
    entry = {"id": 1, "image_id": 1, "regions": [{"segmentation": RECTANGLE}] * 2}
    index = document_index.read_index(
        write(coco([{"id": 7, "image_id": 2}, entry])), None, None, True
    )
    assert index.format.name == "cocoa" and len(passes) == 3
    assert index.instances_of_item.tolist() == [1, 2]


@pytest.mark.parametrize("speck", [SHARES, [[-0.01, 0, 1.01, 0, 1, 1, 0, 1]]])
def test_an_empty_mask_of_shares_is_one_instance_not_two(write, speck):
    # Of the three, one holds a pixel, one none, and the third is sound: something was done.
    empty = [[0.01, 0.01, 0.02, 0.01, 0.02, 0.02]]
    masks = [speck, empty, RECTANGLE]
    path = write(coco([annotation(n, 1, mask) for n, mask in enumerate(masks, 1)]))
    assert run_program(path)[0] == 0
    path.with_name("out.json").unlink()
    both = write(coco([annotation(n, 1, mask) for n, mask in enumerate(masks[:2], 1)]), "both.json")
    code, _ = run_program(both)
    assert code == NOTHING_DONE


@pytest.mark.parametrize(("given", "read"), [(None, 0), (True, 1), ("1", 1), (0.0, 0), (1, 1)])
def test_a_crowd_flag_is_written_as_it_was_read(write, run, given, read):
    out = run(write(coco([annotation(1, iscrowd=given), annotation(2)])), method="convex_r")
    flag = out["annotations"][0]["iscrowd"]
    assert type(flag) is int and flag == read


def test_what_to_do_where_annotations_have_categories_and_the_file_none(write, run):
    document = coco([annotation(1, category_id=5)])
    for none in ({}, {"categories": []}, {"categories": None}):
        rest = {k: v for k, v in document.items() if k != "categories"}
        path = write({**rest, **none})
        hint = "the file lists none, write them as 'categories'"
        with pytest.raises(UserError, match=hint):
            run(path)
        with pytest.raises(UserError, match=hint):
            load_dataset_dicts(str(path), "", "coco", "modal")

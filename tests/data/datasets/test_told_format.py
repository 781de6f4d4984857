"""The format of a document, told from all of its annotations."""

from __future__ import annotations

import pytest

from deocclusion_d2.data.datasets.formats import InvalidAnnotation, get_format
from deocclusion_d2.data.datasets.told_format import FormatTeller, doubt_of, tell_format

RLE = {"size": [6, 8], "counts": "0"}
COCO = {"segmentation": RLE, "bbox": [0, 0, 1, 1]}
KINS = {**COCO, "inmodal_seg": RLE}
KINS2020 = {"a_segm": RLE, "i_segm": RLE}
CLS = {**COCO, "visible_mask": RLE}
PSEUDO = {**COCO, "modal_segmentation": RLE}
ENTRY = {"regions": [], "image_id": 1}


def document(*annotations: dict, **top: object) -> dict:
    numbered = [{"id": number, **a} for number, a in enumerate(annotations, 1)]
    return {"images": [], "annotations": numbered, "categories": [], **top}


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ([COCO, COCO], "coco"),
        ([COCO, KINS, COCO], "kins"),
        ([COCO] * 5000 + [CLS], "cocoa_cls"),
        ([KINS2020, {"bbox": [0, 0, 1, 1]}], "kins2020"),
        ([ENTRY, {"image_id": 2}], "cocoa"),
        # A number under a key that another format has too excludes nothing.
        ([KINS, {**COCO, "occlude_rate": 0.0}], "kins"),
        # Conversion leaves crowds and what it could not use as they were, whatever they were.
        ([{**COCO, "iscrowd": 1}, PSEUDO], "pseudo_amodal"),
        ([CLS, {**CLS, "modal_segmentation": RLE}, ENTRY], "pseudo_amodal"),
        # A further key makes no panoptic file of it.
        ([{**COCO, "segments_info": []}], "coco"),
        # Boxes alone, and nothing at all.
        ([{"bbox": [0, 0, 1, 1]}], "coco"),
        ([], "coco"),
        # A null says nothing that the next one would not say better.
        ([{**COCO, "visible_mask": None}, COCO], "cocoa_cls"),
    ],
)
def test_all_annotations_are_looked_at(annotations, name) -> None:
    assert tell_format(document(*annotations), "x.json").name == name


def test_what_conversion_says_of_a_file_counts() -> None:
    """Its output may hold nothing but crowds, and the keys of its input."""
    for group in ([COCO], [], [KINS, ENTRY]):
        written = document(*group, info={"deocclusion": {"version": "0.2"}})
        assert tell_format(written, "x.json").name == "pseudo_amodal"
    assert tell_format(document(COCO, info={"year": 2020}), "x.json").name == "coco"


def test_documents_that_are_entries_or_lists_of_them() -> None:
    assert tell_format(ENTRY, "x.json").name == "cocoa"
    assert tell_format([{"image_id": 1}, ENTRY], "x.json").name == "cocoa"


@pytest.mark.parametrize(
    ("annotations", "places"),
    [
        ([KINS, COCO, CLS], "annotation 1 is of format kins (it has 'inmodal_seg'), annotation 3"),
        ([KINS2020, KINS], "annotation 2 is of format kins "),
        ([COCO, ENTRY], "annotation 2 is of format cocoa (it has 'regions'), annotation 1"),
        ([COCO, KINS2020], "annotation 2 is of format kins2020 (it has 'a_segm'), annotation 1"),
    ],
)
def test_contradictions_name_two(annotations, places) -> None:
    with pytest.raises(InvalidAnnotation) as error:
        tell_format(document(*annotations), "x.json")
    assert str(error.value).startswith("x.json: " + places)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ([{"segmentation": RLE, "predicted_iou": 0.9}], "Segment Anything"),
        ({"image": {"image_id": 1}, "annotations": []}, "Segment Anything"),
        (document({"segments_info": [], "image_id": 1}), "panoptic2detection_coco_format"),
        ({"shapes": [], "imagePath": "a.jpg"}, "labelme2coco"),
        ({"a.jpg123": {"filename": "a.jpg", "size": 1, "regions": []}}, "VIA"),
        ({"_via_img_metadata": {}, "_via_settings": {}}, "VIA"),
        ([{"image_id": 1, "category_id": 1, "score": 1, "segmentation": RLE}], "--images-from"),
        ({"version": 1, "objects": [], "edges": []}, "graph.json"),
        ({"images": []}, "no list 'annotations'"),
        (3, "holds a int"),
    ],
)
def test_files_of_other_programs_are_named(content, hint) -> None:
    with pytest.raises(InvalidAnnotation, match=f"^x.json: .*{hint}"):
        tell_format(content, "x.json")


@pytest.mark.parametrize(
    ("annotations", "info", "named", "doubt"),
    [
        (
            [COCO, KINS],
            {},
            "coco",
            "annotation 2 has 'inmodal_seg', as format kins writes it; it is read as coco, so that "
            "amodal masks are taken for visible ones",
        ),
        (
            [COCO],
            {"deocclusion": {}},
            "coco",
            "its 'info' says that a conversion has written it, as format pseudo_amodal writes it; "
            "it is read as coco, so that amodal masks are taken for visible ones",
        ),
        (
            [KINS],
            {},
            "cocoa_cls",
            "annotation 1 has 'inmodal_seg', as format kins writes it; it is read as cocoa_cls",
        ),
        (
            [COCO],
            {},
            "cocoa_cls",
            "no annotation has invisible_mask or occlude_rate or visible_mask: all objects are "
            "read as hidden by nothing",
        ),
        ([COCO], {}, "coco", None),
        ([], {}, "kins", None),
        ([COCO, KINS], {}, "kins", None),
        ([{**KINS, "modal_segmentation": RLE}], {}, "pseudo_amodal", None),
        # Keys of two formats: the one named is among them, and as telling as the other.
        ([{**KINS, **KINS2020}], {}, "kins2020", None),
    ],
)
def test_what_speaks_against_a_format_that_is_named(annotations, info, named, doubt) -> None:
    assert doubt_of(document(*annotations, info=info), get_format(named)) == doubt


def test_memory_is_bounded() -> None:
    teller = FormatTeller()
    for number in range(5000):
        teller.add({"segmentation": [], f"key{number}": 1})
    teller.add({"segmentation": [], "inmodal_seg": RLE})
    assert len(teller._known) <= 1000
    assert teller.tell().name == "kins"

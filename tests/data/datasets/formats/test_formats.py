"""What every format says of itself, in place of special cases elsewhere."""

from typing import get_args

import pytest

from deocclusion_d2.data.datasets.formats import (
    ANNOTATION_FORMATS,
    AnnotationFormat,
    CocoStyleFormat,
    ImageInfo,
    InvalidAnnotation,
    Replacement,
    default_format,
    get_format,
    is_lone_item,
)

IMAGE = ImageInfo(7, 2, 3, "a.png")
# Of 2 x 3 pixels, column by column: the first column, and the first two.
VISIBLE = {"size": [2, 3], "counts": [0, 2, 4]}
WHOLE = {"size": [2, 3], "counts": [0, 4, 2]}
BEHIND = {"size": [2, 3], "counts": [2, 2, 2]}


def annotation(**masks) -> dict:
    return {"id": 5, "image_id": 7, "category_id": 4, **masks}


def cocoa_entry(**masks) -> dict:
    return {"id": 5, "image_id": 7, "regions": [masks]}


def test_formats_that_come_with_the_package() -> None:
    own = {"coco", "cocoa", "cocoa_cls", "kins", "kins2020", "pseudo_amodal"}
    assert own <= set(ANNOTATION_FORMATS)
    assert default_format() is get_format("coco") is ANNOTATION_FORMATS["coco"]


@pytest.mark.parametrize("name", sorted(ANNOTATION_FORMATS))
def test_every_format(name: str) -> None:
    format = ANNOTATION_FORMATS[name]
    assert format.name == name
    assert name != "predicted", "that is how names of predicted masks begin"
    assert format.telling_keys and all(isinstance(key, str) for key in format.telling_keys)
    assert set(format.replaced_keys.values()) <= set(get_args(Replacement))
    assert {"segmentation", "bbox", "area"}.isdisjoint(format.replaced_keys)
    assert format.evaluator_type


@pytest.mark.parametrize(
    ("name", "replaced"),
    [
        ("coco", {}),
        ("kins", {}),
        ("pseudo_amodal", {}),
        ("kins2020", {"a_segm": "segmentation", "a_bbox": "bbox", "a_area": "area"}),
        ("cocoa", {"invisible_mask": "hidden", "occlude_rate": "occlusion_rate"}),
        ("cocoa_cls", {"invisible_mask": "hidden", "occlude_rate": "occlusion_rate"}),
    ],
)
def test_replaced_keys(name: str, replaced: dict) -> None:
    assert dict(get_format(name).replaced_keys) == replaced


@pytest.mark.parametrize(
    ("name", "item", "given"),
    [
        ("coco", annotation(segmentation=VISIBLE), VISIBLE),
        ("kins", annotation(segmentation=WHOLE, inmodal_seg=VISIBLE), VISIBLE),
        ("kins2020", annotation(a_segm=WHOLE, i_segm=VISIBLE), VISIBLE),
        ("pseudo_amodal", annotation(segmentation=WHOLE, modal_segmentation=VISIBLE), VISIBLE),
        ("cocoa_cls", annotation(segmentation=WHOLE, visible_mask=VISIBLE), VISIBLE),
        ("cocoa", cocoa_entry(segmentation=WHOLE, visible_mask=VISIBLE), VISIBLE),
        # Only what hides it, or nothing: compressed RLE of the runs 0 2 4, and 0 4 2.
        (
            "cocoa_cls",
            annotation(segmentation=WHOLE, invisible_mask=BEHIND),
            {"size": [2, 3], "counts": "024"},
        ),
        ("cocoa", cocoa_entry(segmentation=WHOLE), {"size": [2, 3], "counts": "042"}),
    ],
)
def test_the_modal_mask_as_it_was_given(name: str, item: dict, given: dict) -> None:
    (parsed,) = get_format(name).parse(item, IMAGE)
    assert get_format(name).modal_as_given(parsed) == given


def test_categories_where_there_are_none() -> None:
    assert not get_format("cocoa").has_categories
    assert get_format("cocoa").categories({}) == [
        {"id": 1, "name": "object", "supercategory": "object"}
    ]
    assert all(f.has_categories for name, f in ANNOTATION_FORMATS.items() if name != "cocoa")


def test_coco_style_formats_follow_from_their_keys() -> None:
    class Visible(CocoStyleFormat):
        name = "only_visible"

    class Whole(CocoStyleFormat):
        name = "whole_too"
        amodal_key = "whole"

    assert (Visible().knows_amodal, Visible().evaluator_type) == (False, "modal")
    assert (Whole().knows_amodal, Whole().evaluator_type) == (True, "amodal")
    assert "only_visible" not in ANNOTATION_FORMATS, "nothing registers without the decorator"


def test_what_a_format_need_not_say() -> None:
    class Least(AnnotationFormat):
        name = "least"

        def parse(self, raw_item, image):
            raise NotImplementedError

    format, item, told = Least(), {"id": 3, "regions": [], "isStuff": 1}, []
    assert format.count_instances(item) == 1
    assert format.about_image(item) == {}
    assert not format.is_stuff(item) and not format.is_lone_item(item)
    # An item that cannot be used stays as it is, whole.
    error = InvalidAnnotation("image 7 (a.png), annotation 3: why")
    assert list(format.salvage(item, IMAGE, error, told.append)) == [item]
    assert told == ["image 7 (a.png), annotation 3: why"]
    with pytest.raises(NotImplementedError, match="least: .* 'images'"):
        format.entry_image(item, "root")


def test_documents_that_are_one_item() -> None:
    assert is_lone_item({"regions": []})
    assert not is_lone_item({"annotations": [{"regions": []}]})


def test_an_occlude_rate_without_a_mask_is_said():
    from deocclusion_d2.data.datasets.formats import ImageInfo
    from deocclusion_d2.data.datasets.formats.cocoa import RATE_WITHOUT_MASK, visible_part

    image, amodal = ImageInfo(1, 4, 4, "a.png"), {"size": [4, 4], "counts": "04<"}
    for rate, said in ((0.24, [RATE_WITHOUT_MASK]), (0.0, []), (None, []), (float("nan"), [])):
        assumed: list[str] = []
        assert visible_part({"occlude_rate": rate}, amodal, image, "here", assumed) is amodal
        assert assumed == said


def test_a_crowd_flag_of_text_0_is_no_crowd_among_what_conversion_could_not_use():
    from deocclusion_d2.data.datasets.formats import get_format

    used = {"modal_segmentation": []}
    items = [used, {"iscrowd": "0"}, {"iscrowd": 0}, {"iscrowd": None}, {"iscrowd": "1"}]
    _, kept = get_format("pseudo_amodal").open_document(
        {"images": [], "annotations": items}, "", ""
    )
    assert kept == [used, {"iscrowd": "1"}]

"""Single values of annotation files: one meaning is read and said, all else is one line."""

import copy
import math

import pytest

from deocclusion_d2.data.datasets.formats import (
    ImageInfo,
    InvalidAnnotation,
    MissingSize,
    get_format,
    read_box,
    read_id,
    shown,
    size_told_by,
)

COCO, KINS, PSEUDO = get_format("coco"), get_format("kins"), get_format("pseudo_amodal")
IMAGE = ImageInfo(7, 2, 3, "a.png")
# Of 2 x 3 pixels, column by column: the first column.
LEFT = {"size": [2, 3], "counts": [0, 2, 4]}


def annotation(**values) -> dict:
    return {"id": 5, "image_id": 7, "category_id": 4, "segmentation": LEFT, **values}


def without(*keys: str) -> dict:
    return {k: v for k, v in annotation().items() if k not in keys}


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (1, 1),
        (1.0, 1),
        ("1", 1),
        ("-3", -3),
        ("0", 0),
        (0, 0),
        (2**63, 2**63),
        # A text is a name unless Python would write it so.
        ("01", "01"),
        ("-0", "-0"),
        ("+1", "+1"),
        (" 1", " 1"),
        ("1.0", "1.0"),
        ("\u0661", "\u0661"),
        ("a", "a"),
        ("", ""),
        ("9" * 20, "9" * 20),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_ids(value: object, meant: object) -> None:
    assumed: list[str] = []
    found = read_id(value, "here", "'id'", assumed)
    assert found == meant and type(found) is type(meant)
    assert bool(assumed) == (type(value) is not type(meant))


@pytest.mark.parametrize(
    "value",
    [1.5, math.nan, math.inf, 1e300, True, None, [1], {}, 2**64, pytest.param(10**5000, id="huge")],
)
def test_what_is_no_id(value: object) -> None:
    with pytest.raises(InvalidAnnotation) as caught:
        read_id(value, "here")
    assert str(caught.value).startswith("here: an id must be an integer or a text, not ")
    assert len(str(caught.value)) < 200


def test_ids_mean_the_same_wherever_they_stand() -> None:
    for value in (7, 7.0, "7"):
        image = COCO.images_of({"id": value, "file_name": "a.png", "height": 2, "width": 3})
        item = annotation(image_id=value, id=value, category_id=value)
        (parsed,) = COCO.parse(item, image)
        assert image.id == COCO.image_id_of(item) == parsed.image_id == 7
        assert parsed.id == parsed.category_id == 7
        assert parsed.raw == item and type(parsed.raw["id"]) is type(value)
        kind = {int: None, float: "float", str: "text"}[type(value)]
        expected = [f"'{k}' is a {kind} that means an integer" for k in item if kind and "id" in k]
        assert sorted(parsed.assumed) == sorted(expected)
        assert image.assumed == ((f"an image's {expected[0]}",) if kind else ())


# ---------------------------------------------------------------- categories


def test_categories_are_what_they_mean() -> None:
    assumed: list[str] = []
    raw = [{"id": "2", "name": "person"}, {"id": 1.0, "name": 5, "color": 3}, {"id": 0}]
    before = copy.deepcopy(raw)
    assert COCO.categories({"categories": raw}, assumed) == [
        {"id": 0, "name": "category0"},
        {"id": 1, "name": "5", "color": 3},
        {"id": 2, "name": "person"},
    ]
    assert raw == before
    assert assumed == [
        "a category's 'id' is a text that means an integer",
        "a category's 'id' is a float that means an integer",
        "a category's name is a number: its digits",
        "a category has no name: 'category' and its id",
    ]


def test_good_categories_stay_as_they_are() -> None:
    raw = [{"id": 2, "name": "b"}, {"id": 1, "name": "a"}]
    first, second = COCO.categories({"categories": raw})
    assert first is raw[1] and second is raw[0]


@pytest.mark.parametrize("document", [{}, {"categories": None}, {"categories": []}])
def test_no_categories(document: dict) -> None:
    assumed: list[str] = []
    assert [c["name"] for c in COCO.categories(document, assumed)] == ["object"]
    assert assumed == ["the file has no categories: category 1, 'object'"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 1], "category id 1 occurs twice"),
        ([1, "1"], "category ids 1 and '1' mean the same"),
        ([1.0, "1"], "category ids 1.0 and '1' mean the same"),
        (["a"], "category 'a': 'id' must be an integer"),
        ([True], "category True: 'id' must be an integer"),
        ([2**63], "category 9223372036854775808: 'id' must be"),
        ([10**400], "category an integer of 1329 bits: 'id' must be"),
    ],
)
def test_bad_categories(ids: list, message: str) -> None:
    with pytest.raises(InvalidAnnotation) as caught:
        COCO.categories({"categories": [{"id": i, "name": "a"} for i in ids]})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("item", [without("category_id"), annotation(category_id=None)])
def test_no_category(item: dict) -> None:
    (parsed,) = COCO.parse(item, IMAGE)
    assert parsed.category_id == 1 and parsed.raw == item
    assert parsed.assumed == ("it has no category: category 1",)


@pytest.mark.parametrize("value", ["car", 1.5, math.nan, True, [4], 2**63, 10**400])
def test_bad_category_ids(value: object) -> None:
    with pytest.raises(InvalidAnnotation, match="annotation 5: 'category_id' is .*, not an int"):
        COCO.parse(annotation(category_id=value), IMAGE)


# ---------------------------------------------------------------- crowds and boxes


@pytest.mark.parametrize(
    ("value", "crowd", "said"),
    [
        (0, False, ()),
        (1, True, ()),
        (1.0, True, ()),
        (None, False, ("'iscrowd' is null: 0",)),
        (True, True, ("'iscrowd' is true or false: 1 or 0",)),
        (False, False, ("'iscrowd' is true or false: 1 or 0",)),
        ("0", False, ("'iscrowd' is a text that means 0 or 1",)),
        ("1", True, ("'iscrowd' is a text that means 0 or 1",)),
    ],
)
def test_crowds(value: object, crowd: bool, said: tuple) -> None:
    (parsed,) = COCO.parse(annotation(iscrowd=value), IMAGE)
    assert (parsed.iscrowd, parsed.assumed) == (crowd, said)


@pytest.mark.parametrize("value", [2, -1, 0.5, math.nan, "", "yes", [], {}, 10**400])
def test_what_is_no_crowd_flag(value: object) -> None:
    with pytest.raises(InvalidAnnotation, match="annotation 5: 'iscrowd' is .*, not 0 or 1"):
        COCO.parse(annotation(iscrowd=value), IMAGE)


@pytest.mark.parametrize(
    ("box", "expected", "said"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], []),
        (None, None, []),
        ([], None, ["a box is []: the mask's is taken"]),
        ([1, 2, math.nan, 4], None, ["a box holds NaN or Infinity: the mask's is taken"]),
        ([-math.inf, 2, 3, 4], None, ["a box holds NaN or Infinity: the mask's is taken"]),
    ],
)
def test_boxes(box: list, expected: list, said: list) -> None:
    assumed: list[str] = []
    assert read_box({"bbox": box}, "bbox", "here", assumed) == expected
    assert assumed == said


@pytest.mark.parametrize(
    "box", [[1, 2, 3], [1, 2, -3, 4], [1, 2, True, 4], ["1", 2, 3, 4], "1234", 5, [10**400] * 4]
)
def test_bad_boxes(box: object) -> None:
    with pytest.raises(InvalidAnnotation, match="here: 'bbox' is .*, not .x, y, width, height"):
        read_box({"bbox": box}, "bbox", "here")


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("given", [[], [[]], None, ...])
def test_no_mask_is_one_thing(given: object) -> None:
    item = without("segmentation") if given is ... else annotation(segmentation=given)
    (parsed,) = COCO.parse(item, IMAGE)
    assert parsed.is_hidden and parsed.modal["size"] == [2, 3]
    assert parsed.assumed == ("it has no mask",)
    # What conversion writes down as given: an RLE where nothing was.
    expected = parsed.modal if given in (None, ...) else given
    assert COCO.modal_as_given(parsed) == expected


def test_of_two_masks_one_alone_does_not_tell_the_other() -> None:
    # Of KINS, what has no visible mask is hidden by nothing: a file without any is refused.
    for item in (annotation(), annotation(inmodal_seg=None)):
        (parsed,) = KINS.parse(item, IMAGE)
        assert parsed.modal == parsed.amodal and not parsed.is_hidden
        assert parsed.assumed == ("it has no 'inmodal_seg': nothing hides it",)
    with pytest.raises(InvalidAnnotation, match="annotation 5: it has no key 'segmentation'"):
        KINS.parse({**without("segmentation"), "inmodal_seg": LEFT}, IMAGE)
    (parsed,) = KINS.parse(annotation(inmodal_seg=[]), IMAGE)
    assert parsed.is_hidden, "an empty list says that nothing is visible"
    (parsed,) = KINS.parse(annotation(segmentation=None, inmodal_seg=None), IMAGE)
    assert parsed.is_hidden and parsed.assumed == ("it has no mask",)


def test_what_masks_had_to_assume_is_said_with_the_annotation() -> None:
    item = annotation(segmentation=[[0, 0, 3, 0, 3, 2, 0, 2], [1, 1]], iscrowd=None)
    (parsed,) = COCO.parse(item, IMAGE)
    assert parsed.assumed == (
        "'iscrowd' is null: 0",
        "a part of a polygon with fewer than 3 points is left out",
    )


def test_recomputed_keys() -> None:
    always = {"segmentation", "bbox", "area", "modal_segmentation", "modal_bbox", "occlusion_rate"}
    assert always <= COCO.recomputed_keys
    assert COCO.recomputed_keys.isdisjoint({"id", "image_id", "category_id", "iscrowd", "score"})
    assert get_format("kins2020").recomputed_keys == COCO.recomputed_keys | {
        "a_segm",
        "a_bbox",
        "a_area",
    }


# ---------------------------------------------------------------- images


def image(**values) -> dict:
    return {"id": 7, "file_name": "a.png", "height": 2, "width": 3, **values}


def test_sizes_of_images() -> None:
    found = COCO.images_of(image(height=2.0, width=3.0))
    assert (found.height, found.width) == (2, 3) and type(found.height) is int
    assert found.assumed == (
        "an image's 'height' is a float that means an integer",
        "an image's 'width' is a float that means an integer",
    )
    assert found == IMAGE, "what was assumed is no part of an image"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"height": 2.5}, "'height' is 2.5, not a positive integer"),
        ({"height": "2"}, "'height' is '2', not a positive integer"),
        ({"height": True}, "'height' is True, not a positive integer"),
        ({"width": math.nan}, "'width' is nan, not a positive integer"),
        ({"width": -3}, "'width' is -3, not a positive integer"),
        ({"width": 10**300}, "'width' is an integer of 997 bits, not a positive integer"),
        ({"height": 10**9, "width": 10**9}, "1000000000 x 1000000000 pixels are more than the"),
    ],
)
def test_bad_sizes_of_images(values: dict, message: str) -> None:
    with pytest.raises(InvalidAnnotation) as caught:
        COCO.images_of(image(**values))
    assert str(caught.value).startswith(f"image 7 (a.png): {message}")


@pytest.mark.parametrize("key", ["height", "width"])
def test_a_missing_size_can_be_told_from_other_faults(key: str) -> None:
    raw = image()
    del raw[key]
    with pytest.raises(MissingSize, match=rf"image 7 \(a.png\): it has no key '{key}'"):
        COCO.images_of(raw)
    with pytest.raises(MissingSize, match=f"'{key}' is null"):
        COCO.images_of(image(**{key: None}))


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (annotation(), (2, 3)),
        (annotation(segmentation=[LEFT]), (2, 3)),
        (annotation(segmentation={"size": [2.0, 3.0], "counts": ""}), (2, 3)),
        ({"inmodal_seg": LEFT, "segmentation": [[1, 2, 3, 4, 5, 6]]}, (2, 3)),
        ({"regions": [{"segmentation": [1, 2]}, 5, {"visible_mask": LEFT}]}, (2, 3)),
        (annotation(segmentation=[[1, 2, 3, 4, 5, 6]]), None),
        (annotation(segmentation={"size": [2, 3, 3], "counts": ""}), None),
        (annotation(segmentation={"size": None, "counts": ""}), None),
        (annotation(segmentation={"size": [0, 3], "counts": ""}), None),
        (annotation(segmentation={"size": ["2", "3"], "counts": ""}), None),
        ({"regions": {}}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_size_that_masks_tell(item: object, size: tuple | None) -> None:
    assert size_told_by(item) == size


def test_what_messages_quote_is_short() -> None:
    assert shown([0, 1, -6, 4]) == "[0, 1, -6, 4]" and shown("e5") == "'e5'" and shown(7) == "7"
    deep: object = 0
    for _ in range(100):
        deep = [deep] * 2 if isinstance(deep, int) else [deep]
    for value in (deep, "x" * 10**6, list(range(10**5)), {i: i for i in range(1000)}, 10**5000):
        assert len(shown(value)) < 120 and "\n" not in shown(value)

"""COCOA's entries: all regions of an image in one item, with or without a list of images."""

from pathlib import Path

import pytest
from PIL import Image

from deocclusion_d2.data.datasets.formats import ImageInfo, InvalidAnnotation, get_format

COCOA = get_format("cocoa")
IMAGE = ImageInfo(7, 2, 3, "a.png")
LEFT = {"size": [2, 3], "counts": [0, 2, 4]}


def region(**others) -> dict:
    return {"segmentation": LEFT, "name": "mug", **others}


def entry(*regions, **others) -> dict:
    return {"id": 5, "image_id": 7, "url": "http://x/y/a.png", "regions": list(regions), **others}


def test_what_an_entry_says_of_its_image() -> None:
    raw = entry(region(), author="A", depth_constraint="1-2")
    assert COCOA.about_image(raw) == {
        "cocoa": {
            "id": 5,
            "image_id": 7,
            "url": "http://x/y/a.png",
            "author": "A",
            "depth_constraint": "1-2",
        }
    }


def test_instances_are_counted_without_parsing() -> None:
    assert COCOA.count_instances(entry(region(), "no region")) == 2
    with pytest.raises(InvalidAnnotation) as caught:
        COCOA.count_instances({"id": 5, "image_id": 7})
    assert str(caught.value) == "entry 5: it has no list 'regions'"


@pytest.mark.parametrize(("value", "stuff"), [(1, True), (0, False), (None, False)])
def test_stuff(value: int | None, stuff: bool) -> None:
    (parsed,) = COCOA.parse(entry(region(isStuff=value)), IMAGE)
    assert COCOA.is_stuff(parsed.extras) is stuff
    assert not COCOA.is_stuff({})


class TestImageOfAnEntry:
    def test_size_from_a_mask(self) -> None:
        assert COCOA.entry_image(entry(region()), "nowhere") == ImageInfo(7, 2, 3, "a.png")

    def test_size_from_the_image(self, tmp_path: Path) -> None:
        Image.new("RGB", (9, 4)).save(tmp_path / "a.png")
        outline = {"segmentation": [0, 0, 2, 0, 2, 2]}
        found = COCOA.entry_image(entry(outline), str(tmp_path))
        assert (found.height, found.width, found.file_name) == (4, 9, "a.png")

    def test_image_named_like_the_json(self, tmp_path: Path) -> None:
        Image.new("RGB", (9, 4)).save(tmp_path / "scene.jpg")
        assert COCOA.entry_image(entry(region()), str(tmp_path), "scene").file_name == "scene.jpg"

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            ({"id": 5}, "an entry has no key 'image_id'"),
            ({"id": 5, "image_id": 7}, "image 7, entry 5: it has neither 'file_name' nor 'url'"),
            (
                entry({"segmentation": [0, 0, 2, 0, 2, 2]}),
                "image 7, entry 5: no mask of it tells the image's size, and there is no image "
                "a.png in the image root 'nowhere'",
            ),
        ],
    )
    def test_no_image(self, raw: dict, message: str) -> None:
        with pytest.raises(InvalidAnnotation) as caught:
            COCOA.entry_image(raw, "nowhere")
        assert str(caught.value) == message


def salvage(raw: dict) -> tuple[list, list[str]]:
    told: list[str] = []
    with pytest.raises(InvalidAnnotation) as caught:
        COCOA.parse(raw, IMAGE)
    return list(COCOA.salvage(raw, IMAGE, caught.value, told.append)), told


def test_regions_that_can_be_used_keep_their_ids() -> None:
    bad = region(segmentation=[1, 2], name="cup")
    found, told = salvage(entry(region(), bad, 5, region(order=4)))
    # Region p of entry 5 has id 5000 + p. The number 5 is no annotation, so nothing stands for it.
    first, second, last = found
    assert (first.id, last.id, last.extras["order"]) == (5001, 5004, 4)
    assert second == {**bad, "id": 5002, "image_id": 7, "category_id": 1, "iscrowd": 0}
    assert told == [
        "image 7 (a.png), annotation 5002: 'segmentation': a polygon of 2 numbers has fewer than "
        "3 points (6 numbers)",
        "image 7 (a.png), annotation 5003: a region is a int, not an object",
    ]


def test_an_entry_without_regions_stays_as_it_is() -> None:
    raw = {"id": 5, "image_id": 7}
    assert salvage(raw) == (
        [raw],
        ["image 7 (a.png), annotation 5: it has no list 'regions'"],
    )


def test_an_entry_whose_id_is_a_text() -> None:
    first, second = COCOA.parse(entry(region(), region(), id="five"), IMAGE)
    assert (first.id, second.id, second.raw["id"]) == ("five-1", "five-2", "five-2")
    assert first.assumed == ()


def test_ids_that_mean_integers() -> None:
    first, second = COCOA.parse(entry(region(), region(), id="5", image_id=7.0), IMAGE)
    assert (first.id, second.id) == (5001, 5002)
    # Of the entry, so once.
    assert first.assumed == (
        "an entry's 'id' is a text that means an integer",
        "'image_id' is a float that means an integer",
    )
    assert second.assumed == ()
    found = COCOA.entry_image(entry(region(), image_id="7"), "nowhere")
    assert found.id == COCOA.image_id_of(entry(image_id=7.0)) == 7
    (null,) = COCOA.parse(entry(region(), id=None), IMAGE)
    assert null.id == 7001, "made from the image's"


def test_a_region_without_masks_is_empty_and_one_of_its_masks_alone_is_refused() -> None:
    for nothing in ({}, {"segmentation": None}, {"segmentation": []}, {"segmentation": [[]]}):
        (parsed,) = COCOA.parse(entry(nothing), IMAGE)
        assert parsed.is_hidden and parsed.amodal == parsed.modal
        assert parsed.assumed == ("it has no mask",)
    with pytest.raises(InvalidAnnotation, match="annotation 5001: 'segmentation' is null"):
        COCOA.parse(entry({"segmentation": None, "visible_mask": LEFT}), IMAGE)


def test_a_file_name_of_windows(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (9, 4)).save(tmp_path / "photos" / "a.png")
    raw = entry({"segmentation": [0, 0, 2, 0, 2, 2]}, file_name="photos\\a.png")
    found = COCOA.entry_image(raw, str(tmp_path))
    assert (found.height, found.width, found.file_name) == (4, 9, "photos/a.png")


def test_an_image_that_no_mask_can_have() -> None:
    huge = {"size": [10**9, 10**9], "counts": [10**18]}
    with pytest.raises(InvalidAnnotation, match="entry 5: 1000000000 x 1000000000 pixels are more"):
        COCOA.entry_image(entry({"segmentation": huge}), "nowhere")

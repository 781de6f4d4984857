"""Really hidden regions: where they lie, what may be looked at, and what the photo makes of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.data.scenes import SceneMapper
from deocclusion_d2.errors import UserError
from deocclusion_d2.evaluation.content import (
    ContentEvaluator,
    HoleFiller,
    draw_erased_regions,
    find_hidden_regions,
)
from deocclusion_d2.evaluation.content.filling import BASELINES
from deocclusion_d2.structures import SceneTruth, SquareCrop, WindowMask
from deocclusion_d2.systems.pcnet_c.steps import ContentCompletion
from tests.helpers import box_mask, scene_of

H, W = 60, 80
# The left half of the occludee is visible, the right half hidden: 15 x 30 px. A bystander touches
# both, and lies in the occludee's square, columns 0 to 50.
WHOLE = (10, 10, 40, 40)
OCCLUDER = (25, 5, 45, 45)
BYSTANDER = (10, 40, 25, 50)
HOLE = (25, 10, 40, 40)
BACKGROUND, GREY, BLUE, GREEN = (30, 60, 90), (100, 100, 100), (0, 0, 255), (0, 255, 0)
# The hidden colour: 0.2 more red than what is visible.
HIDDEN = (151, 100, 100)


class KnownPhoto:
    """See ``SceneTruth.unhidden``: a photo that shows all of every instance."""

    def __init__(self, photo) -> None:
        self.photo = photo

    def knows(self, row):
        return True

    def __call__(self, row, image):
        return self.photo


class Shown:
    """Stands for a runner of PCNet-C: a network that hands on what it sees."""

    uses_category = False

    def __init__(self) -> None:
        self.samples: list[dict] = []

    def outputs(self, samples, key):
        for sample in samples:
            self.samples.append(sample)
            mean = sample["image"].reshape(-1, 3).mean(axis=0)
            yield np.broadcast_to(mean, sample["image"].shape).astype(np.float32)


def paint(image, box, colour):
    image[box[1] : box[3], box[0] : box[2]] = colour


def pasted_scene(hidden=HIDDEN, occluder=BLUE, bystander=GREEN, visible=GREY):
    """A scene and its truth: occluder, occludee, bystander."""
    masks = [box_mask(H, W, *box) for box in (OCCLUDER, WHOLE, BYSTANDER)]
    scene = scene_of([masks[0], masks[1] & ~masks[0], masks[2]])
    photo = np.full((H, W, 3), BACKGROUND, np.uint8)
    paint(photo, WHOLE, visible)
    paint(photo, HOLE, hidden)
    paint(photo, BYSTANDER, bystander)
    scene.image = photo.copy()
    paint(scene.image, OCCLUDER, occluder)
    amodal = [WindowMask.from_array(mask) for mask in masks]
    truth = SceneTruth(amodal_masks=amodal, unhidden=KnownPhoto(photo))
    return {"scene": scene, "truth": truth}


def filled(record, content=None, **options):
    (output,) = HoleFiller(content, ErasingSettings(), **options)([record])
    return output


def judge(record, **options):
    evaluator = ContentEvaluator()
    evaluator.process([record], [filled(record, **options)])
    return evaluator.evaluate()["content"]


def test_what_is_hidden_and_not_what_would_be_erased():
    record = pasted_scene()
    regions, left_out = find_hidden_regions(record["scene"], record["truth"])
    (region,) = regions
    assert region.row == 1
    assert region.hole == WindowMask.filled(HOLE)
    assert region.visible == WindowMask.filled((10, 10, 25, 40))
    # Side sqrt(3 * 30 * 30) = 51.96, around the middle of the whole object.
    assert region.square == SquareCrop.around(WHOLE, 3.0)
    everything = box_mask(H, W, 10, 10, 25, 50) | box_mask(H, W, *OCCLUDER)
    assert region.taken == WindowMask.from_array(everything)
    assert left_out == {"instances without a hidden pixel": 2}
    assert [one.region.hole for one in filled(record).regions] == [region.hole]


def test_mean_colour_by_hand():
    results = judge(pasted_scene(), baselines=["mean_colour"])
    # Grey everywhere: 0.2 of red is missing, nothing of the other two.
    expected = {
        "L1-mean_colour": 0.2 / 3,
        "L2-mean_colour": 0.04 / 3,
        "PSNR-mean_colour": -10 * math.log10(0.04 / 3),
        "L1-mean_colour-hole30-100": 0.2 / 3,
        "holes": 1,
        "hole_pixels": 450,
        "hole_pixels-hole30-100": 450,
    }
    assert {key: results[key] for key in expected} == pytest.approx(expected)


def test_the_photo_is_the_truth():
    """Also around the hole, where similarity looks: a perfect fill has a similarity of 1."""
    results = judge(pasted_scene(hidden=GREY), baselines=["mean_colour"])
    assert results["L1-mean_colour"] == 0
    assert results["SSIM-mean_colour"] == pytest.approx(1)


@pytest.mark.parametrize("size", [16, 128])
def test_nobody_looks_at_other_objects_nor_under_the_paste(size):
    def fills(**colours):
        shown = Shown()
        content = ContentCompletion(shown, patch_size=size)
        (one,) = filled(pasted_scene(**colours), content).regions
        assert list(one.fills) == ["network", *BASELINES]
        return one.fills, shown.samples[0]

    before, sample = fills()
    noise = np.random.default_rng(0).integers(0, 256, (40, 20, 3))
    for colours in ({"occluder": noise}, {"bystander": (255, 0, 0)}, {"hidden": (0, 0, 0)}):
        after, sample_after = fills(**colours)
        for method, colour in before.items():
            np.testing.assert_array_equal(after[method], colour, method)
        for key, value in sample.items():
            np.testing.assert_array_equal(sample_after[key], value, key)
    # But all do look at what is visible of the object.
    after, _ = fills(visible=(220, 220, 220))
    assert all((after[method] != before[method]).any() for method in before)


def test_what_may_not_be_looked_at_is_not_black_either():
    (one,) = filled(pasted_scene(visible=BACKGROUND)).regions
    for method, colours in one.fills.items():
        # Telea rounds at every pixel, and 20 px deep it adds up.
        assert np.abs(colours - np.array(BACKGROUND)).max() <= 5, method


def test_instances_without_a_region_are_counted():
    masks = [box_mask(H, W, 30, 20, 60, 50), np.zeros((H, W), bool), box_mask(H, W, 0, 0, 2, 2)]
    wholes = [(30, 20, 70, 50), (40, 30, 50, 40), (0, 0, 3, 2)]
    scene = scene_of(masks)
    scene.image = np.zeros((H, W, 3), np.uint8)
    amodal = [WindowMask.filled(box) for box in wholes]
    truth = SceneTruth(amodal_masks=amodal, unhidden=KnownPhoto(scene.image))
    regions, left_out = find_hidden_regions(scene, truth)
    assert [region.row for region in regions] == [0]
    # The square of the last has a side of sqrt(3 * 3 * 2) = 4.2 px.
    tiny, unseen = (
        "instances with a square under the minimum",
        "instances without a visible pixel",
    )
    assert left_out == {tiny: 1, unseen: 1}
    regions, _ = find_hidden_regions(scene, truth, min_square=4.0)
    assert [region.row for region in regions] == [0, 2]

    truth.amodal_exact = np.array([False, True, True])
    regions, left_out = find_hidden_regions(scene, truth)
    assert regions == []
    assert left_out == {"instances of which nobody knows the whole": 1, tiny: 1, unseen: 1}
    assert find_hidden_regions(scene, SceneTruth())[1].total() == 3


def test_without_the_photo_a_part_is_erased_as_ever():
    record = pasted_scene()
    scene = record["scene"]
    record["truth"].unhidden = None
    erased, left_out = draw_erased_regions(scene, ErasingSettings())
    for one in (record, {"scene": scene}, scene):
        output = filled(one)
        assert [f.region.hole for f in output.regions] == [region.hole for region in erased]
        assert output.left_out == left_out
        assert all(f.region.taken.is_empty for f in output.regions)
    assert judge(record) == judge({"scene": scene})


def write_pair(folder):
    """The scene as a data set of pairs; returns its JSON."""
    record = pasted_scene()
    scene, truth = record["scene"], record["truth"]
    folder.mkdir()
    Image.fromarray(scene.image).save(folder / "pasted.png")
    Image.fromarray(truth.unhidden.photo).save(folder.parent / "photo.png")
    annotations = [
        {
            "id": row + 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": amodal.to_rle(H, W),
            "bbox": amodal.xywh,
            "area": amodal.area,
            "modal_segmentation": modal.to_rle(H, W),
            "modal_bbox": modal.xywh,
            "amodal_exact": row < 2,
        }
        for row, (amodal, modal) in enumerate(
            zip(truth.amodal_masks, scene.modal_masks, strict=True)
        )
    ]
    image = {"id": 1, "file_name": "pasted.png", "height": H, "width": W}
    document = {
        "images": [{**image, "source_image": "../photo.png"}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = folder.parent / "pairs.json"
    path.write_text(json.dumps(document))
    return path


def test_a_data_set_of_pairs_names_its_photos(tmp_path):
    folder = tmp_path / "images"
    path = write_pair(folder)
    (record,) = load_dataset_dicts(str(path), str(folder), "pseudo_amodal", "modal")
    mapped = SceneMapper(load_image=True)(record)
    assert judge(mapped) == judge(pasted_scene())
    assert filled(mapped).left_out == {
        "instances without a hidden pixel": 1,
        "instances of which nobody knows the whole": 1,
    }
    (tmp_path / "photo.png").unlink()
    with pytest.raises(UserError, match=r"photo\.png: there is no such file"):
        judge(SceneMapper(load_image=True)(record))


def write_rendered(folder):
    """The scene as a rendered one: the hidden object has a picture of its own."""
    record = pasted_scene()
    scene, truth = record["scene"], record["truth"]
    folder.mkdir()
    Image.fromarray(scene.image).save(folder / "1.png")
    annotations = []
    for row, (amodal, modal) in enumerate(zip(truth.amodal_masks, scene.modal_masks, strict=True)):
        x0, y0, x1, y1 = amodal.box
        whole = np.dstack([truth.unhidden.photo[y0:y1, x0:x1], amodal.array.astype(np.uint8) * 255])
        Image.fromarray(whole).save(folder.parent / f"{row}.png")
        annotations.append(
            {
                "id": row + 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": amodal.to_rle(H, W),
                "bbox": amodal.xywh,
                "inmodal_seg": modal.to_rle(H, W),
                "inmodal_bbox": modal.xywh,
                "full_object": f"../{row}.png",
                "full_object_box": amodal.xywh,
            }
        )
    # Of the occluder the photo shows what was behind.
    del annotations[0]["full_object"], annotations[0]["full_object_box"]
    document = {
        "images": [{"id": 1, "file_name": "1.png", "height": H, "width": W}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = folder.parent / "rendered.json"
    path.write_text(json.dumps(document))
    return path


def test_a_rendered_data_set_has_pictures_of_whole_objects(tmp_path):
    folder = tmp_path / "images"
    path = write_rendered(folder)
    (record,) = load_dataset_dicts(str(path), str(folder), "kins")
    mapped = SceneMapper(load_image=True)(record)
    scene, unhidden = mapped["scene"], mapped["truth"].unhidden
    photo = unhidden(1, scene.image)
    assert (photo[15, 30] == HIDDEN).all() and (scene.image[15, 30] == BLUE).all()
    # Only the object is made visible; what hides it stays beside it.
    assert (photo[7, 30] == BLUE).all()
    assert np.array_equal(unhidden(0, scene.image), scene.image)
    # As by the photo before, up to what the windows of SSIM see around the hole.
    by_pair, by_object = judge(pasted_scene()), judge(mapped)
    assert {k: v for k, v in by_object.items() if "SSIM" not in k} == {
        k: v for k, v in by_pair.items() if "SSIM" not in k
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"full_object": 3}, "annotation 2: 'full_object' is 3, not a path"),
        ({"full_object_box": [1, 2, 3]}, "'full_object_box' is [1, 2, 3]: give [x, y, width, heig"),
        ({"full_object_box": [1, 2, 3, 0.5]}, "in whole pixels"),
        ({"full_object_box": None}, "'full_object_box' is None"),
        ({"full_object_box": [-1, 2, 3, 4]}, "is [-1, 2, 3, 4]: it leaves the image of"),
        ({"full_object_box": [0, 0, 3, 4000]}, "it leaves the image of"),
    ],
)
def test_pictures_that_cannot_be(tmp_path, keys, message):
    path = write_rendered(tmp_path / "images")
    document = json.loads(path.read_text())
    document["annotations"][1].update(keys)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError) as refused:
        load_dataset_dicts(str(path), str(tmp_path / "images"), "kins")
    assert message in str(refused.value) and "rendered.json" in str(refused.value)


def test_pictures_that_cannot_be_used(tmp_path):
    path = write_rendered(tmp_path / "images")
    (record,) = load_dataset_dicts(str(path), str(tmp_path / "images"), "kins")
    mapped = SceneMapper(load_image=True)(record)
    picture = Image.open(tmp_path / "1.png")
    for wrong, message in (
        (
            picture.resize((5, 5)),
            "is 5 x 5 pixels, 'full_object_box' of its annotation says 30 x 30",
        ),
        (picture.convert("RGB"), "has no transparency: save RGBA"),
    ):
        wrong.save(tmp_path / "1.png")
        with pytest.raises(UserError, match=message):
            judge(mapped)
    picture.putalpha(0)
    picture.save(tmp_path / "1.png")
    with pytest.raises(UserError, match=r"annotation 2: .*1\.png is not transparent where the"):
        judge(mapped)


def test_hidden_parts_whose_colours_nobody_knows_are_left_out(tmp_path):
    path = write_rendered(tmp_path / "images")
    document = json.loads(path.read_text())
    # One object is shown whole, the hidden one no more.
    occluder, hidden, *_ = document["annotations"]
    occluder |= {"full_object": "../0.png", "full_object_box": occluder["bbox"]}
    del hidden["full_object"], hidden["full_object_box"]
    path.write_text(json.dumps(document))
    (record,) = load_dataset_dicts(str(path), str(tmp_path / "images"), "kins")
    mapped = SceneMapper(load_image=True)(record)
    regions, left_out = find_hidden_regions(mapped["scene"], mapped["truth"])
    assert not regions
    assert left_out["instances whose hidden colours nobody knows"] == 1

"""Ultralytics is AGPL-3.0: it is installed for these tests alone, and nothing of it is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2.adapters import from_ultralytics

results_of = pytest.importorskip("ultralytics.engine.results")
ops = pytest.importorskip("ultralytics.utils.ops")


def results(masks: torch.Tensor, height: int, width: int):
    boxes = torch.tensor([[8.0, 6, 40, 40, 0.9, 4], [24, 4, 44, 26, 0.8, 2]])[: len(masks)]
    image = np.zeros((height, width, 3), np.uint8)
    names = {2: "car", 4: "van"}
    return results_of.Results(image, path="a.jpg", names=names, boxes=boxes, masks=masks)


def test_masks_of_the_images_size(masks, deoccluder, expected):
    given = results(torch.from_numpy(masks).to(torch.uint8), 48, 64)
    result = deoccluder.predict([given], contiguous_ids={40: 4, 20: 2})
    assert result.amodal_masks == expected.amodal_masks
    assert result.scene.category_ids.tolist() == [40, 20]
    assert result.scene.scores == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize("image", [(375, 1242), (480, 640), (97, 61), (1080, 1920)])
@pytest.mark.parametrize("network", [(640, 640), (384, 640), (224, 640), (160, 160)])
def test_masks_of_the_networks_size_as_ultralytics_scales_them(image, network):
    torch.manual_seed(0)
    noise = torch.rand(1, 2, network[0] // 8, network[1] // 8)
    smooth = torch.nn.functional.interpolate(noise, network, mode="bicubic")[0] > 0.5
    theirs = ops.scale_masks(smooth[None].float(), image)[0].numpy() > 0.5
    ours = from_ultralytics(results(smooth.to(torch.uint8), *image)).masks
    assert ours.shape == theirs.shape
    # The two interpolate with other roundings: a pixel that is just half covered may differ.
    assert (ours != theirs).mean() < 1e-3


def test_an_untrained_network(deoccluder):
    """What ``model(image)`` gives, at the network's size, is what ``retina_masks`` gives."""
    ultralytics = pytest.importorskip("ultralytics")
    torch.manual_seed(0)
    model = ultralytics.YOLO("yolo11n-seg.yaml")
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    options = {"conf": 1e-6, "imgsz": 160, "max_det": 5, "verbose": False, "device": "cpu"}
    found = model(image, **options)
    assert found[0].masks is not None and found[0].masks.data.shape[1:] != image.shape[:2]
    masks = from_ultralytics(found[0]).masks
    assert masks.shape[1:] == image.shape[:2]
    result = deoccluder.predict(found, image=image)
    assert result.scene.height == 90 and result.scene.scores is not None


def test_boxes_alone(deoccluder):
    from deocclusion_d2.errors import UserError

    boxes = torch.tensor([[8.0, 6, 40, 40, 0.9, 4]])
    image = np.zeros((48, 64, 3), np.uint8)
    given = results_of.Results(image, path="a.jpg", names={4: "van"}, boxes=boxes)
    with pytest.raises(UserError, match="boxes alone"):
        deoccluder.predict(given)

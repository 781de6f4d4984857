"""De-occlusion in the workers of a loader: the same results for any number of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.modeling import build_model

from deocclusion_d2.config import load_config
from deocclusion_d2.data.loaders import build_scene_test_loader
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.engine.evaluate import judge
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference import loader_work, network_server
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems.pcnet_m.prior_fitting import fit_ordering_prior
from deocclusion_d2.workers import can_fork
from tests.helpers import box_mask

H, W, IMAGES = 40, 60, 11
WAYS = [(0, False), (1, False), (2, False), (3, True)]


@pytest.fixture
def data(tmp_path):
    """Images of two boxes, one of which hides a corner of the other."""
    random = np.random.default_rng(0)
    annotations = []
    for image in range(IMAGES):
        x, y = (int(v) for v in random.integers(2, 10, 2))
        front = box_mask(H, W, x, y, x + 12, y + 12)
        back = box_mask(H, W, x + 4, y + 4, x + 30, y + 26) & ~front
        annotations += [
            {
                "id": len(annotations) + k,
                "image_id": image,
                "category_id": 1 + 2 * (image == IMAGES - 1),
                "segmentation": WindowMask.from_array(mask).to_rle(H, W),
            }
            for k, mask in enumerate((front, back))
        ]
    document = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": H, "width": W} for i in range(IMAGES)
        ],
        "annotations": annotations,
        "categories": [{"id": i, "name": str(i)} for i in (1, 3)],
    }
    path = tmp_path / "modal.json"
    path.write_text(json.dumps(document))
    return f"coco:{path}"


def config(workers: int):
    options = ["MODEL.DEVICE", "cpu", "MODEL.PCNET_M.WIDTH", "0.25", "TEST.IMS_PER_BATCH", "2"]
    return load_config("pcnet_m_kins_quick.yaml", [*options, "DATALOADER.NUM_WORKERS", workers])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return build_model(config(0)).eval()


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]} workers{', served' * way[1]}")
def workers(request, monkeypatch):
    """So many workers; maybe as on a GPU, with the network in this process."""
    count, served = request.param
    if served and not can_fork():
        pytest.skip("processes are not forked here")
    for module in (loader_work, network_server):
        monkeypatch.setattr(module, "on_gpu", lambda runners: served)
    return count


class Collected(DatasetEvaluator):
    def reset(self):
        self.found = []

    def process(self, inputs, outputs):
        for record, output in zip(inputs, outputs, strict=True):
            size = (record["height"], record["width"])
            masks = [mask.to_rle(*size)["counts"] for mask in output.amodal_masks]
            self.found.append((record["image_id"], sorted(output.graph.edges), masks))

    def evaluate(self):
        return {"found": self.found}


def test_evaluation(data, model, workers):
    cfg = config(workers)
    deoccluder = Deoccluder.from_config(cfg, model)
    found = judge(deoccluder, build_scene_test_loader(cfg, data), Collected())["found"]
    loader = build_scene_test_loader(config(0), data)
    scenes = [record["scene"] for batch in loader for record in batch]
    assert [image for image, _, _ in found] == [scene.image_id for scene in scenes]
    alone = Deoccluder.from_config(cfg, model)
    for scene, (_, edges, masks) in zip(scenes, found, strict=True):
        result = alone([scene])[0]
        assert edges == sorted(result.graph.edges)
        assert masks == [mask.to_rle(H, W)["counts"] for mask in result.amodal_masks]
    assert any(edges for _, edges, _ in found)


def test_prior(data, model, workers, tmp_path):
    # Of few and of undecided pairs, but measured in every image.
    path = tmp_path / "prior.json"
    fit_ordering_prior(config(workers), [data], path, model=model)
    fitted_on = json.loads(path.read_text())["fitted_on"]
    assert (fitted_on["images"], fitted_on["pairs"]) == (IMAGES, IMAGES)
    reference = tmp_path / "reference.json"
    fit_ordering_prior(config(0), [data], reference, model=model)
    assert path.read_bytes() == reference.read_bytes()


def test_a_number_below_0_is_one_line(data):
    with pytest.raises(UserError, match=r"^DATALOADER.NUM_WORKERS \(--num-workers\) = -1: use 0"):
        build_scene_test_loader(config(-1), data)


class Picky(Deoccluder):
    def __call__(self, scenes):
        if any(3 in record["scene"].category_ids for record in scenes):
            raise UserError("image 10: there is a 3 in it")
        return super().__call__(scenes)


def test_an_error_is_said(data, model, workers):
    cfg = config(workers)
    deoccluder = Deoccluder.from_config(cfg, model)
    deoccluder.__class__ = Picky
    with pytest.raises(UserError, match="image 10: there is a 3 in it"):
        judge(deoccluder, build_scene_test_loader(cfg, data), Collected())

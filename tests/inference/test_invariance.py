"""Results do not depend on batches, on the order of images, or on how they are grouped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, Instances

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference import network_runner
from deocclusion_d2.inference.network_runner import fold_batch_norms
from deocclusion_d2.systems.pcnet_m.completion import PCNetCompletion
from deocclusion_d2.systems.pcnet_m.ordering import DualCompletion
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import box_mask, random_model, scene_of

H, W = 50, 70


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "MODEL: {META_ARCHITECTURE: PCNetM, DEVICE: cpu, PCNET_M: {WIDTH: 0.25}}\n"
        "INPUT: {INSTANCE_CROP: {SIZE: 32}}\n"
        "DEOCCLUSION: {ORDER_THRESHOLD: 0.45, AMODAL_THRESHOLD: 0.45}\n"
    )
    return load_config(str(path))


def scenes():
    rng = np.random.default_rng(0)
    out = []
    for _ in range(5):
        taken, arrays = np.zeros((H, W), bool), []
        for _ in range(7):
            x, y = rng.integers(0, 45, 2)
            full = box_mask(H, W, x, y, x + rng.integers(5, 25), y + rng.integers(5, 25))
            arrays.append(full & ~taken)
            taken |= full
        out.append(scene_of(arrays, categories=rng.integers(1, 9, 7).tolist()))
    return out


def fingerprint(result):
    edges = [(e, result.graph.graph.edges[e]["increments"]) for e in result.graph.edges]
    return edges, [m.to_rle(H, W) for m in result.amodal_masks]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_batches_and_grouping(cfg, precision):
    cfg.DEOCCLUSION.PRECISION = precision
    model = random_model()
    expected = None
    for batch_size in (1, 3, 16, 64):
        cfg.DEOCCLUSION.PATCHES_PER_BATCH = batch_size
        deoccluder = Deoccluder.from_config(cfg, model)
        together = [fingerprint(r) for r in deoccluder(scenes())]
        one_by_one = [fingerprint(deoccluder([s])[0]) for s in scenes()]
        backwards = [fingerprint(r) for r in deoccluder(scenes()[::-1])][::-1]
        expected = expected or together
        assert together == expected and one_by_one == expected and backwards == expected
    assert sum(len(edges) for edges, _ in expected) >= 15
    changed = [
        rle != m.to_rle(H, W)
        for (_, rles), scene in zip(expected, scenes(), strict=True)
        for rle, m in zip(rles, scene.modal_masks, strict=True)
    ]
    assert sum(changed) >= 10


def test_computing_near_the_eraser_only_changes_nothing(cfg, monkeypatch):
    """Large patches on a CPU; here every patch counts as large."""
    cfg.DEOCCLUSION.PRECISION = "float32"
    model = random_model()
    expected = [fingerprint(r) for r in Deoccluder.from_config(cfg, model)(scenes())]
    monkeypatch.setattr(network_runner, "_CPU_ACTIVATION_BYTES", 1)
    shares = []
    deoccluder = Deoccluder.from_config(cfg, model)
    regional = deoccluder._completion.runner.regional
    regional.register_forward_hook(lambda m, x, out: shares.append(out[0].numel() / x[0].numel()))
    assert [fingerprint(r) for r in deoccluder(scenes())] == expected
    assert len(shares) > 15 and np.mean(shares) < 0.7


def test_paper_protocol_overrides_what_is_not_in_it(cfg):
    model = random_model()
    cfg.DEOCCLUSION.PAPER_PROTOCOL = True
    cfg.DEOCCLUSION.DILATION, cfg.DEOCCLUSION.PRECISION = 5, "bfloat16"
    deoccluder = Deoccluder.from_config(cfg, model)
    said = deoccluder.describe()
    assert (said["dilation"], said["constrain"], said["precision"]) == (0, False, "float32")
    runner = PatchCompleter(model, precision="float32", optimize=False)
    ordering = DualCompletion(runner, patch_size=32, threshold=0.45)
    completion = PCNetCompletion(runner, patch_size=32, threshold=0.45, constrain=False)
    for scene, result in zip(scenes(), deoccluder(scenes()), strict=True):
        graphs = ordering([scene])
        expected = completion([scene], graphs)[0]
        assert fingerprint(result) == fingerprint(expected)


def test_every_form_of_input_gives_the_same(cfg):
    deoccluder = Deoccluder.from_config(cfg, random_model())
    scene = scenes()[0]
    arrays = np.stack([m.to_array(H, W) for m in scene.modal_masks])
    instances = Instances((H, W), pred_masks=torch.from_numpy(arrays))
    truth = Instances((H, W), gt_masks=BitMasks(torch.from_numpy(arrays)))
    rles = [m.to_rle(H, W) for m in scene.modal_masks]
    expected = fingerprint(deoccluder([scene])[0])
    for masks in (arrays, torch.from_numpy(arrays), rles, instances, truth):
        assert fingerprint(deoccluder.predict(masks, scene.category_ids)) == expected
    with pytest.raises(UserError, match=r"give \(N, H, W\)"):
        deoccluder.predict(arrays[0])
    with pytest.raises(UserError, match="neither pred_masks nor gt_masks"):
        deoccluder.predict(Instances((H, W)))
    with pytest.raises(UserError, match="the image is 3 x 2 pixels"):
        deoccluder.predict(arrays, image=np.zeros((2, 3, 3), np.uint8))


def test_colours_need_an_image(cfg):
    cfg.MODEL.PCNET_M.USE_RGB = True
    deoccluder = Deoccluder.from_config(cfg, random_model(use_rgb=True))
    scene = scenes()[0]
    with pytest.raises(UserError, match="the scene holds no image"):
        deoccluder([scene])
    scene.image = np.zeros((H, W, 3), np.uint8)
    first = fingerprint(deoccluder([scene])[0])
    scene.image = scene.image + np.uint8(255)
    assert fingerprint(deoccluder([scene])[0]) != first


def test_folding_batch_norms_changes_nothing_but_rounding():
    model = random_model()
    x = torch.rand(2, 2, 32, 32)
    with torch.no_grad():
        before = model.network(x)
        fold_batch_norms(model.network)
        after = model.network(x)
    assert not any("running_mean" in name for name, _ in model.network.named_buffers())
    assert torch.allclose(before, after, atol=1e-4)


def test_the_completer_leaves_the_model_as_it_was():
    model = random_model()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    PatchCompleter(model.train(), precision="bfloat16")
    assert model.training
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())

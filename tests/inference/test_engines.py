"""Engines give what torch gives, and say in one line why they cannot."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from torch import nn

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference import engines
from deocclusion_d2.inference.engines import ENGINES, chosen_engine
from deocclusion_d2.inference.network_runner import NetworkRunner
from tests.helpers import box_mask, random_model, random_order_net, scene_of

INSTALLED_APART = ["ncnn", "openvino"]
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "MODEL: {META_ARCHITECTURE: PCNetM, DEVICE: cpu, PCNET_M: {WIDTH: 0.25}}\n"
        "INPUT: {INSTANCE_CROP: {SIZE: 32}}\n"
        "DEOCCLUSION: {ORDER_THRESHOLD: 0.45, AMODAL_THRESHOLD: 0.45, PRECISION: float32}\n"
    )
    return load_config(str(path))


def scenes():
    rng = np.random.default_rng(0)
    out = []
    for _ in range(8):
        taken, arrays = np.zeros((60, 90), bool), []
        for _ in range(8):
            x, y = rng.integers(0, 55, 2)
            full = box_mask(60, 90, x, y, x + rng.integers(8, 30), y + rng.integers(8, 30))
            arrays.append(full & ~taken)
            taken |= full
        out.append(scene_of(arrays))
    return out


def decisions(result):
    """Orders of the neighbours, and amodal masks."""
    graph = result.graph
    orders = [graph.order(i, j) for i, j in graph.neighbour_pairs]
    return orders, [m.to_rle(60, 90) for m in result.amodal_masks]


@pytest.mark.parametrize("engine", INSTALLED_APART)
def test_it_decides_as_torch(cfg, engine):
    pytest.importorskip(engine)
    model = random_model()
    cfg.DEOCCLUSION.ENGINE = "torch"
    expected = [decisions(r) for r in Deoccluder.from_config(cfg, model)(scenes())]
    cfg.DEOCCLUSION.ENGINE = engine
    deoccluder = Deoccluder.from_config(cfg, model)
    assert deoccluder.describe()["engine"] == engine
    results = [decisions(r) for r in deoccluder(scenes())]
    pairs = [
        p
        for one, other in zip(results, expected, strict=True)
        for p in zip(one[0], other[0], strict=True)
    ]
    assert len(pairs) > 50
    assert sum(a == b for a, b in pairs) >= 0.999 * len(pairs)
    masks = [
        p
        for one, other in zip(results, expected, strict=True)
        for p in zip(one[1], other[1], strict=True)
    ]
    assert sum(a == b for a, b in masks) >= 0.97 * len(masks)


@pytest.mark.parametrize("engine", INSTALLED_APART)
def test_it_does_not_depend_on_grouping(cfg, engine):
    pytest.importorskip(engine)
    cfg.DEOCCLUSION.ENGINE = engine
    deoccluder = Deoccluder.from_config(cfg, random_model())
    together = [decisions(r) for r in deoccluder(scenes())]
    assert together == [decisions(deoccluder([s])[0]) for s in scenes()]


@pytest.mark.parametrize(
    "engine, precision, tolerance",
    [("openvino", "float32", 1e-5), ("openvino", "bfloat16", 0.05), ("ncnn", "float32", 1e-5)],
)
def test_two_shapes_and_a_network_of_another_kind(engine, precision, tolerance):
    pytest.importorskip(engine)
    network = random_order_net().network
    prepared = ENGINES[engine].prepare(copy.deepcopy(network), precision)
    for count in (1, 3, 1):
        x = (
            (torch.rand(count, 2, 32, 32) < 0.5)
            .float()
            .contiguous(memory_format=torch.channels_last)
        )
        with torch.inference_mode():
            assert torch.allclose(prepared(x), network(x), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("engine", INSTALLED_APART)
def test_results_stay_when_the_next_come(engine):
    pytest.importorskip(engine)
    prepared = ENGINES[engine].prepare(nn.Conv2d(16, 16, 3), "float32")
    with torch.inference_mode():
        ones = prepared(torch.ones(1, 16, 4, 4))
        kept = ones.clone()
        prepared(torch.zeros(1, 16, 4, 4))
        assert torch.equal(ones, kept)


def _fails(inputs):
    raise RuntimeError


@pytest.mark.parametrize("infer", [_fails, lambda inputs: {"y": np.zeros((0, 1, 0, 0), "f4")}])
def test_a_result_of_nothing_is_refused(monkeypatch, infer):
    """OpenVINO's in bfloat16 where the processor has no instructions for it."""
    prepared = ENGINES["openvino"].prepare(nn.Conv2d(1, 1, 1), "bfloat16")
    monkeypatch.setattr(prepared, "_request", lambda *arguments: SimpleNamespace(infer=infer))
    with pytest.raises(UserError, match="'bfloat16': OpenVINO computes nothing"):
        prepared(torch.ones(2, 1, 4, 4))


@pytest.mark.parametrize("engine", INSTALLED_APART)
def test_a_copy_for_another_process_makes_its_own(engine):
    pytest.importorskip(engine)
    prepared = ENGINES[engine].prepare(nn.Conv2d(16, 16, 3), "float32")
    x = torch.rand(1, 16, 4, 4)
    with torch.inference_mode():
        expected = prepared(x)
    other = pickle.loads(pickle.dumps(prepared))
    with torch.inference_mode():
        assert torch.equal(other(x), expected)


def test_the_compiler_is_told_that_shapes_stay(monkeypatch):
    """Its code takes many seconds, which are not worth a test: here it hands on the network."""
    told = []

    def compiler(network, **options):
        told.append(options)
        return network

    monkeypatch.setattr(torch, "compile", compiler)
    prepared = ENGINES["compile"].prepare(nn.Conv2d(1, 1, 1), "bfloat16")
    x = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)
    with torch.inference_mode():
        assert torch.equal(prepared(x), prepared.network(x))
        prepared(x)
    assert told == [{"dynamic": False}]


@pytest.mark.parametrize(
    "installed, precision, alone, device, expected",
    [
        (True, "float32", False, CPU, "torch"),
        (True, "float32", True, CPU, "ncnn"),
        (False, "float32", True, CPU, "torch"),
        (True, "bfloat16", True, CPU, "torch"),
        (True, "float32", True, GPU, "torch"),
    ],
)
def test_auto(monkeypatch, installed, precision, alone, device, expected):
    monkeypatch.setattr(engines, "has_ncnn", lambda: installed)
    assert chosen_engine("auto", device, precision, alone=alone).name == expected


def test_an_engine_of_one_precision(cfg):
    pytest.importorskip("ncnn")
    cfg.DEOCCLUSION.ENGINE, cfg.DEOCCLUSION.PRECISION = "ncnn", "auto"
    assert Deoccluder.from_config(cfg, random_model()).describe()["precision"] == "float32"
    cfg.DEOCCLUSION.PRECISION = "bfloat16"
    with pytest.raises(UserError, match="'bfloat16': the engine 'ncnn' computes in float32"):
        Deoccluder.from_config(cfg, random_model())


def test_what_cannot_be(monkeypatch, cfg):
    with pytest.raises(UserError, match="'onnx': use auto, compile, ncnn, openvino, torch"):
        chosen_engine("onnx", CPU, "float32", alone=False)
    for name in INSTALLED_APART:
        with pytest.raises(UserError, match=f"{name!r} computes on the CPU, and .* is cuda"):
            chosen_engine(name, GPU, "float32", alone=False)
        monkeypatch.setattr(engines, f"has_{name}", lambda: False)
        with pytest.raises(UserError, match=rf"pip install 'deocclusion_d2\[{name}\]'"):
            chosen_engine(name, CPU, "float32", alone=False)
    cfg.MODEL.META_ARCHITECTURE = "AmodalVAE"
    with pytest.raises(UserError, match="'compile': AmodalVAE is computed by torch alone"):
        NetworkRunner(build_model(cfg), engine="compile")


def test_the_paper_protocol_is_torchs(cfg):
    cfg.DEOCCLUSION.ENGINE, cfg.DEOCCLUSION.PAPER_PROTOCOL = "openvino", True
    said = Deoccluder.from_config(cfg, random_model()).describe()
    assert "engine" not in said and said["precision"] == "float32"

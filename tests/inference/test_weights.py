"""Checkpoints of all kinds, read as Detectron2 reads them, without its unpickling."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.modeling.backbone.resnet import BasicStem
from torch import nn

from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.weights import Checkpointer, checkpoint_errors

PARTS = {"w": (4, 3, 7, 7), "s": (4,), "b": (4,), "rm": (4,), "riv": (4,)}


class Backbone(nn.Module):
    """The part of Mask R-CNN whose names Caffe2's files have, too."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.bottom_up = nn.Module()
        self.backbone.bottom_up.stem = BasicStem(3, 4, norm="FrozenBN")


def caffe2() -> dict[str, np.ndarray]:
    """Random weights as in R-50.pkl of Detectron 1: an affine layer in place of batch norm."""
    rng = np.random.default_rng(0)

    def random(name: str) -> np.ndarray:
        return rng.random(PARTS[name], np.float32)

    return {
        "conv1_w": random("w"),
        "res_conv1_bn_s": random("s"),
        "res_conv1_bn_b": random("b"),
        "res_conv1_bn_s_momentum": random("s"),
        "fc1000_w": np.zeros((1, 4), "f4"),
    }


def zoo() -> dict:
    """As tools/convert-torchvision-to-d2.py writes it."""
    rng = np.random.default_rng(1)
    leaves = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    model = {f"stem.conv1.norm.{k}": rng.random(PARTS[v], np.float32) for k, v in leaves.items()}
    model["stem.conv1.weight"] = rng.random(PARTS["w"], np.float32)
    return {"model": model, "__author__": "torchvision", "matching_heuristics": True}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "content, conv",
    [
        (caffe2(), "conv1_w"),
        ({"blobs": caffe2(), "cfg": "TRAIN: 1"}, "conv1_w"),
        (zoo(), "stem.conv1.weight"),
    ],
    ids=["caffe2", "blobs", "zoo"],
)
def test_zoo_pickles_load_as_detectron2_loads_them(tmp_path, content, conv, protocol):
    path = tmp_path / "R-50.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    theirs, ours = Backbone(), Backbone()
    DetectionCheckpointer(theirs).load(str(path))
    Checkpointer(ours).load(str(path))
    expected = theirs.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in ours.state_dict().items())
    given = content.get("model", content.get("blobs", content))[conv]
    np.testing.assert_array_equal(ours.backbone.bottom_up.stem.conv1.weight.detach(), given)


@pytest.mark.parametrize("protocol", [2, 4])
def test_trained_models_of_the_zoo_load(tmp_path, protocol):
    """model_final_*.pkl: this model's own names, arrays instead of tensors."""
    trained = Backbone()
    model = {name: value.numpy() for name, value in trained.state_dict().items()}
    path = tmp_path / "model_final_280758.pkl"
    path.write_bytes(pickle.dumps({"model": model, "__author__": "Detectron2 Zoo"}, protocol))
    loaded = Backbone()
    Checkpointer(loaded, strict=True).load(str(path))
    expected = trained.state_dict()
    assert all(torch.equal(value, expected[k]) for k, value in loaded.state_dict().items())


def test_pycls_and_plain_state_dicts_and_safetensors(tmp_path):
    from safetensors.torch import save_file

    trained = Backbone()
    state = trained.state_dict()
    torch.save(
        {"model_state": {**state, "x.num_batches_tracked": torch.tensor(1)}}, tmp_path / "a.pyth"
    )
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    for name in ("a.pyth", "a.pth", "a.safetensors"):
        loaded = Backbone()
        Checkpointer(loaded, strict=True).load(str(tmp_path / name))
        assert all(torch.equal(value, state[k]) for k, value in loaded.state_dict().items()), name


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("a.pkl", {1: np.zeros(2)}, "AttributeError"),
        ("a.pkl", {"model": {"a": "text"}, "__author__": "x"}, "Unsupported type"),
        ("a.pkl", {"model": 3, "__author__": "x"}, "AttributeError"),
        ("a.pkl", [1, 2], "it holds a list, not named tensors"),
        ("a.pyth", {"model": {}}, "it has no 'model_state'"),
        ("a.pth", {"model": {"a": {"b": 1}}}, "Unsupported type"),
    ],
)
def test_contents_of_another_kind_are_one_line(tmp_path, name, content, reason):
    path = str(tmp_path / name)
    if name.endswith(".pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    checkpointer = Checkpointer(Backbone())
    with pytest.raises(UserError) as refused, checkpoint_errors(checkpointer, path):
        checkpointer.load(path)
    line = str(refused.value)
    assert line.startswith(f"MODEL.WEIGHTS: '{path}' is not a readable checkpoint (")
    assert reason in line and "\n" not in line


def test_the_note_of_the_last_checkpoint_is_a_name(tmp_path):
    checkpointer = Checkpointer(Backbone(), str(tmp_path))
    checkpointer.save("model_0000001", iteration=1)
    assert checkpointer.get_checkpoint_file() == str(tmp_path / "model_0000001.pth")
    note = tmp_path / "last_checkpoint"
    for text in ("../model.pth", "/etc/passwd", "a/model.pth"):
        note.write_text(text)
        with pytest.raises(UserError, match="which is not in its folder; correct it"):
            checkpointer.get_checkpoint_file()
    note.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="last_checkpoint is no text"):
        checkpointer.get_checkpoint_file()

"""Trained networks by name, folder and file, and how they are packed."""

import json
import sys

import pytest
import torch

from deocclusion_d2 import Deoccluder
from deocclusion_d2.config import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments.general_model import coco_of_images
from deocclusion_d2.files import file_sha256
from deocclusion_d2.inference.weights import load_model
from deocclusion_d2.modeling.tensor_files import read_tensor_file, write_torch_file
from deocclusion_d2.pretrained import find_pretrained, names, packaged_folder
from deocclusion_d2.pretrained.pack import LARGEST, pack

QUICK = "pcnet_m_kins_quick"
SMALL = ["MODEL.PCNET_M.WIDTH", "0.25", "MODEL.DEVICE", "cpu"]


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """What a training leaves: config.yaml and model_final.pth."""
    from detectron2.modeling import build_model

    folder = tmp_path_factory.mktemp("training")
    cfg = load_config(QUICK, SMALL)
    (folder / "config.yaml").write_text(cfg.dump())
    model = build_model(cfg)
    write_torch_file(folder / "model_final.pth", {"model": model.state_dict(), "iteration": 41})
    return folder


def test_the_network_of_the_package_is_what_its_manifest_says():
    folder = packaged_folder("general")
    manifest = json.loads((folder / "manifest.json").read_text())
    weights = folder / manifest["weights"]
    assert names() == ["general"]
    assert file_sha256(weights) == manifest["sha256"]
    assert weights.stat().st_size == manifest["bytes"] <= LARGEST
    assert manifest["licence"] == "Apache-2.0"
    held = read_tensor_file(weights)
    assert held["iteration"] == manifest["iterations"]
    floating = [value for value in held["model"].values() if value.is_floating_point()]
    assert all(
        value.dtype == (torch.float16 if value.ndim > 1 else torch.float32) for value in floating
    )
    model = load_model(find_pretrained("general").load_config(["MODEL.DEVICE", "cpu"]))
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert sum(value.numel() for value in model.parameters()) == manifest["parameters"]
    ids = json.loads((folder / manifest["trained_on"][0]["image_ids"]).read_text())
    assert len(ids) == len(set(ids)) == 648


def test_a_folder_of_a_training_and_its_weights_are_the_same_network(training):
    by_folder = find_pretrained(training)
    by_file = find_pretrained(training / "model_final.pth")
    assert (by_folder.config, by_folder.weights) == (by_file.config, by_file.weights)
    assert by_folder.load_config().MODEL.PCNET_M.WIDTH == 0.25
    opts = ["DEOCCLUSION.ORDER_THRESHOLD", "0.3"]
    described = Deoccluder.from_pretrained(training, opts).describe()
    assert described["order_threshold"] == 0.3


def test_packed_weights_are_those_of_the_training(training, tmp_path):
    manifest = pack(training / "model_final.pth", tmp_path, "config.yaml", {"seed": 7}, "small")
    (tmp_path / "config.yaml").write_text((training / "config.yaml").read_text())
    assert manifest["seed"] == 7
    found = find_pretrained(tmp_path)
    packed = load_model(found.load_config())
    whole = load_model(find_pretrained(training).load_config())
    for (name, a), b in zip(whole.named_parameters(), packed.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=2**-11, atol=1e-7), name
    assert manifest["parameters"] == sum(p.numel() for p in whole.parameters())
    assert read_tensor_file(found.weights)["iteration"] == 42


def test_weights_too_large_for_a_package_are_not_packed(training, tmp_path, monkeypatch):
    monkeypatch.setattr("deocclusion_d2.pretrained.pack.LARGEST", 1000)
    with pytest.raises(UserError, match=r"at most 1,000 are allowed"):
        pack(training / "model_final.pth", tmp_path, QUICK, {}, "small")
    assert not list(tmp_path.iterdir())


def test_what_is_none_is_one_line(training, tmp_path, monkeypatch):
    alone = tmp_path / "w.pth"
    alone.write_bytes((training / "model_final.pth").read_bytes())
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for name, message in {
        alone: "w.pth: there is no config.yaml beside it; name its config file",
        empty: "holds neither manifest.json nor config.yaml",
        "nobody/nothing": "use 'general', or hf://nobody/nothing of the Hugging Face Hub",
        "genral": "'genral': there is no such folder or file; use 'general'",
        "hf://nobody": "write hf://USER/REPOSITORY",
        "hf://nobody/nothing": "downloading needs huggingface_hub; install it",
    }.items():
        with pytest.raises(UserError) as error:
            find_pretrained(name)
        assert message in str(error.value) and "\n" not in str(error.value)
    assert find_pretrained(alone, QUICK).config == QUICK


def test_a_manifest_that_is_not_of_its_files_is_one_line(training, tmp_path):
    manifest = pack(training / "model_final.pth", tmp_path, QUICK, {}, "small")
    weights = tmp_path / "small.safetensors"
    (tmp_path.parent / "outside.safetensors").write_bytes(weights.read_bytes())
    for change, message in {
        ("weights", "../outside.safetensors"): "there is no file '../outside.safetensors' beside",
        ("weights", "none.safetensors"): "there is no file 'none.safetensors' beside",
        ("sha256", "0" * 64): "not the file of its manifest, or damaged",
        ("config", 3): "names no 'config'",
    }.items():
        (tmp_path / "manifest.json").write_text(json.dumps({**manifest, change[0]: change[1]}))
        with pytest.raises(UserError) as error:
            find_pretrained(tmp_path)
        assert message in str(error.value)


def test_the_photos_are_those_of_the_list(tmp_path):
    def write(name, ids):
        content = {
            "images": [{"id": i} for i in ids],
            "annotations": [{"id": 10 * i + k, "image_id": i} for i in ids for k in range(2)],
            "categories": [{"id": 1, "name": "person"}],
        }
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    files = [write("train.json", (1, 4, 2)), write("val.json", (7, 9))]
    found = coco_of_images(files, [9, 4])
    assert [i["id"] for i in found["images"]] == [4, 9]
    assert [a["id"] for a in found["annotations"]] == [40, 41, 90, 91]
    with pytest.raises(UserError, match=r"1 of 2 images are in none of them, such as 8"):
        coco_of_images(files, [4, 8])
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(UserError, match=r"results.json: it holds no lists images, annotations"):
        coco_of_images([tmp_path / "results.json"], [4])

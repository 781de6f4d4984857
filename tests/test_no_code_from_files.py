"""Whatever option names a file of weights or a config: no tool runs what the file holds."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.config import load_config
from deocclusion_d2.errors import UserError
from tests.malicious import configs, write_weights

PCNET_M = ("MODEL.PCNET_M.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32",
           "INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS", "False")  # fmt: skip
ALONE = ("DATALOADER.NUM_WORKERS", "0", "MODEL.DEVICE", "cpu")
QUICK = "pcnet_m_kins_quick"
DETECTOR = "amodal_mask_rcnn_R_50_FPN_kins"


@pytest.fixture
def data(tmp_path) -> Path:
    """A photo and its masks (COCO): a square before a square; the masks' data set is called D."""
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(tmp_path / "a.png")
    boxes = ([4, 4, 20, 20], [24, 8, 20, 20])
    annotations = [
        {
            "id": k,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": 400.0,
            "bbox": [x, y, w, h],
            "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
        }
        for k, (x, y, w, h) in enumerate(boxes, 1)
    ]
    document = {
        "images": [{"id": 1, "height": 48, "width": 64, "file_name": "a.png"}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "box"}],
    }
    (tmp_path / "masks.json").write_text(json.dumps(document))
    return tmp_path


# Tool, and its arguments; {W} are weights, {C} is a config, {D} the data set, {F} its folder.
SCENE = "--image {F}/a.png --output {F}/out --masks {F}/masks.json"
FOUND = "--image {F}/a.png --output {F}/out --method convex_r"
CONVERT = "--input {F}/masks.json --output {F}/out.json --num-gpus 0"
DRAW = "--input {F}/masks.json --image-root {F} --output {F}/out"
TRAIN = "DATASETS.TRAIN {D} DATASETS.TEST {D} OUTPUT_DIR {F}/out SOLVER.IMS_PER_BATCH 2"
PCNET_C = "SOLVER.IMS_PER_BATCH 2 INPUT.INSTANCE_CROP.SIZE 128 MODEL.PCNET_C.WIDTH 0.0625"

WITH_WEIGHTS = {
    "train": f"train_net --config-file {QUICK} {TRAIN} MODEL.WEIGHTS {{W}} {{O}}",
    "eval-only": f"train_net --config-file {QUICK} --eval-only {TRAIN} MODEL.WEIGHTS {{W}} {{O}}",
    "eval-detector": f"train_net --config-file {DETECTOR} --eval-only {TRAIN} MODEL.WEIGHTS {{W}} "
    "{A}",
    "vgg": f"train_net --config-file pcnet_c_kins_quick {PCNET_C} MODEL.PCNET_C.VGG_WEIGHTS {{W}} "
    "DATASETS.TRAIN {D} DATASETS.TEST () OUTPUT_DIR {F}/out "
    "MODEL.PCNET_C.PERCEPTUAL_WEIGHT 0.1 {A}",
    "convert": f"convert_modal_to_amodal {CONVERT} --config-file {QUICK} --weights {{W}} {{O}}",
    "ordering": f"convert_modal_to_amodal {CONVERT} --config-file {QUICK} --method convex_r "
    f"DEOCCLUSION.ORDERING dual_completion DEOCCLUSION.ORDERING_CONFIG {QUICK}@{{W}} {{O}}",
    "deocclude": f"deocclude {SCENE} --config-file {QUICK} --weights {{W}} {{O}}",
    "detector": f"deocclude {FOUND} --detector {DETECTOR} --detector-weights {{W}} "
    "DEOCCLUSION.DETECTED modal",
    "content": f"deocclude {SCENE} --method convex_r --content-config pcnet_c_coco "
    "--content-weights {W}",
    "draw": f"visualize_deocclusion {DRAW} --config-file {QUICK} --weights {{W}} {{O}}",
    "compare": f"compare_methods --config-file {QUICK} --dataset {{K}} MODEL.WEIGHTS {{W}} {{O}}",
    "erasures": f"evaluate_erasures --config-file {QUICK} --dataset {{N}} --weights {{W}} "
    "--opts {O}",
    "prior": f"fit_ordering_prior --config-file {QUICK} --dataset {{N}} --weights {{W}} {{O}}",
    "modal-masks": "predict_modal_masks --config-file modal_unet_kins --dataset {K} "
    "--output {F}/out.json --weights {W} {A}",
    "import": "import_official_checkpoint {W} {F}/out.pth",
    "export": "import_official_checkpoint {W} {F}/out.pth --export",
}
WITH_CONFIG = {
    "train": f"train_net --config-file {{C}} {TRAIN}",
    "eval-only": f"train_net --config-file {{C}} --eval-only {TRAIN}",
    "convert": f"convert_modal_to_amodal {CONVERT} --config-file {{C}}",
    "ordering": f"convert_modal_to_amodal {CONVERT} --config-file {QUICK} "
    "DEOCCLUSION.ORDERING_CONFIG {C}@{F}/a.png MODEL.DEVICE cpu",
    "completion": f"convert_modal_to_amodal {CONVERT} --config-file {QUICK} "
    "DEOCCLUSION.COMPLETION_CONFIG {C}@{F}/a.png MODEL.DEVICE cpu",
    "deocclude": f"deocclude {SCENE} --config-file {{C}}",
    "detector": f"deocclude {FOUND} --detector {{C}}",
    "content": f"deocclude {SCENE} --method convex_r --content-config {{C}}",
    "draw": f"visualize_deocclusion {DRAW} --config-file {{C}}",
    "samples": "visualize_training_samples --config-file {C} --output {F}/out.png",
    "compare": "compare_methods --config-file {C} --dataset {K}",
    "erasures": "evaluate_erasures --config-file {C} --dataset {N} --weights {F}/a.png",
    "prior": "fit_ordering_prior --config-file {C} --dataset {N} --weights {F}/a.png",
    "modal-masks": "predict_modal_masks --config-file {C} --dataset {K} --output {F}/out.json",
}


def call(command: str, folder: Path, capfd, **files: Path) -> str:
    """What a tool that refuses its arguments says on stderr."""
    name = f"coco:{folder}/masks.json@{folder}"
    known = {
        "F": str(folder), "N": name, "D": f"('{name}',)", "K": f"kins:{folder}/masks.json@{folder}",
        **{key: str(path) for key, path in files.items()},
    }  # fmt: skip
    tool, *arguments = command.split()
    arguments = [argument.format(**known, O="{O}", A="{A}") for argument in arguments]
    for mark, more in (("{O}", (*PCNET_M, *ALONE)), ("{A}", ALONE)):
        if arguments[-1] == mark:
            arguments[-1:] = more
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"deocclusion_d2.cli.{tool}").main(arguments)
    assert stopped.value.code == 1
    return capfd.readouterr().err


def error_line(said: str) -> str:
    """The only line of an error."""
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("name", ["zoo.pkl", "zip.pth"])
@pytest.mark.parametrize("option", WITH_WEIGHTS)
def test_weights(data, option, name, capfd):
    path, marker = write_weights(data, name)
    line = error_line(call(WITH_WEIGHTS[option], data, capfd, W=path))
    assert str(path) in line and "system, not " in line and "could run code" in line
    assert not marker.exists()


@pytest.mark.parametrize("flags", ["--resume", "--resume --eval-only"])
@pytest.mark.parametrize("name", ["legacy.pth", "tar.pth", "whole.pkl"])
def test_the_last_checkpoint(data, flags, name, capfd):
    (data / "out").mkdir()
    path, marker = write_weights(data / "out", name)
    (data / "out" / "last_checkpoint").write_text(name)
    command = f"train_net --config-file {QUICK} {flags} {TRAIN} {{O}}"
    assert f"--resume: '{path}' is not a readable" in error_line(call(command, data, capfd))
    for elsewhere in (f"../{name}", str(path), "../out/x.pth"):
        (data / "out" / "last_checkpoint").write_text(elsewhere)
        if elsewhere != str(path):
            assert "is not in its folder" in error_line(call(command, data, capfd))
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["value", "base"])
@pytest.mark.parametrize("option", WITH_CONFIG)
def test_configs_of_tools(data, option, kind, capfd):
    paths, marker = configs(data)
    line = error_line(call(WITH_CONFIG[option], data, capfd, C=paths[kind]))
    # The file that holds the tag, also where another is based on it.
    assert f"config file '{paths['value']}', line 1: it holds the tag '!!python/obj" in line
    assert not marker.exists()


@pytest.mark.parametrize(
    "kind", ["value", "key", "unknown", "base", "bases", "renamed", "new", "name"]
)
def test_tags_of_configs(tmp_path, kind):
    paths, marker = configs(tmp_path)
    with pytest.raises(UserError, match=r"it holds the tag '!!python/[\w/]+:os.system'") as refused:
        load_config(str(paths[kind]))
    assert "\n" not in str(refused.value) and not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {M}')",
        "[__import__('os').system('touch {M}')]",
        "!!python/object/apply:os.system ['touch {M}']",
        "(" * 5000,
    ],
    ids=["call", "list", "tag", "brackets"],
)
def test_overrides_are_literals(tmp_path, text):
    marker = tmp_path / "marker"
    text = text.replace("{M}", str(marker))
    assert text == load_config(None, ["OUTPUT_DIR", text]).OUTPUT_DIR
    with pytest.raises(UserError, match="overrides 'SEED|overrides \"SEED"):
        load_config(None, ["SEED", text])
    assert not marker.exists()


def test_an_endless_override_is_a_short_line():
    with pytest.raises(UserError) as refused:
        load_config(None, ["SEED", "-" * 200000 + "1"])
    assert len(str(refused.value)) < 500

"""What can be used without waiting for torch and Detectron2, and what importing leaves undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(code: str) -> str:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "deocclusion_d2",
        "deocclusion_d2.adapters",
        "deocclusion_d2.cli.check",
        "deocclusion_d2.conversion.survey_picture",
        "deocclusion_d2.data.datasets",
        "deocclusion_d2.data.datasets.formats",
        "deocclusion_d2.data.datasets.predictions",
        "deocclusion_d2.decomposition",
        "deocclusion_d2.decomposition.scene_folder",
        "deocclusion_d2.editing",
        "deocclusion_d2.structures",
    ],
)
def test_neither_torch_nor_detectron2(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'detectron2') if m in sys.modules])"
    assert run(code) == "[]\n"


def test_formats_are_found_and_masks_checked_without_them() -> None:
    code = """
import sys
from deocclusion_d2 import OcclusionGraph
from deocclusion_d2.data.datasets import detect_format, to_rle
from deocclusion_d2.decomposition import load_layered_scene
print(detect_format({"inmodal_seg": {}}).name, to_rle([[0, 0, 2, 0, 2, 2, 0, 2]], 2, 2))
print("torch" in sys.modules, "detectron2" in sys.modules)
"""
    assert run(code) == "kins {'size': [2, 2], 'counts': '04'}\nFalse False\n"


def test_checking_a_file_and_drawing_it_needs_neither(tmp_path) -> None:
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, "segmentation": [[k, 1, k + 1, 1, k, 8]]}
            for k in (1, 2)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "masks.json").write_text(json.dumps(document))
    code = f"""
import sys
from deocclusion_d2.cli import main
main(["check", {str(tmp_path / "masks.json")!r}, "--picture", {str(tmp_path / "p.png")!r}])
print("torch" in sys.modules, "detectron2" in sys.modules)
"""
    assert run(code).endswith("False False\n") and (tmp_path / "p.png").exists()


def test_data_sets_and_networks_register_when_they_are_asked_for() -> None:
    code = """
import deocclusion_d2
from detectron2.data import DatasetCatalog
from detectron2.modeling import META_ARCH_REGISTRY
def there(): return "PCNetM" in META_ARCH_REGISTRY, "kins_val_modal" in DatasetCatalog
print(there())
from deocclusion_d2.data.datasets import ensure_registered
ensure_registered("coco_crowd")
print(there())
deocclusion_d2.load_config(None)
print(there())
"""
    assert run(code) == "(False, False)\n(False, True)\n(True, True)\n"


def test_every_public_name_can_be_imported() -> None:
    code = """
import importlib
for name in ("", ".data", ".data.datasets", ".decomposition", ".editing", ".structures"):
    package = importlib.import_module("deocclusion_d2" + name)
    for public in package.__all__:
        assert getattr(package, public) is not None
    assert set(package.__all__) <= set(dir(package))
# A function may be called like the module that it is in.
import deocclusion_d2.decomposition.job
from deocclusion_d2.decomposition import decompose
print(decompose.__name__, callable(decompose))
"""
    assert run(code) == "decompose True\n"


@pytest.mark.parametrize(
    ("own", "policy", "spins"),
    [
        ({}, None, "10000"),
        ({"OMP_WAIT_POLICY": "active"}, "active", None),
        ({"GOMP_SPINCOUNT": "9"}, None, "9"),
    ],
)
def test_programs_let_waiting_threads_sleep_soon_unless_the_user_says_else(
    monkeypatch, own, policy, spins
) -> None:
    """It must be there before torch is loaded."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    code = """
import os, sys, deocclusion_d2.cli
print("torch" in sys.modules, [os.environ.get(n) for n in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")])
"""
    assert run(code) == f"False {[policy, spins]}\n"

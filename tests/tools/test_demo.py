"""The whole way from data to an amodal Mask R-CNN, as small as it can be, by the real commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_demo_end_to_end(tmp_path):
    output = tmp_path / "demo"
    command = [sys.executable, "-W", "ignore", "tools/demo.py", "--output", str(output)]
    command += ["--train", "3", "--val", "2", "--height", "96", "--width", "320"]
    command += ["--pcnet-iterations", "2", "--detector-iterations", "2", "--pictures", "1"]
    command += ["--label-sources", "Raw"]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"Pictures: {output}/pictures" in first.stdout
    assert len(list((output / "pictures").glob("*.png"))) == 1
    results = json.loads((output / "results.json").read_text())
    assert set(results["methods"]) == {"Area", "Y-axis", "Raw", "Convex", "Convex^R", "NOG", "OG"}
    assert set(results["labels"]) == {"Raw", "Convex", "Convex^R", "NOG", "OG"}
    assert set(results["mask_rcnn"]["Raw"]) == {"segm/AP", "segm/AP50", "bbox/AP", "bbox/AP50"}
    for name in ("Raw", "OG"):
        assert f"| {name}" in (output / "report.md").read_text()

    # What is there stays, and is said to be there.
    weights = output / "pcnet_m" / "model_final.pth"
    made = weights.stat().st_mtime_ns
    second = subprocess.run([*command, "--pictures", "2"], cwd=ROOT, capture_output=True, text=True)
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.count("is there already") == 8
    assert weights.stat().st_mtime_ns == made

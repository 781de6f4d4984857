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
    results = {
        name: json.loads((output / name / "results.json").read_text())
        for name in ("ordering", "completion", "label_conversion")
    }
    rows = results["ordering"]["tables"]["ordering"]["rows"]
    assert set(rows) == {"Area", "Y-axis", "Convex", "OG", "OG+"}
    assert 0 <= rows["OG"][0]["ordering"]["Acc"] <= 100
    completed = results["completion"]["tables"]["completion"]["rows"]
    assert completed["Raw"][0]["completion"]["invisible_IoU_mean"] == 0
    tables = results["label_conversion"]["tables"]
    assert tables["label_quality"]["rows"]["Raw"][0]["completion"]["instances"] > 0
    assert {"AP", "AP50"} <= set(tables["label_conversion"]["rows"]["Raw"][0]["segm"])
    report = (output / "completion" / "report.md").read_text()
    assert f"`tools/demo.py --output {output} --train 3" in report
    assert "| Convex^R" in report and "![completion_by_occlusion]" in report
    assert (output / "completion" / "completion_by_occlusion.png").stat().st_size > 5000
    trained = [s for s in results["label_conversion"]["stages"] if s["name"] == "mask_rcnn"]
    assert len(trained) == 1 and not trained[0]["resumed"]

    # What is there stays; other settings train anew what they concern.
    weights = {p: p.stat().st_mtime_ns for p in output.rglob("model_final.pth")}
    assert len(weights) == 2
    again = [*command, "--pictures", "2", "--detector-iterations", "3"]
    second = subprocess.run(again, cwd=ROOT, capture_output=True, text=True)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "pcnet_m learns" not in second.stdout and "mask_rcnn learns" in second.stdout
    now = {p: p.stat().st_mtime_ns for p in output.rglob("model_final.pth")}
    assert len(now) == 3 and weights.items() <= now.items()

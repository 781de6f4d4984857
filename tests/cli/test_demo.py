"""The whole way from data to amodal Mask R-CNNs, as small as it can be, by the real commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_demo_end_to_end(tmp_path):
    output = tmp_path / "demo"
    command = [sys.executable, "-W", "ignore", "tools/demo.py", "--output", str(output)]
    command += ["--train", "3", "--val", "2", "--height", "96", "--width", "320"]
    command += ["--start-iterations", "1", "--detector-iterations", "2", "--pictures", "1"]
    command += ["--label-sources", "Raw", "general"]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"Pictures: {output}/pictures" in first.stdout
    assert len(list((output / "pictures").glob("*.png"))) == 1
    results = {
        name: json.loads((output / name / "results.json").read_text())
        for name in ("ordering", "completion", "label_conversion")
    }
    rows = results["ordering"]["tables"]["ordering"]["rows"]
    assert set(rows) == {"Area", "Y-axis", "Convex", "general"}
    assert 0 <= rows["general"][0]["ordering"]["Acc"] <= 100
    completed = results["completion"]["tables"]["completion"]["rows"]
    assert completed["Raw"][0]["completion"]["invisible_IoU_mean"] == 0
    assert completed["general"][0]["completion"]["invisible_IoU_mean"] > 0
    tables = results["label_conversion"]["tables"]
    assert set(tables["hidden_objects"]["rows"]) == {"Raw", "general"}
    assert tables["label_quality"]["rows"]["Raw"][0]["completion"]["instances"] > 0
    report = (output / "completion" / "report.md").read_text()
    assert f"`tools/demo.py --output {output} --train 3" in report
    assert "| Convex^R" in report and "![completion_by_occlusion]" in report
    assert (output / "completion" / "completion_by_occlusion.png").stat().st_size > 5000
    # The title, an object, and three columns: the truth and two detectors.
    picture = np.asarray(Image.open(output / "hidden_objects.png"))
    assert picture.shape == (30 + 180 + 12, 3 * 240 + 24, 3)
    # No network but detectors is trained; both start from the first.
    assert "pcnet_m" not in {s["name"] for s in results["label_conversion"]["stages"]}
    trained = [s for s in results["label_conversion"]["stages"] if s["name"] == "mask_rcnn"]
    assert len(trained) == 2 and not any(s["resumed"] for s in trained)
    weights = {p: p.stat().st_mtime_ns for p in output.rglob("model_final.pth")}
    assert len(weights) == 3
    inputs = [json.loads(p.with_name("done.json").read_text())["inputs"] for p in weights]
    assert len({i.get("start") for i in inputs}) == 2

    # What is there stays; other settings train anew what they concern.
    again = [*command, "--pictures", "2", "--detector-iterations", "3"]
    second = subprocess.run(again, cwd=ROOT, capture_output=True, text=True)
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.count("mask_rcnn learns") == 2
    now = {p: p.stat().st_mtime_ns for p in output.rglob("model_final.pth")}
    assert len(now) == 5 and weights.items() <= now.items()

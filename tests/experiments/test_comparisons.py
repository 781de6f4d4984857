"""Label quality and method tables on a tiny synthetic KINS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deocclusion_d2 import load_config
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.data.synthetic import SyntheticKinsConfig, write_splits
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments import compare_methods, comparison_table, label_quality
from deocclusion_d2.experiments.commands import run_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def kins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"val": 4}, SyntheticKinsConfig(128, 416), 1)
    return folder / "instances_val.json"


def test_labels_are_judged_as_predictions_are(kins, tmp_path):
    """Converting and reading back gives the figures of the method itself."""
    cfg = load_config(str(ROOT / "configs/quick_schedules/pcnet_m_kins_quick.yaml"))
    cfg.DATALOADER.NUM_WORKERS = 0
    methods = compare_methods(cfg, f"kins:{kins}", ("Raw", "Convex^R"))
    for name, method in {"Raw": "raw", "Convex^R": "convex_r"}.items():
        output = tmp_path / f"{method}.json"
        convert(ConversionJob(kins, output, method))
        labels = label_quality(f"pseudo_amodal:{output}", f"kins:{kins}")
        assert labels == {task: pytest.approx(metrics) for task, metrics in methods[name].items()}
    assert methods["Raw"]["completion"]["invisible_IoU_sum"] == 0
    assert 0 < methods["Convex^R"]["completion"]["invisible_IoU_sum"] < 100
    table = comparison_table(methods).splitlines()
    assert table[0].split("|")[2].strip() == "Raw"
    assert len(table) == 2 + sum(len(metrics) for metrics in methods["Raw"].values())


def test_labels_of_other_instances_are_refused(kins, tmp_path):
    output = tmp_path / "raw.json"
    convert(ConversionJob(kins, output, "raw"))
    document = json.loads(output.read_text())
    gone = document["annotations"].pop(0)
    output.write_text(json.dumps(document))
    with pytest.raises(UserError, match=f"image {gone['image_id']} "):
        label_quality(f"pseudo_amodal:{output}", f"kins:{kins}")


def test_unknown_method_is_named(kins):
    cfg = load_config(str(ROOT / "configs/quick_schedules/pcnet_m_kins_quick.yaml"))
    with pytest.raises(UserError, match="unknown method 'Concave'"):
        compare_methods(cfg, f"kins:{kins}", ("Concave",))


def test_commands_are_logged_and_their_failure_is_said(tmp_path, capfd):
    log = tmp_path / "logs" / "x.txt"
    run_command("fine", ["-c", "print('hello\\neta: 0:01:00  iter: 19')"], log)
    assert log.read_text().startswith("hello")
    assert "eta: 0:01:00  iter: 19" in capfd.readouterr().out
    with pytest.raises(UserError, match=r"broken: the command failed; .*x\.txt"):
        run_command("broken", ["-c", "raise SystemExit('no such thing')"], log)
    assert "no such thing" in capfd.readouterr().err
    # A reason in one line is the message, though lines from a buffer follow it.
    code = "import sys; print('error: m.json: no masks', file=sys.stderr, flush=True);"
    code += "print('a line\\n' * 40); sys.exit(1)"
    with pytest.raises(UserError, match=r"^broken: m\.json: no masks; .*x\.txt"):
        run_command("broken", ["-c", code], log)

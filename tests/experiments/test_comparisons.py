"""Label quality and method tables on a tiny synthetic KINS."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from detectron2.utils.logger import setup_logger

from deocclusion_d2 import load_config
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.errors import UserError
from deocclusion_d2.evaluation.label_quality import label_quality
from deocclusion_d2.experiments import compare_methods, comparison_table
from deocclusion_d2.experiments.steps import LOG, step
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits

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


def test_steps_are_logged_and_their_failure_is_said(tmp_path, capsys):
    log = tmp_path / "fine" / LOG
    with step("fine", tmp_path / "fine"):
        print("hello")
        logging.getLogger("detectron2").warning("careful")
    assert log.read_text() == "hello\n"
    assert capsys.readouterr().out.splitlines()[1] == "== fine"
    refused = pytest.raises(UserError, match=rf"^broken: m\.json: no masks; .*{LOG}")
    with refused, step("broken", tmp_path / "fine"):
        print("a line")
        raise UserError("m.json: no masks")
    assert log.read_text() == "hello\na line\n"


def test_a_step_leaves_no_logger_behind(tmp_path, capsys):
    logger = logging.getLogger("detectron2")
    before = logger.handlers[:]
    with step("training", tmp_path):
        setup_logger(str(tmp_path), name="detectron2").info("inside")
    assert logger.handlers == before
    assert "inside" in (tmp_path / LOG).read_text() and "inside" not in capsys.readouterr().out

"""Whole experiments on a tiny synthetic KINS, by the real commands."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model

from deocclusion_d2.config import load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments import (
    ExperimentSettings,
    SweepSettings,
    run_experiment,
    run_sweep,
)
from deocclusion_d2.experiments.run import build_experiment
from deocclusion_d2.experiments.sweep import check_sweeps
from deocclusion_d2.systems import default_sweeps

SMALL = (
    *("INPUT.INSTANCE_CROP.SIZE", "32"),
    *("SOLVER.IMS_PER_BATCH", "2"),
    *("SOLVER.MAX_ITER", "2"),
    *("SOLVER.WARMUP_ITERS", "1"),
    *("DATALOADER.NUM_WORKERS", "0"),
    *("VIS_PERIOD", "0"),
    *("pcnet_m.MODEL.PCNET_M.WIDTH", "0.25"),
    *("amodal_unet.MODEL.AMODAL_UNET.WIDTH", "0.25"),
    *("modal_unet.MODEL.MODAL_UNET.WIDTH", "0.25"),
    *("MODEL.AMODAL_VAE.WIDTH", "0.25", "MODEL.AMODAL_VAE.LATENT", "8"),
    *("MODEL.SEGAN.INPUT_SIZE", "48", "MODEL.SEGAN.MASK_SIZE", "8"),
)


def settings(experiment: str, kins: Path, **more) -> ExperimentSettings:
    return ExperimentSettings(
        experiment,
        f"kins:{kins}/instances_train.json@{kins}/training/image_2",
        f"kins:{kins}/instances_val.json@{kins}/testing/image_2",
        opts=SMALL,
        **more,
    )


def results(output: Path) -> dict:
    return json.loads((output / "report" / "results.json").read_text())


def run(chosen: ExperimentSettings, output: Path) -> str:
    return run_experiment(chosen, output, name="report")


def test_ordering_and_completion_share_their_networks(tiny_kins, tmp_path, commands):
    report = run(settings("ordering", tiny_kins, seeds=(0, 1)), tmp_path)
    assert commands == [
        f"{network} learns, seed {seed}"
        for network in ("pcnet_m", "order_net_m", "order_net_mi", "segan_segment")
        for seed in (0, 1)
    ]
    rows = results(tmp_path)["tables"]["ordering"]["rows"]
    assert {name: len(seeds) for name, seeds in rows.items()} == {
        **dict.fromkeys(("Area", "Y-axis", "Convex", "general"), 1),
        **dict.fromkeys(("OG", "OG+", "OrderNet^M", "OrderNet^{M+I}"), 2),
        **dict.fromkeys(("SeGAN segmentor", "SeGAN segmentor (IoU)"), 2),
    }
    assert {seed["ordering"]["pairs"] for row in rows.values() for seed in row} == {
        rows["Area"][0]["ordering"]["pairs"]
    }
    assert "±" in report and "paper" not in report.splitlines()[4]
    assert (tmp_path / "report" / "ordering.png").is_file()

    # The same evaluation serves the other experiment, and nothing is trained twice.
    commands.clear()
    methods = ("Raw", "Convex^R", "NOG", "OG", "OG+", "general", "Supervised")
    run(settings("completion", tiny_kins, seeds=(0, 1), methods=methods), tmp_path)
    assert commands == ["amodal_unet learns, seed 0", "amodal_unet learns, seed 1"]
    completed = results(tmp_path)["tables"]["completion"]["rows"]
    assert completed["OG"] == rows["OG"]
    assert completed["Raw"][0]["completion"]["invisible_IoU_mean"] == 0
    curve = (tmp_path / "report" / "completion_by_occlusion.csv").read_text()
    assert {line.split(",")[0] for line in curve.splitlines()[1:]} == set(completed)

    # Nothing is left to do.
    commands.clear()
    assert run(settings("completion", tiny_kins, seeds=(0, 1), methods=methods), tmp_path)
    assert commands == []


def test_changes_make_new_stages_of_what_they_concern(tiny_kins, tmp_path, commands):
    kins = shutil.copytree(tiny_kins, tmp_path / "kins")
    chosen = settings("completion", kins, methods=("Raw", "OG"))
    run(chosen, tmp_path)
    before = results(tmp_path)["tables"]["completion"]["rows"]
    commands.clear()

    # How a network is used is not how it is trained.
    run(replace(chosen, opts=(*SMALL, "DEOCCLUSION.AMODAL_THRESHOLD", "0.9")), tmp_path)
    assert len(list((tmp_path / "stages").glob("evaluate-*"))) >= 3
    # What has no effect on the result.
    run(replace(chosen, opts=(*SMALL, "VIS_PERIOD", "7")), tmp_path)
    assert results(tmp_path)["tables"]["completion"]["rows"] == before

    # One validation image less: evaluated anew, not trained anew.
    val = kins / "instances_val.json"
    document = json.loads(val.read_text())
    gone = document["images"].pop()["id"]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != gone]
    other = val.with_name("fewer.json")
    other.write_text(json.dumps(document))
    fewer = replace(chosen, test=f"kins:{other}@{kins}/testing/image_2")
    run(fewer, tmp_path)
    after = results(tmp_path)["tables"]["completion"]["rows"]
    assert (
        0 < after["Raw"][0]["completion"]["instances"] < before["Raw"][0]["completion"]["instances"]
    )
    assert commands == []


def test_what_a_rule_reads_makes_a_new_stage(tiny_kins, tmp_path):
    """Its keys belong to no network."""
    chosen = settings("ordering", tiny_kins, methods=("Area",))
    accuracies = []
    for value in ("True", "False"):
        run(replace(chosen, opts=(*SMALL, "DEOCCLUSION.LARGER_IN_FRONT", value)), tmp_path)
        row = results(tmp_path)["tables"]["ordering"]["rows"]["Area"][0]
        accuracies.append(row["ordering"]["Acc"])
    assert accuracies[0] == pytest.approx(100 - accuracies[1]) != accuracies[1]


def everything_is_the_object(path: Path) -> None:
    """A ModalUNet that finds the object on every pixel of its patch."""
    cfg = load_config("modal_unet_kins_quick", ["MODEL.MODAL_UNET.WIDTH", "0.25"])
    model = build_model(cfg)
    torch.nn.init.zeros_(model.network.head.weight)
    model.network.head.bias.data[:] = torch.tensor([-2.0, 2.0])
    torch.save({"model": model.state_dict()}, path)


def test_predicted_modal_masks(tiny_kins, tmp_path, commands, monkeypatch):
    monkeypatch.chdir(tiny_kins)  # names may be relative to where the user is
    everything_is_the_object(tmp_path / "made.pth")
    chosen = settings("predicted_modal", Path("."), methods=("Raw", "NOG", "Amodal-VAE"))
    made = ("modal_unet.MODEL.WEIGHTS", str(tmp_path / "made.pth"))
    nothing_is_learnt = ("modal_unet.SOLVER.BASE_LR", "0.0")
    report = run(replace(chosen, opts=(*SMALL, *made, *nothing_is_learnt)), tmp_path)
    networks = ("pcnet_m", "amodal_vae_full", "amodal_vae_partial", "amodal_vae_joint")
    assert commands == ["modal_unet learns, seed 0", "predicted modal masks"] + [
        f"{network} learns, seed 0" for network in networks
    ]
    predicted = json.loads(next((tmp_path / "stages").glob("predict-*/results.json")).read_text())
    truth = json.loads(Path("instances_val.json").read_text())["annotations"]
    visible = [a["id"] for a in truth if a["inmodal_bbox"][2] and a["inmodal_bbox"][3]]
    assert [p["annotation_id"] for p in predicted] == visible
    tables = results(tmp_path)["tables"]
    modal = tables["modal_masks"]["rows"]["U-Net"][0]["modal_segmentation"]
    assert modal["instances"] == len(predicted) and 0 < modal["mIoU"] < 100
    rows = tables["predicted_modal"]["rows"]
    raw, nog = (rows[name][0]["completion"] for name in ("Raw", "NOG"))
    # Whole squares: too much of everything, but of the instances that others do not cover.
    assert 0 < raw["mIoU_sum"] < 100 and 0 < raw["instances"] == nog["instances"]
    assert raw["invisible_IoU_sum"] == 0  # nothing was completed
    drawn = rows["Amodal-VAE"][0]["completion"]
    assert drawn["best_of_samples_mIoU_mean"] >= drawn["mIoU_mean"] > 0
    assert "| best of 20 (oracle) " in report and "each paper has its own" in report


def test_sweep_trains_only_for_what_training_sees(tiny_kins, tmp_path, commands):
    base = settings("completion", tiny_kins)
    chosen = SweepSettings(
        base.dataset,
        base.test,
        {
            "DEOCCLUSION.AMODAL_THRESHOLD": ("0.2", "0.6"),
            "INPUT.PARTIAL_COMPLETION.GAMMA": ("0.5", "0.8"),
        },
        opts=SMALL,
    )
    report = run_sweep(chosen, tmp_path)
    # The thresholds share one network; a gamma that is the config's own is that network too.
    assert len(commands) == 2
    assert "| 0.6 " in report and len(list(tmp_path.glob("sweep-*/sweep.png"))) == 1
    rows = next(tmp_path.glob("sweep-*/sweep.csv")).read_text().splitlines()
    assert rows[0] == "key,value,metric,mean,seeds"
    assert sum(r.startswith("DEOCCLUSION.AMODAL_THRESHOLD,0.6,") for r in rows) == 3


def test_sweep_of_the_better_method(tiny_kins, tmp_path, commands):
    base = settings("completion", tiny_kins)
    recentre = {"DEOCCLUSION.RECENTRE": ("0", "2")}
    opts = (*SMALL, "pcnet_m_plus.DEOCCLUSION.ORDERING_PRIOR", "weights")
    better = SweepSettings(base.dataset, base.test, recentre, "OG+", opts=opts)
    assert "OG+ on " in run_sweep(better, tmp_path)
    # One network and one prior of it serve both values, and its plain use too.
    assert len(commands) == 1
    assert len(list((tmp_path / "stages").glob("prior-*"))) == 1
    run_sweep(replace(better, method="OG"), tmp_path)
    # "auto" fits its own to the test set.
    run_sweep(replace(better, opts=SMALL), tmp_path)
    assert len(list((tmp_path / "stages").glob("prior-*"))) == 1
    assert len(commands) == 1
    with pytest.raises(UserError, match=r"--method Area: use one of NOG, OG, OG\+"):
        run_sweep(replace(better, method="Area"), tmp_path)


def test_default_sweeps_fit_the_config(tiny_kins, tmp_path):
    configs = build_experiment(settings("completion", tiny_kins), tmp_path).trainings
    check_sweeps(default_sweeps(), configs, "pcnet_m")
    with pytest.raises(UserError, match="DILATION"):
        check_sweeps({"DEOCCLUSION.DILATION": ("0.5", "1")}, configs, "pcnet_m")


def test_reliability(tiny_kins, tmp_path, commands):
    report = run(settings("reliability", tiny_kins, methods=("OG", "OG+")), tmp_path)
    assert commands == ["pcnet_m learns, seed 0"] and "calibration error" in report
    rows = results(tmp_path)["tables"]["reliability"]["rows"]
    assert rows["OG"][0]["reliability"]["pixels"] > 0
    lines = (tmp_path / "report" / "reliability_diagram.csv").read_text().splitlines()
    assert lines[0] == "method,bin,predicted,true,pixels"
    assert {line.split(",")[0] for line in lines[1:]} == {"OG", "OG+"}
    assert (tmp_path / "report" / "reliability_diagram.png").is_file()


def test_overrides_of_the_papers_network_are_for_the_better_one_too(tiny_kins, tmp_path):
    chosen = settings("completion", tiny_kins)
    more = ("pcnet_m.SEED", "7", "pcnet_m_plus.SEED", "8", "pcnet_m.VIS_PERIOD", "5")
    chosen = replace(chosen, opts=(*SMALL, *more), preset="paper")
    trainings = build_experiment(chosen, tmp_path).trainings
    paper, plus = (trainings.config(role) for role in ("pcnet_m", "pcnet_m_plus"))
    assert (paper.SEED, plus.SEED) == (7, 8) and plus.VIS_PERIOD == 5
    # The preset's protocol is the paper's, and would undo what the other one is for.
    assert paper.DEOCCLUSION.PAPER_PROTOCOL and not plus.DEOCCLUSION.PAPER_PROTOCOL
    assert (paper.DEOCCLUSION.ORDERING_PRIOR, plus.DEOCCLUSION.ORDERING_PRIOR) == ("", "auto")


def test_mistakes_are_said_before_anything_runs(tiny_kins, tmp_path, commands):
    chosen = settings("ordering", tiny_kins)
    for wrong, message in {
        replace(chosen, experiment="order"): "unknown experiment 'order'",
        replace(chosen, preset="slow"): "unknown preset 'slow'",
        replace(chosen, methods=("Raw",)): "--methods Raw: ordering compares Area",
        replace(chosen, seeds=(1, 1)): "--seeds: name at least one, and each once",
        replace(chosen, test=None): "name the test set with --test",
        replace(chosen, dataset="nowhere"): "data set 'nowhere' is not registered",
        replace(chosen, opts=("pcnet.SEED", "1")): "'pcnet' is no network",
        replace(
            chosen,
            experiment="label_conversion",
            dataset=chosen.dataset.replace("kins:", "kins.modal:"),
        ): "needs a training set with true amodal labels",
        replace(chosen, supervised_train=f"kins.modal:{tiny_kins}/instances_val.json"): (
            "it has no amodal labels"
        ),
    }.items():
        with pytest.raises(UserError, match=message):
            run(wrong, tmp_path)
    wrong_key = SweepSettings(chosen.dataset, chosen.test, {"DEOCCLUSION.ORDER": ("1", "2")})
    with pytest.raises(UserError, match="Non-existent key: DEOCCLUSION.ORDER"):
        run_sweep(wrong_key, tmp_path)
    assert commands == [] and not list(tmp_path.rglob("*.json"))


def test_without_amodal_labels_the_supervised_rows_are_left_out(tiny_kins, tmp_path, commands):
    modal = settings("completion", tiny_kins, methods=("Raw", "Supervised"))
    modal = replace(modal, dataset=modal.dataset.replace("kins:", "kins.modal:"))
    report = run(modal, tmp_path)
    assert "Supervised is missing" in report and commands == []
    run(replace(modal, supervised_train=modal.dataset.replace(".modal", "")), tmp_path)
    assert commands == ["amodal_unet learns, seed 0"]


def test_weights_that_a_training_starts_from_are_known_by_their_content(
    tiny_kins, tmp_path, commands
):
    chosen = settings("completion", tiny_kins, methods=("NOG",))
    run(chosen, tmp_path)
    trained = next((tmp_path / "stages").glob("pcnet_m-*/model_final.pth"))
    first, moved = tmp_path / "first.pth", tmp_path / "moved.pth"
    shutil.copy(trained, first)
    shutil.copy(trained, moved)

    def start(weights: Path) -> ExperimentSettings:
        return replace(chosen, opts=(*SMALL, "pcnet_m.MODEL.WEIGHTS", str(weights)))

    commands.clear()
    run(start(first), tmp_path)
    run(start(moved), tmp_path)
    assert commands == ["pcnet_m learns, seed 0"]
    # Other weights under the same name: those that it has just learnt.
    others = [p for p in (tmp_path / "stages").glob("pcnet_m-*/model_final.pth") if p != trained]
    shutil.copy(others[0], first)
    run(start(first), tmp_path)
    assert commands == ["pcnet_m learns, seed 0"] * 2
    with pytest.raises(UserError, match=r"no\.pth' does not exist"):
        run(start(tmp_path / "no.pth"), tmp_path)


def test_detectors_side_by_side(tiny_kins, tmp_path, commands):
    small = (*SMALL, "SOLVER.MAX_ITER", "1", "SOLVER.CPU_BFLOAT16", "False",
             "INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", "64")  # fmt: skip
    chosen = replace(
        settings("detection", tiny_kins), opts=(*small, "bcnet.MODEL.ROI_MASK_HEAD.CONV_DIM", "8")
    )
    trainings = build_experiment(chosen, tmp_path).trainings
    kinds = [
        trainings.config(name).MODEL.BCNET for name in ("bcnet", "bcnet_in_front", "bcnet_alone")
    ]
    assert [kind.OCCLUDERS for kind in kinds] == ["neighbours", "in_front", "neighbours"]
    assert [kind.WEIGHT_OCCLUDER for kind in kinds] == [0.25, 0.25, 0.0]
    # What is said of BCNet is said of its variants, and of nobody else.
    assert trainings.config("bcnet_alone").MODEL.ROI_MASK_HEAD.CONV_DIM == 8
    assert trainings.config("mask_rcnn").MODEL.ROI_MASK_HEAD.CONV_DIM == 64
    rows = ("Mask R-CNN", "BCNet (in front)")
    run(replace(chosen, methods=rows), tmp_path)
    assert commands == ["mask_rcnn learns, seed 0", "bcnet_in_front learns, seed 0"]
    found = results(tmp_path)["tables"]
    assert set(found["detection"]["rows"]) == set(found["hidden_objects"]["rows"]) == set(rows)
    assert "AP" in found["detection"]["rows"]["BCNet (in front)"][0]["segm"]
    # Beside the others: nothing is trained again.
    commands.clear()
    run(replace(chosen, experiment="all_systems", methods=("Raw", *rows)), tmp_path)
    assert commands == [] and (tmp_path / "report" / "objects.png").is_file()
    beside = results(tmp_path)["tables"]["detection"]["rows"]
    assert all(seeds[0]["cost"]["parameters"] > 1 for seeds in beside.values())
    modal = replace(chosen, dataset=chosen.dataset.replace("kins:", "kins.modal:"))
    for experiment in ("detection", "all_systems"):
        with pytest.raises(UserError, match="detection trains on true amodal labels, which"):
            run(replace(modal, experiment=experiment, methods=rows), tmp_path)

"""Rows with networks of several trainings, and an experiment that a system has of its own."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments import run_experiment
from deocclusion_d2.experiments.compare_methods import default_rows
from deocclusion_d2.experiments.experiment import Experiment, chain_of, name_sources
from deocclusion_d2.experiments.known import known_experiments
from deocclusion_d2.experiments.paper_tables import published_figures
from deocclusion_d2.experiments.run import build_experiment
from deocclusion_d2.experiments.stages import Stage
from deocclusion_d2.experiments.sweep import swept_rows
from deocclusion_d2.experiments.trainings import Trainings
from deocclusion_d2.files import hash_of
from deocclusion_d2.systems import Row, remarks, rows
from tests.experiments.test_run_experiment import SMALL, results, run, settings

CHAIN = ["amodal_vae_full", "amodal_vae_partial", "amodal_vae_joint"]


@pytest.fixture
def untrained(monkeypatch) -> list[tuple[str, str]]:
    """Trainings end at once: (training, what it starts from) of those that were asked for."""
    asked = []

    def train(self, name, dataset, seed, *, test=None, opts=(), labels_key=None) -> Stage:
        start = opts[opts.index("MODEL.WEIGHTS") + 1] if "MODEL.WEIGHTS" in opts else ""
        asked.append((name, Path(start).parent.name))
        inputs = {"SEED": seed, "opts": self._opts[name], "of": Path(start).parent.name}

        def work(folder: Path) -> dict:
            (folder / "model_final.pth").write_text(json.dumps(inputs))
            return {"file": "model_final.pth", "metrics": {}}

        return self.store.run(name, inputs, work)

    monkeypatch.setattr(Trainings, "train", train)
    return asked


def experiment(tiny_kins: Path, output: Path, *opts: str) -> Experiment:
    chosen = settings("completion", tiny_kins)
    return build_experiment(replace(chosen, opts=(*SMALL, *opts)), output)


def test_a_chain_is_trained_in_its_order(tiny_kins, tmp_path, untrained):
    e = experiment(tiny_kins, tmp_path)
    assert chain_of("amodal_vae_joint") == CHAIN and chain_of("pcnet_m") == ["pcnet_m"]
    e.network("amodal_vae_joint", 0)
    names, starts = zip(*untrained, strict=True)
    assert list(names) == CHAIN
    assert [s.rpartition("-")[0] for s in starts] == ["", *CHAIN[:2]]


def test_the_config_names_the_networks_of_further_trainings(tiny_kins, tmp_path, untrained):
    e = experiment(tiny_kins, tmp_path, "pcnet_m.DEOCCLUSION.ORDER_THRESHOLD", "0.3")
    ordered = e.method("Amodal-VAE og", 0).cfg
    assert Path(ordered.MODEL.WEIGHTS).parent.name.startswith("amodal_vae_joint-")
    file, _, weights = ordered.DEOCCLUSION.ORDERING_CONFIG.partition("@")
    assert Path(weights).parent.name.startswith("pcnet_m_plus-")
    # The overrides of that network are in its file.
    assert "ORDER_THRESHOLD: 0.3" in Path(file).read_text()
    assert (ordered.DEOCCLUSION.GAP, ordered.DEOCCLUSION.SAMPLES) == ("auto", 20)
    assert e.method("Amodal-VAE og", 0, draws=False).cfg.DEOCCLUSION.SAMPLES == 0

    together = e.method("ensemble", 0).cfg
    own, other = together.DEOCCLUSION.ENSEMBLE.MEMBERS
    assert own == "og" and together.DEOCCLUSION.ORDERING_CONFIG == ""
    name, _, source = other.partition("=")
    assert name == "amodal_vae"
    assert Path(source.partition("@")[2]).parent.name.startswith("amodal_vae_joint-")
    with pytest.raises(UserError, match="row X: it has no step 'og' to run a network"):
        name_sources(together, Row("X", "convex", "raw"), {"og": "a@b"})


@pytest.mark.parametrize("row", ["Amodal-VAE og", "ensemble"])
def test_stages_depend_on_all_networks_of_a_row(row, tiny_kins, tmp_path, untrained):
    def key(*opts: str, folder: str = "a", seed: int = 0) -> str:
        e = experiment(tiny_kins, tmp_path / folder, *opts)
        return hash_of(dict(e.method(row, seed).inputs))

    keys = [
        key(),
        key(seed=1),
        # Of one of the networks: how it is trained, and how it is used.
        key("pcnet_m_plus.SOLVER.MAX_ITER", "3"),
        key("amodal_vae_full.SOLVER.MAX_ITER", "3"),
        key("pcnet_m.DEOCCLUSION.ORDER_THRESHOLD", "0.3"),
        key("amodal_vae_joint.DEOCCLUSION.AMODAL_THRESHOLD", "0.3"),
    ]
    assert len(set(keys)) == len(keys)
    # Where the stages lie says nothing.
    assert key(folder="b") == keys[0]


def test_a_row_names_its_options_and_a_user_has_the_last_word(tiny_kins, tmp_path):
    assert experiment(tiny_kins, tmp_path).samples_of("Amodal-VAE") == 20
    fewer = experiment(tiny_kins, tmp_path, "DEOCCLUSION.SAMPLES", "3")
    assert fewer.samples_of("Amodal-VAE") == 3 and fewer.samples_of("OG") == 0
    with pytest.raises(ValueError, match="networks without a training"):
        Row("X", "dual_completion", "raw", networks={"dual_completion": "pcnet_m"})


def test_rows_that_lack_something_are_left_out(tiny_kins, tmp_path, monkeypatch):
    e = experiment(tiny_kins, tmp_path)
    lacking = {row: e.lacks(row) for row in rows() if not e.can_train(row)}
    # What a painter learns from, a renderer knows, if it is asked to.
    assert set(lacking) == {"SeGAN stages", "SeGAN"}
    assert all("nobody knows the colours of what is hidden in" in text for text in lacking.values())
    other = replace(e, data=replace(e.data, supervised=None))
    assert other.can_train("OG") and "no amodal labels" in other.lacks("Supervised")
    other = replace(e, data=replace(e.data, family="d2sa"))
    monkeypatch.setattr(other.trainings, "data", other.data)
    for row, first in (("ensemble og", "pcnet_m_plus"), ("Amodal-VAE", "amodal_vae_full")):
        assert f"no config {first}_d2sa_quick.yaml" in other.lacks(row)
    assert other.can_train("general")


def test_what_one_network_gives_has_no_rows_of_several():
    assert {"OG", "Raw"} <= set(default_rows()) and "ensemble" not in default_rows()
    assert "Amodal-VAE" in swept_rows() and "Amodal-VAE og" not in swept_rows()
    # Those that were there first come first: what others are compared with.
    assert list(rows("completion"))[3:8] == ["NOG", "OG", "OG+", "general", "Amodal-VAE"]


def test_published_figures_and_what_they_are_of():
    assert published_figures("completion", "kins_val")["Amodal-VAE"] == 94.68
    assert published_figures("predicted_modal", "kins_val")["Amodal-VAE"] == 86.03
    assert "80.83" in remarks("predicted_modal", "KINS")[0]
    assert remarks("predicted_modal", "") == []


def test_rows_of_several_networks_and_the_figures(tiny_kins, tmp_path, commands):
    """The table, the labels, and the experiment of the system, of the same networks."""
    methods = ("Raw", "Amodal-VAE", "Amodal-VAE og", "ensemble")
    chosen = replace(settings("completion", tiny_kins, methods=methods), opts=SMALL)
    report = run(chosen, tmp_path)
    # Both presets' networks of PCNet-M are one here.
    trained = [*CHAIN, "pcnet_m_plus"]
    assert commands == [f"{name} learns, seed 0" for name in trained]
    found = results(tmp_path)["tables"]["completion"]
    best = {row: "best_of_samples_mIoU_mean" in of[0]["completion"] for row, of in
            found["rows"].items()}  # fmt: skip
    assert best == {"Raw": False, "Amodal-VAE": True, "Amodal-VAE og": True, "ensemble": False}
    header = next(line for line in report.splitlines() if line.startswith("| completion"))
    assert "best of 20 (oracle)" in header and "best of 20 (oracle), hidden part" in header
    raw = next(line for line in report.splitlines() if line.startswith("| Raw"))
    assert [c.strip() for c in raw.split("|")[-4:-1]] == ["", "", ""]
    assert "Protocol: true modal masks are completed." in report
    assert "is no result of the method" in report

    commands.clear()
    e = build_experiment(chosen, tmp_path)
    for row in methods[1:]:
        labels = e.convert(row, 0)
        written = json.loads((labels.folder / "labels.json").read_text())
        assert not any("samples" in a for a in written["annotations"])
    assert commands == [f"labels by {row}" for row in methods[1:]]

    commands.clear()
    own = replace(chosen, experiment="amodal_vae", methods=methods[:3])
    report = run_experiment(own, tmp_path, name="own")
    assert commands == [] and "amodal_vae" in known_experiments()
    folder = tmp_path / "own"
    names = ("fig1_visible_share", "fig3_prior", "fig4_posterior", "samples")
    for name in names:
        assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert f"({name}.png)" in report
    curve = list(csv.DictReader((folder / "fig1_visible_share.csv").open()))
    assert {line["curve"] for line in curve} == {
        "Raw",
        *methods[1:3],
        "Amodal-VAE, best of samples (oracle)",
        "Amodal-VAE og, best of samples (oracle)",
    }
    assert not (folder / "amodal_vae_by_occlusion.png").exists()  # it has that curve of its own
    shown = json.loads((folder / "results.json").read_text())["shown"]["fig4_posterior.png"]
    assert shown["latents"] == 8 and "of 8 latents are active" in report
    widths = list(csv.DictReader((folder / "fig4_posterior.csv").open()))
    assert len(widths) == 8 * len(shown["groups"])
    prior = list(csv.reader((folder / "fig3_prior.csv").open()))
    assert len(prior) == 1 + 72 and len(prior[1]) == 1 + 28**2
    sheet = list(csv.DictReader((folder / "samples.csv").open()))
    # Of each object the visible part, the mode, and samples, whose weights add up to 1.
    by_object: dict[str, list[dict]] = {}
    for line in sheet:
        by_object.setdefault(line["object"], []).append(line)
    assert 1 <= len(by_object) <= 12
    for lines in by_object.values():
        assert [line["mask"] for line in lines[:2]] == ["visible", "mode"] and len(lines) <= 7
        assert sum(float(line["weight"]) for line in lines[2:]) == pytest.approx(1, abs=1e-2)
    # Nothing is measured twice.
    before = {path: path.stat().st_mtime for path in (tmp_path / "stages").iterdir()}
    run_experiment(own, tmp_path, name="own")
    assert before == {path: path.stat().st_mtime for path in (tmp_path / "stages").iterdir()}

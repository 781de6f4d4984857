"""BCNet as the detector of a decomposition: what it has learned says what is made of its masks."""

from __future__ import annotations

import json

import pytest

from deocclusion_d2.cli.deocclude import main as deocclude

CONFIG = "bcnet_R_18_FPN_kins_quick"


@pytest.fixture
def use(trained, tiny_kins, tmp_path, monkeypatch):
    """Takes a photo apart; returns what graph.json says of it, and the files of the folder."""
    run = trained(CONFIG)
    monkeypatch.setattr(
        "deocclusion_d2.decomposition.job.layers_overview", lambda layered, image: image
    )

    def decompose(*opts: str) -> tuple[dict, set[str]]:
        output = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        photo = next((tiny_kins / "testing/image_2").iterdir())
        # So early in training no object is a sure one.
        deocclude(["--image", str(photo), "--output", str(output),
                   "--detector", str(run.folder / "config.yaml"),
                   "--detector-weights", str(run.weights),
                   "DEOCCLUSION.MIN_SCORE", "0.1", *opts])  # fmt: skip
        graph = json.loads((output / "graph.json").read_text())
        return graph, {path.name for path in output.iterdir()}

    return decompose


def test_its_own_layers_order_whole_objects(use):
    graph, files = use()
    method = graph["method"]
    assert (method["detected"], method["ordering"], method["completion"]) == (
        "amodal",
        "bcnet_layers",
        "raw",
    )
    assert "regions.png" not in files and graph["objects"]


def test_its_regions_are_drawn(use):
    _, files = use("MODEL.BCNET.KEEP_EXTRAS", "True")
    assert "regions.png" in files


def test_another_order_can_be_named(use):
    graph, _ = use("DEOCCLUSION.ORDERING", "y_axis")
    assert graph["method"]["ordering"] == "y_axis" and graph["method"]["completion"] == "raw"


def test_masks_that_are_said_to_be_modal_are_completed(use):
    graph, _ = use("DEOCCLUSION.DETECTED", "modal")
    assert "detected" not in graph["method"]
    assert (graph["method"]["ordering"], graph["method"]["completion"]) == ("dual_completion", "og")


def test_neighbours_order_nothing(use):
    """The first layer of such a network does not know who is in front."""
    graph, _ = use("MODEL.BCNET.OCCLUDERS", "neighbours")
    assert graph["method"]["ordering"] == "dual_completion"

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

    def decompose(*opts: str, flags: tuple[str, ...] = ()) -> tuple[dict, set[str]]:
        output = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        photo = next((tiny_kins / "testing/image_2").iterdir())
        # So early in training no object is a sure one.
        deocclude(["--image", str(photo), "--output", str(output),
                   "--detector", str(run.folder / "config.yaml"),
                   "--detector-weights", str(run.weights), *flags,
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
    """The first layer of such a network does not know who is in front: a rule does it."""
    graph, _ = use("MODEL.BCNET.OCCLUDERS", "neighbours")
    assert graph["method"]["ordering"] == "y_axis" and "weights" not in graph["method"]


def test_its_own_layers_are_those_of_the_detector_in_use(use):
    """Overrides are for both."""
    graph, _ = use("INPUT.MIN_SIZE_TEST", "48", "DEOCCLUSION.ORDERING", "bcnet_layers")
    assert graph["method"]["min_size"] == 48
    assert graph["method"]["weights_sha256"] == graph["request"]["detector_weights_sha256"]


@pytest.mark.parametrize("named", [("DEOCCLUSION.COMPLETION", "og"), ("--method", "convex")])
def test_whole_objects_are_not_completed(use, capsys, named):
    with pytest.raises(SystemExit):
        use(*named) if named[0].startswith("D") else use(flags=named)
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith(
        f"error: {named[0]}: the detector has learned amodal masks, which are"
    )

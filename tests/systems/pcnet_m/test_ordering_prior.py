"""The geometry of pairs, the prior's scores and its file; numbers by hand."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
import torch

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import Scene, neighbour_pairs
from deocclusion_d2.systems.pcnet_m.ordering import DualCompletion
from deocclusion_d2.systems.pcnet_m.ordering_prior import (
    OrderingPrior,
    configured_prior,
    relative_difference,
    warn_of_other_weights,
)
from deocclusion_d2.systems.pcnet_m.pair_features import FEATURES, pair_features
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import box_mask, random_model, rule_model, scene_of

H, W = 60, 80


def random_scenes(count: int = 4) -> list[Scene]:
    rng = np.random.default_rng(0)
    scenes = []
    for _ in range(count):
        taken, arrays = np.zeros((H, W), bool), []
        for _ in range(7):
            x, y = rng.integers(0, 45, 2)
            full = box_mask(H, W, x, y, x + rng.integers(5, 25), y + rng.integers(5, 25))
            arrays.append(full & ~taken)
            taken |= full
        scenes.append(scene_of(arrays))
    return scenes


def prior_of(**coefficients: float) -> OrderingPrior:
    return OrderingPrior(tuple(coefficients), tuple(coefficients.values()), dual_weight=1.5)


def test_features_by_hand():
    # Boxes of 20 x 40 and 10 x 20 px, side by side, with the same centre line.
    scene = scene_of([box_mask(H, W, 10, 10, 30, 50), box_mask(H, W, 30, 20, 40, 40)])
    size = (math.sqrt(800) + math.sqrt(200)) / 2
    expected = [10 / size, 0, math.log(4), math.log(2), 0]
    assert pair_features(scene, [(0, 1)])[0] == pytest.approx(expected)

    # A square of 10 x 10 px in the corner of one of 20 x 20 px, whose hull, with the edge from
    # column 19 to row 19, holds 9 + 8 + ... + 1 = 45 pixels of it.
    corner = box_mask(H, W, 10, 10, 20, 20)
    scene = scene_of([corner, box_mask(H, W, 0, 0, 20, 20) & ~corner])
    features = dict(zip(FEATURES, pair_features(scene, [(0, 1)])[0], strict=True))
    # The 300 px around it: 400 px with their centre in row 9.5, less 100 px with theirs in 14.5.
    centre = (400 * 9.5 - 100 * 14.5) / 300
    assert features == pytest.approx(
        {
            "lower_edge": 0,
            "centre": (14.5 - centre) / 15,
            "log_area": math.log(100 / 300),
            "log_height": math.log(0.5),
            "hull": 45 / 15**2,
        }
    )


def test_features_change_sign_to_the_bit_with_the_pair():
    for scene in random_scenes():
        pairs = neighbour_pairs(scene.modal_masks)
        features = pair_features(scene, pairs)
        assert np.any(features != 0, axis=0).all()
        assert np.array_equal(pair_features(scene, [(j, i) for i, j in pairs]), -features)


def test_features_do_not_depend_on_the_size_of_the_image():
    small = [box_mask(H, W, 10, 10, 30, 50), box_mask(H, W, 30, 25, 40, 40)]
    large = [np.kron(mask, np.ones((3, 3), bool)) for mask in small]
    expected = pair_features(scene_of(small), [(0, 1)])
    assert pair_features(scene_of(large), [(0, 1)]) == pytest.approx(expected)


def test_no_pairs_have_no_features():
    scene = scene_of([box_mask(H, W, 10, 10, 30, 50)])
    assert pair_features(scene, []).shape == (0, len(FEATURES))
    assert prior_of(centre=1.0).scores(scene, [], np.zeros((0, 2))).shape == (0,)


def test_relative_difference():
    increments = np.array([[0, 0], [3, 1], [1, 3], [0, 5]])
    assert relative_difference(increments).tolist() == [0, -0.5, 0.5, 1]


def test_score_is_the_sum_of_dual_completion_and_geometry():
    scene = scene_of([box_mask(H, W, 10, 10, 30, 50), box_mask(H, W, 30, 20, 40, 40)])
    size = (math.sqrt(800) + math.sqrt(200)) / 2
    prior = prior_of(lower_edge=2.0, log_height=0.25)
    geometry = 2 * 10 / size + 0.25 * math.log(2)
    increments = np.array([[3.0, 1.0], [0.0, 0.0]])
    scores = prior.scores(scene, [(0, 1), (0, 1)], increments)
    assert scores == pytest.approx([geometry - 1.5 * 0.5, geometry])
    backward = prior.scores(scene, [(1, 0), (1, 0)], increments[:, ::-1])
    assert np.array_equal(backward, -scores)


def test_a_restrained_prior_overrules_only_what_dual_completion_is_unsure_of():
    scene = scene_of([box_mask(H, W, 10, 10, 30, 50), box_mask(H, W, 30, 20, 40, 40)])
    strong = prior_of(lower_edge=100.0)
    restrained = strong.restrained()
    assert restrained.limit == pytest.approx(1.5 * 0.3)
    # Relative differences of -0.28, -0.32 and 0; geometry is for the first of each pair.
    increments = np.array([[64.0, 36.0], [66.0, 34.0], [0.0, 0.0]])
    pairs = [(0, 1)] * 3
    assert (strong.scores(scene, pairs, increments) > 0).all()
    scores = restrained.scores(scene, pairs, increments)
    assert scores == pytest.approx([0.45 - 0.42, 0.45 - 0.48, 0.45])
    backward = restrained.scores(scene, [(1, 0)] * 3, increments[:, ::-1])
    assert np.array_equal(backward, -scores)
    # Weaker geometry stays as it is.
    weak = prior_of(log_height=0.1)
    expected = weak.scores(scene, pairs, increments)
    assert np.array_equal(weak.restrained().scores(scene, pairs, increments), expected)


def test_geometry_decides_what_dual_completion_leaves_open():
    scene = scene_of([box_mask(H, W, 10, 10, 30, 40), box_mask(H, W, 30, 20, 50, 50)])
    completer = PatchCompleter(rule_model(lambda visible, eraser: visible))  # completes nothing
    assert DualCompletion(completer, patch_size=64)([scene])[0].edges == []
    prior = prior_of(lower_edge=1.0)
    graph = DualCompletion(completer, patch_size=64, prior=prior)([scene])[0]
    assert graph.edges == [(1, 0)]
    assert graph.graph.edges[1, 0]["increments"] == (0, 0)


def test_dual_completion_wins_where_it_is_surer():
    # A square in the upper left corner of a larger one. The network gives the eraser to the target
    # that is not visible a little to the upper left of its middle: the larger one.
    def rule(visible, eraser):
        return (visible > 0) | ((eraser > 0) & (visible[:, 28:29, 28:29] == 0))

    corner = box_mask(H, W, 20, 20, 30, 30)
    scene = scene_of([corner, box_mask(H, W, 20, 20, 40, 40) & ~corner])

    def graph(prior):
        completer = PatchCompleter(rule_model(rule))
        return DualCompletion(completer, patch_size=64, prior=prior)([scene])[0]

    alone = graph(None)
    none, gained = alone.graph.edges[0, 1]["increments"]
    assert none == 0 and gained == pytest.approx(100, rel=0.1)
    # The lower edge says the contrary: 1.5 against 2 / 3 of the coefficient.
    assert graph(prior_of(lower_edge=2.2)).edges == alone.edges == [(0, 1)]
    contradicted = graph(prior_of(lower_edge=2.3))
    assert contradicted.edges == [(1, 0)]
    # The increments stay what they are: now the occluder is the one that gained.
    assert contradicted.graph.edges[1, 0]["increments"] == (gained, none)


def test_orders_do_not_depend_on_batches_or_on_the_order_of_instances():
    torch.manual_seed(0)
    scenes, model = random_scenes(), random_model()
    prior = prior_of(lower_edge=1.3, centre=0.7, log_area=-0.2, log_height=0.1, hull=3.1)

    def ordering(batch_size):
        completer = PatchCompleter(model, batch_size=batch_size, precision="float32")
        return DualCompletion(completer, patch_size=32, threshold=0.45, prior=prior)

    expected = [g.edges for g in ordering(3)(scenes)]
    assert expected != [g.edges for g in DualCompletion(ordering(3).runner, patch_size=32)(scenes)]
    assert [ordering(64)([s])[0].edges for s in scenes] == expected
    rng = np.random.default_rng(1)
    for scene, edges in zip(scenes, expected, strict=True):
        new = rng.permutation(len(scene))  # row k of the new scene is new[k] of the old
        shuffled = Scene(H, W, [scene.modal_masks[i] for i in new], scene.category_ids[new])
        found = ordering(5)([shuffled])[0].edges
        assert sorted((int(new[i]), int(new[j])) for i, j in found) == edges


# ---------------------------------------------------------------- file


def test_file_round_trip(tmp_path):
    path = tmp_path / "prior.json"
    prior = OrderingPrior(
        ("centre", "hull"), (1 / 3, -2.5), 1.5, enabled=True, fitted_on={"dataset": "d", "pairs": 7}
    )
    prior.save(path)
    assert "limit" not in json.loads(path.read_text())
    assert OrderingPrior.load(path) == prior
    prior.restrained().save(path)
    assert OrderingPrior.load(path) == prior.restrained() != prior


def saved(**changes) -> str:
    content = {
        "type": "deocclusion_d2 ordering prior",
        "features": ["centre"],
        "coefficients": [1.0],
        "dual_weight": 1.5,
        "enabled": True,
        "fitted_on": {},
    }
    return json.dumps({**content, **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file"),
        ("not JSON", "not a JSON file"),
        ("[1, 2]", "another kind of JSON"),
        ('{"images": [], "annotations": []}', "another kind of JSON"),
        (saved(features=["colour"]), "does not compute .'colour'"),
        (saved(features=["centre", "hull"]), "one coefficient for each feature"),
        (saved(features=[], coefficients=[]), "no features"),
        (saved(coefficients=["much"]), "no numbers"),
        (saved(coefficients=[float("nan")]), "no numbers"),
        (saved(dual_weight=0), "dual_weight"),
        (saved(enabled=None), "enabled"),
        (saved(limit=-1), "limit"),
    ],
)
def test_file_refused_with_one_line(tmp_path, text, message):
    path = tmp_path / "prior.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        OrderingPrior.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


# ---------------------------------------------------------------- config


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "MODEL: {META_ARCHITECTURE: PCNetM, DEVICE: cpu, PCNET_M: {WIDTH: 0.25}}\n"
        "INPUT: {INSTANCE_CROP: {SIZE: 32}}\n"
        "DEOCCLUSION: {ORDER_THRESHOLD: 0.45, AMODAL_THRESHOLD: 0.45}\n"
    )
    return load_config(str(path))


def test_config_key(cfg, tmp_path):
    torch.manual_seed(0)
    model, scenes = random_model(), random_scenes()

    def run():
        deoccluder = Deoccluder.from_config(cfg, model)
        return deoccluder.describe(), [result.graph.edges for result in deoccluder(scenes)]

    assert cfg.DEOCCLUSION.ORDERING_PRIOR == ""
    description, edges = run()
    assert "ordering_prior" not in description
    path = tmp_path / "prior.json"
    prior_of(lower_edge=50.0).save(path)
    cfg.DEOCCLUSION.ORDERING_PRIOR = str(path)
    told, helped = run()
    assert told.pop("ordering_prior") == {
        "enabled": True,
        "dual_weight": 1.5,
        "coefficients": {"lower_edge": 50.0},
    }
    assert told == description and helped != edges
    # Its weight leaves dual completion only the pairs with equal lower edges.
    for scene, graph_edges in zip(scenes, helped, strict=True):
        bottoms = [m.box[3] for m in scene.modal_masks]
        assert all(bottoms[i] >= bottoms[j] for i, j in graph_edges)

    cfg.DEOCCLUSION.PAPER_PROTOCOL = True
    assert "ordering_prior" not in run()[0]
    ignoring = run()[1]
    cfg.DEOCCLUSION.ORDERING_PRIOR = ""
    assert run()[1] == ignoring
    cfg.DEOCCLUSION.PAPER_PROTOCOL = False
    cfg.DEOCCLUSION.ORDERING_PRIOR = str(tmp_path / "absent.json")
    with pytest.raises(UserError, match=r"absent\.json"):
        run()
    cfg.DEOCCLUSION.ORDERING = "area"  # has no use for it
    with pytest.raises(UserError, match="ORDERING_PRIOR = .* neither 'area' nor 'og' can honour"):
        run()


def test_beside_the_weights(cfg, tmp_path):
    cfg.MODEL.WEIGHTS = str(tmp_path / "model.pth")
    cfg.DEOCCLUSION.ORDERING_PRIOR = "auto"
    assert configured_prior(cfg) is None
    cfg.DEOCCLUSION.ORDERING_PRIOR = "weights"
    with pytest.raises(UserError, match=r"ordering_prior\.json' beside MODEL.WEIGHTS"):
        configured_prior(cfg)
    prior = prior_of(lower_edge=50.0)
    prior.save(tmp_path / "ordering_prior.json")
    for key in ("auto", "weights"):
        cfg.DEOCCLUSION.ORDERING_PRIOR = key
        assert configured_prior(cfg) == prior


def test_auto_restrains_the_prior_of_the_weights_for_a_scene_by_itself(cfg, tmp_path):
    torch.manual_seed(0)
    model, scenes = random_model(), random_scenes()
    cfg.MODEL.WEIGHTS = str(tmp_path / "model.pth")
    prior = prior_of(lower_edge=50.0)

    def edges(prior_key: str) -> list[list[tuple[int, int]]]:
        cfg.DEOCCLUSION.ORDERING_PRIOR = prior_key
        deoccluder = Deoccluder.from_config(cfg, model)
        assert deoccluder.needs_calibration == (prior_key == "auto")
        together = [result.graph.edges for result in deoccluder(scenes)]
        assert [deoccluder([scene])[0].graph.edges for scene in scenes] == together
        return together

    alone = edges("")
    assert edges("auto") == alone
    # Position has nothing to do with what random weights make of these scenes.
    prior.restrained().save(tmp_path / "restrained.json")
    prior.save(tmp_path / "ordering_prior.json")
    assert edges("auto") == edges(str(tmp_path / "restrained.json")) != edges("weights")
    cfg.DEOCCLUSION.PAPER_PROTOCOL = True
    assert not Deoccluder.from_config(cfg, model).needs_calibration


def test_a_prior_that_is_not_enabled_does_no_harm(cfg, tmp_path):
    torch.manual_seed(0)
    model, scenes = random_model(), random_scenes()
    expected = Deoccluder.from_config(cfg, model)(scenes)
    path = tmp_path / "prior.json"
    OrderingPrior(("centre",), (100.0,), 1.5, enabled=False).save(path)
    cfg.DEOCCLUSION.ORDERING_PRIOR = str(path)
    for result, plain in zip(Deoccluder.from_config(cfg, model)(scenes), expected, strict=True):
        assert result.graph.edges == plain.graph.edges
        assert result.amodal_masks == plain.amodal_masks


def test_a_prior_of_other_weights_is_told_of(cfg, tmp_path, caplog):
    path, weights = tmp_path / "prior.json", tmp_path / "model.pth"
    weights.write_bytes(b"some weights")
    digest = hashlib.sha256(b"some weights").hexdigest()
    cfg.MODEL.WEIGHTS, cfg.DEOCCLUSION.ORDERING_PRIOR = str(weights), str(path)
    cases = [({}, 0), ({"weights_sha256": digest}, 0), ({"weights_sha256": "0"}, 1)]
    for fitted_on, warnings in cases:
        OrderingPrior(("centre",), (1.0,), 1.5, fitted_on=fitted_on).save(path)
        caplog.clear()
        prior = configured_prior(cfg)
        assert prior.fitted_on == fitted_on
        warn_of_other_weights(cfg, prior)
        assert [str(path) in message for message in caplog.messages] == [True] * warnings

"""How sure a method is of an edge, and which pairs it reports to hide each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deocclusion_d2.config import load_config
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import OcclusionGraph
from deocclusion_d2.systems.baselines.steps import HeuristicOrdering
from deocclusion_d2.systems.pcnet_m.ordering import DualCompletion, mutual_occlusions
from deocclusion_d2.systems.pcnet_m.ordering_prior import OrderingPrior
from tests.helpers import box_mask, random_model, scene_of

H, W = 40, 60
# 100, 200 and 300 pixels, one beside the other.
SCENE = scene_of(
    [box_mask(H, W, *box) for box in ((0, 0, 10, 10), (10, 0, 20, 20), (20, 0, 30, 30))]
)
PAIRS = [(0, 1), (1, 2)]


class Gains(DualCompletion):
    """Dual completion whose network gained what the test says."""

    def __init__(self, increments, **options) -> None:
        super().__init__(None, **options)
        self._said = np.array(increments, float)

    def increments(self, scenes):
        return [(PAIRS, self._said) for _ in scenes]


def order(increments, **options) -> OcclusionGraph:
    return Gains(increments, **options)([SCENE])[0]


def prior(enabled: bool = True) -> OrderingPrior:
    """Dual completion with only one instance gaining: odds of 3 to 1."""
    return OrderingPrior(("log_area",), (0.0,), dual_weight=math.log(3), enabled=enabled)


def test_dual_completion_alone_is_sure_where_the_increments_differ():
    graph = order([[30, 90], [5, 0]])
    assert graph.edges == [(0, 1), (2, 1)]
    assert graph.confidence(0, 1) == 0.5  # (90 - 30) / 120
    assert graph.confidence(2, 1) == 1.0
    assert graph.graph.edges[0, 1]["increments"] == (30.0, 90.0)
    assert order([[7, 7], [0, 0]]).edges == []


def test_with_a_prior_it_is_the_combined_probability():
    graph = order([[0, 90], [90, 30]], prior=prior())
    assert graph.edges == [(0, 1), (2, 1)]
    # Odds of 3: p = 0.75, 2p - 1 = 0.5. The second pair's relative difference is -1/2: odds of
    # sqrt(3), p = 0.633975.
    assert graph.confidence(0, 1) == pytest.approx(0.5)
    assert graph.confidence(2, 1) == pytest.approx(2 * 0.633975 - 1, abs=1e-5)
    # Geometry counts, too: 200 px and 100 px, log area ratio ln 2 halves the odds to 3 / 2.
    geometry = OrderingPrior(("log_area",), (1.0,), dual_weight=math.log(3))
    score = geometry.scores(SCENE, PAIRS[:1], np.array([[0.0, 90.0]]))[0]
    confidence = order([[0, 90], [0, 0]], prior=geometry).confidence(0, 1)
    odds = math.exp(score)
    assert odds == pytest.approx(1.5)
    assert confidence == pytest.approx(2 * odds / (1 + odds) - 1)


def test_a_prior_that_is_not_enabled_leaves_dual_completion_alone():
    increments = [[30, 90], [90, 30]]
    alone, disabled = order(increments), order(increments, prior=prior(enabled=False))
    assert disabled.edges == alone.edges
    assert [disabled.confidence(*e) for e in disabled.edges] == [0.5, 0.5]


def test_mutual_is_substantial_and_alike():
    def mutual(first, second, share=0.1, difference=0.2):
        increments = np.array([[first, second], [0, 0]])
        return mutual_occlusions(SCENE, PAIRS, increments, share, difference).tolist()

    # The smaller one of the first pair has 100 px, a tenth of it 10.
    assert mutual(11, 12) == [True, False]
    assert mutual(10, 12) == [False, False]
    assert mutual(11, 12, share=0.12) == [False, False]
    # (15 - 11) / 26 is 0.154; (18 - 11) / 29 is 0.241.
    assert mutual(15, 11) == [True, False]
    assert mutual(18, 11) == [False, False]
    assert mutual(18, 11, difference=0.25) == [True, False]
    # Nothing gained is nothing hidden, whatever the share.
    assert mutual(0, 0, share=0.0) == [False, False]
    assert mutual_occlusions(SCENE, [], np.zeros((0, 2)), 0.1, 0.2).tolist() == []


def test_mutual_pairs_keep_their_edges():
    graph = order([[24, 30], [40, 40]])
    assert graph.edges == [(0, 1)] and graph.order(1, 2) == 0
    assert graph.mutual_pairs == {(0, 1): (24.0, 30.0), (1, 2): (40.0, 40.0)}
    assert graph.confidence(0, 1) == pytest.approx(6 / 54)
    none = order([[24, 30], [40, 40]], mutual_share=1.0)
    assert none.edges == [(0, 1)] and none.mutual_pairs == {}
    # A prior decides the order; whether the two hide each other, the increments alone.
    with_prior = order([[24, 30], [40, 40]], prior=prior())
    assert with_prior.mutual_pairs == graph.mutual_pairs


@pytest.mark.parametrize("rule", ["area", "y_axis", "convex"])
def test_baselines_say_nothing(rule):
    corner = box_mask(H, W, 5, 5, 30, 30) & ~box_mask(H, W, 18, 18, 40, 40)
    graph = HeuristicOrdering(rule)([scene_of([corner, box_mask(H, W, 18, 18, 40, 35)])])[0]
    assert len(graph.edges) == 1
    assert graph.confidence(*graph.edges[0]) is None and graph.mutual_pairs == {}


def test_config_keys(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "MODEL: {META_ARCHITECTURE: PCNetM, DEVICE: cpu}\n"
        "DEOCCLUSION: {MUTUAL_SHARE: 0.3, MUTUAL_DIFFERENCE: 0.4, PAPER_PROTOCOL: True}\n"
    )
    cfg = load_config(str(path))
    deoccluder = Deoccluder.from_config(cfg, random_model())
    said = deoccluder.describe()
    assert (said["mutual_share"], said["mutual_difference"]) == (0.3, 0.4)
    ordering = deoccluder._ordering
    assert (ordering.mutual_share, ordering.mutual_difference) == (0.3, 0.4)
    for key in ("MUTUAL_SHARE", "MUTUAL_DIFFERENCE"):
        cfg.DEOCCLUSION[key] = 1.5
        with pytest.raises(UserError, match=f"{key} = 1.5: use a number from 0 to 1"):
            Deoccluder.from_config(cfg, random_model())
        cfg.DEOCCLUSION[key] = 0.1

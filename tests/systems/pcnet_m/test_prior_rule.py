"""The fit of the ordering prior on pairs with a planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.systems.pcnet_m.ordering_prior import OrderingPrior
from deocclusion_d2.systems.pcnet_m.pair_features import FEATURES
from deocclusion_d2.systems.pcnet_m.prior_rule import (
    DOUBT,
    ENOUGH_PAIRS,
    POSITION,
    fit_prior,
    prior_of_request,
)

LOWER, CENTRE, HULL = (FEATURES.index(name) for name in ("lower_edge", "centre", "hull"))


def geometry(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Random features, ten pairs to an image."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, len(FEATURES))), np.arange(count) // 10, rng


def dual_completion(truth: np.ndarray, rng: np.random.Generator, sure: float = 0.7) -> np.ndarray:
    """Opinions as dual completion's: 9 of 10 right where it is sure, else 3 of 5."""
    is_sure = rng.random(len(truth)) < sure
    right = rng.random(len(truth)) < np.where(is_sure, 0.9, 0.6)
    return np.where(right, truth, -truth) * np.where(is_sure, 0.9, 0.2)


def scores(prior: OrderingPrior, values: np.ndarray, relative: np.ndarray) -> np.ndarray:
    columns = [FEATURES.index(name) for name in prior.features]
    return values[:, columns] @ np.array(prior.coefficients) + prior.dual_weight * relative


def right(prior: OrderingPrior, values, relative, truth) -> float:
    return np.mean(np.sign(scores(prior, values, relative)) == truth)


def test_helpful_geometry_sets_right_what_dual_completion_is_unsure_of():
    values, images, rng = geometry(2000)
    truth = np.sign(2 * values[:, LOWER] + values[:, CENTRE])
    relative = dual_completion(truth, rng)
    assert np.mean(np.sign(relative) == truth) == pytest.approx(0.81, abs=0.02)
    prior = fit_prior(values, relative, images)
    # The truth is position's alone, so that the other features tell nothing more.
    assert prior.enabled and prior.features == POSITION
    lower, centre = prior.coefficients
    assert lower / centre == pytest.approx(2, rel=0.15)
    assert right(prior, values, relative, truth) > 0.96
    facts = prior.fitted_on
    assert facts["pairs"] == 2000
    assert facts["sure_pairs"] == np.count_nonzero(np.abs(relative) > 0.3)
    # Where dual completion is right in 9 of 10 cases, nothing predicts it better than that.
    assert facts["held_out_accuracy"] == pytest.approx(0.9, abs=0.03)
    assert facts["held_out_accuracy_of_all_features"] == pytest.approx(0.9, abs=0.03)
    assert facts["agreement_where_unsure"] == pytest.approx(0.2, abs=0.08)


def test_the_fit_takes_some_of_its_labels_for_errors():
    values, images, rng = geometry(20_000)
    log_odds = 2 * values[:, LOWER] - values[:, CENTRE]
    truth = np.where(rng.random(20_000) < 1 / (1 + np.exp(-log_odds)), 1.0, -1.0)
    labels = np.where(rng.random(20_000) < DOUBT, -truth, truth)
    prior = fit_prior(values, np.where(np.arange(20_000) % 3, 0.9, 0.1) * labels, images)
    expected = {"lower_edge": 2.0, "centre": -1.0}
    # Of plain logistic regression they would be 1.0 and -0.5.
    assert dict(zip(prior.features, prior.coefficients, strict=True)) == pytest.approx(
        expected, abs=0.1
    )


def test_does_not_take_over_the_errors_of_dual_completion():
    values, images, rng = geometry(4000)
    truth = np.sign(values[:, LOWER])
    # It is wrong, and sure, wherever the hull is far off; shape knows nothing of the truth.
    sure = np.where(np.abs(values[:, HULL]) > 1.5, np.sign(values[:, HULL]), truth) * 0.9
    relative = np.where(rng.random(4000) < 0.3, dual_completion(truth, rng, sure=0), sure)
    prior = fit_prior(values, relative, images)
    assert prior.features == POSITION
    assert np.mean(np.sign(relative) == truth) < 0.87
    assert right(prior, values, relative, truth) > 0.97


def test_decides_nothing_where_shape_tells_more_than_position():
    values, images, rng = geometry(2000)
    truth = np.sign(0.7 * values[:, LOWER] + values[:, HULL])
    relative = dual_completion(truth, rng)
    prior = fit_prior(values, relative, images)
    assert not prior.enabled and "worse than all features" in prior.fitted_on["verdict"]
    facts = prior.fitted_on
    assert facts["held_out_accuracy"] < 0.75 < 0.85 < facts["held_out_accuracy_of_all_features"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [120, 1000])
def test_useless_geometry_decides_nothing(count, seed):
    values, images, rng = geometry(count, seed)
    relative = dual_completion(rng.choice([-1.0, 1.0], count), rng)
    prior = fit_prior(values, relative, images)
    assert not prior.enabled and set(prior.coefficients) == {0.0}
    assert np.array_equal(np.sign(scores(prior, values, relative)), np.sign(relative))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [300, 2000])
def test_geometry_that_misleads_where_dual_completion_is_unsure_decides_nothing(count, seed):
    values, images, rng = geometry(count, seed)
    truth = np.sign(values[:, LOWER])
    relative = dual_completion(truth, rng)
    # Right for the sure pairs, which alone can teach it, and wrong for those that it would decide.
    values[np.abs(relative) < 0.3] *= -1
    prior = fit_prior(values, relative, images)
    assert prior.fitted_on["held_out_accuracy"] > 0.85
    assert prior.fitted_on["agreement_where_unsure"] < 0
    assert not prior.enabled and "unsure" in prior.fitted_on["verdict"]
    assert np.array_equal(np.sign(scores(prior, values, relative)), np.sign(relative))


def test_pairs_may_be_listed_either_way():
    values, images, rng = geometry(300)
    relative = dual_completion(np.sign(values[:, LOWER] + values[:, CENTRE]), rng)
    turned = rng.choice([-1.0, 1.0], 300)
    forward = fit_prior(values, relative, images)
    assert forward.enabled
    # To the bit.
    assert fit_prior(values * turned[:, None], relative * turned, images) == forward


def test_only_the_named_features():
    values, images, rng = geometry(500)
    truth = np.sign(values[:, LOWER] + values[:, CENTRE])
    relative = dual_completion(truth, rng)
    prior = fit_prior(values, relative, images, ("centre", "hull"))
    assert prior.features == ("centre",) and prior.enabled
    assert prior.coefficients[0] > 1
    shape = fit_prior(values, relative, images, ("hull",))
    assert shape.features == ("hull",) and not shape.enabled


def test_few_pairs_prove_nothing():
    values, images, rng = geometry(ENOUGH_PAIRS)
    relative = dual_completion(np.sign(values[:, LOWER]), rng)
    enough = fit_prior(values, relative, images)
    assert enough.enabled
    fewer = fit_prior(values[1:], relative[1:], images[1:])
    assert not fewer.enabled and fewer.fitted_on["verdict"] == "fewer than 100 pairs"
    # Of one image nothing can be held out.
    assert not fit_prior(values, relative, np.zeros(ENOUGH_PAIRS, int)).enabled


def test_fewer_pairs_shrink_the_coefficients():
    values, images, _ = geometry(1000)
    relative = np.sign(values[:, LOWER]) * np.where(np.arange(1000) % 4, 0.9, 0.1)
    found = [fit_prior(values[:n], relative[:n], images[:n]).coefficients[0] for n in (100, 1000)]
    # Without a penalty both would be without bound: nothing contradicts the lower edge.
    assert 2 < found[0] < 0.8 * found[1]


def test_of_no_pairs():
    prior = fit_prior(np.zeros((0, len(FEATURES))), np.zeros(0), np.zeros(0, int))
    assert not prior.enabled and prior.fitted_on["pairs"] == 0
    assert prior.fitted_on["held_out_accuracy"] == 0.5


def test_confidences_are_calibrated():
    # Geometry that gives the odds of the truth, and dual completion right 9 or 3 times of 5 to 10.
    values, images, rng = geometry(20_000)
    log_odds = 2 * values[:, LOWER]
    truth = np.where(rng.random(20_000) < 1 / (1 + np.exp(-log_odds)), 1.0, -1.0)
    relative = dual_completion(truth, rng)
    score = scores(fit_prior(values, relative, images), values, relative)
    probability = 1 / (1 + np.exp(-np.abs(score)))
    # A weight of 1.5 is below what independent errors would bear, and position is taught with more
    # doubt than this dual completion deserves.
    for low, high in ((0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1)):
        those = (probability >= low) & (probability < high)
        share = np.mean(np.sign(score[those]) == truth[those])
        assert abs(share - probability[those].mean()) < 0.07


# ---------------------------------------------------------------- requests


def test_a_request_with_enough_pairs_has_its_own_prior():
    values, images, rng = geometry(300)
    relative = dual_completion(np.sign(values[:, LOWER]), rng)
    other = OrderingPrior(("hull",), (9.0,), 1.5)
    own = fit_prior(values, relative, images)
    assert own.enabled and prior_of_request(values, relative, images, other) == own
    # Where it is not borne out there is none: these pairs know better than others.
    useless = rng.normal(size=values.shape)
    assert not prior_of_request(useless, relative, images, other).enabled


@pytest.mark.parametrize("count", [0, 1, 60])
def test_a_request_with_few_pairs_restrains_what_comes_from_elsewhere(count):
    values, images, rng = geometry(count)
    relative = dual_completion(rng.choice([-1.0, 1.0], count), rng)
    other = OrderingPrior(("lower_edge",), (9.0,), 1.5)
    assert prior_of_request(values, relative, images, other) == other.restrained()
    off = OrderingPrior(("lower_edge",), (9.0,), 1.5, enabled=False)
    for nothing in (None, off):
        assert not prior_of_request(values, relative, images, nothing).enabled


def test_a_request_with_few_pairs_may_bear_out_what_comes_from_elsewhere():
    values, images, _ = geometry(90)
    truth = np.sign(values[:, LOWER])
    relative = np.where(np.arange(90) % 3, 0.9, 0.2) * truth
    other = OrderingPrior(("lower_edge",), (3.0,), 1.5)
    assert prior_of_request(values, relative, images, other) == other
    assert prior_of_request(values, -relative, images, other) == other.restrained()
    # A scene with many pairs is one image: nothing of it can be held out.
    many = np.tile(values, (4, 1)), np.tile(relative, 4), np.zeros(360, int)
    assert prior_of_request(*many, other) == other

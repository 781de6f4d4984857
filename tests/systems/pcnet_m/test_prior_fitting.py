"""The fit of the ordering prior on pairs with a planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from deocclusion_d2.systems.pcnet_m import prior_fitting
from deocclusion_d2.systems.pcnet_m.ordering_prior import OrderingPrior
from deocclusion_d2.systems.pcnet_m.pair_features import FEATURES
from deocclusion_d2.systems.pcnet_m.prior_fitting import LEAST_ACCURACY, fit_prior

LOWER, CENTRE, HULL = (FEATURES.index(name) for name in ("lower_edge", "centre", "hull"))


def geometry(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Random features, ten pairs to an image."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, len(FEATURES))), np.arange(count) // 10, rng


def predicted(prior: OrderingPrior, values: np.ndarray) -> np.ndarray:
    columns = [FEATURES.index(name) for name in prior.features]
    return np.sign(values[:, columns] @ np.array(prior.coefficients))


def test_recovers_a_planted_rule_from_noisy_signs():
    values, images, rng = geometry(2000)
    truth = np.sign(2 * values[:, LOWER] + values[:, CENTRE])
    # Dual completion errs on a tenth of the pairs of which it is sure, and guesses elsewhere.
    sure = rng.random(2000) < 0.7
    right = np.where(sure, rng.random(2000) < 0.9, rng.random(2000) < 0.5)
    relative = np.where(right, truth, -truth) * np.where(sure, 0.9, 0.1)
    prior = fit_prior(values, relative, images)
    assert prior.enabled
    coefficients = np.array(prior.coefficients)
    assert coefficients[LOWER] / coefficients[CENTRE] == pytest.approx(2, rel=0.2)
    others = np.delete(coefficients, [LOWER, CENTRE])
    assert np.abs(others).max() < 0.1 * coefficients[LOWER]
    assert np.mean(predicted(prior, values) == truth) > 0.97
    assert prior.fitted_on["pairs"] == 2000 and prior.fitted_on["confident_pairs"] == sure.sum()
    # Where dual completion is right in 9 of 10 cases, nothing predicts it better than that.
    assert prior.fitted_on["held_out_accuracy"] == pytest.approx(0.9, abs=0.03)


def test_does_not_take_over_the_errors_of_dual_completion():
    values, images, _ = geometry(4000)
    truth = np.sign(values[:, LOWER])
    # It is wrong, and sure, wherever the hull is far off; shape knows nothing of the truth.
    relative = np.where(np.abs(values[:, HULL]) > 1.3, np.sign(values[:, HULL]), truth) * 0.9
    assert np.mean(np.sign(relative) == truth) == pytest.approx(0.9, abs=0.02)
    prior = fit_prior(values, relative, images)
    # Of the errors of dual completion the prior and both together set most right.
    score = 1.5 * relative + values @ np.array(prior.coefficients)
    assert np.mean(np.sign(score) == truth) > 0.95


def test_pairs_may_be_listed_either_way():
    values, images, rng = geometry(300)
    relative = np.sign(values[:, LOWER] + 0.3 * rng.normal(size=300)) * rng.random(300)
    turned = rng.choice([-1.0, 1.0], 300)
    forward = fit_prior(values, relative, images)
    backward = fit_prior(values * turned[:, None], relative * turned, images)
    assert forward.enabled
    assert backward.coefficients == pytest.approx(forward.coefficients, rel=1e-3, abs=1e-4)
    assert fit_prior(values, relative, images) == forward


def test_only_the_named_features():
    values, images, _ = geometry(500)
    relative = np.sign(values[:, LOWER] + values[:, HULL]) * 0.8
    prior = fit_prior(values, relative, images, ("hull", "lower_edge"))
    assert prior.features == ("hull", "lower_edge") and prior.enabled
    assert min(prior.coefficients) > 1


def test_decides_nothing_where_dual_completion_has_nothing_to_do_with_geometry():
    values, images, rng = geometry(1000)
    relative = rng.choice([-1.0, 1.0], 1000) * rng.random(1000)
    prior = fit_prior(values, relative, images)
    assert prior.fitted_on["held_out_accuracy"] < LEAST_ACCURACY
    assert not prior.enabled and set(prior.coefficients) == {0.0}


@pytest.mark.parametrize(("confident", "enabled"), [(0, False), (8, False), (40, True)])
def test_few_pairs_prove_nothing(confident, enabled):
    # Three standard deviations above a half: 8 of 8 pairs would have to be 103 %.
    values, _, rng = geometry(60)
    values[:, LOWER] = rng.choice([-2.0, 2.0], 60)
    relative = np.sign(values[:, LOWER]) * np.where(np.arange(60) * 7 % 60 < confident, 1.0, 0.1)
    prior = fit_prior(values, relative, np.arange(60))
    assert prior.enabled is enabled
    # Of one image nothing can be held out.
    assert not fit_prior(values, relative, np.zeros(60, int)).enabled


def test_of_no_pairs():
    prior = fit_prior(np.zeros((0, len(FEATURES))), np.zeros(0), np.zeros(0, int))
    assert not prior.enabled and prior.fitted_on["pairs"] == 0


def test_the_pairs_of_all_processes_are_those_of_one(monkeypatch):
    rng = np.random.default_rng(0)

    def pairs(*of_images: int):
        count = sum(of_images)
        numbers = np.repeat(np.arange(len(of_images)), of_images)
        return rng.normal(size=(count, len(FEATURES))), rng.normal(size=count), numbers

    # Two data sets; the first process has images 0 and 1 of the first, and image 0 of the second.
    first = [(*pairs(2, 0), 2), (*pairs(3), 1)]
    second = [(*pairs(1), 1), (*pairs(0, 2), 2)]
    monkeypatch.setattr(prior_fitting.comm, "all_gather", lambda parts: [first, second])
    values, relative, images, count = prior_fitting._together(first)
    assert count == 6
    # Images: two and one of the first data set, one and two of the second.
    assert images.tolist() == [0, 0, 2, 3, 3, 3, 5, 5]
    expected = [first[0], second[0], first[1], second[1]]
    assert np.array_equal(values, np.concatenate([part[0] for part in expected]))
    assert np.array_equal(relative, np.concatenate([part[1] for part in expected]))

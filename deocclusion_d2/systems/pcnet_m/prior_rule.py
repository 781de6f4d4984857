"""Fits the ordering prior to a data set, without any label.

Dual completion is right where its two increments differ clearly, and guesses where they do not.
So the pairs of which it is sure teach a logistic regression on the geometry of pairs. Each of their
labels may be wrong, so the likelihood of a label is that of a teacher who errs now and then
(noise-robust logistic regression: Bootkrajang & Kaban, ECML-PKDD 2012).

- It learns from position alone, and only where that predicts dual completion nearly as well as all
  features do. Position is not what dual completion looks at, so the two rarely err together;
  features of shape and size take over its errors, and overrule good networks where they should not.
- It is believed only where, on images held out, it predicts the sure pairs beyond chance, *and*
  does not contradict the pairs of which dual completion is unsure more often than it agrees. Those
  are the ones that it would overrule, and dual completion is right more often than not there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from .ordering_prior import SURE_DIFFERENCE, OrderingPrior
from .pair_features import FEATURES

# Where things lie in the image.
POSITION = ("lower_edge", "centre")
# Share of the sure pairs that is taken for errors of dual completion. Of good networks 5 to 13 %
# were, of weak ones (gaps between masks) a quarter.
DOUBT = 0.2
# Log odds of dual completion at a relative difference of 1, beside geometry. Alone it would be 3;
# beside geometry, some of whose errors it shares, true orders gave 1 to 3.
DUAL_WEIGHT = 1.5
# Position must explain this share of what all features explain of dual completion's signs
# (log-likelihood). Streets had 0.88 to 0.93, photos 0.4 to 0.6.
ENOUGH_OF_ALL = 0.85
# With fewer pairs the checks below would too often let chance pass.
ENOUGH_PAIRS = 100
# The gain on the sure pairs lies this many standard deviations above 0.
_LEAST_GAIN = 2.0
_FOLDS = 5


def fit_prior(
    values: np.ndarray,
    relative: np.ndarray,
    images: np.ndarray,
    features: Sequence[str] = FEATURES,
    fitted_on: dict[str, Any] | None = None,
) -> OrderingPrior:
    """Fit the prior to measured pairs.

    Args:
        values: (P, len(FEATURES)) of ``pair_features``.
        relative: (P,) of ``relative_difference``: dual completion's opinion.
        images: (P,) number of the image that a pair is of, ascending.
        features: names of ``FEATURES``: those of position are used, the others compared with.
        fitted_on: more to note about the data.

    Returns:
        The prior. Where the pairs do not bear it out it is not enabled, and has coefficients of 0;
        ``fitted_on["verdict"]`` says why.
    """
    position = tuple(name for name in features if name in POSITION)
    evidence, of_all = (
        _evidence_for(names, values, relative, images) for names in (position, features)
    )
    if len(relative) < ENOUGH_PAIRS:
        verdict = f"fewer than {ENOUGH_PAIRS} pairs"
    elif evidence.gain < ENOUGH_OF_ALL * of_all.gain:
        verdict = "position predicts dual completion clearly worse than all features do"
    else:
        verdict = _verdict(evidence)
    enabled = verdict == _BELIEVED
    chosen = position or tuple(features)
    fitted = _fit(_columns(values, chosen), relative) if enabled else np.zeros(len(chosen))
    return OrderingPrior(
        features=chosen,
        coefficients=tuple(map(float, fitted)),
        dual_weight=DUAL_WEIGHT,
        enabled=enabled,
        fitted_on={
            **(fitted_on or {}),
            "pairs": len(relative),
            "sure_pairs": int(np.count_nonzero(np.abs(relative) > SURE_DIFFERENCE)),
            "held_out_accuracy": evidence.accuracy,
            "held_out_accuracy_of_all_features": of_all.accuracy,
            "agreement_where_unsure": evidence.agreement,
            "verdict": verdict,
        },
    )


def prior_of_request(
    values: np.ndarray, relative: np.ndarray, images: np.ndarray, other: OrderingPrior | None = None
) -> OrderingPrior:
    """The prior for pairs that are to be ordered: fitted to these very pairs where they are enough.

    Else one that was fitted elsewhere: as it is where these pairs bear it out, or restrained.

    Args:
        values, relative, images: of these pairs, see ``fit_prior``.
        other: fitted elsewhere, with the network's weights; None for none.
    """
    enough = len(relative) >= ENOUGH_PAIRS and len(np.unique(images)) >= _FOLDS
    if enough or other is None or not other.enabled:
        return fit_prior(values, relative, images)
    # Line by line, as scores are: a scene's do not depend on those beside it.
    scores = np.array([other.geometry(row) for row in values])
    return other if _verdict(_evidence(scores, relative)) == _BELIEVED else other.restrained()


_BELIEVED = "predicts dual completion where it is sure, and agrees with it where it is not"


def _verdict(evidence: _Evidence) -> str:
    if evidence.gain_deviations <= _LEAST_GAIN:
        return "does not predict dual completion where it is sure"
    if evidence.agreement <= 0:
        return "contradicts dual completion where it is unsure, and would overrule it"
    return _BELIEVED


@dataclass(frozen=True)
class _Evidence:
    """What speaks for a geometry, on pairs that it was not fitted to.

    Attributes:
        accuracy: share of the sure pairs' signs that geometry predicts; one half without pairs.
        gain: log-likelihood of these signs, above that of coins.
        agreement: in [-1, 1], of geometry with the unsure pairs, each weighed by how sure both are.
        gain_deviations: the gain in standard deviations of chance; 0 without pairs.
    """

    accuracy: float
    gain: float
    agreement: float
    gain_deviations: float


def _evidence_for(
    names: Sequence[str],
    values: np.ndarray,
    relative: np.ndarray,
    images: np.ndarray,
) -> _Evidence:
    """What speaks for features; every pair is judged by a fit to other images.

    The images are cut into a few stretches, of which each is held out once: frames of a video that
    follow each other are much the same.
    """
    values = _columns(values, names)
    numbers = np.unique(images)
    fold = np.searchsorted(numbers, images) * _FOLDS // max(len(numbers), 1)
    scores = np.zeros(len(relative))
    for k in np.unique(fold):
        held_out = fold == k
        scores[held_out] = values[held_out] @ _fit(values[~held_out], relative[~held_out])
    return _evidence(scores, relative)


def _evidence(scores: np.ndarray, relative: np.ndarray) -> _Evidence:
    """Log odds (P,) of a geometry against dual completion's opinion (P,)."""
    # Log odds that geometry gives to dual completion's own answer.
    agrees = np.sign(relative) * scores
    sure = np.abs(relative) > SURE_DIFFERENCE
    gains = np.log(2 * _likelihood(agrees[sure], DOUBT))
    size = np.abs(relative[~sure] * np.tanh(scores[~sure] / 2))
    agreements = np.sign(agrees[~sure]) * size
    return _Evidence(
        accuracy=float(np.mean(agrees[sure] > 0)) if sure.any() else 0.5,
        gain=float(gains.sum()),
        agreement=float(agreements.sum() / size.sum()) if size.any() else 0.0,
        gain_deviations=_deviations(gains),
    )


def _deviations(terms: np.ndarray) -> float:
    """A sum of independent terms, over its standard deviation if their signs were chance."""
    return float(terms.sum() / np.sqrt((terms**2).sum())) if terms.any() else 0.0


def _likelihood(log_odds: np.ndarray, doubt: float) -> np.ndarray:
    """Of a sure pair's sign, which may be an error, from the log odds that it is right."""
    # Not 0, whose logarithm there is not, where there is no doubt.
    return np.maximum(doubt + (1 - 2 * doubt) * expit(log_odds), np.finfo(float).tiny)


def _fit(values: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """A logistic regression of the sure pairs' signs that takes some of them for errors.

    It is antisymmetric: without intercept, and the same to the bit for pairs listed either way.

    Args:
        values: (P, F) antisymmetric features.
        relative: (P,) dual completion's opinion.

    Returns:
        (F,) log odds per unit of a feature; zeros without sure pairs.
    """
    sure = np.abs(relative) > SURE_DIFFERENCE
    # As seen from the instance that dual completion puts in front.
    cases = values[sure] * np.sign(relative[sure])[:, None]
    if not cases.size:
        return np.zeros(values.shape[1])
    # The penalty needs features of one scale. It is worth one pair or so: few pairs shrink more.
    scale = np.sqrt((cases**2).mean(axis=0))
    scale[scale == 0] = 1.0
    cases = cases / scale

    def loss(weights: np.ndarray, doubt: float) -> tuple[float, np.ndarray]:
        log_odds = cases @ weights
        right, likelihood = expit(log_odds), _likelihood(log_odds, doubt)
        slope = (1 - 2 * doubt) * right * (1 - right) / likelihood
        penalty = weights @ weights / 2
        return penalty - np.log(likelihood).sum(), weights - slope @ cases

    weights = np.zeros(cases.shape[1])
    # With doubt there may be several minima: the one is taken that plain regression leads to.
    for level in (0.0, DOUBT):
        weights = minimize(loss, weights, (level,), jac=True, method="L-BFGS-B").x
    return weights / scale


def _columns(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return values[:, [FEATURES.index(name) for name in names]]

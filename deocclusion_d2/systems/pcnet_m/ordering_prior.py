"""A prior of the order of two instances, that helps dual completion where it is unsure.

It is not in the paper. ``prior_rule`` fits it without any label; here it is kept, checked and
applied.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UserError
from ...files import file_sha256, whole_file
from ...json_files import is_number, read_json_file
from ...structures import Scene
from ..base import AUTO, BESIDE_WEIGHTS
from .pair_features import FEATURES, pair_features

# Its file's name beside MODEL.WEIGHTS.
PRIOR_FILE = "ordering_prior.json"
_TYPE = "deocclusion_d2 ordering prior"
# Dual completion is sure of a pair when its relative difference is above this.
SURE_DIFFERENCE = 0.3


@dataclass(frozen=True)
class OrderingPrior:
    """Log odds that an instance is in front of another: a linear function of their geometry.

    Attributes:
        features: names of ``pair_features.FEATURES``.
        coefficients: one number for each, log odds per unit of the feature.
        dual_weight: log odds of dual completion, per unit of the increments' relative difference.
        enabled: False where the data set did not bear the prior out: it then decides nothing.
        fitted_on: what it was fitted on, for the reader of the JSON.
        limit: geometry gives at most these log odds; None for no limit. See ``restrained``.
    """

    features: tuple[str, ...]
    coefficients: tuple[float, ...]
    dual_weight: float
    enabled: bool = True
    fitted_on: dict[str, Any] = field(default_factory=dict)
    limit: float | None = None

    def restrained(self) -> OrderingPrior:
        """For data that do not bear it out: it overrules dual completion only where that is unsure.

        What was fitted to streets cost up to 10 points on photos, and restrained nothing.
        """
        return replace(self, limit=self.dual_weight * SURE_DIFFERENCE)

    def geometry(self, row: np.ndarray) -> float:
        """Log odds by geometry alone, of a pair's ``pair_features``; negated with the features."""
        columns = [FEATURES.index(name) for name in self.features]
        # Not as a matrix product: the last bits of a row's sum would depend on the rows beside it.
        score = math.fsum(row[columns] * self.coefficients)
        return score if self.limit is None else min(max(score, -self.limit), self.limit)

    def scores(
        self, scene: Scene, pairs: Sequence[tuple[int, int]], increments: np.ndarray
    ) -> np.ndarray:
        """Which of two neighbours is in front, by dual completion and geometry together.

        Args:
            pairs: P pairs (i, j) of instances with visible pixels.
            increments: (P, 2) pixels gained by i completed against j, and by j against i.

        Returns:
            (P,) float64 log odds that i is in front of j; exactly negated for (j, i). Of a prior
            that is not enabled they have the sign of dual completion.
        """
        scores = self.dual_weight * relative_difference(increments)
        if not self.enabled or not pairs:
            return scores
        return scores + [self.geometry(row) for row in pair_features(scene, pairs)]

    def describe(self) -> dict[str, Any]:
        """What decides its scores: names and numbers, for JSON."""
        return {
            "enabled": self.enabled,
            "dual_weight": self.dual_weight,
            "coefficients": dict(zip(self.features, self.coefficients, strict=True)),
            **({} if self.limit is None else {"limit": self.limit}),
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for JSON; ``from_json`` reads it."""
        content = {"type": _TYPE, **asdict(self)}
        content |= {"features": list(self.features), "coefficients": list(self.coefficients)}
        if self.limit is None:
            del content["limit"]
        return content

    def save(self, path: str | Path) -> None:
        """Write the JSON that ``load`` reads. A missing folder is made."""
        text = json.dumps(self.to_json(), indent=2)
        with whole_file(path) as file:
            file.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> OrderingPrior:
        """Read what ``save`` has written.

        Raises:
            UserError: there is no such file, it is something else, or a prior of features that
                this version does not compute.
        """
        where = f"ordering prior {str(path)!r}"
        hint = "name a JSON of tools/fit_ordering_prior.py, or leave DEOCCLUSION.ORDERING_PRIOR ''"
        try:
            content = read_json_file(path)
        except UserError as error:
            raise UserError(f"{where}: {error}; {hint}") from None
        if not isinstance(content, dict) or content.get("type") != _TYPE:
            raise UserError(f"{where} is another kind of JSON; {hint}")
        return cls.from_json(content, where)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "ordering prior") -> OrderingPrior:
        """What ``to_json`` gave.

        Args:
            where: how messages name it.

        Raises:
            UserError: see ``load``.
        """
        features = content.get("features")
        if not isinstance(features, list) or not features:
            raise UserError(f"{where} names no features; fit it anew")
        unknown = [name for name in features if name not in FEATURES]
        if unknown:
            raise UserError(
                f"{where} was fitted for features that this version does not compute "
                f"({unknown[0]!r}); fit it anew"
            )
        coefficients = content.get("coefficients")
        if not isinstance(coefficients, list) or len(coefficients) != len(features):
            raise UserError(f"{where} does not hold one coefficient for each feature; fit it anew")
        if not all(map(is_number, coefficients)):
            raise UserError(f"{where} holds coefficients that are no numbers; fit it anew")
        dual_weight = content.get("dual_weight")
        # 0 or less would drop or turn round what dual completion says.
        if not is_number(dual_weight) or dual_weight <= 0:
            raise UserError(f"{where} has no positive dual_weight; fit it anew")
        if not isinstance(content.get("enabled"), bool):
            raise UserError(f"{where} does not say whether it is enabled; fit it anew")
        limit = content.get("limit")
        if limit is not None and not (is_number(limit) and limit >= 0):
            raise UserError(f"{where} has a limit that is no number of 0 or more; fit it anew")
        return cls(
            features=tuple(features),
            coefficients=tuple(map(float, coefficients)),
            dual_weight=float(dual_weight),
            enabled=content["enabled"],
            fitted_on=dict(content.get("fitted_on") or {}),
            limit=None if limit is None else float(limit),
        )


def configured_prior(cfg) -> OrderingPrior | None:
    """The prior that ``DEOCCLUSION.ORDERING_PRIOR`` names; None for none.

    Of "auto" it is the one beside the weights, if there is one: for what has too few pairs to fit
    one of its own.

    Raises:
        UserError: the key names a file that is none.
    """
    path, weights = cfg.DEOCCLUSION.ORDERING_PRIOR, cfg.MODEL.WEIGHTS
    if not path:
        return None
    if path in (AUTO, BESIDE_WEIGHTS):
        beside = os.path.join(os.path.dirname(weights), PRIOR_FILE)
        if not os.path.isfile(beside):
            if path == AUTO:
                return None
            raise UserError(
                f"DEOCCLUSION.ORDERING_PRIOR = {path!r}: there is no {beside!r} beside "
                "MODEL.WEIGHTS; training with this config writes one, tools/fit_ordering_prior.py "
                "too; or set 'auto'"
            )
        path = beside
    return OrderingPrior.load(path)


def warn_of_other_weights(cfg, prior: OrderingPrior) -> None:
    """Say when a config's prior was fitted with other weights than ``MODEL.WEIGHTS``."""
    weights = cfg.MODEL.WEIGHTS
    expected = prior.fitted_on.get("weights_sha256")
    if expected and os.path.isfile(weights) and file_sha256(Path(weights)) != expected:
        logging.getLogger(__name__).warning(
            "The ordering prior %s was fitted with other weights than %s: fit it anew with "
            "tools/fit_ordering_prior.py for the best order",
            cfg.DEOCCLUSION.ORDERING_PRIOR,
            weights,
        )


def relative_difference(increments: np.ndarray) -> np.ndarray:
    """How clearly dual completion orders pairs.

    Args:
        increments: (P, 2) pixels gained by i completed against j, and by j against i.

    Returns:
        (P,) float64 in [-1, 1]: (second - first) / (first + second), positive where i is in front;
        0 where both are 0.
    """
    increments = np.asarray(increments, dtype=np.float64).reshape(-1, 2)
    total = increments.sum(axis=1)
    difference = increments[:, 1] - increments[:, 0]
    return np.divide(difference, total, out=np.zeros_like(total), where=total > 0)

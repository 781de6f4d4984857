"""Reliability: of the pixels that are completed with a probability, how many are the instance's?"""

from __future__ import annotations

import numpy as np

from ..structures import Deocclusion, ProbabilityMap, Scene, SceneTruth, WindowMask
from .base import SceneEvaluator, nothing_visible

RELIABILITY_BINS = 10


class ReliabilityEvaluator(SceneEvaluator):
    """Compares the probabilities of hidden regions with the true amodal masks, pixel by pixel.

    Results under ``reliability``, over the pixels that are not visible ones of the instance and
    whose probability is above 0 as it is kept (1/510); percent. Visible pixels are certain, and
    would make a method look reliable that keeps them in its maps.

    - ``predicted``: mean probability; ``true``: share of pixels that are the instance's; both also
      by bins of the probability (``predicted-p0-10``, ...): a reliable method has the same in each;
    - ``ECE``: expected calibration error, the mean over pixels of the bins' |predicted - true|
      (Guo et al., "On Calibration of Modern Neural Networks", eq. 3);
    - ``Brier``: mean squared difference of probability and truth;
    - ``pixels``: how many there were.

    Results without probabilities (``DEOCCLUSION.KEEP_PROBABILITY`` is off) give no result at all.
    """

    task = "reliability"
    metrics = ("predicted", "true", "Brier")
    unit = "pixels"
    optional = True

    def process_scene(self, scene: Scene, truth: SceneTruth, output: Deocclusion) -> None:
        if truth.amodal_masks is None or output.probabilities is None:
            return
        true_modal_masks = truth.true_modal_masks(scene)
        for row, (true, kept) in enumerate(
            zip(truth.amodal_masks, output.probabilities, strict=True)
        ):
            if kept is None or true.is_empty or not truth.knows_whole(row):
                continue
            modal = scene.modal_masks[row]
            if not nothing_visible(modal, true_modal_masks[row]):
                self._add_instance(modal, true, kept)

    def _add_instance(self, modal: WindowMask, true: WindowMask, kept: ProbabilityMap) -> None:
        x, y, width, height = kept.xywh
        box = (x, y, x + width, y + height)
        above = (kept.array > 0) & ~modal.crop(box)
        probability = kept.crop(box)[above].astype(np.float64)
        is_true = true.crop(box)[above].astype(np.float64)
        bins = np.minimum(probability * RELIABILITY_BINS, RELIABILITY_BINS - 1).astype(int)
        counts, predicted, found, squares = (
            np.bincount(bins, weights, RELIABILITY_BINS)
            for weights in (None, probability, is_true, (probability - is_true) ** 2)
        )
        for k in np.flatnonzero(counts):
            count = int(counts[k])
            ratios = {
                "predicted": (predicted[k], count),
                "true": (found[k], count),
                "Brier": (squares[k], count),
            }
            self.add(ratios, [reliability_group(k)], count)

    def derived(self, results: dict[str, float]) -> dict[str, float]:
        errors = 0.0
        for k in range(RELIABILITY_BINS):
            group = reliability_group(k)
            count = results.get(f"pixels-{group}", 0)
            if count:
                gap = results[f"predicted-{group}"] - results[f"true-{group}"]
                errors += count * abs(gap)
        return {"ECE": errors / results["pixels"]} if results["pixels"] else {}


def reliability_group(k: int) -> str:
    """Group of the k-th bin of the probability: "p0-10", "p10-20", ..."""
    width = 100 // RELIABILITY_BINS
    return f"p{k * width}-{(k + 1) * width}"

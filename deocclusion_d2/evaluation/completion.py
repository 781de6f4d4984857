"""Amodal completion: how well do the completed masks agree with the true amodal masks?"""

from __future__ import annotations

from collections.abc import Sequence

from ..structures import Deocclusion, Scene, SceneTruth, WindowMask
from ..structures.mask_sample import MaskSample
from .base import SceneEvaluator, nothing_visible
from .occlusion_groups import hidden_share_group

# Before the name of a metric: of the best one of an instance's completion and its samples.
BEST_OF_SAMPLES = "best_of_samples_"


def completion_areas(
    predicted: WindowMask,
    true: WindowMask,
    modal: WindowMask,
    true_modal: WindowMask | None = None,
) -> tuple[int, int, int, int]:
    """Pixels by which a completed mask and its invisible part are judged.

    Args:
        predicted: completed amodal mask.
        true: true amodal mask.
        modal: visible pixels, which were completed.
        true_modal: the true visible pixels, where ``modal`` is a prediction.

    Returns:
        Intersection and union of ``predicted`` and ``true``, then intersection and union of their
        invisible parts, ``predicted \\ modal`` and ``true \\ true_modal``. All in pixels; an
        invisible union of 0 means that neither mask holds a hidden pixel.
    """
    true_modal = modal if true_modal is None else true_modal
    both = predicted & true
    intersection, predicted_area, true_area = both.area, predicted.area, true.area
    visible = modal if true_modal is modal else modal | true_modal
    invisible_intersection = intersection - both.intersection_area(visible)
    invisible_predicted = predicted_area - predicted.intersection_area(modal)
    invisible_true = true_area - true.intersection_area(true_modal)
    return (
        intersection,
        predicted_area + true_area - intersection,
        invisible_intersection,
        invisible_predicted + invisible_true - invisible_intersection,
    )


class AmodalCompletionEvaluator(SceneEvaluator):
    """IoU of completed masks, whole and of the invisible part alone (the paper's Table 2).

    Results, in percent, under ``completion``:

    - ``mIoU_sum``: sum of intersections / sum of unions, the form of the released code;
    - ``mIoU_mean``: mean of the instances' IoUs;
    - ``invisible_IoU_sum``, ``invisible_IoU_mean``: the same two forms for predicted \\ modal
      against true \\ modal, over truly occluded instances only;
    - ``instances``: how many were measured.

    Results with samples (``Deocclusion.samples``) also have the four with ``best_of_samples_`` in
    front: those of an oracle, which of an instance's completion and its samples takes the one with
    the highest IoU with the *true* amodal mask; of equal ones the completion. They say how much the
    distribution holds (Amodal-VAE, supplement, Fig. 1, "best in samples"), and are no figures of
    the method: it cannot know which one to take. More samples never lower its ``mIoU_mean``.

    Each also by true hidden share (``mIoU_mean-hidden0``, ``-hidden0-25``, ..., see
    ``occlusion_groups.hidden_share_group``) and over all truly occluded instances (``-occluded``).

    Conventions:

    - An instance is truly occluded when its true amodal mask holds a pixel that its modal mask
      does not.
    - Instances of which the labels do not know the whole (``SceneTruth.amodal_exact``) are left out
      and counted.
    - Fully hidden instances (empty modal mask; COCOA has some) are left out and counted: a method
      that starts from visible pixels has nothing to complete. So are instances with an empty true
      amodal mask, for which no IoU exists.
    - Where the modal masks are predicted ones (Table 3), hidden is what the *true* modal mask does
      not hold, and of the completed mask what the predicted one does not. Instances without a
      prediction (none matched, or others of higher score cover it) are left out and counted under
      that name: in the paper every instance has one.
    - An empty completion of a visible instance has IoU 0, and a completion that adds nothing to a
      truly occluded instance has invisible IoU 0.
    - The invisible IoU of an instance that is not occluded is undefined and not counted; pixels
      wrongly added to it lower mIoU only.
    """

    task = "completion"
    metrics = ("mIoU_sum", "mIoU_mean", "invisible_IoU_sum", "invisible_IoU_mean")
    rare_metrics = tuple(f"{BEST_OF_SAMPLES}{metric}" for metric in metrics)
    unit = "instances"

    def __init__(self, output_dir: str | None = None, hidden_bins: int = 4) -> None:
        """
        Args:
            output_dir: see ``SceneEvaluator``.
            hidden_bins: number of bins of the hidden share, a divisor of 100.
        """
        super().__init__(output_dir)
        self._hidden_bins = hidden_bins

    def process_scene(self, scene: Scene, truth: SceneTruth, output: Deocclusion) -> None:
        if truth.amodal_masks is None:
            if len(scene):
                self.leave_out("images without true amodal masks")
            return
        for row, (modal, true_modal, true, predicted) in enumerate(
            zip(
                scene.modal_masks,
                truth.true_modal_masks(scene),
                truth.amodal_masks,
                output.amodal_masks,
                strict=True,
            )
        ):
            reason = nothing_visible(modal, true_modal)
            if not truth.knows_whole(row):
                self.leave_out("instances of which nobody knows the whole")
            elif true.is_empty:
                self.leave_out("instances with an empty true amodal mask")
            elif reason:
                self.leave_out(reason)
            else:
                samples = None if output.samples is None else output.samples[row]
                self._add_instance(modal, true_modal, true, predicted, samples)

    def _add_instance(
        self,
        modal: WindowMask,
        true_modal: WindowMask,
        true: WindowMask,
        predicted: WindowMask,
        samples: Sequence[MaskSample] | None,
    ) -> None:
        total = true.area
        hidden = total - true.intersection_area(true_modal)
        areas = completion_areas(predicted, true, modal, true_modal)
        ratios = _ratios(areas, bool(hidden))
        if samples is not None:
            drawn = [completion_areas(s.mask, true, modal, true_modal) for s in samples]
            best = max([areas, *drawn], key=lambda found: found[0] / found[1])
            of_best = _ratios(best, bool(hidden))
            ratios |= {f"{BEST_OF_SAMPLES}{metric}": ratio for metric, ratio in of_best.items()}
        groups = [hidden_share_group(hidden, total, self._hidden_bins)]
        if hidden:
            groups.append("occluded")
        self.add(ratios, groups)


def _ratios(areas: tuple[int, int, int, int], hidden: bool) -> dict[str, tuple[float, float]]:
    """Metric -> (numerator, denominator) of one mask, by ``completion_areas``.

    Args:
        hidden: whether the instance is truly occluded.
    """
    intersection, union, inv_intersection, inv_union = areas
    ratios: dict[str, tuple[float, float]] = {
        "mIoU_sum": (intersection, union),
        "mIoU_mean": (intersection / union, 1),
    }
    if hidden:
        ratios["invisible_IoU_sum"] = (inv_intersection, inv_union)
        ratios["invisible_IoU_mean"] = (inv_intersection / inv_union, 1)
    return ratios

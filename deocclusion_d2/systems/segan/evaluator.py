"""What SeGAN's paper measures: three shares of masks, and errors of painted colours.

Its released code defines the IoUs otherwise than one would expect; both forms are given.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators, inference_on_dataset
from tabulate import tabulate
from torch import nn

from ...data.loaders import build_scene_test_loader
from ...evaluation import build_evaluators as build_scene_evaluators
from ...evaluation.base import SumEvaluator, Sums, nothing_visible
from ...evaluation.content.evaluator import hole_errors
from ...inference.network_runner import NetworkRunner
from ...inference.weights import load_model
from ...structures import Deocclusion, Scene, SceneTruth, WindowMask
from .box_crop import BoxCrop
from .mapper import Views
from .network import has_learned
from .steps import (
    SeGANCompletion,
    SeGANLayers,
    Segmenting,
    build_completion,
    build_ordering,
)

# In the order of the paper's Table 1, and Table 2.
METRICS = (
    "union",
    "visible",
    "invisible",
    "union_code",
    "visible_code",
    "invisible_code",
    "L1",
    "L2",
    "L1_hidden",
    "L2_hidden",
    "outside",
)


@dataclass
class SeGANResult:
    """What SeGAN makes of a scene of N instances.

    Attributes:
        deocclusion: order and masks.
        boxes: row -> the box that was segmented and painted.
        whole: row -> what the segmentor takes for the whole object, as it is.
        painted: row -> (P, P, 3) float32, 0 to 255, the painted box, by its own mask; empty where
            the painter has not learned yet.
    """

    deocclusion: Deocclusion
    boxes: Mapping[int, BoxCrop]
    whole: Mapping[int, WindowMask]
    painted: Mapping[int, np.ndarray]


class SeGANPredictor:
    """Orders, segments and paints every instance of scenes.

    Args:
        segmenting: runs the segmentor.
        completion, ordering: the steps on it.
        paints: whether its painter has learned.
    """

    uses_rgb = True

    def __init__(
        self,
        segmenting: Segmenting,
        completion: SeGANCompletion,
        ordering: SeGANLayers,
        paints: bool = True,
    ) -> None:
        self.segmenting = segmenting
        self.steps = (ordering, completion)
        self.paints = paints

    def __call__(self, records: Sequence[Mapping]) -> list[SeGANResult]:
        """Dicts of ``SceneMapper`` -> a result each."""
        scenes = [record["scene"] for record in records]
        ordering, completion = self.steps
        segmented = self.segmenting.masks(scenes)
        graphs = ordering.of_masks(scenes, segmented)
        completed = completion.of_masks(scenes, graphs, segmented)
        results = []
        for scene, whole, found in zip(scenes, segmented, completed, strict=True):
            rows = [row for row, mask in enumerate(scene.modal_masks) if not mask.is_empty]
            boxes = {row: self.segmenting.box_of(scene, row) for row in rows}
            to_paint = rows if self.paints else []
            painted = self.segmenting.runner.outputs(
                (
                    self.segmenting.painter_sample(scene, row, boxes[row], whole[row])
                    for row in to_paint
                ),
                "rgb",
            )
            results.append(
                SeGANResult(found, boxes, whole, dict(zip(to_paint, painted, strict=True)))
            )
        return results


class SeGANEvaluator(SumEvaluator):
    """The measures of SeGAN's paper; the visible masks are those of the data set.

    Results under ``segan``, in percent but for colours, which are in [0, 1]; means over instances:

    - ``union``, ``visible``, ``invisible``: IoU of the segmented with the whole object; share of
      the visible part that it holds; IoU of both without the visible part, over instances that have
      a hidden one;
    - ``union_code``, ``visible_code``, ``invisible_code``: as the released code has them, in the
      box at the mask's resolution: IoU with the whole object; IoU of the same mask with the
      *visible* part; the share of the hidden part that it holds, 0 for instances without one;
    - ``L1``, ``L2``: mean absolute and squared error of the painted box to the whole object on
      grey, over all of it; ``L1_hidden``, ``L2_hidden``: over hidden pixels alone, where somebody
      knows their colours;
    - ``outside``: share of the hidden pixels that the box does not reach.

    Args:
        views: how SeGAN looks at an instance.
        output_dir: see ``SumEvaluator``.
    """

    task = "segan"
    unit = "instances"

    def __init__(self, views: Views, output_dir: str | None = None) -> None:
        self.views = views
        super().__init__(output_dir)

    def empty(self) -> tuple[Sums, Sums]:
        return Counter(), Counter()

    def process(self, inputs: list[dict], outputs: list[SeGANResult]) -> None:
        """Add the images of a batch.

        Args:
            inputs: dicts with ``scene`` (:class:`Scene`) and ``truth`` (:class:`SceneTruth`).
            outputs: one :class:`SeGANResult` per input.
        """
        for record, output in zip(inputs, outputs, strict=True):
            scene, truth = record["scene"], record["truth"]
            if truth.amodal_masks is None:
                self.leave_out("images without true amodal masks")
                continue
            for row, modal in enumerate(scene.modal_masks):
                reason = nothing_visible(modal, truth.true_modal_masks(scene)[row])
                if not truth.knows_whole(row):
                    reason = "instances of which nobody knows the whole"
                if reason:
                    self.leave_out(reason)
                else:
                    self._add(scene, truth, row, output)

    def _add(self, scene: Scene, truth: SceneTruth, row: int, output: SeGANResult) -> None:
        box, whole = output.boxes[row], output.whole[row]
        visible = truth.true_modal_masks(scene)[row]
        true = truth.amodal_masks[row]
        hidden = true - visible
        found = self._masks(box, whole, visible, true, hidden)
        if not hidden.is_empty:
            reached = WindowMask.filled(box.box)
            found["outside"] = 100 * (1 - hidden.intersection_area(reached) / hidden.area)
        photo = None if truth.unhidden is None else truth.unhidden(row, scene.image)
        if photo is not None and row in output.painted:
            found |= self._colours(box, photo, true, hidden, output.painted[row])
        counts, sums = self.parts
        counts[self.unit] += 1
        for metric, value in found.items():
            counts[metric] += 1
            sums[metric] += value

    def _masks(
        self,
        box: BoxCrop,
        whole: WindowMask,
        visible: WindowMask,
        true: WindowMask,
        hidden: WindowMask,
    ) -> dict[str, float]:
        values = {
            "union": whole.iou(true),
            "visible": whole.intersection_area(visible) / visible.area,
        }
        if not hidden.is_empty:
            values["invisible"] = (whole - visible).iou(hidden)
        side = self.views.mask_size
        in_box = [box.sample(mask, side) for mask in (whole, true, visible, hidden)]
        values |= code_measures(*in_box)
        return {name: 100 * value for name, value in values.items()}

    def _colours(
        self,
        box: BoxCrop,
        photo: np.ndarray,
        true: WindowMask,
        hidden: WindowMask,
        painted: np.ndarray,
    ) -> dict[str, float]:
        target = box.on_neutral(box.window(photo), true)
        wanted = box.resize_colours(target, self.views.paint_size)
        given = np.clip(np.round(painted), 0, 255).astype(np.uint8)
        values = dict(zip(("L1", "L2"), _errors(given, wanted), strict=True))
        inside = box.sample(hidden, self.views.paint_size)
        if inside.any():
            errors = hole_errors(given[inside], wanted[inside])
            values |= dict(zip(("L1_hidden", "L2_hidden"), errors, strict=True))
        return values

    def summarise(self, counts: Sums, sums: Sums) -> tuple[OrderedDict[str, float], str]:
        results = OrderedDict((m, sums[m] / counts[m]) for m in METRICS if counts[m])
        results[self.unit] = counts[self.unit]
        text = tabulate([results], headers="keys", tablefmt="pipe", floatfmt=".4g")
        return results, f"\n{text}"


def code_measures(
    whole: np.ndarray, true: np.ndarray, visible: np.ndarray, hidden: np.ndarray
) -> dict[str, float]:
    """The three measures of the released code, in [0, 1].

    Args:
        whole: (M, M) bool, the segmented object.
        true, visible, hidden: (M, M) bool, the true one, and its parts.
    """

    def of(first: np.ndarray, second: np.ndarray) -> float:
        total = int((first | second).sum())
        return int((first & second).sum()) / total if total else 0.0

    found = int((whole & hidden).sum())
    return {
        "union_code": of(whole, true),
        "visible_code": of(whole, visible),
        "invisible_code": found / int(hidden.sum()) if hidden.any() else 0.0,
    }


def _errors(given: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    return hole_errors(given.reshape(-1, 3), wanted.reshape(-1, 3))


class _OfDeocclusions(DatasetEvaluator):
    """An evaluator of ``Deocclusion``s, given SeGAN's results."""

    def __init__(self, inner: DatasetEvaluator) -> None:
        self._inner = inner

    def reset(self) -> None:
        self._inner.reset()

    def process(self, inputs: list[dict], outputs: list[SeGANResult]) -> None:
        self._inner.process(inputs, [output.deocclusion for output in outputs])

    def evaluate(self) -> dict:
        return self._inner.evaluate()


def build_evaluators(cfg, dataset_name: str, output_dir: str | None) -> DatasetEvaluators:
    """Those of the data set, and SeGAN's own."""
    common = _OfDeocclusions(build_scene_evaluators(dataset_name, output_dir))
    return DatasetEvaluators([common, SeGANEvaluator(Views.from_config(cfg), output_dir)])


def build_predictor(cfg, model: nn.Module) -> SeGANPredictor:
    """What judges a trained SeGAN as a whole: by its own order, masks and colours."""
    runner = NetworkRunner.from_config(cfg, model)
    return SeGANPredictor(
        Segmenting.from_config(cfg, runner),
        build_completion(cfg, runner),
        build_ordering(cfg, runner),
        paints=cfg.MODEL.SEGAN.STAGE != "segment" and has_learned(model.painter),
    )


def measure(cfg, dataset_name: str) -> dict[str, float]:
    """The results of :class:`SeGANEvaluator` for a config with ``MODEL.WEIGHTS``."""
    loader = build_scene_test_loader(cfg, dataset_name, load_images=True)
    predictor = build_predictor(cfg, load_model(cfg))
    found = inference_on_dataset(predictor, loader, SeGANEvaluator(Views.from_config(cfg)))
    return dict(found[SeGANEvaluator.task])

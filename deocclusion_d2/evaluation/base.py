"""What the evaluators of this package share: raw sums, gathered over processes, and their report.

A metric is one numerator and one denominator per group of instances (or pairs), added up over all
images and all processes and divided once, at the end: there are no means of means anywhere.
"""

from __future__ import annotations

import json
import logging
import os
import re
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from tabulate import tabulate

from ..structures import Deocclusion, Scene, SceneTruth, WindowMask

ALL = "all"

# A running sum: (group, metric) -> value. Counters of different processes simply add up.
Sums = Counter


class SumEvaluator(DatasetEvaluator, ABC):
    """Base of the evaluators that add something up, over all images and all processes.

    A subclass names its task, says what it adds up (:meth:`empty`), does so in ``process``, and
    makes results of the sums of all processes (:meth:`summarise`). Gathering, the report and the
    file are here. No image may be seen twice; Detectron2's ``InferenceSampler``, which its test
    loaders use, takes care of that.

    Attributes:
        task: key of the results, and the stem of ``{task}_results.json``.
        unit: plural of what is counted; also the result key of the count.
        optional: nothing to measure is no result, instead of a warning.
        leaves_out: the file lists what was left out.
    """

    task: str
    unit: str
    optional: bool = False
    leaves_out: bool = True

    def __init__(self, output_dir: str | None = None) -> None:
        """
        Args:
            output_dir: folder for ``{task}_results.json``; None writes no file.
        """
        self._output_dir = output_dir
        self._logger = logging.getLogger(__name__)
        self.reset()

    # ---------------------------------------------------------------- for subclasses

    @abstractmethod
    def empty(self) -> tuple[Sums | list, ...]:
        """Sums and lists that are empty yet; ``parts`` holds those of this process."""

    @abstractmethod
    def summarise(self, *parts: Sums | list) -> tuple[OrderedDict[str, float], str]:
        """Results, and the text of the report.

        Args:
            parts: as ``empty`` has them, of all processes together.

        Returns:
            key -> value, finite; ``unit`` is one of the keys. And one or more lines for the log.
        """

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count something that is not measured; the reasons are logged and written."""
        self._left_out[reason] += count

    # ---------------------------------------------------------------- DatasetEvaluator

    def reset(self) -> None:
        self.parts = self.empty()
        self._left_out: Sums = Counter()

    def evaluate(self) -> OrderedDict:
        """Make results of what all processes have added up.

        Returns:
            On the main process ``{task: {key: value}}``, else nothing. Values are finite: a metric
            that is not defined has no key.
        """
        gathered = comm.gather((*self.parts, self._left_out), dst=0)
        if not comm.is_main_process():
            return OrderedDict()
        *parts, left_out = (_together(column) for column in zip(*gathered, strict=True))
        results, text = self.summarise(*parts)
        if self.optional and not results[self.unit]:
            return OrderedDict()
        self._report(results, text, dict(sorted(left_out.items())))
        return OrderedDict({self.task: results})

    def _report(self, results: dict[str, float], text: str, left_out: dict[str, int]) -> None:
        self._logger.info("Evaluation results for %s:%s", self.task, text)
        for reason, count in left_out.items():
            self._logger.info("Left out of %s: %d %s", self.task, count, reason)
        if not results[self.unit]:
            self._logger.warning("%s: no %s to measure", self.task, self.unit)
        if self._output_dir:
            PathManager.mkdirs(self._output_dir)
            path = os.path.join(self._output_dir, f"{self.task}_results.json")
            content: dict[str, dict] = {"results": results}
            if self.leaves_out:
                content["left_out"] = left_out
            with PathManager.open(path, "w") as file:
                file.write(json.dumps(content, indent=1, allow_nan=False) + "\n")


class SceneEvaluator(SumEvaluator):
    """Base of the evaluators that compare a ``Deocclusion`` with a ``SceneTruth``.

    A subclass names its task, its metrics and what it counts, and calls :meth:`add` and
    :meth:`leave_out` from :meth:`process_scene`.

    Results: ``metric`` over everything and ``metric-group`` for the splits (percent), ``unit`` and
    ``unit-group`` (counts). A metric whose denominator is 0 has no key.

    Attributes:
        metrics: names of the ratios, in the order in which they are reported.
        rare_metrics: those that only some methods have; reports leave them out where none has.
    """

    metrics: tuple[str, ...]
    rare_metrics: tuple[str, ...] = ()

    # ---------------------------------------------------------------- for subclasses

    @abstractmethod
    def process_scene(self, scene: Scene, truth: SceneTruth, output: Deocclusion) -> None:
        """Compare one scene's result with the truth."""

    def add(
        self, ratios: dict[str, tuple[float, float]], groups: Iterable[str], count: int = 1
    ) -> None:
        """Count one instance or pair.

        Args:
            ratios: metric -> (numerator, denominator), for the metrics defined for this one.
            groups: the groups it belongs to, beside all.
            count: how many it stands for.
        """
        counts, numerators, denominators = self.parts
        for group in (ALL, *groups):
            counts[group] += count
            for metric, (numerator, denominator) in ratios.items():
                numerators[group, metric] += numerator
                denominators[group, metric] += denominator

    def derived(self, results: dict[str, float]) -> dict[str, float]:
        """Further results, out of those that are ratios."""
        return {}

    # ---------------------------------------------------------------- SumEvaluator

    def empty(self) -> tuple[Sums, Sums, Sums]:
        return Counter(), Counter(), Counter()

    def process(self, inputs: list[dict], outputs: list[Deocclusion]) -> None:
        """Add the images of a batch.

        Args:
            inputs: dicts with ``scene`` (:class:`Scene`) and ``truth`` (:class:`SceneTruth`).
            outputs: one :class:`Deocclusion` per input.

        Raises:
            ValueError: a result or the truth does not fit the scene.
        """
        for record, output in zip(inputs, outputs, strict=True):
            scene, truth = record["scene"], record["truth"]
            _check_lengths(scene, truth, output)
            self.process_scene(scene, truth, output)

    def summarise(
        self, counts: Sums, numerators: Sums, denominators: Sums
    ) -> tuple[OrderedDict[str, float], str]:
        groups = sorted((g for g in counts if g != ALL), key=_natural_order)
        results: OrderedDict[str, float] = OrderedDict()
        metrics = [*self.metrics, *(m for m in self.rare_metrics if denominators[ALL, m])]
        table = []
        for group in (ALL, *groups):
            suffix = "" if group == ALL else f"-{group}"
            row: list[str | float | None] = [group, counts[group]]
            for metric in metrics:
                value = None
                if denominators[group, metric]:
                    value = 100.0 * numerators[group, metric] / denominators[group, metric]
                    results[metric + suffix] = value
                row.append(value)
            results[self.unit + suffix] = counts[group]
            table.append(row)
        results.update(self.derived(results))
        text = tabulate(
            table,
            headers=["group", self.unit, *(f"{metric} (%)" for metric in metrics)],
            tablefmt="pipe",
            floatfmt=".2f",
            missingval="-",
        )
        return results, f"\n{text}"


def nothing_visible(modal: WindowMask, true_modal: WindowMask) -> str | None:
    """Why an instance is left out that a method has no pixel of; None when it has some.

    Args:
        modal: the visible pixels that the method was given.
        true_modal: those that there are; another mask where ``modal`` is a prediction.
    """
    if true_modal.is_empty:
        return "fully hidden instances"
    if modal.is_empty:
        return "instances without a prediction"
    return None


def _together(parts: Sequence[Sums | list]) -> Sums | list:
    """The sums, or lists, of all processes."""
    if isinstance(parts[0], list):
        return [item for part in parts for item in part]
    # Not Counter's own sum(): it drops keys whose value is 0, and 0 % is a result.
    total: Sums = Counter()
    for counter in parts:
        total.update(counter)
    return total


def _natural_order(group: str) -> tuple[str, list[int]]:
    """hidden0, hidden0-25, ..., hidden75-100, hidden100; level0, level1, ..."""
    return re.sub(r"[\d-]+", "", group), [int(n) for n in re.findall(r"\d+", group)]


def _check_lengths(scene: Scene, truth: SceneTruth, output: Deocclusion) -> None:
    lengths = {
        "graph nodes": output.graph,
        "completed masks": output.amodal_masks,
        "lists of samples": output.samples,
        "true amodal masks": truth.amodal_masks,
        "true modal masks": truth.modal_masks,
        "marks of exact amodal masks": truth.amodal_exact,
        "amodal boxes": truth.amodal_boxes,
        "occlusion levels": truth.occlusion_levels,
        "depths": truth.depths,
    }
    for name, values in lengths.items():
        if values is not None and len(values) != len(scene):
            raise ValueError(
                f"{scene.description}: {len(values)} {name} for {len(scene)} instances; "
                "give one per instance, in the scene's order"
            )

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
from collections.abc import Iterable

from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager
from tabulate import tabulate

from ..structures import Deocclusion, Scene, SceneTruth, WindowMask

ALL = "all"

# A running sum: (group, metric) -> value. Counters of different processes simply add up.
Sums = Counter


class SceneEvaluator(DatasetEvaluator, ABC):
    """Base of the evaluators that compare a ``Deocclusion`` with a ``SceneTruth``.

    A subclass names its task, its metrics and what it counts, and calls :meth:`add` and
    :meth:`leave_out` from :meth:`process_scene`. Everything else, above all adding up over
    processes, is done here. No image may be seen twice; Detectron2's ``InferenceSampler``, which
    its test loaders use, takes care of that.

    Attributes:
        task: key of the results, and the stem of ``{task}_results.json``.
        metrics: names of the ratios, in the order in which they are reported.
        unit: plural of what is counted; also the result key of the count.
        optional: nothing to measure is no result, instead of a warning.
    """

    task: str
    metrics: tuple[str, ...]
    unit: str
    optional: bool = False

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
        for group in (ALL, *groups):
            self._counts[group] += count
            for metric, (numerator, denominator) in ratios.items():
                self._numerators[group, metric] += numerator
                self._denominators[group, metric] += denominator

    def derived(self, results: dict[str, float]) -> dict[str, float]:
        """Further results, out of those that are ratios."""
        return {}

    def leave_out(self, reason: str) -> None:
        """Count something that is not measured; the reasons are logged and written."""
        self._left_out[reason] += 1

    # ---------------------------------------------------------------- DatasetEvaluator

    def reset(self) -> None:
        self._counts: Sums = Counter()
        self._numerators: Sums = Counter()
        self._denominators: Sums = Counter()
        self._left_out: Sums = Counter()

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

    def evaluate(self) -> OrderedDict:
        """Divide the sums of all processes.

        Returns:
            On the main process ``{task: {key: value}}``, else nothing. Keys: ``metric`` over
            everything and ``metric-group`` for the splits (percent), ``unit`` and ``unit-group``
            (counts). Values are finite: a metric whose denominator is 0 has no key.
        """
        local = (self._counts, self._numerators, self._denominators, self._left_out)
        gathered = comm.gather(local, dst=0)
        if not comm.is_main_process():
            return OrderedDict()
        # Not Counter's own sum(): it drops keys whose value is 0, and 0 % is a result.
        counts, numerators, denominators, left_out = (
            add_up(c) for c in zip(*gathered, strict=True)
        )

        if self.optional and not counts[ALL]:
            return OrderedDict()
        groups = sorted((g for g in counts if g != ALL), key=_natural_order)
        results: OrderedDict[str, float] = OrderedDict()
        table = []
        for group in (ALL, *groups):
            suffix = "" if group == ALL else f"-{group}"
            row: list[str | float | None] = [group, counts[group]]
            for metric in self.metrics:
                value = None
                if denominators[group, metric]:
                    value = 100.0 * numerators[group, metric] / denominators[group, metric]
                    results[metric + suffix] = value
                row.append(value)
            results[self.unit + suffix] = counts[group]
            table.append(row)

        results.update(self.derived(results))
        self._report(table, results, left_out)
        return OrderedDict({self.task: results})

    def _report(self, table: list[list], results: dict[str, float], left_out: Sums) -> None:
        text = tabulate(
            table,
            headers=["group", self.unit, *(f"{metric} (%)" for metric in self.metrics)],
            tablefmt="pipe",
            floatfmt=".2f",
            missingval="-",
        )
        self._logger.info("Evaluation results for %s:\n%s", self.task, text)
        for reason, count in sorted(left_out.items()):
            self._logger.info("Left out of %s: %d %s", self.task, count, reason)
        if not results[self.unit]:
            self._logger.warning("%s: no %s to measure", self.task, self.unit)
        if self._output_dir:
            PathManager.mkdirs(self._output_dir)
            path = os.path.join(self._output_dir, f"{self.task}_results.json")
            with PathManager.open(path, "w") as file:
                content = {"results": results, "left_out": dict(sorted(left_out.items()))}
                file.write(json.dumps(content, indent=1, allow_nan=False) + "\n")


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


def add_up(counters: Iterable[Sums]) -> Sums:
    """The sums of all processes; a key whose value is 0 stays."""
    total: Sums = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _natural_order(group: str) -> tuple[str, list[int]]:
    """hidden0, hidden0-25, ..., hidden75-100, hidden100; level0, level1, ..."""
    return re.sub(r"[\d-]+", "", group), [int(n) for n in re.findall(r"\d+", group)]


def _check_lengths(scene: Scene, truth: SceneTruth, output: Deocclusion) -> None:
    lengths = {
        "graph nodes": output.graph,
        "completed masks": output.amodal_masks,
        "true amodal masks": truth.amodal_masks,
        "true modal masks": truth.modal_masks,
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

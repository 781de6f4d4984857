"""Completion by several completions.

A pixel is decided by the members that count there. Where one counts alone, its own mask decides, to
the bit: some decide before they paste into the image, where their probabilities do not tell any
more. Where several count, the pixel is the object's if the mean of their probabilities is above the
mean of their thresholds; a member that gives no probabilities says 0 or 1, with a threshold of 0.5.

Shape shorthand: M: members; h, w: a window around all that members say of an instance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...inference.steps import Completion, Outside, constrains, where_it_speaks
from ...structures import Deocclusion, OcclusionGraph, ProbabilityMap, Scene, WindowMask
from ...structures.window_mask import Box, box_around
from ..base import Member

if TYPE_CHECKING:
    from ...inference.network_runner import NetworkRunner

# ``DEOCCLUSION.ENSEMBLE.RULE``.
RULES = ("mean", "first")
# What a ``ProbabilityMap`` calls certain.
_CERTAIN = 255
_THRESHOLD_OF_MASKS = 0.5


@dataclass(frozen=True, eq=False)
class _Word:
    """What a member says of an instance.

    Attributes:
        mask: its completion.
        probability: None where it gives none.
        threshold: of its probabilities.
        region: where it speaks; None: everywhere.
    """

    mask: WindowMask
    probability: ProbabilityMap | None
    threshold: float
    region: WindowMask | Outside | None

    @property
    def box(self) -> Box:
        """Around all pixels that it may hold to be the instance's."""
        return box_around([self.mask.box, *([self.probability.box] if self.probability else [])])

    def speaks(self, box: Box) -> np.ndarray:
        """(h, w) bool."""
        if self.region is None:
            return np.ones((box[3] - box[1], box[2] - box[0]), dtype=bool)
        return self.region.crop(box)

    def levels(self, box: Box) -> np.ndarray:
        """Probabilities in parts of ``_CERTAIN``: (h, w) int32."""
        if self.probability is None:
            return self.mask.crop(box) * np.int32(_CERTAIN)
        return self.probability.crop_levels(box).astype(np.int32)


class EnsembleCompletion:
    """Completes instances by several completions, each where it has something to say.

    Where a member speaks, it says itself, see ``inference.steps.where_it_speaks``. Where none does,
    the first one's mask stands: with visible pixels kept, the modal mask.

    Args:
        members: at least one. Those that can give probabilities do, unless the rule is "first" and
            none are kept.
        rule: "mean": of the members that speak at a pixel all count; "first": the first of them.
        constrain: True: the result is ``modal | completion``, which keeps visible pixels.
        keep_probability: also give the mean of the probabilities of those that count.
        description: what ``describe`` says.
    """

    def __init__(
        self,
        members: Sequence[Completion],
        *,
        rule: str = RULES[0],
        constrain: bool = True,
        keep_probability: bool = False,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        self.members = list(members)
        self.rule = rule
        self.constrain = constrain
        self.keep_probability = keep_probability
        self._description = dict(description or {})

    @property
    def uses_rgb(self) -> bool:
        return any(member.uses_rgb for member in self.members)

    @property
    def uses_category(self) -> bool:
        return any(member.uses_category for member in self.members)

    @property
    def runners(self) -> Sequence[NetworkRunner]:
        return [runner for member in self.members for runner in member.runners]

    def describe(self) -> dict[str, Any]:
        return dict(self._description)

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """Amodal masks of every instance of every scene; an empty mask stays empty."""
        # One member after the other: a worker's networks share one way to where they run.
        by_member = [member(scenes, graphs) for member in self.members]
        return [
            self._together(scene, graph, found)
            for scene, graph, *found in zip(scenes, graphs, *by_member, strict=True)
        ]

    def _together(
        self, scene: Scene, graph: OcclusionGraph, found: Sequence[Deocclusion]
    ) -> Deocclusion:
        """One result of those of M members."""
        keeps = self.keep_probability and any(f.probabilities is not None for f in found)
        result = Deocclusion(
            graph,
            list(scene.modal_masks),
            probabilities=[None] * len(scene) if keeps else None,
        )
        for row, modal in enumerate(scene.modal_masks):
            words = self._words(scene, graph, found, row)
            if all(word.mask == modal and word.probability is None for word in words):
                continue
            mask, probability = self._decide(words)
            result.amodal_masks[row] = modal | mask if self.constrain else mask
            if result.probabilities is not None:
                result.probabilities[row] = probability
        if any(f.unclipped_boxes is not None for f in found):
            result.unclipped_boxes = [
                box_around([mask.box, *_outside(scene, found, row)])
                for row, mask in enumerate(result.amodal_masks)
            ]
        return result

    def _words(
        self, scene: Scene, graph: OcclusionGraph, found: Sequence[Deocclusion], row: int
    ) -> list[_Word]:
        words = []
        for member, result in zip(self.members, found, strict=True):
            kept = None if result.probabilities is None else result.probabilities[row]
            threshold = _THRESHOLD_OF_MASKS if kept is None else member.threshold
            region = where_it_speaks(member, scene, graph, row)
            words.append(_Word(result.amodal_masks[row], kept, threshold, region))
        return words

    def _decide(self, words: Sequence[_Word]) -> tuple[WindowMask, ProbabilityMap | None]:
        """The completion, and the mean probability of those that count; None if none gives any."""
        if len(words) == 1:
            return words[0].mask, words[0].probability
        box = box_around(word.box for word in words)
        counts = np.stack([word.speaks(box) for word in words])
        if self.rule == "first":
            # Also of those that speak no more than the ones before them.
            counts[1:] &= ~np.logical_or.accumulate(counts[:-1])
        number = counts.sum(axis=0)
        masks = np.stack([word.mask.crop(box) for word in words])
        decided = np.where(number == 1, (masks & counts).any(axis=0), masks[0])
        asked = [word.probability is not None for word in words]
        if not any(asked) and number.max(initial=0) < 2:
            return WindowMask.from_array(decided, *box[:2]), None
        levels = np.stack([word.levels(box) for word in words])
        levels[~counts] = 0
        total = levels.sum(axis=0)
        # Sums, not means: there is no quotient whose rounding could take sides.
        least = sum(c * (w.threshold * _CERTAIN) for w, c in zip(words, counts, strict=True))
        decided = np.where(number > 1, total > least, decided)
        mask = WindowMask.from_array(decided, *box[:2])
        if not any(asked):
            return mask, None
        mean = total / np.maximum(number, 1) / _CERTAIN
        return mask, ProbabilityMap.from_array(mean, *box[:2])


def _outside(scene: Scene, found: Sequence[Deocclusion], row: int) -> list[Box]:
    """The whole objects' boxes of the members for which an object goes on outside the image."""
    boxes = [f.unclipped_boxes[row] for f in found if f.unclipped_boxes is not None]
    width, height = scene.width, scene.height
    return [b for b in boxes if b[0] < 0 or b[1] < 0 or b[2] > width or b[3] > height]


def build_completion(cfg, members: Sequence[Member]) -> EnsembleCompletion:
    """The completion "ensemble".

    Raises:
        UserError: DEOCCLUSION.ENSEMBLE.RULE is no rule; or see the builders of the members.
    """
    options = cfg.DEOCCLUSION
    rule = options.ENSEMBLE.RULE
    if rule not in RULES:
        raise UserError(f"DEOCCLUSION.ENSEMBLE.RULE = {rule!r}: use {' or '.join(RULES)}")
    # By "first" masks decide alone: probabilities cost the way from the network.
    asks = options.KEEP_PROBABILITY or (rule != "first" and len(members) > 1)
    completions = [member.build(KEEP_PROBABILITY=asks) for member in members]
    return EnsembleCompletion(
        completions,
        rule=rule,
        constrain=constrains(cfg),
        keep_probability=options.KEEP_PROBABILITY,
        description={
            "ensemble": {
                "rule": rule,
                "members": [
                    {"completion": member.name, **completion.describe(), **member.source}
                    for member, completion in zip(members, completions, strict=True)
                ],
            }
        },
    )

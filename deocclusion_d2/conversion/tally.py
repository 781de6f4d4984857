"""What a conversion has done, in numbers: kept per shard, added up, printed as a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..data.datasets.assumptions import Assumptions, about_shares
from ..structures import OverlapSummary

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass
class Tally:
    """Counts of a shard, or of a whole conversion.

    Attributes:
        images: images with at least one instance.
        instances: instances converted; neither crowd regions nor what was skipped.
        crowds: crowd regions passed through.
        hidden: instances whose modal mask is empty.
        occluded: instances with a direct occluder.
        grown: instances whose amodal mask holds pixels that the modal mask does not.
        added_pixels: those pixels, of all instances.
        grown_modal_pixels: pixels of the modal masks of the grown instances.
        cycles: groups of instances that hide each other in a circle.
        mutual: pairs of instances that hide parts of each other.
        overlapping: pairs of modal masks that share pixels.
        shared_pixels: pixels of modal masks that another mask owns.
        pixels_there: pixels of all modal masks of the images in which some overlap.
        covered: instances of which more than half lies on others.
        without_own_pixel: instances of which others own every pixel.
        low_scores: predictions left out for their score.
        boxes_kept: instances with an empty modal mask whose given box and area are kept.
        normalised: instances whose polygons lie between 0 and 1, as shares of the image size do.
        specks: those of them that hold a pixel, so that ``hidden`` does not count them.
        attributes_left: instances whose ``attributes`` are no object, and stay as they are.
        attributes_replaced: instances whose ``attributes`` said otherwise what we say in them.
        holes: holes that are joined to the outline of a polygon.
        skipped: number of annotations left as they were, by reason.
        examples: message of the first of them, by reason.
        assumed: what had to be assumed or dropped to read annotations and images.
    """

    images: int = 0
    instances: int = 0
    crowds: int = 0
    hidden: int = 0
    occluded: int = 0
    grown: int = 0
    added_pixels: int = 0
    grown_modal_pixels: int = 0
    cycles: int = 0
    mutual: int = 0
    overlapping: int = 0
    shared_pixels: int = 0
    pixels_there: int = 0
    covered: int = 0
    without_own_pixel: int = 0
    low_scores: int = 0
    boxes_kept: int = 0
    normalised: int = 0
    specks: int = 0
    attributes_left: int = 0
    attributes_replaced: int = 0
    holes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    assumed: Assumptions = field(default_factory=Assumptions)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Tally:
        assumed = values.get("assumed", {"counts": {}, "first": {}})
        read = {
            "skipped": Counter(values.get("skipped", {})),
            "assumed": Assumptions(Counter(assumed["counts"]), assumed["first"]),
        }
        return cls(**{**values, **read})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        assumed = {"counts": dict(self.assumed.counts), "first": self.assumed.first}
        return {**asdict(self), "skipped": dict(self.skipped), "assumed": assumed}

    def counted(self) -> dict[str, Any]:
        """What of ``to_dict`` is not zero or empty; ``from_dict`` reads it."""
        values = self.to_dict()
        if not self.assumed.counts:
            del values["assumed"]
        return {key: value for key, value in values.items() if value}

    def add(self, other: Tally) -> None:
        for name in (f.name for f in fields(self) if f.type == "int"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped.update(other.skipped)
        self.assumed.add(other.assumed)
        self.examples = {**other.examples, **self.examples}

    def add_overlaps(self, found: OverlapSummary) -> None:
        """Count the overlaps of an image's masks."""
        self.overlapping += found.pairs
        self.shared_pixels += found.shared_pixels
        self.pixels_there += found.pixels
        self.covered += found.covered
        self.without_own_pixel += found.hidden

    @property
    def overlaps(self) -> OverlapSummary | None:
        """What there is to say about overlapping masks; None when there are none."""
        if not self.overlapping:
            return None
        return OverlapSummary(
            self.overlapping,
            self.shared_pixels,
            self.pixels_there,
            self.covered,
            self.without_own_pixel,
        )

    def counts(self) -> dict[str, int]:
        """All numbers by name."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.type == "int"}
        return {**numbers, "skipped": self.skipped.total(), "assumed": self.assumed.counts.total()}

    def skip(self, message: str) -> None:
        """Count an annotation that is left as it was.

        Args:
            message: "image 3 (a.png), annotation 7: reason". Messages that differ only in the
                place and in numbers are one reason.
        """
        reason = _NUMBER.sub("N", message.partition(": ")[2] or message)
        self.skipped[reason] += 1
        self.examples.setdefault(reason, message)

    def skipped_reasons(self) -> list[dict[str, Any]]:
        """Why annotations were skipped: reason, count, and the message of the first."""
        return [
            {"reason": reason, "count": count, "first": self.examples[reason]}
            for reason, count in self.skipped.most_common()
        ]

    @property
    def has_done_nothing(self) -> bool:
        """Whether there was no annotation with a visible pixel."""
        return self.instances == self.hidden + self.specks

    def oddities(self) -> list[str]:
        """What is odd about the input as a whole, and what to do, a line each."""
        lines = []
        shares = about_shares(self.normalised, self.instances)
        if shares is not None:
            lines.append(shares)
        elif self.has_done_nothing and self.instances:
            lines.append(
                f"the masks of all {self.instances:,} instances are empty: there is nothing to "
                "de-occlude"
                + (", only boxes, which are kept: make masks first" if self.boxes_kept else "")
            )
        if not self.instances:
            others = self._others()
            said = f"there is no instance to de-occlude: {others}" if others else None
            lines.append(said or "it has no annotations: there is nothing to de-occlude")
        return lines

    def _others(self) -> str:
        """What a file without instances has instead."""
        parts = []
        if self.crowds:
            parts.append(
                f"{self.crowds:,} annotations are crowd regions, which stay as they are (set "
                "'iscrowd' to 0 where one is a single object)"
            )
        if self.low_scores:
            parts.append(f"{self.low_scores:,} predictions are of a low score (--min-score)")
        if self.skipped:
            parts.append(f"{sum(self.skipped.values()):,} annotations cannot be used")
        return "; ".join(parts)

    def table(self, seconds: float, instances_now: int) -> str:
        """The summary a user reads at the end.

        Args:
            seconds: wall time of this run.
            instances_now: instances that this run has converted; the others were finished before.
        """
        rows = [
            ("images with instances", f"{self.images:,}"),
            ("instances", f"{self.instances:,}"),
            ("occluded by another instance", share(self.occluded, self.instances)),
            ("completed (amodal > modal)", share(self.grown, self.instances)),
            ("mean added area of these", self._mean_added()),
            ("occlusion cycles", f"{self.cycles:,}"),
            ("entirely hidden", f"{self.hidden:,}"),
            ("crowd regions, untouched", f"{self.crowds:,}"),
            ("skipped, untouched", f"{sum(self.skipped.values()):,}"),
        ]
        if self.mutual:
            rows.append(("pairs that hide each other", f"{self.mutual:,}"))
        if self.boxes_kept:
            rows.append(("without a mask, box kept", f"{self.boxes_kept:,}"))
        if self.attributes_left:
            rows.append(("'attributes' no object, left", f"{self.attributes_left:,}"))
        if self.attributes_replaced:
            rows.append(("'attributes' that said otherwise", f"{self.attributes_replaced:,}"))
        if self.holes:
            rows.append(("holes, cut open in polygons", f"{self.holes:,}"))
        if self.overlaps is not None:
            rows.append(("pixels of several masks", str(self.overlaps)))
        if self.low_scores:
            rows.append(("predictions of low score, left out", f"{self.low_scores:,}"))
        rows += self.reading_rows()
        rate = instances_now / seconds if seconds > 0 else 0.0
        rows.append(("time", f"{seconds:.1f} s, {rate:,.1f} instances/s"))
        if instances_now != self.instances:
            rows.append(("  finished by an earlier run", f"{self.instances - instances_now:,}"))
        return aligned(rows)

    def reading_rows(self) -> list[tuple[str, str]]:
        """(name, value): why annotations were skipped, and what was assumed in reading."""
        rows = [
            (f"  {count:,} x", f"{reason} (first: {self.examples[reason]})")
            for reason, count in self.skipped.most_common()
        ]
        if self.assumed.counts:
            rows.append(("assumed in reading", f"{self.assumed.counts.total():,}"))
        return rows + [(f"  {count}", text) for count, text in self.assumed.rows()]

    def _mean_added(self) -> str:
        if not self.grown:
            return "-"
        of_modal = ""
        if self.grown_modal_pixels:
            added = 100 * self.added_pixels / self.grown_modal_pixels
            of_modal = f", {added:.1f} % of the modal area"
        return f"{self.added_pixels / self.grown:,.1f} px{of_modal}"


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """A line per (name, value), the values one below the other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def share(count: int, total: int) -> str:
    """Such as "12 (3.4 %)"."""
    return f"{count:,} ({100 * count / total:.1f} %)" if total else "0"

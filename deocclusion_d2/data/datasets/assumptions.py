"""What had to be assumed or dropped to read a file, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Assumptions:
    """How often something was assumed, by what it was, and where first.

    Attributes:
        counts: by sentence; sentences hold neither places nor numbers.
        first: the first place of each.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, sentences: Iterable[str], place: str) -> None:
        """Count sentences that hold for a place, such as "image 3 (a.png), annotation 7"."""
        for sentence in sentences:
            self.counts[sentence] += 1
            self.first.setdefault(sentence, place)

    def add(self, other: Assumptions) -> None:
        """Count those of a part of the file that comes after this one."""
        self.counts.update(other.counts)
        self.first = {**other.first, **self.first}

    def rows(self) -> list[tuple[str, str]]:
        """(count, what and where first), the most frequent first."""
        return [
            (f"{count:,} x", f"{sentence} (first: {self.first[sentence]})")
            for sentence, count in self.counts.most_common()
        ]


def about_shares(normalised: int, instances: int) -> str | None:
    """What to say of a file whose coordinates seem to be shares of the image size.

    Args:
        normalised: of how many instances the polygons lie between 0 and 1.
        instances: how many there are.

    Returns:
        A line; None where fewer than half do.
    """
    if not normalised or 2 * normalised < instances:
        return None
    return (
        f"the polygons of {normalised:,} of {instances:,} instances lie between 0 and 1: "
        "coordinates are pixels, multiply x by the width and y by the height"
    )

"""What is found out about a request's own masks before they are de-occluded.

A request is all that one call works on: the input of a conversion, a folder of photos, a test set;
or a single scene, where nobody knows of others. A calibration is the same for any number of
processes and workers, and whatever the order of the work, as it is made once, of some scenes at
equal distances.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..structures import GapCensus, Scene

# Gaps need no more scenes than this.
ENOUGH_SCENES = 1000
# Nor does the order need more pairs; measuring them takes a network.
ENOUGH_PAIRS = 5000


@dataclass(frozen=True)
class RequestCalibration:
    """What holds for all scenes of a request.

    Attributes:
        gap: the widest gap between masks that is closed, in pixels; see ``structures/gaps.py``.
        census: what it was read off; None for a gap that somebody has named.
        ordering: what the ordering was fitted to, in its own words; None where it fits nothing.
    """

    gap: int = 0
    census: GapCensus | None = None
    ordering: Mapping[str, Any] | None = None

    @classmethod
    def of_scenes(cls, scenes: Iterable[Scene]) -> RequestCalibration:
        """Measure scenes, by their modal masks as they were given; see ``chosen_scenes``."""
        return cls.of_census(gap_census(scenes))

    @classmethod
    def of_census(cls, census: GapCensus) -> RequestCalibration:
        return cls(census.closing(), census)

    def describe(self) -> dict[str, Any]:
        """What outputs say about it, for JSON."""
        said: dict[str, Any] = {"closed": self.gap}
        if self.census is not None:
            near = self.census.near_pairs(max(self.gap, 1))
            said |= {"measured_on": {"images": self.census.scenes, "near_pairs": near}}
        return {"gap": said}

    def to_json(self) -> dict[str, Any]:
        """Everything, for JSON; ``from_json`` reads it."""
        census = None if self.census is None else self.census.to_json()
        return {"gap": self.gap, "census": census, "ordering": self.ordering}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RequestCalibration:
        census = values["census"]
        census = None if census is None else GapCensus.from_json(census)
        return cls(int(values["gap"]), census, values.get("ordering"))


def gap_census(scenes: Iterable[Scene]) -> GapCensus:
    """What lies between the modal masks of scenes, as they were given."""
    return sum(
        (GapCensus.of_scene(s.modal_masks, s.scores is not None) for s in scenes),
        GapCensus.empty(),
    )


def chosen_scenes(count: int, most: int = ENOUGH_SCENES) -> list[int]:
    """Which of a request's scenes are measured: at most ``most``, at equal distances.

    Example:
        >>> chosen_scenes(3), len(chosen_scenes(10**6))
        ([0, 1, 2], 1000)
    """
    if count <= most:
        return list(range(count))
    return (np.arange(most, dtype=np.int64) * count // most).tolist()


def rounds(numbers: Sequence[int]) -> list[Sequence[int]]:
    """Numbers in rounds, so that those of the first few rounds lie at equal distances too.

    Example:
        >>> rounds(range(8))
        [range(0, 8, 4), range(2, 8, 4), range(1, 8, 4), range(3, 8, 4)]
    """
    return [part for part in (numbers[start::4] for start in (0, 2, 1, 3)) if part]

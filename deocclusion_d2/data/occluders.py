"""Which instances are whole, and what may hide the others, for learning without amodal labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..structures import OcclusionGraph, Scene
from .instance_table import InstanceTable

# Says who hides whom in scenes: (numbers of scenes -> the scenes, how many there are) -> the graph
# of each, in order.
OrderOf = Callable[[Callable[[Sequence[int]], list[Scene]], int], Iterator[OcclusionGraph]]


class Occluders:
    """What may hide each of the N instances of a table.

    Args:
        instances: all instances of the data.
        order: who hides whom; None: nobody knows, and any neighbour may hide an instance.
    """

    def __init__(self, instances: InstanceTable, order: OrderOf | None = None) -> None:
        starts = np.flatnonzero(np.diff(instances.image_index, prepend=-1))
        spans = list(zip(starts, [*starts[1:], len(instances)], strict=True))
        scenes = _Scenes(instances, spans)
        if order is None:
            of_scenes = (_neighbours(scenes([k])[0]) for k in range(len(spans)))
        else:
            of_scenes = ([g.ancestors(i) for i in range(len(g))] for g in order(scenes, len(spans)))
        found = [
            np.array(sorted(start + j for j in others), np.int32)
            for (start, _), of_scene in zip(spans, of_scenes, strict=True)
            for others in of_scene
        ]
        # Flat, as the table is: forked workers share it.
        self._stops = np.cumsum([0, *map(len, found)])
        self._rows = np.concatenate([np.zeros(0, np.int32), *found])

    def __len__(self) -> int:
        return len(self._stops) - 1

    def of(self, row: int) -> list[int]:
        """Rows of what may hide an instance."""
        return self._rows[self._stops[row] : self._stops[row + 1]].tolist()

    @property
    def whole(self) -> np.ndarray:
        """Rows of the instances that nothing hides: their modal masks are whole shapes."""
        return np.flatnonzero(np.diff(self._stops) == 0)

    @property
    def hidden(self) -> np.ndarray:
        """Rows of the others."""
        return np.flatnonzero(np.diff(self._stops))


class _Scenes:
    """Numbers of a table's images -> their scenes."""

    def __init__(self, instances: InstanceTable, spans: Sequence[tuple[int, int]]) -> None:
        self._instances, self._spans = instances, spans

    def __call__(self, numbers: Sequence[int]) -> list[Scene]:
        return [self._scene(*self._spans[number]) for number in numbers]

    def _scene(self, start: int, stop: int) -> Scene:
        height, width = self._instances.image_size(start)
        return Scene(
            height,
            width,
            [self._instances.modal_mask(row) for row in range(start, stop)],
            self._instances.category_ids[start:stop],
            file_name=self._instances.file_name(start),
        )


def _neighbours(scene: Scene) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(len(scene))]
    for i, j in scene.neighbour_pairs():
        found[i].add(j)
        found[j].add(i)
    return found

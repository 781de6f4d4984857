"""Instances that their neighbours may hide, for learning from real occlusions without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..structures import OcclusionGraph, Scene
from .instance_table import InstanceTable

# Says who hides whom in scenes: (numbers of scenes -> the scenes, how many there are) -> the graph
# of each, in order.
OrderOf = Callable[[Callable[[Sequence[int]], list[Scene]], int], Iterator[OcclusionGraph]]


class HiddenInstances:
    """The instances of a table that others may hide, each with those others.

    Args:
        instances: all instances of the data.
        order: who hides whom; None: any neighbour may hide an instance.
    """

    def __init__(self, instances: InstanceTable, order: OrderOf | None = None) -> None:
        starts = np.flatnonzero(np.diff(instances.image_index, prepend=-1))
        spans = list(zip(starts, [*starts[1:], len(instances)], strict=True))
        scenes = _Scenes(instances, spans)
        if order is None:
            of_scenes = (_neighbours(scenes([k])[0]) for k in range(len(spans)))
        else:
            of_scenes = ([g.ancestors(i) for i in range(len(g))] for g in order(scenes, len(spans)))
        rows, occluders = [], []
        for (start, _), of_scene in zip(spans, of_scenes, strict=True):
            for i, others in enumerate(of_scene):
                if others:
                    rows.append(start + i)
                    occluders.append(np.array(sorted(start + j for j in others), np.int32))
        # Flat, as the table is: forked workers share it.
        self._rows = np.array(rows, dtype=np.int32)
        self._stops = np.cumsum([0, *(len(o) for o in occluders)])
        self._occluders = np.concatenate([np.zeros(0, np.int32), *occluders])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> tuple[int, list[int]]:
        """Row of an instance in the table, and the rows of those that may hide it."""
        occluders = self._occluders[self._stops[number] : self._stops[number + 1]]
        return int(self._rows[number]), occluders.tolist()


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

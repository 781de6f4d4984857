"""What objects are called in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..structures import LayeredScene, Scene
from .canvas import drawable

# Characters of a number that stands alone, and beside a category.
_SHORT, _LONG = 3, 8


@dataclass(frozen=True)
class Label:
    """The name of one object.

    Attributes:
        short: where there is little room: its number, unique in the picture.
        long: where there is room: its category and number.
        detail: for the list of objects: also its annotation's id.
    """

    short: str
    long: str
    detail: str


def scene_labels(scene: Scene, categories: Sequence[str] | None = None) -> list[Label]:
    """Labels of N instances.

    Numbers are the annotation ids; where these are long, the rows stand for them.

    Args:
        categories: N category names; "" or None where there are none.
    """
    ids = [str(key) for key in scene.instance_ids]
    rows = [str(row) for row in range(len(scene))]
    short = ids if max(map(len, ids), default=0) <= _SHORT else rows
    if len(set(short)) < len(short):
        short = rows
    names = [""] * len(scene) if categories is None else [str(name).strip() for name in categories]
    labels = []
    for number, name, key in zip(short, names, ids, strict=True):
        name = drawable(name, 24)
        known = ids != rows
        beside = key if len(key) <= _LONG else number
        detail = ", ".join(filter(None, [name, f"annotation {drawable(key, 24)}" if known else ""]))
        long = drawable(f"{name} {beside}" if name else beside)
        labels.append(Label(drawable(number), long, detail or f"instance {number}"))
    return labels


def layered_labels(layered: LayeredScene) -> list[Label]:
    """Labels of N complete objects, by their names; numbers are those that end the names."""
    names = [layer.name for layer in layered.layers]
    ends = [name.rpartition("-")[2] for name in names]
    numbered = len(set(ends)) == len(ends) and all(
        end.isascii() and end.isdigit() and len(end) <= _SHORT + 1 for end in ends
    )
    labels = []
    for row, layer in enumerate(layered.layers):
        name = drawable(layer.name, 28)
        short = ends[row] if numbered else str(row)
        key = drawable(str(layer.instance_id), 24)
        labels.append(Label(short, name, f"{name}, annotation {key}"))
    return labels

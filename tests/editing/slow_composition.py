"""Order and picture of edited scenes, slow and plain; shares no code with the package.

It knows the edits of the HTML page, and neither scaled nor inserted objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from deocclusion_d2.structures import LayeredScene, WindowMask


@dataclass
class SlowSprite:
    """One object in whole-image arrays.

    Attributes:
        rgba: (H, W, 4) int64, alpha 0 outside of its window.
        seen: (H, W) bool, what its photo shows, moved like the object.
        shift: how far it was moved; None where the photo says nothing about it.
    """

    name: str
    rgba: np.ndarray
    seen: np.ndarray
    shift: tuple[int, int] | None

    @classmethod
    def placed(
        cls,
        name: str,
        size: tuple[int, int],
        corner: tuple[int, int],
        rgba: np.ndarray,
        visible: WindowMask,
        shift: tuple[int, int] | None,
    ) -> SlowSprite:
        """An object whose window's top left pixel lies at ``corner`` (x, y), inside or outside."""
        dx, dy = shift or (0, 0)
        whole = _on_canvas(rgba, *corner, size).astype(np.int64)
        seen = _on_canvas(visible.array, visible.x0 + dx, visible.y0 + dy, size)
        return cls(name, whole, seen, shift)


def _on_canvas(array: np.ndarray, x: int, y: int, size: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros((*size, *array.shape[2:]), array.dtype)
    for row, line in enumerate(array):
        for column, value in enumerate(line):
            if 0 <= y + row < size[0] and 0 <= x + column < size[1]:
                canvas[y + row, x + column] = value
    return canvas


def slow_picture(
    background: np.ndarray,
    stack: Sequence[SlowSprite],
    edges: Set[tuple[str, str]],
    by_hand: Set[tuple[str, str]],
) -> np.ndarray:
    """(H, W, 3) uint8: from back to front, each without what those further back cut out of it."""
    out = background.astype(np.int64)
    for place in range(len(stack) - 1, -1, -1):
        item = stack[place]
        alpha = item.rgba[..., 3].copy()
        for other in stack[place + 1 :]:
            in_front = np.full(alpha.shape, (other.name, item.name) in edges)
            in_photo = item.shift is not None and item.shift == other.shift
            if in_photo and not {(other.name, item.name), (item.name, other.name)} & by_hand:
                in_front[other.seen & ~item.seen] = True
                in_front[item.seen & ~other.seen] = False
            alpha[in_front & (other.rgba[..., 3] >= 128)] = 0
        alpha = alpha[..., None]
        out = (alpha * item.rgba[..., :3] + (255 - alpha) * out + 127) // 255
    return out.astype(np.uint8)


def slow_edited(
    before: Sequence[SlowSprite], stack: Sequence[SlowSprite], by_hand: Set[tuple[str, str]]
) -> np.ndarray:
    """(H, W) bool: pixels within 2 px of anything that is not as it was in the photo."""
    old = {item.name: item for item in before}
    kept = [
        item
        for item in stack
        if item.name in old and item.shift == (0, 0) and (item.rgba == old[item.name].rgba).all()
    ]
    names = [item.name for item in kept]
    edited = np.zeros(before[0].seen.shape, bool)
    for item in [*before, *stack]:
        if item.name not in names:
            edited |= _near(item.rgba[..., 3] > 0)
    order = [item.name for item in before if item.name in names]
    for a in kept:
        for b in kept:
            swapped = (order.index(a.name) < order.index(b.name)) != (
                names.index(a.name) < names.index(b.name)
            )
            if a is not b and (swapped or (a.name, b.name) in by_hand):
                edited |= _near(a.rgba[..., 3] > 0) & _near(b.rgba[..., 3] > 0)
    return edited


def _near(mask: np.ndarray) -> np.ndarray:
    out = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        out[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = True
    return out


def slow_order(edges: Set[tuple[str, str]], preference: Iterable[str]) -> list[str]:
    """Front to back: the first of those left that nothing hides but what it hides itself."""
    left, stack = list(preference), []
    while left:
        reach = {a: {b for b in left if _path(edges, left, a, b)} for a in left}
        free = [a for a in left if all(b in reach[a] for b in left if a in reach[b])]
        stack.append(free[0])
        left.remove(free[0])
    return stack


def _path(edges: Set[tuple[str, str]], among: list[str], start: str, end: str) -> bool:
    seen, front = set(), {start}
    while front:
        front = {b for a, b in edges if a in front and b in among} - seen
        seen |= front
    return end in seen


@dataclass
class EditedScene:
    """A scene after some edits: where its objects are, and which of them hide which."""

    scene: LayeredScene
    position: dict[str, tuple[int, int]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    edges: set[tuple[str, str]] = field(default_factory=set)
    by_hand: set[tuple[str, str]] = field(default_factory=set)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.scene.layers]
        self.position = {layer.name: (layer.x0, layer.y0) for layer in self.scene.layers}
        self.edges = {(names[i], names[j]) for i, j in self.scene.graph.edges}
        bottom = {layer.name: layer.y0 + layer.rgba.shape[0] for layer in self.scene.layers}
        self.stack = slow_order(self.edges, sorted(names, key=lambda name: -bottom[name]))

    def apply(self, edits: Iterable[dict]) -> EditedScene:
        """Apply edits of an edit script: move, hide, show, delete, in_front, behind."""
        for edit in edits:
            name = edit["object"]
            if edit["op"] == "move":
                x, y = self.position[name]
                self.position[name] = (x + edit["dx"], y + edit["dy"])
            elif edit["op"] in ("hide", "show"):
                (self.hidden.add if edit["op"] == "hide" else self.hidden.discard)(name)
            elif edit["op"] == "delete":
                del self.position[name]
                self.edges = {e for e in self.edges if name not in e}
                self.stack = slow_order(self.edges, [n for n in self.stack if n != name])
            else:
                others = [edit["of"]] if "of" in edit else [n for n in self.stack if n != name]
                for other in others:
                    pair = (name, other) if edit["op"] == "in_front" else (other, name)
                    self.edges = (self.edges - {pair[::-1]}) | {pair}
                    self.by_hand |= {pair}
                self.stack = slow_order(self.edges, self.stack)
        return self

    def sprites(self, margin: int = 0) -> list[SlowSprite]:
        """Of what is seen, from front to back; on a canvas with a margin around the image."""
        layers = {layer.name: layer for layer in self.scene.layers}
        stack = []
        for name in self.stack:
            if name in self.hidden:
                continue
            layer, (x, y) = layers[name], self.position[name]
            shift = (x - layer.x0, y - layer.y0)
            h, w = self.scene.background.shape[:2]
            size, corner = (h + 2 * margin, w + 2 * margin), (x + margin, y + margin)
            stack.append(SlowSprite.placed(name, size, corner, layer.rgba, layer.modal_mask, shift))
        return stack

    def draw(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        stack = self.sprites()
        picture = slow_picture(self.scene.background, stack, self.edges, self.by_hand)
        if self.scene.photo is None:
            return picture
        # What lies just outside reaches into the image.
        edited = slow_edited(EditedScene(self.scene).sprites(2), self.sprites(2), self.by_hand)
        edited = edited[2:-2, 2:-2]
        return np.where(edited[..., None], picture, self.scene.photo)

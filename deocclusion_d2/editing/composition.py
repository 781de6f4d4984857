"""Objects drawn over a background, in an order that follows who hides whom.

``front_to_back`` makes a stack out of the occlusion graph, and ``draw`` paints it from the back to
the front. Layers with soft edges do not give the photo again to the bit: with them, the picture is
the photo where nothing is edited, and what is drawn at the pixels of ``edited_pixels``. Only whole
numbers are used, so any program that follows the same rules gives the same picture to the bit.

Shape shorthand: H, W: image height and width; h, w: height and width of an object's window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import cv2
import networkx as nx
import numpy as np

from ..structures import WindowMask
from ..structures.window_mask import Box, intersect_boxes

Edge = tuple[str, str]
"""(occluder, occludee), by name."""

# From this alpha on a pixel counts as one of the object.
OPAQUE = 128

# How far around an object the photo shows of its colours, in pixels.
REACH = 2


@dataclass(frozen=True, eq=False)
class Sprite:
    """One object where it is to be drawn.

    Attributes:
        name: unique in the picture.
        x, y: image position in pixels of the window's top left pixel, anywhere.
        rgba: (h, w, 4) uint8, not premultiplied.
        shift: how far the object stands from its place in the photo, in pixels; None where the
            photo says nothing about it (scaled, or from another photo).
        visible: what the photo shows of it, at its place in the photo.
    """

    name: str
    x: int
    y: int
    rgba: np.ndarray
    shift: tuple[int, int] | None
    visible: WindowMask

    def is_at_place_of(self, other: Sprite) -> bool:
        """Whether this is the other one, moved by nothing."""
        return self.shift == other.shift and self.rgba is other.rgba

    @property
    def box(self) -> Box:
        h, w = self.rgba.shape[:2]
        return (self.x, self.y, self.x + w, self.y + h)

    @property
    def reach_box(self) -> Box:
        """The box of all pixels near enough to the window to hold something of the object."""
        x0, y0, x1, y1 = self.box
        return (x0 - REACH, y0 - REACH, x1 + REACH, y1 + REACH)

    def reach(self) -> np.ndarray:
        """(h + 2 REACH, w + 2 REACH) bool: the object's pixels, and those ``REACH`` around."""
        mask = np.pad((self.rgba[..., 3] > 0).astype(np.uint8), REACH)
        return cv2.dilate(mask, np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)) > 0

    def alpha_in(self, box: Box) -> np.ndarray:
        """(y1 - y0, x1 - x0) uint8 alpha in a box that lies inside the window."""
        return self.rgba[..., 3][_part(self.box, box)]

    def visible_in(self, box: Box) -> np.ndarray:
        """(y1 - y0, x1 - x0) bool: pixels that the photo shows; ``shift`` is not None."""
        dx, dy = self.shift
        return self.visible.crop((box[0] - dx, box[1] - dy, box[2] - dx, box[3] - dy))


def front_to_back(edges: Iterable[Edge], preference: Sequence[str]) -> list[str]:
    """All objects, those in front first: a linear extension of the graph where it has no cycle.

    Again and again the object that comes first in ``preference`` is taken from those that nothing
    left hides, or only what they hide themselves in turn (members of a cycle).

    Args:
        edges: between objects of ``preference``.
        preference: every object once. A result given again as preference comes back unchanged.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(preference)
    graph.add_edges_from(edges)
    rank = {name: position for position, name in enumerate(preference)}
    stack: list[str] = []
    while graph:
        groups = nx.condensation(graph)
        sources = (group for group, occluders in groups.in_degree if occluders == 0)
        free = (name for group in sources for name in groups.nodes[group]["members"])
        stack.append(min(free, key=rank.__getitem__))
        graph.remove_node(stack[-1])
    return stack


def draw(
    background: np.ndarray, stack: Sequence[Sprite], edges: Set[Edge], by_hand: Set[Edge]
) -> np.ndarray:
    """Paint objects over a background.

    Args:
        background: (H, W, 3) uint8 RGB, left unchanged.
        stack: the objects to be seen, from front to back.
        edges: who hides whom.
        by_hand: edges about which the photo is not to be asked.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = background.copy()
    for _, box, rgba in _from_the_back(background.shape, stack, edges, by_hand):
        alpha = rgba[..., 3:]
        target = picture[box[1] : box[3], box[0] : box[2]]
        target[:] = (alpha * rgba[..., :3] + (255 - alpha) * target + 127) // 255
    return picture


def foremost(
    size: tuple[int, int], stack: Sequence[Sprite], edges: Set[Edge], by_hand: Set[Edge]
) -> np.ndarray:
    """Which object ``draw`` paints last, by pixel.

    Returns:
        (H, W) int32, positions in the stack; -1 where no object is.
    """
    owner = np.full(size, -1, np.int32)
    for position, box, rgba in _from_the_back(size, stack, edges, by_hand):
        owner[box[1] : box[3], box[0] : box[2]][rgba[..., 3] > 0] = position
    return owner


def edited_pixels(
    size: tuple[int, int],
    before: Sequence[Sprite],
    stack: Sequence[Sprite],
    by_hand: Set[Edge],
) -> np.ndarray:
    """Where a picture may differ from the photo.

    An object that is not where it was in the photo, and one that was not in it, counts as far as
    ``REACH`` around it, where it was and where it is; two others whose order is no longer that of
    the photo, or was set by hand, count where both of them are.

    Args:
        size: H, W.
        before: the objects of the photo, from front to back.
        stack: the objects to be seen now, from front to back.
        by_hand: see ``draw``.

    Returns:
        (H, W) bool.
    """
    edited = np.zeros(size, bool)
    was = {sprite.name: sprite for sprite in before}
    kept = [s for s in stack if s.name in was and s.is_at_place_of(was[s.name])]
    names = {sprite.name for sprite in kept}
    for sprite in (*before, *stack):
        if sprite.name not in names:
            _mark(edited, sprite)
    place = {sprite.name: position for position, sprite in enumerate(before)}
    for position, front in enumerate(kept):
        for back in kept[position + 1 :]:
            pair = (front.name, back.name)
            ordered = pair in by_hand or pair[::-1] in by_hand
            if ordered or place[front.name] > place[back.name]:
                _mark(edited, front, back)
    return edited


def _mark(picture: np.ndarray, *sprites: Sprite) -> None:
    """Set the pixels that all of some objects reach."""
    box: Box | None = (0, 0, picture.shape[1], picture.shape[0])
    for sprite in sprites:
        box = box and intersect_boxes(sprite.reach_box, box)
    if box is not None:
        reached = [sprite.reach()[_part(sprite.reach_box, box)] for sprite in sprites]
        picture[box[1] : box[3], box[0] : box[2]] |= np.logical_and.reduce(reached)


def _from_the_back(
    size: Sequence[int], stack: Sequence[Sprite], edges: Set[Edge], by_hand: Set[Edge]
) -> Iterator[tuple[int, Box, np.ndarray]]:
    """What is painted, those at the back first: position in the stack, box in the image, and the
    (h, w, 4) uint32 RGBA there, without what objects further back cut out of it.

    Where objects hide each other in a circle no stack can be right everywhere; there
    ``in_front_mask`` decides pixel by pixel. Nothing cuts the object at the very back, so there is
    never a hole.
    """
    frame = (0, 0, size[1], size[0])
    for position in range(len(stack) - 1, -1, -1):
        sprite = stack[position]
        inside = intersect_boxes(sprite.box, frame)
        if inside is None:
            continue
        rgba = sprite.rgba[_part(sprite.box, inside)].astype(np.uint32)
        for behind in stack[position + 1 :]:
            common = intersect_boxes(inside, behind.box)
            if common is not None:
                cut = in_front_mask(behind, sprite, common, edges, by_hand)
                rgba[_part(inside, common)][cut, 3] = 0
        yield position, inside, rgba


def in_front_mask(
    sprite: Sprite, other: Sprite, box: Box, edges: Set[Edge], by_hand: Set[Edge]
) -> np.ndarray:
    """Pixels of a box inside both windows where ``sprite`` belongs in front of ``other``, which
    stands before it in the stack.

    While two objects stand to each other as in their photo, the one that the photo shows is in
    front of the one that it does not show. Everywhere else the edge between the two decides.

    Returns:
        (y1 - y0, x1 - x0) bool.
    """
    edge = (sprite.name, other.name)
    opaque = sprite.alpha_in(box) >= OPAQUE
    contradicted = opaque if edge in edges else np.zeros_like(opaque)
    as_in_photo = sprite.shift is not None and sprite.shift == other.shift
    if not as_in_photo or edge in by_hand or edge[::-1] in by_hand:
        return contradicted
    seen, other_seen = sprite.visible_in(box), other.visible_in(box)
    return np.where(seen == other_seen, contradicted, opaque & seen)


def _part(window: Box, box: Box) -> tuple[slice, slice]:
    """Rows and columns of a window's array that a box inside of it covers."""
    return (
        slice(box[1] - window[1], box[3] - window[1]),
        slice(box[0] - window[0], box[2] - window[0]),
    )

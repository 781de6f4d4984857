"""What an edited scene consists of at one moment. Nothing in it changes: an edit makes a new one.

Shape shorthand: h, w: height and width of an object's window in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..errors import UserError
from ..structures import LayeredScene, ObjectLayer
from .composition import Edge, Sprite, draw, edited_pixels, front_to_back

# Beyond these an object is no more than a few pixels, or far larger than any photo.
MAX_TOTAL_SCALE = 64.0
MAX_SCALED_PIXELS = 1 << 24


@dataclass(frozen=True, eq=False)
class EditedObject:
    """One object, where it stands now.

    Attributes:
        name: unique in the edited scene; copies and inserted objects have their own.
        layer: the object as it lay in its photo.
        x, y: image position in pixels of the window's top left pixel.
        rgba: (h, w, 4) uint8, the layer's pixels at the present size.
        scale: size relative to the photo.
        hidden: left out of the picture.
        inserted: from another scene.
    """

    name: str
    layer: ObjectLayer
    x: int
    y: int
    rgba: np.ndarray
    scale: float = 1.0
    hidden: bool = False
    inserted: bool = False

    @classmethod
    def of_layer(cls, layer: ObjectLayer) -> EditedObject:
        """An object at its place in the photo."""
        return cls(layer.name, layer, layer.x0, layer.y0, layer.rgba)

    @property
    def anchor(self) -> tuple[int, int]:
        """Bottom centre of the window: the point (x, y) that the object stands on, whole pixels."""
        h, w = self.rgba.shape[:2]
        return self.x + w // 2, self.y + h

    @property
    def shift(self) -> tuple[int, int] | None:
        """See ``Sprite.shift``."""
        if self.inserted or self.scale != 1.0:
            return None
        return self.x - self.layer.x0, self.y - self.layer.y0

    def standing_at(self, anchor: tuple[int, int]) -> EditedObject:
        """The same object with its bottom centre somewhere else."""
        h, w = self.rgba.shape[:2]
        return replace(self, x=anchor[0] - w // 2, y=anchor[1] - h)

    def scaled(self, factor: float) -> EditedObject:
        """The same object, standing at the same point, ``factor`` times as large.

        The pixels come from the layer each time, so that repeated scaling does not blur.

        Raises:
            UserError: it would become too large or too small.
        """
        scale = self.scale * factor
        if not 1 / MAX_TOTAL_SCALE <= scale <= MAX_TOTAL_SCALE:
            raise UserError(
                f"{self.name!r} would be {scale:g} times its size in the photo; "
                f"1/{MAX_TOTAL_SCALE:g} to {MAX_TOTAL_SCALE:g} is possible"
            )
        rgba = resize_rgba(self.layer.rgba, scale)
        return replace(self, rgba=rgba, scale=scale).standing_at(self.anchor)

    def sprite(self) -> Sprite:
        """The object as ``draw`` takes it."""
        return Sprite(self.name, self.x, self.y, self.rgba, self.shift, self.layer.modal_mask)


@dataclass(frozen=True, eq=False)
class SceneState:
    """All objects of an edited scene and their order.

    Attributes:
        objects: by name.
        edges: (occluder, occludee) by name, one per pair.
        by_hand: those of ``edges`` that an edit set.
        stack: all names, from front to back.
        edits: what led here, as an edit script lists it.
    """

    objects: dict[str, EditedObject]
    edges: frozenset[Edge]
    by_hand: frozenset[Edge]
    stack: tuple[str, ...]
    edits: tuple[dict, ...] = field(default=())

    @classmethod
    def of_scene(cls, scene: LayeredScene) -> SceneState:
        """The scene as the photo shows it.

        Where the graph leaves the order open, the object that reaches further down in the image is
        in front.
        """
        names = [layer.name for layer in scene.layers]
        edges = frozenset((names[i], names[j]) for i, j in scene.graph.edges)
        by_bottom = sorted(scene.layers, key=lambda layer: -(layer.y0 + layer.rgba.shape[0]))
        stack = front_to_back(edges, [layer.name for layer in by_bottom])
        objects = {layer.name: EditedObject.of_layer(layer) for layer in scene.layers}
        return cls(objects, edges, frozenset(), tuple(stack))

    def with_objects(self, *objects: EditedObject) -> SceneState:
        """These objects in place of those of the same names."""
        return replace(self, objects=self.objects | {o.name: o for o in objects})

    def with_new(self, new: EditedObject, position: int) -> SceneState:
        """One more object, at a position of the stack, without edges."""
        stack = [*self.stack[:position], new.name, *self.stack[position:]]
        return self.with_objects(new)._ordered(stack)

    def without(self, name: str) -> SceneState:
        """One object less, and none of its edges."""
        objects = {key: value for key, value in self.objects.items() if key != name}
        edges = frozenset(edge for edge in self.edges if name not in edge)
        state = replace(self, objects=objects, edges=edges, by_hand=self.by_hand & edges)
        return state._ordered([key for key in self.stack if key != name])

    def with_edges(self, new: set[Edge]) -> SceneState:
        """Edges set by hand; they replace those that say the contrary."""
        contrary = {(occludee, occluder) for occluder, occludee in new}
        edges = (self.edges - contrary) | new
        by_hand = (self.by_hand - contrary) | new
        return replace(self, edges=edges, by_hand=by_hand)._ordered(self.stack)

    def sprites(self) -> list[Sprite]:
        """What is to be seen, from front to back."""
        objects = (self.objects[name] for name in self.stack)
        return [o.sprite() for o in objects if not o.hidden]

    def _ordered(self, preference: tuple[str, ...] | list[str]) -> SceneState:
        return replace(self, stack=tuple(front_to_back(self.edges, preference)))


def picture_of(scene: LayeredScene, state: SceneState) -> np.ndarray:
    """What an edited scene looks like: (H, W, 3) uint8 RGB; while unedited, the photo to the bit.

    Args:
        scene: what was edited.
        state: what was made of it.
    """
    stack = state.sprites()
    picture = draw(scene.background, stack, state.edges, state.by_hand)
    if scene.photo is None:
        return picture
    before = SceneState.of_scene(scene).sprites()
    edited = edited_pixels((scene.height, scene.width), before, stack, state.by_hand)
    return np.where(edited[..., None], picture, scene.photo)


def resize_rgba(rgba: np.ndarray, scale: float) -> np.ndarray:
    """Resize an object's pixels; colours are weighted by alpha, so nothing bleeds in from outside.

    Args:
        rgba: (h, w, 4) uint8, not premultiplied.
        scale: > 0; 1 gives ``rgba`` itself.

    Returns:
        (floor(h * scale + 0.5), floor(w * scale + 0.5), 4) uint8, at least 1 x 1.

    Raises:
        UserError: more than ``MAX_SCALED_PIXELS``.
    """
    if scale == 1.0:
        return rgba
    h, w = (max(1, math.floor(side * scale + 0.5)) for side in rgba.shape[:2])
    if h * w > MAX_SCALED_PIXELS and scale > 1.0:
        raise UserError(f"the object would be {w} x {h} px; scale it less")
    premultiplied = rgba.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    resized = cv2.resize(premultiplied, (w, h), interpolation=interpolation)
    out = np.zeros((h, w, 4), np.uint8)
    out[..., 3] = np.rint(resized[..., 3])
    some = out[..., 3] > 0
    colour = resized[some, :3] * (255 / resized[some, 3:])
    out[some, :3] = np.rint(colour).clip(0, 255)
    return out

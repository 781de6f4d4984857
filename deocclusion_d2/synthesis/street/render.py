"""Rendering of one synthetic street image with its exact modal and amodal masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..visibility import resolve_visibility
from .backdrop import paint_backdrop
from .masks import amodal_polygons, fill_patch, rasterise
from .solids import Patch
from .street_scene import StreetScene, compose_scene, front_to_back
from .texture import smooth_noise

_BLUR = 3  # side of the camera's kernel in pixels

MIN_HEIGHT_SHARE = 0.036
"""Objects lower than this share of the image height are too far away to be annotated."""


@dataclass(frozen=True)
class RenderedObject:
    """An annotated object of an image.

    Attributes:
        category_id: KINS category.
        depth: depth of the object's middle, metres.
        polygons: amodal outline, COCO polygons in pixels.
        amodal: (H, W) bool, `rasterise` of ``polygons``.
        modal: (H, W) bool, the visible part.
        whole: (h, w, 3) uint8 BGR, the window of the tight box of ``amodal`` as the camera sees it
            where nothing nearer hides the object; None unless whole objects are rendered.
    """

    category_id: int
    depth: float
    polygons: list[list[float]]
    amodal: np.ndarray
    modal: np.ndarray
    whole: np.ndarray | None = None


@dataclass(frozen=True)
class RenderedScene:
    """An image (H, W, 3) uint8 BGR and its objects, front-most first.

    Attributes:
        background: the image without its objects; None unless whole objects are rendered.
    """

    image: np.ndarray
    objects: list[RenderedObject]
    background: np.ndarray | None = None


def _paint_object(
    image: np.ndarray, patches: list[Patch], painted: np.ndarray, rng: np.random.Generator
) -> None:
    """Paints pixels of one object, in place.

    Args:
        image: (H, W, 3) uint8 BGR.
        patches: the object's patches in painting order.
        painted: (H, W) bool, the pixels to paint: the visible ones, or all.
        rng: source of the texture.
    """
    left, top, right, bottom = _box(painted)
    window = image[top:bottom, left:right]
    # What shows between the parts (inside a frame, under a body) is the street behind, darkened.
    canvas = (0.45 * window + 12).astype(np.uint8)
    origin = np.array([left, top]) + 0.5
    for patch in patches:
        if not patch.painted:
            continue
        if patch.opacity < 1:
            layer = canvas.copy()
            fill_patch(layer, patch.polygon - origin, patch.colour)
            canvas = cv2.addWeighted(layer, patch.opacity, canvas, 1 - patch.opacity, 0)
        else:
            fill_patch(canvas, patch.polygon - origin, patch.colour)
    height, width = canvas.shape[:2]
    fade = np.linspace(1.1, 0.86, height, dtype=np.float32)[:, None]
    blotches = 1 + 0.05 * smooth_noise(
        rng, height, width, max(3, height // 12), max(3, width // 12)
    )
    shaded = np.clip(canvas * (fade * blotches)[..., None], 0, 255).astype(np.uint8)
    shown = painted[top:bottom, left:right]
    window[shown] = shaded[shown]


def _box(mask: np.ndarray, margin: int = 0) -> tuple[int, int, int, int]:
    """The tight box (x0, y0, x1, y1) of a mask, and a margin where the image has one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    left, top = max(columns[0] - margin, 0), max(rows[0] - margin, 0)
    return left, top, min(columns[-1] + 1 + margin, width), min(rows[-1] + 1 + margin, height)


@dataclass(frozen=True)
class _Camera:
    """Camera effects: slight blur, exposure, colour cast and sensor noise.

    Attributes:
        cast: (3,) factors of the colours.
        noise: (H, W), of the whole image.
    """

    cast: np.ndarray
    noise: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, height: int, width: int) -> _Camera:
        cast = rng.uniform(0.8, 1.15) * rng.uniform(0.96, 1.04, 3)
        noise = cv2.resize(rng.standard_normal((height, width), dtype=np.float32), (width, height))
        return cls(cast.astype(np.float32), noise)

    def develop(self, painted: np.ndarray, x0: int = 0, y0: int = 0) -> np.ndarray:
        """What it makes of a part of the image that begins at (x0, y0).

        The blur reaches one pixel far: within a part, pixels at its border are those of the whole
        only where the image ends there too.
        """
        height, width = painted.shape[:2]
        soft = cv2.GaussianBlur(painted, (_BLUR, _BLUR), 0.45).astype(np.float32)
        noise = self.noise[y0 : y0 + height, x0 : x0 + width, None]
        return np.clip(soft * self.cast + 2.5 * noise, 0, 255).astype(np.uint8)


def render_masks(
    scene: StreetScene, height: int, width: int
) -> tuple[list[RenderedObject], list[list[Patch]]]:
    """Annotated objects of a scene, front-most first, and the patches of each."""
    patches = [item.project(scene.camera, scene.ground, scene.light) for item in scene.objects]
    polygons = [amodal_polygons(item, height, width) for item in patches]
    amodal: list[np.ndarray | None] = []
    for outline in polygons:
        rows = [value for ring in outline for value in ring[1::2]]
        tall = bool(rows) and max(rows) - min(rows) >= MIN_HEIGHT_SHARE * height
        amodal.append(rasterise(outline, height, width) if tall else None)
    visible = resolve_visibility(amodal, front_to_back(scene.objects))
    objects = [
        RenderedObject(
            category_id=scene.objects[index].solid.category_id,
            depth=scene.objects[index].z,
            polygons=polygons[index],
            amodal=amodal[index],
            modal=modal,
        )
        for index, modal in visible.items()
    ]
    return objects, [patches[index] for index in visible]


def render_scene(
    seed: np.random.SeedSequence, height: int, width: int, whole_objects: bool = False
) -> RenderedScene:
    """Draws, renders and annotates one street scene.

    Args:
        seed: all randomness comes from here; the same seed and size give the same pixels.
        height: image height in pixels.
        width: image width in pixels.
        whole_objects: paint the hidden parts of objects too, and keep every object as it looks
            without what is nearer, and the background without objects. Masks are the same; colours
            are not, as fade and texture of an object go over all of it.
    """
    layout_seed, paint_seed = seed.spawn(2)
    scene = compose_scene(np.random.default_rng(layout_seed), height, width)
    objects, patches = render_masks(scene, height, width)
    rng = np.random.default_rng(paint_seed)
    image = paint_backdrop(scene, height, width, rng)
    if whole_objects:
        return _render_whole(image, objects, patches, rng, paint_seed)
    for item, parts in zip(reversed(objects), reversed(patches), strict=True):
        _paint_object(image, parts, item.modal, rng)
    return RenderedScene(_Camera.draw(rng, height, width).develop(image), objects)


def _render_whole(
    image: np.ndarray,
    objects: list[RenderedObject],
    patches: list[list[Patch]],
    rng: np.random.Generator,
    seed: np.random.SeedSequence,
) -> RenderedScene:
    """See ``render_scene``.

    Args:
        image: the painted backdrop; it is painted over.
        objects, patches: see ``render_masks``.
        rng: of the camera.
        seed: every object's texture comes from a child of its own, so that it does not depend on
            how many pixels of others are painted.
    """
    camera = _Camera.draw(rng, *image.shape[:2])
    background = camera.develop(image)
    whole: list[RenderedObject] = []
    for item, parts, own in reversed(
        list(zip(objects, patches, seed.spawn(len(objects)), strict=True))
    ):
        _paint_object(image, parts, item.amodal, np.random.default_rng(own))
        # What comes later hides it, so this is the moment. The margin is for the blur.
        x0, y0, x1, y1 = _box(item.amodal, _BLUR // 2)
        shown = camera.develop(image[y0:y1, x0:x1], x0, y0)
        left, top, right, bottom = _box(item.amodal)
        window = shown[top - y0 : bottom - y0, left - x0 : right - x0]
        whole.append(replace(item, whole=window.copy()))
    return RenderedScene(camera.develop(image), whole[::-1], background)

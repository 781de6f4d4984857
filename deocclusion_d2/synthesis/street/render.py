"""Rendering of one synthetic street image with its exact modal and amodal masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..visibility import resolve_visibility
from .backdrop import paint_backdrop
from .masks import amodal_polygons, fill_patch, rasterise
from .solids import Patch
from .street_scene import StreetScene, compose_scene, front_to_back
from .texture import smooth_noise

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
    """

    category_id: int
    depth: float
    polygons: list[list[float]]
    amodal: np.ndarray
    modal: np.ndarray


@dataclass(frozen=True)
class RenderedScene:
    """An image (H, W, 3) uint8 BGR and its objects, front-most first."""

    image: np.ndarray
    objects: list[RenderedObject]


def _paint_object(
    image: np.ndarray, patches: list[Patch], modal: np.ndarray, rng: np.random.Generator
) -> None:
    """Paints the visible pixels of one object, in place.

    Args:
        image: (H, W, 3) uint8 BGR.
        patches: the object's patches in painting order.
        modal: (H, W) bool, the pixels to paint.
        rng: source of the texture.
    """
    rows, columns = np.flatnonzero(modal.any(axis=1)), np.flatnonzero(modal.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
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
    shown = modal[top:bottom, left:right]
    window[shown] = shaded[shown]


def _develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Camera effects: slight blur, exposure, colour cast and sensor noise."""
    height, width = image.shape[:2]
    soft = cv2.GaussianBlur(image, (3, 3), 0.45).astype(np.float32)
    cast = rng.uniform(0.8, 1.15) * rng.uniform(0.96, 1.04, 3)
    noise = cv2.resize(rng.standard_normal((height, width), dtype=np.float32), (width, height))
    return np.clip(soft * cast.astype(np.float32) + 2.5 * noise[..., None], 0, 255).astype(np.uint8)


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


def render_scene(seed: np.random.SeedSequence, height: int, width: int) -> RenderedScene:
    """Draws, renders and annotates one street scene.

    Args:
        seed: all randomness comes from here; the same seed and size give the same pixels.
        height: image height in pixels.
        width: image width in pixels.
    """
    layout_seed, paint_seed = seed.spawn(2)
    scene = compose_scene(np.random.default_rng(layout_seed), height, width)
    objects, patches = render_masks(scene, height, width)
    rng = np.random.default_rng(paint_seed)
    image = paint_backdrop(scene, height, width, rng)
    for item, parts in zip(reversed(objects), reversed(patches), strict=True):
        _paint_object(image, parts, item.modal, rng)
    return RenderedScene(_develop(image, rng), objects)

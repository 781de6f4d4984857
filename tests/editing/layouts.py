"""Small scenes that were taken apart, made from their layout."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.structures import (
    LayeredScene,
    ObjectLayer,
    OcclusionGraph,
    WindowMask,
    neighbour_pairs,
)


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """(height, width, 3) uint8: every pixel differs from its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def layered_scene(
    amodal: dict[str, np.ndarray], top: np.ndarray, edges: list[tuple[str, str]], seed: int = 0
) -> tuple[LayeredScene, np.ndarray]:
    """A scene and its photo.

    Args:
        amodal: (H, W) bool by name.
        top: (H, W) int, the row of the object that the photo shows; -1 for the background.
        edges: (occluder, occludee).
    """
    height, width = top.shape
    photo = noise(height, width, seed)
    names = list(amodal)
    background = np.where((top < 0)[..., None], photo, noise(height, width, seed + 1))
    layers = []
    for row, name in enumerate(names):
        mask, modal = WindowMask.from_array(amodal[name]), WindowMask.from_array(top == row)
        x0, y0, x1, y1 = mask.box
        content = np.where((top == row)[..., None], photo, noise(height, width, seed + 2 + row))
        rgba = np.dstack([content, np.full(top.shape, 255, np.uint8)])[y0:y1, x0:x1]
        rgba = np.where(mask.array[..., None], rgba, 0).astype(np.uint8)
        category = name.split("-")[0]
        layers.append(ObjectLayer(name, x0, y0, rgba, modal, mask, 1, category, 100 + row))
    graph = OcclusionGraph(len(names))
    for pair in neighbour_pairs([layer.modal_mask for layer in layers]):
        graph.add_neighbours(*pair)
    for occluder, occludee in edges:
        graph.add_occlusion(names.index(occluder), names.index(occludee))
    return LayeredScene(background, layers, graph, "street.png", {"method": "by hand"}), photo


def box(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (24, 40)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def row_of_cars() -> tuple[LayeredScene, np.ndarray]:
    """car-0 hides car-1, which hides car-2: three boxes side by side, 24 x 40 px.

    The one at the back reaches furthest down, so only the graph gives the right order.
    """
    cars = {
        "car-0": box(2, 6, 14, 16),
        "car-1": box(9, 5, 24, 18),
        "car-2": box(18, 4, 34, 20),
    }
    top = np.full((24, 40), -1)
    for row in (2, 1, 0):
        top[cars[f"car-{row}"]] = row
    return layered_scene(cars, top, [("car-0", "car-1"), ("car-1", "car-2")])


def circle() -> tuple[LayeredScene, np.ndarray]:
    """a hides b, b hides c, c hides a: three planks, like the flaps of a closed box.

    As every object is an ancestor of every other, each was also completed under the one that it
    hides directly: all three hold the pixels where only one of them is to be seen.
    """
    planks = {"a": box(4, 4, 28, 9), "b": box(20, 6, 26, 22), "c": box(6, 7, 24, 19)}
    top = np.full((24, 40), -1)
    for row, name in enumerate(planks):
        top[planks[name]] = row
    everywhere = planks["a"] | planks["b"] | planks["c"]
    top[planks["a"] & planks["b"]] = 0
    top[planks["b"] & planks["c"]] = 1
    top[planks["a"] & planks["c"] & ~planks["b"]] = 2
    amodal = {
        # Completed far under what is, directly or around the circle, in front.
        "a": planks["a"] | (box(8, 9, 26, 14) & (top > 0)),
        "b": planks["b"] | (box(12, 4, 20, 14) & (top >= 0) & (top != 1)),
        "c": planks["c"] | (box(20, 4, 28, 8) & everywhere),
    }
    return layered_scene(amodal, top, [("a", "b"), ("b", "c"), ("c", "a")])

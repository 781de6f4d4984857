"""Small scenes that were taken apart, all of their pixels random.

``row_of_cars``, ``circle`` and ``tangle`` come with their photo; ``boxes_and_beams`` is larger, has
soft outlines, and needs none.
"""

from __future__ import annotations

import numpy as np

from deocclusion_d2.structures import (
    LayeredScene,
    MaskSample,
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


def with_completions(scene: LayeredScene, name: str, *boxes: tuple[int, ...]) -> LayeredScene:
    """A scene in which completions were drawn of an object: the chosen one, and others.

    Args:
        boxes: what each of the others holds beyond the chosen one, (x0, y0, x1, y1); the first is
            drawn most often.
    """
    layer = next(layer for layer in scene.layers if layer.name == name)
    total = 1 + sum(range(1, len(boxes) + 1))
    masks = [layer.amodal_mask, *(layer.amodal_mask | WindowMask.filled(b) for b in boxes)]
    weights = [1, *range(len(boxes), 0, -1)]
    layer.samples = [MaskSample(m, w / total) for m, w in zip(masks, weights, strict=True)]
    return scene


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


def tangle(seed: int) -> tuple[LayeredScene, np.ndarray]:
    """Six objects, 10 x 12 px, hidden anywhere under anything, each pair ordered at random."""
    random = np.random.default_rng(seed)
    names = [f"thing-{k}" for k in range(6)]
    top = random.integers(-1, 6, (10, 12))
    amodal = {
        n: (top == k) | ((top >= 0) & (random.random(top.shape) < 0.4)) for k, n in enumerate(names)
    }
    edges = []
    for i in range(6):
        for j in range(i):
            edges.append((names[i], names[j]) if random.random() < 0.5 else (names[j], names[i]))
    return layered_scene(amodal, top, edges, seed=100 * seed)


def boxes_and_beams() -> LayeredScene:
    """box-0 hides box-1, which hides box-2: staggered squares. beam-0, beam-1, beam-2 hide each
    other in a circle. 160 x 96 px.
    """
    random = np.random.default_rng(5)
    background = random.integers(0, 256, (96, 160, 3), dtype=np.uint8)
    shapes = [
        ("box", (30, 40, 57, 76)),
        ("box", (44, 30, 74, 64)),
        ("box", (58, 22, 90, 52)),
        ("beam", (100, 30, 150, 40)),
        ("beam", (138, 24, 148, 84)),
        ("beam", (104, 26, 144, 80)),
    ]
    edges = [(0, 1), (1, 2), (3, 4), (4, 5), (5, 3)]
    pixels = []
    for row, (_, (x0, y0, x1, y1)) in enumerate(shapes):
        rgba = random.integers(0, 256, (y1 - y0, x1 - x0, 4), dtype=np.uint8)
        rgba[..., 3] = 255
        if row == 5:  # a slanted beam: transparent corners in its window
            rows, columns = np.mgrid[: y1 - y0, : x1 - x0]
            rgba[abs(rows - columns * 54 / 40) > 14] = 0
        if row in (0, 5):  # a soft edge, as scaled objects have
            rgba[:, :4, 3] = random.integers(0, 256, (y1 - y0, 4))
        pixels.append(rgba)
    amodal = [
        WindowMask.from_array(rgba[..., 3], x0, y0)
        for rgba, (_, (x0, y0, _, _)) in zip(pixels, shapes, strict=True)
    ]
    layers = []
    for row, (category, (x0, y0, _, _)) in enumerate(shapes):
        modal = amodal[row]
        for occluder, occludee in edges:
            modal = modal - amodal[occluder] if occludee == row else modal
        name = f"{category}-{row % 3}"
        layers.append(ObjectLayer(name, x0, y0, pixels[row], modal, amodal[row], 1, category))
    graph = OcclusionGraph(len(layers))
    for edge in edges:
        graph.add_occlusion(*edge)
    return LayeredScene(background, layers, graph, "street.png")

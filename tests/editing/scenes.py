"""A scene to edit, and a slow drawing of edited scenes that shares no code with the package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import networkx as nx
import numpy as np

from deocclusion_d2.structures import LayeredScene, ObjectLayer, OcclusionGraph, WindowMask

WIDTH, HEIGHT = 160, 96


def small_scene() -> LayeredScene:
    """Six objects before a background, 160 x 96 pixels, all colours and some alphas random.

    box-0 hides box-1, which hides box-2: staggered squares. beam-0, beam-1, beam-2 hide each other
    in a circle.
    """
    random = np.random.default_rng(5)
    background = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    shapes = [
        ("box", (30, 40, 57, 76)),
        ("box", (44, 30, 74, 64)),
        ("box", (58, 22, 90, 52)),
        ("beam", (100, 30, 150, 40)),
        ("beam", (138, 24, 148, 84)),
        ("beam", (104, 26, 144, 80)),
    ]
    layers = []
    for row, (category, (x0, y0, x1, y1)) in enumerate(shapes):
        rgba = random.integers(0, 256, (y1 - y0, x1 - x0, 4), dtype=np.uint8)
        rgba[..., 3] = 255
        if row == 5:  # a slanted beam: transparent corners in its window
            rows, columns = np.mgrid[: y1 - y0, : x1 - x0]
            rgba[abs(rows - columns * 54 / 40) > 14] = 0
        if row in (0, 5):  # a soft edge, as scaled objects have
            rgba[:, :4, 3] = random.integers(0, 256, (y1 - y0, 4))
        mask = WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool))
        layers.append(ObjectLayer(f"{category}-{row % 3}", x0, y0, rgba, mask, mask, 1, category))
    graph = OcclusionGraph(6)
    for edge in ((0, 1), (1, 2), (3, 4), (4, 5), (5, 3)):
        graph.add_occlusion(*edge)
    return LayeredScene(background, layers, graph, "street.png")


@dataclass
class EditedScene:
    """A scene after some edits: where its objects are, and which of them hide which."""

    scene: LayeredScene
    position: dict[str, tuple[int, int]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    edges: set[tuple[str, str]] = field(default_factory=set)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.scene.layers]
        self.position = {layer.name: (layer.x0, layer.y0) for layer in self.scene.layers}
        self.edges = {(names[i], names[j]) for i, j in self.scene.graph.edges}
        bottom = {layer.name: layer.y0 + layer.rgba.shape[0] for layer in self.scene.layers}
        self.place(sorted(names, key=lambda name: -bottom[name]))

    def place(self, preference: Iterable[str]) -> None:
        """Front to back, by the strongly connected components of what is not placed yet."""
        left = list(preference)
        self.stack = []
        while left:
            graph = nx.DiGraph()
            graph.add_nodes_from(left)
            graph.add_edges_from(e for e in self.edges if set(e) <= set(left))
            condensed = nx.condensation(graph)
            sources = {n for n, degree in condensed.in_degree if degree == 0}
            mapping = condensed.graph["mapping"]
            self.stack.append(next(name for name in left if mapping[name] in sources))
            left.remove(self.stack[-1])

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
                self.place(other for other in self.stack if other != name)
            else:
                others = [edit["of"]] if "of" in edit else [n for n in self.stack if n != name]
                for other in others:
                    pair = (name, other) if edit["op"] == "in_front" else (other, name)
                    self.edges = (self.edges - {pair[::-1]}) | {pair}
                self.place(self.stack)
        return self

    def draw(self) -> np.ndarray:
        """(H, W, 3) uint8, pixel by pixel of whole-image layers."""
        height, width = self.scene.background.shape[:2]
        layers = {layer.name: layer for layer in self.scene.layers}
        whole = {}
        for name, (x, y) in self.position.items():
            h, w = layers[name].rgba.shape[:2]
            canvas = np.zeros((height + 2 * 120, width + 2 * 120, 4), np.int64)
            canvas[120 + y : 120 + y + h, 120 + x : 120 + x + w] = layers[name].rgba
            whole[name] = canvas[120:-120, 120:-120]
        out = self.scene.background.astype(np.int64)
        for place in range(len(self.stack) - 1, -1, -1):
            name = self.stack[place]
            if name in self.hidden:
                continue
            alpha = whole[name][..., 3:].copy()
            for other in self.stack[place + 1 :]:
                if (other, name) in self.edges and other not in self.hidden:
                    alpha[whole[other][..., 3] >= 128] = 0
            out = (alpha * whole[name][..., :3] + (255 - alpha) * out + 127) // 255
        return out.astype(np.uint8)

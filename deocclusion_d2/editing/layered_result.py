"""An edited scene as a layered scene of its own."""

from __future__ import annotations

import networkx as nx
import numpy as np

from ..files import base_name
from ..structures import (
    LayeredScene,
    MaskSample,
    ObjectLayer,
    OcclusionGraph,
    WindowMask,
    neighbour_pairs,
)
from ..structures.mask_sample import merged_samples
from ..structures.window_mask import Box, intersect_boxes
from .composition import Sprite, foremost
from .scene_state import EditedObject, SceneState, picture_of


def layered_result(scene: LayeredScene, state: SceneState) -> LayeredScene:
    """Take the picture of an edited scene apart again.

    What is visible in the picture becomes the modal masks, what the objects are the amodal ones.
    Objects that are left out or stand outside of the image are not in the result, and what lies
    beyond its border is cut off. Where the scene has hard edges, the soft outline of a scaled
    object becomes part of it, in the colours of the picture; else edges stay soft.

    Args:
        scene: what was edited; gives background, neighbours and description.
        state: what was made of it.

    Returns:
        A scene whose picture is that of ``state`` to the bit.
    """
    height, width = scene.height, scene.width
    stack = state.sprites()
    picture = picture_of(scene, state)
    is_soft = scene.photo is not None
    owner = foremost((height, width), stack, state.edges, state.by_hand)
    frame = (0, 0, width, height)
    layers: dict[str, ObjectLayer] = {}
    for position, sprite in enumerate(stack):
        box = intersect_boxes(sprite.box, frame)
        amodal = WindowMask.empty() if box is None else _mask(sprite.alpha_in(box) > 0, box)
        if amodal.is_empty:
            continue
        x0, y0, x1, y1 = amodal.box
        shown = owner[y0:y1, x0:x1] == position
        top, left = y0 - sprite.y, x0 - sprite.x
        rgba = sprite.rgba[top : top + y1 - y0, left : left + x1 - x0].copy()
        if not is_soft:
            rgba[shown, :3] = picture[y0:y1, x0:x1][shown]
            rgba[..., 3] = np.where(amodal.array, 255, 0)
        old = state.objects[sprite.name].layer
        modal = _mask(shown, amodal.box)
        layers[sprite.name] = ObjectLayer(
            sprite.name,
            x0,
            y0,
            rgba,
            modal,
            amodal,
            old.category_id,
            old.category,
            old.instance_id,
            _samples(state.objects[sprite.name], modal, frame),
        )
    rows = [name for name in state.objects if name in layers]
    ordered = [layers[name] for name in rows]
    description = scene.description
    if state.edits:
        before = description.get("edits", [])
        before = before if isinstance(before, list) else []
        description = description | {"edits": [*before, *map(_without_folders, state.edits)]}
    graph = _graph(scene, state, ordered, stack)
    photo = picture if is_soft else None
    return LayeredScene(scene.background, ordered, graph, scene.file_name, description, photo)


def _without_folders(edit: dict) -> dict:
    """An edit as a scene tells it: another scene's name says enough, whoever gets this one."""
    return edit | ({"scene": base_name(edit["scene"])} if "scene" in edit else {})


def _samples(edited: EditedObject, modal: WindowMask, frame: Box) -> list[MaskSample]:
    """The completions that were drawn of an object, where it stands now.

    None of a scaled one, whose size they no longer have.
    """
    if edited.scale != 1.0:
        return []
    dx, dy = edited.x - edited.layer.x0, edited.y - edited.layer.y0
    image = WindowMask.filled(frame)
    moved = (
        MaskSample(WindowMask(s.mask.x0 + dx, s.mask.y0 + dy, s.mask.array) & image, s.weight)
        for s in edited.layer.samples
    )
    # What is seen of it now is sure.
    return merged_samples(MaskSample(s.mask | modal, s.weight) for s in moved)


def _mask(array: np.ndarray, box: Box) -> WindowMask:
    return WindowMask.from_array(array, box[0], box[1])


def _graph(
    scene: LayeredScene, state: SceneState, layers: list[ObjectLayer], stack: list[Sprite]
) -> OcclusionGraph:
    """The edges of the state, and those that the picture adds: an object that visibly hides part
    of another one with which no path of edges connects it is in front of it from now on.
    """
    row_of = {layer.name: row for row, layer in enumerate(layers)}
    edges = nx.DiGraph()
    edges.add_nodes_from(range(len(layers)))
    edges.add_edges_from(
        (row_of[a], row_of[b]) for a, b in state.edges if a in row_of and b in row_of
    )
    from_the_front = [row_of[sprite.name] for sprite in stack if sprite.name in row_of]
    for position, front in enumerate(from_the_front):
        for back in from_the_front[position + 1 :]:
            if layers[front].modal_mask.intersection_area(layers[back].amodal_mask) and not (
                nx.has_path(edges, front, back) or nx.has_path(edges, back, front)
            ):
                edges.add_edge(front, back)
    graph = OcclusionGraph(len(layers))
    for pair in neighbour_pairs([layer.modal_mask for layer in layers]):
        graph.add_neighbours(*pair)
    # Decomposition may have bridged gaps between masks.
    shift_of = {sprite.name: sprite.shift for sprite in stack}
    for i, j in scene.graph.neighbour_pairs:
        first, second = scene.layers[i].name, scene.layers[j].name
        together = shift_of.get(first) is not None and shift_of[first] == shift_of.get(second)
        if together and first in row_of and second in row_of:
            graph.add_neighbours(row_of[first], row_of[second])
    for occluder, occludee in sorted(edges.edges):
        graph.add_occlusion(occluder, occludee)
    return graph

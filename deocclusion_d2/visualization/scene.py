"""Pictures of a scene: modal masks, occlusion graph, amodal masks, and all of them side by side.

Every function returns an RGB picture, (h, w, 3) uint8, of ``scale`` times the image's size. An
instance has the same colour in all of them, by its row in the scene.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from ..errors import UserError
from ..structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask
from .canvas import SceneCanvas, captions
from .palette import ARROW, CYCLE, PAPER, instance_color, lighten
from .placement import Node, arc_points, choose_bend, interior_node, place_tags, tag_fits
from .probability import draw_hidden_probability

_FILL_OPACITY = 0.62
_PAGE_ASPECT = 0.85
_STACK_WIDTH, _GRID_SIDE = 1600, 900


def draw_scene(scene: Scene, scale: float = 1.0) -> np.ndarray:
    """The image as it is, or a plain dark picture where there is none."""
    return SceneCanvas(scene, scale).render()


def draw_modal_masks(scene: Scene, scale: float = 1.0) -> np.ndarray:
    """The visible part of every instance, filled and outlined in its colour."""
    canvas = SceneCanvas(scene, scale, brightness=0.75, saturation=0.3)
    _fill_visible(canvas, scene.modal_masks, _FILL_OPACITY)
    _outline_visible(canvas, scene.modal_masks)
    return canvas.render()


def draw_amodal_masks(
    scene: Scene, amodal_masks: Sequence[WindowMask], scale: float = 1.0
) -> np.ndarray:
    """Visible parts filled, hidden parts hatched in the same colour with a bright dashed outline.

    Args:
        scene: N instances.
        amodal_masks: N masks. What a modal mask does not hold is the hidden part.

    Raises:
        UserError: the number of masks is not the number of instances.
    """
    _check_count(scene, len(amodal_masks), "amodal masks")
    canvas = SceneCanvas(scene, scale, brightness=0.75, saturation=0.3)
    _fill_visible(canvas, scene.modal_masks, _FILL_OPACITY)
    hidden = [a - m for a, m in zip(amodal_masks, scene.modal_masks, strict=True)]
    for i, mask in enumerate(hidden):
        # Hidden parts lie on visible parts of others, and on each other: half of them hatch the
        # other way.
        canvas.fill(mask, lighten(instance_color(i), 0.35), 0.95, stripes=1 - 2 * (i % 2), gap=0.25)
    _outline_visible(canvas, scene.modal_masks)
    for i, mask in enumerate(hidden):
        canvas.outline(mask, lighten(instance_color(i), 0.7), width=1.3, dashed=True)
    return canvas.render()


def draw_amodal_boxes(scene: Scene, boxes: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Visible parts filled, and the amodal box of every instance that has one.

    Args:
        scene: N instances.
        boxes: (N, 4), (x0, y0, x1, y1) in image pixels, NaN rows where unknown.

    Raises:
        UserError: the number of boxes is not the number of instances.
    """
    _check_count(scene, len(boxes), "amodal boxes")
    canvas = SceneCanvas(scene, scale, brightness=0.75, saturation=0.3)
    _fill_visible(canvas, scene.modal_masks, _FILL_OPACITY)
    for i, box in enumerate(boxes):
        if np.isfinite(box).all():
            canvas.rectangle(box, lighten(instance_color(i), 0.35))
    return canvas.render()


def draw_occlusion_graph(scene: Scene, graph: OcclusionGraph, scale: float = 1.0) -> np.ndarray:
    """Arrows occluder -> occludee over the dimmed image, numbered by the rows of the scene.

    Edges on a cycle are red, all others white; a dotted line joins neighbours without an order.
    Arrows begin and end inside the visible masks. Instances without a visible pixel have no node.

    Raises:
        UserError: the graph has another number of instances than the scene.
    """
    _check_count(scene, len(graph), "nodes")
    canvas = SceneCanvas(scene, scale, brightness=0.45, saturation=0.15)
    _fill_visible(canvas, scene.modal_masks, 0.42)
    for i, mask in enumerate(scene.modal_masks):
        canvas.outline(mask, instance_color(i), width=1.0)

    found = {i: interior_node(m) for i, m in enumerate(scene.modal_masks)}
    nodes = {i: node.scaled(scale) for i, node in found.items() if node is not None}
    font = _tag_font(list(nodes.values()), canvas.unit)
    sizes = {i: (font * (0.5 + 0.68 * len(str(i))), font * 1.15) for i in nodes}
    dot_radius = max(3.6 * canvas.unit, 2.5)

    edges = [e for e in graph.edges if e[0] in nodes and e[1] in nodes]
    bends = {
        (i, j): choose_bend(
            nodes[i], nodes[j], [n for k, n in nodes.items() if k not in (i, j)], 0.8 * font
        )
        for i, j in edges
    }
    arcs = [_arc(nodes[i], nodes[j], bends[i, j]) for i, j in edges]
    places = place_tags(
        list(nodes.values()),
        list(sizes.values()),
        arcs,
        (canvas.height, canvas.width),
        dot_radius,
    )
    centres = dict(zip(nodes, places, strict=True))

    _draw_undecided(canvas, graph, nodes)
    for i, centre in centres.items():
        if nodes[i].distance(centre) > 1e-6:
            canvas.line(centre, (nodes[i].x, nodes[i].y), instance_color(i), 1.3, dotted=False)
            canvas.dot((nodes[i].x, nodes[i].y), dot_radius, instance_color(i))
    circular = cycle_edges(graph)
    for i, j in edges:
        start, end = arrow_ends(nodes[i], nodes[j], sizes[i], sizes[j], dot_radius)
        color = CYCLE if (i, j) in circular else ARROW
        canvas.arrow(start, end, color, bends[i, j], width=2.2)
    for i, centre in centres.items():
        canvas.tag(centre, sizes[i], str(i), instance_color(i))
    return canvas.render()


def scene_panels(
    scene: Scene,
    deocclusion: Deocclusion,
    truth: SceneTruth | None = None,
    scale: float | None = None,
    amodal_title: str = "Pseudo-amodal masks (hatched: completed hidden part)",
) -> np.ndarray:
    """Scene, modal masks, occlusion graph, amodal masks, and what else is known.

    That is: probabilities of hidden parts, where they are kept, and the ground truth.

    Panels of wide images (street scenes) are stacked, others stand in a grid, all with titles.

    Args:
        scene: N instances.
        deocclusion: N nodes and N amodal masks.
        truth: its amodal masks, or else its amodal boxes, become the last panel.
        scale: panel pixels per image pixel; chosen so that the picture suits a page when None.
        amodal_title: title of the fourth panel, without its letter.

    Returns:
        (h, w, 3) uint8 RGB; see ``titled_grid`` for its size.

    Raises:
        UserError: the scene and what is said about it differ in their number of instances.
    """
    known = truth is not None and (truth.amodal_masks is not None or truth.amodal_boxes is not None)
    kept = deocclusion.probabilities
    columns = page_columns(4 + known + (kept is not None), scene.height, scene.width)
    if scale is None:
        scale = (_STACK_WIDTH if columns == 1 else _GRID_SIDE) / max(scene.height, scene.width)
    panels = [
        (scene_title(scene), draw_scene(scene, scale)),
        (f"Modal masks: {_count(len(scene), 'instance')}", draw_modal_masks(scene, scale)),
        (graph_title(deocclusion.graph), draw_occlusion_graph(scene, deocclusion.graph, scale)),
        (amodal_title, draw_amodal_masks(scene, deocclusion.amodal_masks, scale)),
    ]
    if kept is not None:
        title = "Probability of hidden parts (dark: 0, bright: 1)"
        panels.append((title, draw_hidden_probability(scene, kept, scale)))
    if known and truth.amodal_masks is not None:
        picture = draw_amodal_masks(scene, truth.amodal_masks, scale)
        panels.append(("Ground truth: amodal masks", picture))
    elif known:
        picture = draw_amodal_boxes(scene, truth.amodal_boxes, scale)
        panels.append(("Ground truth: amodal boxes", picture))
    return titled_grid(panels, columns)


def page_columns(count: int, height: int, width: int) -> int:
    """In how many columns panels of a size make a page of good shape with few empty places."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        aspect = columns * width / (rows * height)
        return abs(math.log(aspect / _PAGE_ASPECT)) + 0.2 * (rows * columns - count)

    return min(range(1, count + 1), key=cost)


def titled_grid(panels: Sequence[tuple[str, np.ndarray]], columns: int) -> np.ndarray:
    """Pictures of one size in rows, each under its title, "(a) ..." and so on.

    Args:
        panels: title and (h, w, 3) uint8 picture of each.
        columns: pictures in a row; the last row may be shorter.

    Returns:
        (rows * (h + title + margin) + margin, columns * (w + margin) + margin, 3) uint8. The title
        takes ``title_height(h, w)`` pixels, the margin a quarter of it.
    """
    height, width = panels[0][1].shape[:2]
    title = title_height(height, width)
    margin = title // 4
    rows = -(-len(panels) // columns)
    shape = (rows * (height + title + margin) + margin, columns * (width + margin) + margin, 3)
    page = np.full(shape, PAPER, dtype=np.uint8)
    titles = [f"({chr(ord('a') + k)}) {text}" for k, (text, _) in enumerate(panels)]
    strips = captions(titles, width, title)
    for k, (_, picture) in enumerate(panels):
        top = margin + (k // columns) * (height + title + margin)
        left = margin + (k % columns) * (width + margin)
        page[top : top + title, left : left + width] = strips[k]
        page[top + title : top + title + height, left : left + width] = picture
    return page


def title_height(height: int, width: int) -> int:
    """Height in pixels of the title over a panel of a size."""
    return int(np.clip(0.045 * np.sqrt(height * width), 16, 80))


def short_name(scene: Scene) -> str:
    """The file name with its folder, which is the sequence in video data; else the image id."""
    if scene.file_name:
        return "/".join(PurePath(scene.file_name).parts[-2:])
    return "" if scene.image_id is None else f"image {scene.image_id}"


def scene_title(scene: Scene) -> str:
    """Which image a scene is of, and that its picture is missing where it is."""
    title = f"Scene {short_name(scene)}".rstrip()
    return title if scene.image is not None else f"{title} (no image file)"


def graph_title(graph: OcclusionGraph) -> str:
    """What an occlusion graph holds, in a line."""
    title = "Occlusion graph (front \N{RIGHTWARDS ARROW} back): " + _count(len(graph.edges), "edge")
    circular = len(cycle_edges(graph))
    return title + (f", {circular} on cycles (red)" if circular else "")


def cycle_edges(graph: OcclusionGraph) -> set[tuple[int, int]]:
    """The (occluder, occludee) of a graph that lie on a cycle."""
    member_of = {i: number for number, cycle in enumerate(graph.cycles()) for i in cycle}
    return {(i, j) for i, j in graph.edges if i in member_of and member_of[i] == member_of.get(j)}


def arrow_ends(
    start: Node,
    end: Node,
    start_size: tuple[float, float],
    end_size: tuple[float, float],
    dot_radius: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Begin and end of an arrow between two nodes, both inside the nodes' masks.

    An arrow stops short of the tag on a node, or of the dot, but never leaves the disc around the
    node that is known to be foreground.
    """
    direction = np.array([end.x - start.x, end.y - start.y])
    length = float(np.hypot(*direction))
    direction = direction / max(length, 1e-9)
    ends = []
    for node, size, sign in ((start, start_size, 1.0), (end, end_size, -1.0)):
        gap = _tag_reach(direction, size) if tag_fits(node, size) else dot_radius
        gap = min(gap, 0.9 * max(node.radius, 0.0), 0.3 * length)
        ends.append(
            (float(node.x + sign * gap * direction[0]), float(node.y + sign * gap * direction[1]))
        )
    return ends[0], ends[1]


def _tag_reach(direction: np.ndarray, size: tuple[float, float]) -> float:
    """Distance from a tag's centre to its border in a direction (unit vector)."""
    reach = [s / 2 / abs(d) for s, d in zip(size, direction, strict=True) if abs(d) > 1e-9]
    return min(reach, default=0.0) + 1.0


def _tag_font(nodes: Sequence[Node], unit: float) -> float:
    """Letter height in pixels: as large as the distances between nodes allow."""
    points = np.array([[n.x, n.y] for n in nodes]).reshape(-1, 2)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.median(distances.min(axis=1)) if len(nodes) > 1 else np.inf
    return max(float(np.clip(0.5 * nearest, 13 * unit, 23 * unit)), 10.0)


def _arc(start: Node, end: Node, bend: float) -> np.ndarray:
    return arc_points((start.x, start.y), (end.x, end.y), bend)


def _draw_undecided(canvas: SceneCanvas, graph: OcclusionGraph, nodes: dict[int, Node]) -> None:
    for i, j in graph.neighbour_pairs:
        if graph.order(i, j) == 0 and i in nodes and j in nodes:
            ends = (nodes[i].x, nodes[i].y), (nodes[j].x, nodes[j].y)
            canvas.line(*ends, color=(200, 200, 200), width=1.4, dotted=True)


def _fill_visible(canvas: SceneCanvas, masks: Sequence[WindowMask], opacity: float) -> None:
    # Large ones first: the masks of some data sets overlap, and a small one must stay visible.
    for i in sorted(range(len(masks)), key=lambda i: -masks[i].area):
        canvas.fill(masks[i], instance_color(i), opacity)


def _outline_visible(canvas: SceneCanvas, masks: Sequence[WindowMask]) -> None:
    for i, mask in enumerate(masks):
        canvas.outline(mask, lighten(instance_color(i), 0.15), width=1.1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _check_count(scene: Scene, count: int, what: str) -> None:
    if count != len(scene):
        raise UserError(
            f"image {scene.file_name or scene.image_id!r} has {len(scene)} instances but got "
            f"{count} {what}: both must come from the same scene"
        )

"""Pictures of a scene: modal masks, occlusion graph, amodal masks, and all of them side by side.

Every function returns an RGB picture, (h, w, 3) uint8, of ``scale`` times the image's size. An
instance has the same colour in all of them, by its id; ``colors`` gives N others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from ..errors import UserError
from ..structures import Deocclusion, OcclusionGraph, Scene, SceneTruth, WindowMask
from .canvas import SceneCanvas, captions, text_width
from .insets import cropped, inset_windows, paste_insets
from .labels import Label, scene_labels
from .legend import ENLARGED, HATCHED, Sign, graph_signs, legend, object_key
from .palette import (
    ARROW,
    CYCLE,
    MUTUAL,
    PAPER,
    UNDECIDED,
    Color,
    color_numbers,
    instance_color,
    lighten,
)
from .placement import (
    Node,
    Point,
    arc_points,
    choose_bend,
    covered_tags,
    interior_node,
    place_tags,
    place_texts,
    tag_fits,
)
from .probability import draw_hidden_probability
from .samples import draw_samples

SAMPLES_TITLE = "Drawn completions: outlines of hidden parts (bright: drawn more often)"
"""Of the panel that ``draw_samples`` makes."""

_FILL_OPACITY = 0.62
_PAGE_ASPECT = 0.85
_STACK_WIDTH, _GRID_SIDE = 1600, 900
# Of tags, in pixels; and the share of a picture that names may take up.
_LEAST_LETTERS = 9.0
_MOST_TAGGED = 0.12


def draw_scene(scene: Scene, scale: float = 1.0) -> np.ndarray:
    """The image as it is, or a plain dark picture where there is none."""
    return SceneCanvas(scene, scale).render()


def scene_colors(scene: Scene) -> list[Color]:
    """N colours, by the ids of the instances."""
    return [instance_color(number) for number in color_numbers(scene.instance_ids)]


def draw_modal_masks(
    scene: Scene, scale: float = 1.0, colors: Sequence[Color] | None = None
) -> np.ndarray:
    """The visible part of every instance, filled and outlined in its colour."""
    colors = colors or scene_colors(scene)
    canvas = SceneCanvas(scene, scale, brightness=0.75, saturation=0.3)
    _fill_visible(canvas, scene.modal_masks, colors, _FILL_OPACITY)
    _outline_visible(canvas, scene.modal_masks, colors)
    return canvas.render()


def draw_amodal_masks(
    scene: Scene,
    amodal_masks: Sequence[WindowMask],
    scale: float = 1.0,
    colors: Sequence[Color] | None = None,
) -> np.ndarray:
    """Visible parts filled, hidden parts hatched in the same colour with a bright dashed outline.

    Args:
        scene: N instances.
        amodal_masks: N masks. What a modal mask does not hold is the hidden part.

    Raises:
        UserError: the number of masks is not the number of instances.
    """
    _check_count(scene, len(amodal_masks), "amodal masks")
    colors = colors or scene_colors(scene)
    canvas = SceneCanvas(scene, scale, brightness=0.75, saturation=0.3)
    _fill_visible(canvas, scene.modal_masks, colors, _FILL_OPACITY)
    hidden = _hidden_parts(scene, amodal_masks)
    hatch(canvas, hidden, colors)
    _outline_visible(canvas, scene.modal_masks, colors)
    outline_hidden(canvas, hidden, colors)
    return canvas.render()


def with_insets(
    picture: np.ndarray,
    scene: Scene,
    amodal_masks: Sequence[WindowMask],
    scale: float,
    colors: Sequence[Color],
) -> tuple[np.ndarray, bool]:
    """A picture of a scene with hidden parts that are too small to see enlarged in free corners.

    Args:
        picture: (h, w, 3) uint8, ``scale`` times the image's size.

    Returns:
        The picture, and whether it has such corners.
    """
    windows = []
    unit = SceneCanvas(scene, scale).unit
    for box, corner in inset_windows(scene, _hidden_parts(scene, amodal_masks), scale, unit):
        part, masks = cropped(scene, amodal_masks, box)
        enlarged = draw_amodal_masks(part, masks, (corner[2] - corner[0]) / part.width, colors)
        windows.append((box, enlarged, corner))
    return (paste_insets(picture, windows, scale) if windows else picture), bool(windows)


def hatch(canvas: SceneCanvas, hidden: Sequence[WindowMask], colors: Sequence[Color]) -> None:
    """Fill hidden parts with stripes."""
    for i, mask in enumerate(hidden):
        # Hidden parts lie on visible parts of others, and on each other: half of them hatch the
        # other way.
        canvas.fill(mask, lighten(colors[i], 0.35), 0.95, stripes=1 - 2 * (i % 2), gap=0.25)


def outline_hidden(
    canvas: SceneCanvas, hidden: Sequence[WindowMask], colors: Sequence[Color]
) -> None:
    """Draw bright dashed lines around hidden parts."""
    for mask, color in zip(hidden, colors, strict=True):
        canvas.outline(mask, lighten(color, 0.7), width=1.3, dashed=True)


def draw_amodal_boxes(
    scene: Scene, boxes: np.ndarray, scale: float = 1.0, colors: Sequence[Color] | None = None
) -> np.ndarray:
    """Visible parts filled, and the amodal box of every instance that has one.

    Args:
        scene: N instances.
        boxes: (N, 4), (x0, y0, x1, y1) in image pixels, NaN rows where unknown.

    Raises:
        UserError: the number of boxes is not the number of instances.
    """
    _check_count(scene, len(boxes), "amodal boxes")
    colors = colors or scene_colors(scene)
    canvas = SceneCanvas(scene, scale, brightness=0.75, saturation=0.3)
    _fill_visible(canvas, scene.modal_masks, colors, _FILL_OPACITY)
    for i, box in enumerate(boxes):
        if np.isfinite(box).all():
            canvas.rectangle(box, lighten(colors[i], 0.35))
    return canvas.render()


def draw_occlusion_graph(
    scene: Scene,
    graph: OcclusionGraph,
    scale: float = 1.0,
    labels: Sequence[Label] | None = None,
    colors: Sequence[Color] | None = None,
) -> np.ndarray:
    """Arrows occluder -> occludee over the dimmed image, named by ``labels``.

    Edges on a cycle are red, all others white, with their confidences where these are known. A grey
    dotted line joins neighbours without an order, a yellow one those that hide parts of each other.
    Arrows begin and end inside the visible masks. Instances without a visible pixel have no node.
    Where names would cover each other, numbers take their place; where those would, too, some
    instances have a dot alone.

    Args:
        labels: N; without, instances are numbered by their ids or rows.

    Raises:
        UserError: the graph has another number of instances than the scene.
    """
    return draw_signed_graph(scene, graph, scale, labels, colors)[0]


def draw_signed_graph(
    scene: Scene,
    graph: OcclusionGraph,
    scale: float = 1.0,
    labels: Sequence[Label] | None = None,
    colors: Sequence[Color] | None = None,
) -> tuple[np.ndarray, list[Sign]]:
    """As ``draw_occlusion_graph``; also the signs that the picture holds, for its legend."""
    _check_count(scene, len(graph), "nodes")
    labels = scene_labels(scene) if labels is None else labels
    colors = colors or scene_colors(scene)
    canvas = SceneCanvas(scene, scale, brightness=0.45, saturation=0.15)
    _fill_visible(canvas, scene.modal_masks, colors, 0.42)
    for mask, color in zip(scene.modal_masks, colors, strict=True):
        canvas.outline(mask, color, width=1.0)

    found = {i: interior_node(m) for i, m in enumerate(scene.modal_masks)}
    nodes = {i: node.scaled(scale) for i, node in found.items() if node is not None}
    font = _tag_font(list(nodes.values()), canvas.unit)
    dot_radius = max(3.6 * canvas.unit, 2.5)

    edges = [e for e in graph.edges if e[0] in nodes and e[1] in nodes]
    bends = {
        (i, j): choose_bend(
            nodes[i], nodes[j], [n for k, n in nodes.items() if k not in (i, j)], 0.8 * font
        )
        for i, j in edges
    }
    arcs = [_arc(nodes[i], nodes[j], bends[i, j]) for i, j in edges]
    tags = _choose_tags(nodes, labels, font, arcs, (canvas.height, canvas.width), dot_radius)

    _draw_undecided(canvas, graph, nodes)
    for i, node in nodes.items():
        if i not in tags or node.distance(tags[i].centre) > 1e-6:
            if i in tags:
                canvas.line([tags[i].centre, (node.x, node.y)], colors[i], 1.3, dotted=False)
            canvas.dot((node.x, node.y), dot_radius, colors[i])
    circular = cycle_edges(graph)
    no_tag = (0.0, 0.0)
    for i, j in edges:
        sizes = [tags[k].size if k in tags else no_tag for k in (i, j)]
        start, end = arrow_ends(nodes[i], nodes[j], *sizes, dot_radius)
        color = CYCLE if (i, j) in circular else ARROW
        canvas.arrow(start, end, color, bends[i, j], width=2.2)
    for i, tag in tags.items():
        canvas.tag(tag.centre, tag.size, tag.text, colors[i])
    said = _write_confidences(
        canvas, graph, edges, arcs, list(tags.values()), list(nodes.values()), font
    )
    return canvas.render(), graph_signs(graph.subgraph(list(nodes)), said)


@dataclass(frozen=True)
class _Tag:
    centre: Point
    size: Point
    text: str


def _choose_tags(
    nodes: dict[int, Node],
    labels: Sequence[Label],
    font: float,
    arcs: Sequence[np.ndarray],
    picture: tuple[int, int],
    dot_radius: float,
) -> dict[int, _Tag]:
    """The tag of each node that can have one: names where they fit, else numbers."""
    rows, points = list(nodes), list(nodes.values())
    tags: dict[int, _Tag] = {}
    for kind, factor in (("long", 1.0), ("long", 0.8), ("short", 1.0), ("short", 0.75)):
        size = max(factor * font, _LEAST_LETTERS)
        texts = [getattr(labels[i], kind) for i in rows]
        sizes = [SceneCanvas.tag_size(text, 1.15 * size) for text in texts]
        taken = sum(w * h for w, h in sizes) / (picture[0] * picture[1])
        widest = max((width for width, _ in sizes), default=0.0)
        if kind == "long" and (taken > _MOST_TAGGED or widest > picture[1] / 3):
            continue
        centres = place_tags(points, sizes, arcs, picture, dot_radius)
        covered = set(covered_tags(centres, sizes))
        tags = {
            row: _Tag(centre, size, text)
            for k, (row, centre, size, text) in enumerate(
                zip(rows, centres, sizes, texts, strict=True)
            )
            if k not in covered
        }
        if not covered:
            break
    return tags


def _write_confidences(
    canvas: SceneCanvas,
    graph: OcclusionGraph,
    edges: Sequence[tuple[int, int]],
    arcs: Sequence[np.ndarray],
    tags: Sequence[_Tag],
    nodes: Sequence[Node],
    font: float,
) -> bool:
    """Returns whether there was room for any."""
    letters = 0.62 * font
    known = [(arc, graph.confidence(*edge)) for edge, arc in zip(edges, arcs, strict=True)]
    known = [(arc, confidence) for arc, confidence in known if confidence is not None]
    if letters < _LEAST_LETTERS - 2:
        return False
    texts = [f"{confidence:.2f}" for _, confidence in known]
    sizes = [(text_width(text, letters) + 2, 1.1 * letters) for text in texts]
    taken = [(tag.centre, tag.size) for tag in tags]
    picture = (canvas.height, canvas.width)
    places = place_texts([arc for arc, _ in known], sizes, taken, nodes, picture)
    for text, place in zip(texts, places, strict=True):
        if place is not None:
            canvas.text(place, text, letters, ARROW, centred=True)
    return any(place is not None for place in places)


def scene_panels(
    scene: Scene,
    deocclusion: Deocclusion,
    truth: SceneTruth | None = None,
    scale: float | None = None,
    amodal_title: str = "Pseudo-amodal masks (hatched: completed hidden part)",
    categories: Sequence[str] | None = None,
    colors: Sequence[Color] | None = None,
) -> np.ndarray:
    """Scene, modal masks, occlusion graph, amodal masks, and what else is known.

    That is: completions that were drawn and probabilities of hidden parts, where there are some,
    and the ground truth.

    Panels of wide images (street scenes) are stacked, others stand in a grid, all with titles.
    Below them stand what the signs mean and which objects there are.

    Args:
        scene: N instances.
        deocclusion: N nodes and N amodal masks.
        truth: its amodal masks, or else its amodal boxes, become the last panel.
        scale: panel pixels per image pixel; chosen so that the picture suits a page when None.
        amodal_title: title of the fourth panel, without its letter.
        categories: N category names.
        colors: N colours; by the ids of the instances when None.

    Returns:
        (h, w, 3) uint8 RGB; see ``titled_grid`` for its size, to which the lines below are added.

    Raises:
        UserError: the scene and what is said about it differ in their number of instances.
    """
    known = truth is not None and (truth.amodal_masks is not None or truth.amodal_boxes is not None)
    kept, drawn_shapes = deocclusion.probabilities, deocclusion.samples
    further = known + (kept is not None) + (drawn_shapes is not None)
    columns = page_columns(4 + further, scene.height, scene.width)
    if scale is None:
        scale = (_STACK_WIDTH if columns == 1 else _GRID_SIDE) / max(scene.height, scene.width)
    colors = colors or scene_colors(scene)
    labels, graph = scene_labels(scene, categories), deocclusion.graph
    drawn, signs = draw_signed_graph(scene, graph, scale, labels, colors)
    masks = deocclusion.amodal_masks
    amodal = draw_amodal_masks(scene, masks, scale, colors)
    amodal, enlarged = with_insets(amodal, scene, masks, scale, colors)
    panels = [
        (scene_title(scene), draw_scene(scene, scale)),
        (f"Modal masks: {_count(len(scene), 'instance')}", draw_modal_masks(scene, scale, colors)),
        (graph_title(graph), drawn),
        (amodal_title, amodal),
    ]
    if drawn_shapes is not None:
        panels.append((SAMPLES_TITLE, draw_samples(scene, drawn_shapes, scale, colors)))
    if kept is not None:
        title = "Probability of hidden parts (dark: 0, bright: 1)"
        panels.append((title, draw_hidden_probability(scene, kept, scale, colors)))
    if known and truth.amodal_masks is not None:
        picture = draw_amodal_masks(scene, truth.amodal_masks, scale, colors)
        panels.append(("Ground truth: amodal masks", picture))
    elif known:
        picture = draw_amodal_boxes(scene, truth.amodal_boxes, scale, colors)
        panels.append(("Ground truth: amodal boxes", picture))
    hidden = any(not mask.is_empty for mask in _hidden_parts(scene, masks))
    if hidden:
        signs.append(HATCHED)
    if enlarged:
        signs.append(ENLARGED)
    return with_legend(titled_grid(panels, columns), signs, labels, colors)


def with_legend(
    page: np.ndarray, signs: Sequence[Sign], labels: Sequence[Label], colors: Sequence[Color]
) -> np.ndarray:
    """A page, (h, w, 3) uint8, with what its signs mean and which objects it shows below it."""
    width = page.shape[1]
    letters = float(np.clip(width / 95, 9, 17))
    key = object_key(labels, colors, width, letters)
    return np.concatenate([page, legend(signs, width, letters), key])


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
    mutual = graph.mutual_pairs
    for i, j in graph.neighbour_pairs:
        if i not in nodes or j not in nodes:
            continue
        if (i, j) in mutual:
            # Bent, because an arrow may join the two as well.
            canvas.line(_arc(nodes[i], nodes[j], 0.14), MUTUAL, 2.4, dotted=True)
        elif graph.order(i, j) == 0:
            canvas.line(_arc(nodes[i], nodes[j], 0.0), UNDECIDED, 1.4, dotted=True)


def _hidden_parts(scene: Scene, amodal_masks: Sequence[WindowMask]) -> list[WindowMask]:
    return [a - m for a, m in zip(amodal_masks, scene.modal_masks, strict=True)]


def _fill_visible(
    canvas: SceneCanvas, masks: Sequence[WindowMask], colors: Sequence[Color], opacity: float
) -> None:
    # Large ones first: the masks of some data sets overlap, and a small one must stay visible.
    for i in sorted(range(len(masks)), key=lambda i: -masks[i].area):
        canvas.fill(masks[i], colors[i], opacity)


def _outline_visible(
    canvas: SceneCanvas, masks: Sequence[WindowMask], colors: Sequence[Color]
) -> None:
    for mask, color in zip(masks, colors, strict=True):
        canvas.outline(mask, lighten(color, 0.15), width=1.1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _check_count(scene: Scene, count: int, what: str) -> None:
    if count != len(scene):
        raise UserError(
            f"image {scene.file_name or scene.image_id!r} has {len(scene)} instances but got "
            f"{count} {what}: both must come from the same scene"
        )

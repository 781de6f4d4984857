"""One picture of a decomposition: masks, order, background, and the complete objects."""

from __future__ import annotations

import math

import cv2
import numpy as np

from ..structures import Deocclusion, LayeredScene, ObjectLayer, Scene
from .canvas import SceneCanvas, captions
from .labels import layered_labels
from .legend import ENLARGED, HATCHED
from .palette import PAPER, lighten
from .sample_sheets import samples_sheet
from .samples import draw_samples
from .scene import (
    SAMPLES_TITLE,
    draw_signed_graph,
    graph_title,
    hatch,
    outline_hidden,
    page_columns,
    scene_colors,
    short_name,
    title_height,
    titled_grid,
    with_insets,
    with_legend,
)

_STACK_WIDTH, _GRID_SIDE = 1600, 900
_LEAST_TILE, _MOST_TILE = 90, 420
# Greys and side in pixels of the checkerboard that stands for nothing.
_CHECKS, _CHECK_SIDE = (232, 200), 10


def layers_overview(layered: LayeredScene, image: np.ndarray) -> np.ndarray:
    """The overview that lies beside a decomposition.

    Photo with modal outlines, photo with amodal outlines and hatched hidden parts, occlusion graph,
    background, and the completions that were drawn if there are some; below them what the signs
    mean, which objects there are, and every complete object on a checkerboard, under its name,
    enlarged at most twice.

    Args:
        layered: N objects.
        image: (H, W, 3) uint8 RGB, the photo.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    scene = _as_scene(layered, image)
    samples = [layer.samples for layer in layered.layers]
    columns = page_columns(4 + any(samples), scene.height, scene.width)
    scale = (_STACK_WIDTH if columns == 1 else _GRID_SIDE) / max(scene.height, scene.width)
    count = len(layered.layers)
    objects = f"{count} object" + ("" if count == 1 else "s")
    name = f"{short_name(scene)}: " if scene.file_name else ""
    labels, colors = layered_labels(layered), scene_colors(scene)
    graph, signs = draw_signed_graph(scene, layered.graph, scale, labels, colors)
    amodal, enlarged = with_insets(
        draw_outlines(layered, image, True, scale),
        scene,
        [layer.amodal_mask for layer in layered.layers],
        scale,
        colors,
    )
    if any(layer.occlusion_rate > 0 for layer in layered.layers):
        signs.append(HATCHED)
    if enlarged:
        signs.append(ENLARGED)
    panels = [
        (f"{name}{objects}, visible outlines", draw_outlines(layered, image, False, scale)),
        ("Outlines with their hidden parts (hatched)", amodal),
        (graph_title(layered.graph), graph),
        (
            "Background without the objects",
            SceneCanvas(_as_scene(layered, layered.background), scale).render(),
        ),
    ]
    if any(samples):
        panels.append((SAMPLES_TITLE, draw_samples(scene, samples, scale, colors)))
    page = titled_grid(panels, columns)
    panel = (max(round(scene.height * scale), 1), max(round(scene.width * scale), 1))
    title = title_height(*panel)
    margin = title // 4
    page = with_legend(page, signs, labels, colors)
    heading = captions(
        [f"({chr(ord('a') + len(panels))}) Complete objects"], page.shape[1] - 2 * margin, title
    )[0]
    sheet = object_sheet(layered, page.shape[1] - 2 * margin)
    return np.concatenate(
        [page, *(_with_margin(part, page.shape[1], margin) for part in (heading, sheet))]
    )


def layered_samples_sheet(layered: LayeredScene, image: np.ndarray) -> np.ndarray:
    """The sheet of the completions that were drawn of the objects; see ``samples_sheet``.

    Args:
        image: (H, W, 3) uint8 RGB, the photo.

    Raises:
        UserError: there are none.
    """
    result = Deocclusion(
        layered.graph,
        [layer.amodal_mask for layer in layered.layers],
        samples=[layer.samples for layer in layered.layers],
    )
    return samples_sheet(_as_scene(layered, image), result, labels=layered_labels(layered))


def draw_outlines(
    layered: LayeredScene, image: np.ndarray, amodal: bool, scale: float = 1.0
) -> np.ndarray:
    """The photo with the outlines of all modal or amodal masks; hidden parts are hatched.

    Args:
        image: (H, W, 3) uint8 RGB, the photo.
        amodal: outline visible and hidden parts; else visible ones.
        scale: picture pixels per image pixel.
    """
    scene = _as_scene(layered, image)
    colors = scene_colors(scene)
    canvas = SceneCanvas(scene, scale)
    hidden = [layer.amodal_mask - layer.modal_mask for layer in layered.layers]
    if amodal:
        hatch(canvas, hidden, colors)
    for layer, color in zip(layered.layers, colors, strict=True):
        mask = layer.amodal_mask if amodal else layer.modal_mask
        canvas.outline(mask, lighten(color, 0.15), width=1.8)
    if amodal:
        outline_hidden(canvas, hidden, colors)
    return canvas.render()


def object_sheet(layered: LayeredScene, width: int) -> np.ndarray:
    """All complete objects on a checkerboard, each in a tile under its name.

    Args:
        width: of the sheet in pixels.

    Returns:
        (h, width, 3) uint8 RGB.
    """
    count = len(layered.layers)
    columns = max(math.ceil(math.sqrt(2 * count)), -(-width // _MOST_TILE))
    columns = max(1, min(columns, width // _LEAST_TILE))
    tile = width // columns
    inner, label = tile - 6, max(tile // 8, 14)
    rows = -(-count // columns)
    sheet = np.full((rows * (tile + label), width, 3), PAPER, dtype=np.uint8)
    names = [captions([layer.name], inner, label)[0] for layer in layered.layers]
    for k, layer in enumerate(layered.layers):
        top, left = (k // columns) * (tile + label), (k % columns) * tile
        sheet[top : top + label, left : left + inner] = names[k]
        top += label
        sheet[top : top + inner, left : left + inner] = on_checkerboard(layer, inner)
    return sheet


def on_checkerboard(layer: ObjectLayer, side: int) -> np.ndarray:
    """An object in the middle of a checkerboard, shrunk to fit, or enlarged at most twice.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    squares = np.arange(side) // _CHECK_SIDE
    dark = (squares[:, None] + squares[None, :]) % 2
    board = np.asarray(_CHECKS, dtype=np.float32)[dark][..., None].repeat(3, axis=2)
    height, width = layer.rgba.shape[:2]
    scale = min(side / height, side / width, 2.0)
    h, w = (min(max(round(v * scale), 1), side) for v in (height, width))
    alpha = layer.rgba[..., 3:].astype(np.float32) / 255
    # Colours times alpha, so that nothing of what lies under alpha 0 comes in.
    parts = np.dstack([layer.rgba[..., :3] * alpha, alpha])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    parts = cv2.resize(parts, (w, h), interpolation=how)
    top, left = (side - h) // 2, (side - w) // 2
    window = board[top : top + h, left : left + w]
    window[:] = parts[..., :3] + window * (1 - parts[..., 3:])
    return np.round(board).astype(np.uint8)


def _as_scene(layered: LayeredScene, image: np.ndarray) -> Scene:
    return Scene(
        layered.height,
        layered.width,
        [layer.modal_mask for layer in layered.layers],
        np.array([layer.category_id for layer in layered.layers]),
        [layer.instance_id for layer in layered.layers],
        image=image,
        file_name=layered.file_name,
    )


def _with_margin(picture: np.ndarray, width: int, margin: int) -> np.ndarray:
    """A picture on white, ``margin`` pixels from the left, right and below."""
    height = picture.shape[0]
    page = np.full((height + margin, width, 3), PAPER, dtype=np.uint8)
    page[:height, margin : margin + picture.shape[1]] = picture
    return page

"""Sheets on which each of several completions of an object is a picture of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from ..structures import Deocclusion, Scene, SceneTruth, WindowMask
from ..structures.mask_sample import disagreement
from ..structures.window_mask import Box, box_around
from .canvas import captions
from .labels import Label, scene_labels
from .palette import PANEL, PAPER, Color
from .scene import draw_amodal_masks, scene_colors, short_name

_TILE, _GAP, _CAPTION = 200, 6, 24
# Of what a tile shows: around all shapes, as a share of their longer side, and the least side.
_MARGIN, _LEAST_SIDE = 0.12, 12


def objects_by_spread(deocclusion: Deocclusion, scene: Scene) -> list[int]:
    """Rows of the objects that have samples.

    Those come first whose samples lie farthest apart, in pixels; of equal ones those of which most
    is hidden.
    """
    samples = deocclusion.samples or []
    hidden = [
        amodal.area - amodal.intersection_area(modal)
        for amodal, modal in zip(deocclusion.amodal_masks, scene.modal_masks, strict=True)
    ]
    rows = [row for row, drawn in enumerate(samples) if drawn]
    return sorted(rows, key=lambda row: (-disagreement(samples[row]), -hidden[row], row))


def object_samples_row(
    scene: Scene,
    deocclusion: Deocclusion,
    row: int,
    count: int,
    truth: SceneTruth | None = None,
    *,
    label: Label | None = None,
    color: Color | None = None,
) -> np.ndarray:
    """One object: its visible part, the completion that was chosen, those drawn, and the truth.

    All tiles show the same part of the image, which holds every shape and a margin.

    Args:
        scene: N instances; without an image shapes lie on a dark ground.
        deocclusion: of the scene, with samples.
        row: the object's.
        count: tiles for samples, of which the heaviest are shown; those that are not needed stay
            white.
        truth: it takes one more tile, also where it does not know this object.
        label: what the object is called; by its id when None.
        color: by its id when None.

    Returns:
        (h, w, 3) uint8 RGB. Samples have their weights above them, and the last one the number of
        those that are not shown.

    Raises:
        UserError: there are no samples, or none of this object.
    """
    drawn = [] if deocclusion.samples is None else deocclusion.samples[row]
    if not drawn:
        raise UserError(f"{scene.description}: no completions were drawn of instance {row}")
    if count < 1:
        raise UserError(f"tiles for {count} samples: give 1 or more")
    drawn = sorted(drawn, key=lambda s: -s.weight)
    label = scene_labels(scene)[row] if label is None else label
    color = scene_colors(scene)[row] if color is None else color
    modal, chosen = scene.modal_masks[row], deocclusion.amodal_masks[row]
    tiles: list[tuple[str, WindowMask | None]] = [
        (f"{label.long}, visible", modal),
        ("most probable", chosen),
    ]
    shown = drawn[:count]
    for k, sample in enumerate(shown):
        more = len(drawn) - count if k + 1 == count else 0
        text = _percent(sample.weight) + (f", {more} more not shown" if more > 0 else "")
        tiles.append((text, sample.mask))
    tiles += [("", None)] * (count - len(shown))
    if _has_truth(truth):
        known = truth.knows_whole(row)
        tiles.append(("truth", truth.amodal_masks[row]) if known else ("truth not known", None))
    box = _view(scene, [mask for _, mask in tiles if mask is not None])
    strip = np.full((_CAPTION + _TILE, len(tiles) * (_TILE + _GAP) - _GAP, 3), PAPER, np.uint8)
    for k, (text, mask) in enumerate(tiles):
        left = k * (_TILE + _GAP)
        # Each on its own: one long caption does not make the others small.
        strip[:_CAPTION, left : left + _TILE] = captions([text], _TILE, _CAPTION)[0]
        if mask is not None:
            strip[_CAPTION:, left : left + _TILE] = _tile(scene, row, mask, box, color)
    return strip


def samples_sheet(
    scene: Scene,
    deocclusion: Deocclusion,
    truth: SceneTruth | None = None,
    *,
    objects: int = 8,
    count: int = 8,
    labels: Sequence[Label] | None = None,
    colors: Sequence[Color] | None = None,
) -> np.ndarray:
    """``object_samples_row`` of several objects, one below the other; see ``objects_by_spread``.

    Args:
        scene: N instances.
        deocclusion: with samples.
        truth: what is known.
        objects: rows, at most.
        count: samples of each, at most.
        labels: what the N objects are called; by their ids when None.
        colors: N colours; by the ids of the instances when None.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        UserError: there are no samples.
    """
    rows = objects_by_spread(deocclusion, scene)
    if not rows:
        raise UserError(f"{scene.description}: no completions were drawn of any instance")
    chosen = rows[:objects]
    # No empty columns where no object has so many.
    count = min(count, max(len(deocclusion.samples[row]) for row in chosen))
    labels = scene_labels(scene) if labels is None else labels
    colors = colors or scene_colors(scene)
    strips = [
        object_samples_row(
            scene, deocclusion, row, count, truth, label=labels[row], color=colors[row]
        )
        for row in chosen
    ]
    width = strips[0].shape[1]
    shown = "" if len(chosen) == len(rows) else f", {len(chosen)} of {len(rows)} objects"
    name = f"{short_name(scene)}: " if short_name(scene) else ""
    title = (
        f"{name}completions that were drawn, above each the share of the draws that gave "
        f"it; objects whose draws differ most first{shown}"
    )
    heading = captions([title], width, round(1.4 * _CAPTION))[0]
    space = np.full((2 * _GAP, width, 3), PAPER, np.uint8)
    parts = [heading, *(part for strip in strips for part in (strip, space))]
    return np.pad(
        np.concatenate(parts), ((_GAP, 0), (_GAP, _GAP), (0, 0)), constant_values=PAPER[0]
    )


def _has_truth(truth: SceneTruth | None) -> bool:
    return truth is not None and truth.amodal_masks is not None


def _percent(weight: float) -> str:
    """A share, which is above 0, as text that is never "0 %"."""
    percent = max(round(100 * weight, 1), 0.1)
    return f"{percent:g} %"


def _view(scene: Scene, masks: Sequence[WindowMask]) -> Box:
    """A square around masks, within the image; narrower where the image is."""
    x0, y0, x1, y1 = box_around(mask.box for mask in masks)
    side = max(x1 - x0, y1 - y0)
    side = max(round(side * (1 + 2 * _MARGIN)), _LEAST_SIDE)
    spans = []
    for low, high, length in ((x0, x1, scene.width), (y0, y1, scene.height)):
        start = min(max((low + high - side) // 2, 0), max(length - side, 0))
        spans.append((start, min(start + side, length)))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def _tile(scene: Scene, row: int, mask: WindowMask, box: Box, color: Color) -> np.ndarray:
    """What an image shows in a box, with a completion of one object: square, on grey."""
    x0, y0, x1, y1 = box
    modal, amodal = (WindowMask.from_array(m.crop(box)) for m in (scene.modal_masks[row], mask))
    image = None if scene.image is None else scene.image[y0:y1, x0:x1]
    part = Scene(
        y1 - y0, x1 - x0, [modal], scene.category_ids[row : row + 1], [0], image, scene.image_id
    )
    scale = _TILE / max(part.height, part.width)
    picture = draw_amodal_masks(part, [amodal], scale, [color])[:_TILE, :_TILE]
    tile = np.full((_TILE, _TILE, 3), PANEL, np.uint8)
    h, w = picture.shape[:2]
    top, left = (_TILE - h) // 2, (_TILE - w) // 2
    tile[top : top + h, left : left + w] = picture
    return tile

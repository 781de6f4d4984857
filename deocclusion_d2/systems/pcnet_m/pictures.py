"""Pictures of PCNet-M's training samples and of what the network makes of them. All are RGB.

Shape shorthand: S: side of a patch in pixels; T: side of a drawn tile in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from detectron2.utils.visualizer import VisImage

from ...data.loaders import split_batch
from ...visualization.palette import INK, PAPER, Color

VISIBLE: Color = (64, 132, 244)
"""What the network sees of the target."""
HIDDEN: Color = (255, 150, 30)
"""The part of the target under the eraser, which the network is to add."""
ERASER: Color = (128, 128, 134)
SPILLED: Color = (226, 40, 40)
"""Predicted where there is neither input nor eraser."""
EMPTY: Color = (18, 18, 20)
CASE_COLORS: dict[int, Color] = {1: (190, 85, 0), 2: (25, 80, 180)}

_TILE = 128
_GAP, _CAPTION, _LEGEND, _MARGIN = 14, 24, 28, 12
_FONT = 14.0
_LETTER = 0.57  # width of a letter over the font size, on average


def draw_samples(batch: Mapping, result: Mapping | None = None) -> np.ndarray:
    """Training samples, and what the network makes of them if that is known.

    Args:
        batch: as ``PCNetM`` takes it.
        result: what it returns for it.

    Returns:
        (H, W, 3) uint8 RGB: see ``training_image``; without a result see ``sample_grid``.
    """
    if result is None:
        return sample_grid(split_batch(batch))
    gaps = batch.get("gap")
    return training_image(batch["modal_mask"], batch["eraser"], result["probability"], gaps=gaps)


def case_of(sample: Mapping) -> int:
    """1 when the eraser covers part of the target, 2 when it lies beside it."""
    target, eraser = _masks(sample["modal_mask"], sample["eraser"])
    return 1 if (target & eraser).any() else 2


def sample_tiles(sample: Mapping) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a training sample consists of.

    Args:
        sample: ``modal_mask`` (S, S) 0/1, the target A; ``eraser`` (S, S) 0/1; optionally ``gap``
            (S, S) 0/1 and ``image`` (S, S, 3) uint8 RGB.

    Returns:
        Network input, eraser, and target over both, each (S, S, 3) uint8. The input is white, the
        target blue where it is visible and orange where it is not, the eraser grey. With an image
        the input is what the network sees of it, brightest inside the target.
    """
    target, eraser, gap = _masks(sample["modal_mask"], sample["eraser"], sample.get("gap", 0))
    visible = target & ~eraser & ~gap
    first, second = _paint(visible, PAPER), _paint(eraser, ERASER)
    if "image" in sample:
        image = _array(sample["image"]).astype(np.uint8)
        first = np.where(visible[..., None], image, image // 3)
        first[eraser] = 0
    return first, second, _paint_target(target, visible, eraser)


def sample_grid(samples: Iterable[Mapping], columns: int = 4, tile: int = _TILE) -> np.ndarray:
    """Training samples in a grid: network input, eraser and target of each, with its case.

    Args:
        samples: at least one, as ``sample_tiles`` takes it, with ``category_id``.
        columns: samples in a row.
        tile: side of a drawn patch in pixels.

    Returns:
        (H, W, 3) uint8 RGB: ``columns`` times 3 tiles wide, plus gaps; a legend is at the bottom.

    Raises:
        ValueError: there are no samples.
    """
    samples = list(samples)
    if not samples:
        raise ValueError("no training samples to draw: give at least one")
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    cell_height, cell_width = _CAPTION + tile + _GAP // 2, 3 * tile + 4 + _GAP
    width = 2 * _MARGIN + columns * cell_width - _GAP
    bottom = _MARGIN + rows * cell_height + _GAP // 2
    legend, lines = _legend(_MARGIN, bottom, width - 2 * _MARGIN)
    page = np.full((bottom + lines * _LEGEND + _MARGIN, width, 3), PAPER, dtype=np.uint8)
    labels = []
    for k, sample in enumerate(samples):
        top = _MARGIN + (k // columns) * cell_height
        left = _MARGIN + (k % columns) * cell_width
        text = _describe(sample)
        size = min(_FONT, (cell_width - _GAP) / (len(text) * _LETTER))
        color = CASE_COLORS[case_of(sample)]
        labels.append(_Label(left, top + _CAPTION / 2, text, color, size))
        for n, picture in enumerate(sample_tiles(sample)):
            x, y = left + n * (tile + 2), top + _CAPTION
            page[y : y + tile, x : x + tile] = _resize(picture, tile)
    return _write(page, labels + legend)


def overlay_prediction(
    modal_mask: torch.Tensor | np.ndarray,
    eraser: torch.Tensor | np.ndarray,
    probability: torch.Tensor | np.ndarray,
    gap: torch.Tensor | np.ndarray | int = 0,
) -> np.ndarray:
    """A training sample and the network's answer, side by side.

    Args:
        modal_mask: (S, S) 0/1, the target.
        eraser: (S, S) 0/1.
        probability: (S, S) foreground probability, 0-1.
        gap: (S, S) 0/1, where the target is hidden beside the eraser; 0 for nowhere.

    Returns:
        (S, 3 * S, 3) uint8 RGB: network input (white) with the eraser (grey); the target; the
        prediction, as bright as it is probable: blue inside the input, orange under the eraser and
        in the gap, red elsewhere.
    """
    target, erased, between = _masks(modal_mask, eraser, gap)
    share = np.clip(_array(probability).astype(np.float32), 0, 1)[..., None]
    visible = target & ~erased & ~between
    given = _paint(erased, ERASER)
    given[visible] = PAPER
    base = _paint(erased, ERASER).astype(np.float32)
    colors = _paint(np.ones_like(target), SPILLED).astype(np.float32)
    colors[erased | between] = HIDDEN
    colors[visible] = VISIBLE
    predicted = np.round(base + (colors - base) * share).astype(np.uint8)
    return np.concatenate([given, _paint_target(target, visible, erased), predicted], axis=1)


def training_image(
    modal_masks: torch.Tensor | np.ndarray,
    erasers: torch.Tensor | np.ndarray,
    probabilities: torch.Tensor | np.ndarray,
    max_samples: int = 8,
    gaps: torch.Tensor | np.ndarray | None = None,
) -> np.ndarray:
    """``overlay_prediction`` of the first samples of a batch, one below the other.

    Args:
        modal_masks, erasers, probabilities: (B, S, S) each.
        max_samples: how many to draw.
        gaps: (B, S, S); see ``overlay_prediction``.

    Returns:
        (min(B, max_samples) * S, 3 * S, 3) uint8 RGB.
    """
    gaps = [0] * len(modal_masks) if gaps is None else gaps
    samples = zip(modal_masks, erasers, probabilities, gaps, strict=True)
    rows = [overlay_prediction(*s) for s, _ in zip(samples, range(max_samples), strict=False)]
    return np.concatenate(rows, axis=0)


def _array(values: torch.Tensor | np.ndarray) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().float() if values.is_floating_point() else values.detach()
        return values.cpu().numpy()
    return np.asarray(values)


def _masks(*masks: torch.Tensor | np.ndarray) -> list[np.ndarray]:
    return [_array(mask) != 0 for mask in masks]


def _paint(mask: np.ndarray, color: Color) -> np.ndarray:
    picture = np.empty((*mask.shape, 3), dtype=np.uint8)
    picture[:] = EMPTY
    picture[mask] = color
    return picture


def _paint_target(target: np.ndarray, visible: np.ndarray, eraser: np.ndarray) -> np.ndarray:
    picture = _paint(eraser, ERASER)
    picture[target] = HIDDEN
    picture[visible] = VISIBLE
    return picture


def _resize(picture: np.ndarray, side: int) -> np.ndarray:
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_NEAREST
    return cv2.resize(picture, (side, side), interpolation=how)


def _describe(sample: Mapping) -> str:
    target, eraser = _masks(sample["modal_mask"], sample["eraser"])
    share = (target & eraser).sum() / max(target.sum(), 1)
    text = f"case {case_of(sample)}"
    if "category_id" in sample:
        text += f", category {int(sample['category_id'])}"
    # A sliver must not read as nothing.
    return text + (f", {max(share, 0.001):.1%} erased" if share else ", nothing erased")


@dataclass(frozen=True)
class _Label:
    """Text, or a square of the colour where the text is empty; (x, y) is its middle left."""

    x: float
    y: float
    text: str
    color: Color
    size: float = _FONT


def _legend(left: float, top: float, width: float) -> tuple[list[_Label], int]:
    """Entries in as many lines as the width asks for, and the number of lines."""
    entries = (
        (PAPER, "network input"),
        (ERASER, "eraser"),
        (VISIBLE, "target, visible"),
        (HIDDEN, "target, erased"),
        (CASE_COLORS[1], "Case 1: the eraser covers part of the target."),
        (CASE_COLORS[2], "Case 2: the eraser lies beside the target."),
        (None, "Left to right: network input (target minus eraser), eraser, target over it."),
    )
    labels: list[_Label] = []
    x, line = 0.0, 0
    for number, (color, text) in enumerate(entries):
        square = 20 if number < 4 else 0
        size = min(_FONT, (width - square) / (len(text) * _LETTER))
        needed = square + len(text) * _LETTER * size
        if x and x + needed > width:
            x, line = 0.0, line + 1
        y = top + (line + 0.5) * _LEGEND
        if square:
            labels.append(_Label(left + x, y, "", color))
        ink = INK if square or color is None else color
        labels.append(_Label(left + x + square, y, text, ink, size))
        x += needed + 18
    return labels, line + 1


def _write(page: np.ndarray, labels: Sequence[_Label]) -> np.ndarray:
    canvas = VisImage(page)
    canvas.ax.autoscale(False)
    for label in labels:
        color = tuple(v / 255 for v in label.color)
        if label.text:
            canvas.ax.text(
                label.x,
                label.y,
                label.text,
                color=color,
                fontsize=label.size * 72.0 / canvas.dpi,
                va="center",
                parse_math=False,
            )
        else:
            canvas.ax.plot(
                [label.x + 7], [label.y], "s", color=color, markersize=9, markeredgecolor="black"
            )
    return canvas.get_image()

"""Pictures of Amodal-VAE's training samples and of what the network makes of them. All are RGB.

Shape shorthand: N: samples; M: side of masks, T: side of the frame, both in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch

from ...data.loaders import split_batch
from ...visualization.canvas import captions
from ...visualization.palette import PAPER, Color
from .losses import UNKNOWN
from .steps import paste
from .transformer import box_from

VISIBLE: Color = (64, 132, 244)
"""What the network sees of the object."""
HIDDEN: Color = (255, 150, 30)
"""The rest of it, which the network is to add."""
UNSURE: Color = (128, 60, 140)
"""Where nobody knows what belongs to the object."""
EMPTY: Color = (18, 18, 20)

_TILE, _GAP, _CAPTION = 112, 4, 22
_COLUMNS = 3
_LEGEND = "blue: visible, orange: hidden, purple: not known, line: box of the visible part"


def draw_samples(batch: Mapping, result: Mapping | None = None) -> np.ndarray:
    """Training samples, and what the network completes of them if that is known.

    Of each sample, left to right:

    - the visible part in its box, the brighter the more of a pixel is visible;
    - the whole mask in its own box; dark for an object that is really hidden, of which nobody knows
      it;
    - with a result, the whole mask that the network gives, as bright as it is probable;
    - the frame around the visible part: blue where the object is visible, orange where it is
      hidden, purple where it is not known; a white line around the visible part's box;
    - with a result, the same with the completion in the box that the network gives: blue and orange
      as bright as it is probable.

    Args:
        batch: as ``AmodalVAE`` takes it in training; with ``frame``, (N,) sides of the frame as
            multiples of those of the modal box.
        result: what the network returns for it in evaluation: ``probability`` (N, M, M) and ``box``
            (N, 4).

    Returns:
        (h, w, 3) uint8: a caption for each column of tiles, the samples below each other, in three
        columns where there is no result, and what the colours mean.
    """
    samples = split_batch(batch)
    if result is None:
        strips = [_strip(sample) for sample in samples]
        titles = ["visible part", "whole mask", "frame"]
        columns = min(_COLUMNS, len(strips))
    else:
        results = split_batch({key: result[key] for key in ("probability", "box")})
        strips = [_strip(s, r) for s, r in zip(samples, results, strict=True)]
        titles = ["visible part", "whole mask", "completion", "frame", "completed"]
        columns = 1
    strips += [np.full_like(strips[0], 255)] * (-len(strips) % columns)
    heading = _heading(titles)
    rows = [np.concatenate([heading] * columns, axis=1)]
    rows += [np.concatenate(strips[i : i + columns], 1) for i in range(0, len(strips), columns)]
    # Without the gap behind the last column.
    page = np.concatenate(rows)[:, : -2 * _GAP]
    return np.concatenate([page, *captions([_LEGEND], page.shape[1], _CAPTION)])


def _heading(titles: Sequence[str]) -> np.ndarray:
    strips = captions(titles, _TILE, _CAPTION)
    return _spaced([np.pad(s, ((0, 0), (0, _GAP), (0, 0)), constant_values=255) for s in strips])


def _strip(sample: Mapping, result: Mapping | None = None) -> np.ndarray:
    """The tiles of one sample side by side."""
    sample = {key: _array(values) for key, values in sample.items()}
    tiles = [_shade(sample["partial"] / 255, PAPER)]
    is_whole = bool(sample["is_whole"])
    whole = sample["full"] > 0
    tiles.append(_shade(whole, PAPER) if is_whole else np.full((*whole.shape, 3), UNSURE, np.uint8))
    target = sample["framed"]
    side = target.shape[0]
    box = _modal_box(side, float(sample["frame"]))
    seen = _pasted(sample["partial"].astype(np.float32) / 255, box, side) >= 0.5
    truth = _painted(np.ones(target.shape), seen, target == 1, target == UNKNOWN)
    if result is None:
        tiles.append(_with_box(truth, box))
    else:
        result = {key: _array(values) for key, values in result.items()}
        probability = result["probability"]
        tiles += [_shade(probability, PAPER), _with_box(truth, box)]
        given = _pasted(probability, box_from(box, result["box"]), side)
        given = _painted(given, seen, np.ones_like(seen), np.zeros_like(seen))
        tiles.append(_with_box(given, box))
    return _spaced([np.pad(_enlarged(t), _BORDER, constant_values=255) for t in tiles])


_BORDER = ((0, _GAP), (0, _GAP), (0, 0))


def _spaced(tiles: Sequence[np.ndarray]) -> np.ndarray:
    return np.pad(np.concatenate(tiles, 1), ((0, 0), (0, _GAP), (0, 0)), constant_values=255)


def _array(values: torch.Tensor | np.ndarray) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _modal_box(side: int, frame: float) -> tuple[float, float, float, float]:
    """The box of the visible part in the frame, in pixels of the frame."""
    low, high = side * (1 - 1 / frame) / 2, side * (1 + 1 / frame) / 2
    return low, low, high, high


def _pasted(mask: np.ndarray, box: tuple[float, float, float, float], side: int) -> np.ndarray:
    """A mask's values in the frame, (T, T) float32, 0 outside of its box."""
    values, x0, y0 = paste(mask.astype(np.float32), box, side, side)
    frame = np.zeros((side, side), np.float32)
    frame[y0 : y0 + values.shape[0], x0 : x0 + values.shape[1]] = values
    return frame


def _painted(
    share: np.ndarray, seen: np.ndarray, of_object: np.ndarray, unknown: np.ndarray
) -> np.ndarray:
    """Colours of a frame, (T, T, 3) uint8; those of the object by its share, (T, T) in [0, 1]."""
    color = np.where(seen[..., None], VISIBLE, HIDDEN)
    share = (share * of_object)[..., None]
    picture = EMPTY + (color - np.asarray(EMPTY)) * share
    picture[unknown] = UNSURE
    return np.round(picture).astype(np.uint8)


def _shade(share: np.ndarray, color: Color) -> np.ndarray:
    share = np.clip(np.asarray(share, np.float32), 0, 1)[..., None]
    return np.round(EMPTY + (np.asarray(color) - EMPTY) * share).astype(np.uint8)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    how = cv2.INTER_AREA if picture.shape[0] > _TILE else cv2.INTER_NEAREST
    return cv2.resize(picture, (_TILE, _TILE), interpolation=how)


def _with_box(picture: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """A frame, enlarged, with a line around a box of it."""
    picture = np.ascontiguousarray(_enlarged(picture))
    x0, y0, x1, y1 = (round(v * _TILE / _side_of(box)) for v in box)
    cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), PAPER, 1)
    return picture


def _side_of(box: tuple[float, float, float, float]) -> float:
    """Of the frame in whose middle a box lies."""
    return box[0] + box[2]

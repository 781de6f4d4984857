"""Pictures of PCNet-C's training samples and of what the network fills in. All are RGB.

Shape shorthand: B: samples, S: side of a patch in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ...data.loaders import split_batch
from ...visualization.palette import Color

HOLE: Color = (226, 40, 140)
"""What is to be filled: a colour that photos seldom have."""
OUTSIDE: Color = (60, 60, 66)
"""Beyond the border of the image."""
_GAP = 4


def draw_samples(batch: Mapping, result: Mapping | None = None) -> np.ndarray:
    """Training samples, and what the network fills in if that is known; see ``content_image``.

    Args:
        batch: as ``PCNetC`` takes it.
        result: what it returns for it.
    """
    return content_image(split_batch(batch), None if result is None else result["rgb"].cpu())


def content_image(
    samples: Sequence[Mapping], outputs: torch.Tensor | np.ndarray | None = None, columns: int = 2
) -> np.ndarray:
    """Training samples in a grid.

    Args:
        samples: at least one, as ``PCNetC`` takes it: ``image`` (S, S, 3) uint8, ``modal_mask``,
            ``hole`` and ``outside`` (S, S) 0/1.
        outputs: (B, S, S, 3) colours, 0 to 255, that the network makes of them, if known.
        columns: samples in a row.

    Returns:
        (H, W, 3) uint8. Of each sample, left to right: what the network sees, the hole magenta;
        the same, dark where the modal mask is not; with ``outputs`` the filled patch; the truth.
    """
    strips = [_strip(s, None if outputs is None else outputs[k]) for k, s in enumerate(samples)]
    columns = min(columns, len(strips))
    strips += [np.full_like(strips[0], 255)] * (-len(strips) % columns)
    rows = [np.concatenate(strips[i : i + columns], 1) for i in range(0, len(strips), columns)]
    return np.concatenate(rows, 0)


def _strip(sample: Mapping, output: torch.Tensor | np.ndarray | None) -> np.ndarray:
    image, mask, hole, outside = (
        np.asarray(sample[key]) for key in ("image", "modal_mask", "hole", "outside")
    )
    truth = image.copy()
    truth[outside > 0] = OUTSIDE
    seen = truth.copy()
    seen[hole > 0] = HOLE
    of_object = np.where((mask > 0)[..., None], seen, seen // 4)
    of_object[hole > 0] = HOLE
    tiles = [seen, of_object]
    if output is not None:
        filled = np.clip(np.rint(np.asarray(output)), 0, 255).astype(np.uint8)
        tiles.append(np.where((hole > 0)[..., None], filled, truth))
    tiles.append(truth)
    framed = [np.pad(t, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for t in tiles]
    return np.concatenate(framed, axis=1)

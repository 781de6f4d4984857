"""The U-Net where a part of the patch counts: what a result does not depend on is not computed.

A result is wanted in one window of the patch, and what the network is shown lies in another, the
content; the rest of the input is zero. On every level,

- features that nothing wanted depends on are left out: 3x3 convolutions and the upsampling reach a
  few pixels far, so a window of the result needs a somewhat larger one of each level;
- features that no content reaches are those of an empty patch, which are computed once.

On masks of streets and of photos this leaves about half of the multiplications of a whole patch.

Shape shorthand: C: channels, S: side of the patch in pixels, n: side of a level, S / 2^level.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .unet import DoubleConv, UNet, halved

# (y0, y1, x0, x1) in pixels of a level, y1 and x1 exclusive.
Window = tuple[int, int, int, int]

# How far two 3x3 convolutions see.
_REACH = 2
# Windows start and end at multiples of this share of a level: oneDNN prepares a kernel for every
# size, and keeps a thousand, where all sizes of large patches are some thousands. It asks for the
# number when it prepares the first.
_STEPS = 32
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
# Share of a patch up to which only wanted pixels are upsampled, by indexing; beyond, the library
# is faster, whose every call is for a whole level.
_INDEXED_SHARE = 0.4


@dataclass(frozen=True)
class LevelPlan:
    """What is computed of one level.

    Attributes:
        needed: encoder features that coarser levels and the decoder read.
        computed: of these, the ones that content reaches; all others are an empty patch's.
        decoded: decoder features that are wanted; those of the coarsest level are the encoder's.
    """

    needed: Window
    computed: Window
    decoded: Window


def plan_levels(size: int, wanted: Window, content: Window, margin: int = 0) -> list[LevelPlan]:
    """What is computed of each level, finest first.

    Args:
        size: S.
        wanted, content: in pixels of the patch; ``wanted`` is not empty.
        margin: further pixels of each coarser level that the upsampling may read.
    """
    sides = [size >> level for level in range(UNet.LEVELS + 1)]
    steps = [max(1, side // _STEPS) for side in sides]
    decoded = [_rounded(wanted, steps[0], size)]
    for side, step in zip(sides[1:], steps[1:], strict=True):
        y0, y1, x0, x1 = _grown(decoded[-1], _REACH, 2 * side)
        rows, columns = source_rows(y0, y1, 2 * side), source_rows(x0, x1, 2 * side)
        decoded.append(_rounded(_grown((*rows, *columns), margin, side), step, side))
    needed = [decoded[-1]]
    for level in reversed(range(UNet.LEVELS)):
        below = tuple(2 * v for v in _grown(needed[0], _REACH, sides[level + 1]))
        needed.insert(0, _around(below, _grown(decoded[level], _REACH, sides[level])))
    plan = []
    reached = content
    for level, side in enumerate(sides):
        if level:
            y0, y1, x0, x1 = reached
            reached = (y0 // 2, -(-y1 // 2), x0 // 2, -(-x1 // 2))
        reached = _grown(reached, _REACH, side) if _area(reached) else reached
        computed = _common(reached, needed[level])
        if _area(computed):
            computed = _common(_rounded(computed, steps[level], side), needed[level])
        plan.append(LevelPlan(needed[level], computed, decoded[level]))
    return plan


class RegionalUNet(nn.Module):
    """A trained U-Net for one patch at a time, computed in the part that a result depends on.

    The result equals that part of the whole network's: to the bit where the library's convolutions
    do not depend on the size of their input (oneDNN's bfloat16), else to rounding.

    Args:
        network: as it computes, in evaluation; its weights must not change any more.
    """

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network
        # Features lie in memory as the weights do; a library's convolutions want it their way.
        weight = next(network.parameters())
        channels_last = weight.is_contiguous(memory_format=torch.channels_last)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        # Encoder features of an empty patch, by its side.
        self._empty: dict[int, list[torch.Tensor]] = {}

    def forward(
        self, x: torch.Tensor, wanted: Window, content: Window
    ) -> tuple[torch.Tensor, Window]:
        """Logits in a window.

        Args:
            x: (1, C, S, S) in the precision of the weights.
            wanted: where the result counts; not empty.
            content: outside of it x is zero.

        Returns:
            (1, classes, h, w) logits, and the window that they are of, which holds ``wanted``.
        """
        size = x.shape[-1]
        indexed = _area(_rounded(wanted, size // 8, size)) <= _INDEXED_SHARE * size**2
        # The library's rows may differ from ours by rounding.
        plan = plan_levels(size, wanted, content, margin=0 if indexed else 1)
        features = self._encode(x.contiguous(memory_format=self._layout), plan)
        out = features[-1]
        for level in reversed(range(UNet.LEVELS)):
            out = self._decode(level, out, features[level], plan, size >> level, indexed)
        return self.network.head(out), plan[0].decoded

    def _encode(self, x: torch.Tensor, plan: list[LevelPlan]) -> list[torch.Tensor]:
        """Encoder features of each level, (1, C, h, w) in its ``needed`` window."""
        size = x.shape[-1]
        if size not in self._empty:
            self._empty[size] = self.network.encode(torch.zeros_like(x))
        features: list[torch.Tensor] = []
        for level, here in enumerate(plan):
            side = size >> level
            # What is not read belongs to no window.
            part = None
            if _area(here.computed):
                around = _grown(here.computed, _REACH, side)
                if level:
                    finer = plan[level - 1].needed
                    part = halved(_cut(features[-1], tuple(2 * v for v in around), finer))
                else:
                    part = _cut(x, around)
                block = self.network.down[level - 1] if level else self.network.stem
                part = _double_conv(block, part, here.computed, side)
            if here.computed == here.needed:
                features.append(part)
                continue
            whole = _cut(self._empty[size][level], here.needed)
            if part is not None:
                whole = whole.clone(memory_format=_layout(whole))
                _cut(whole, here.computed, here.needed).copy_(part)
            features.append(whole)
        return features

    def _decode(
        self,
        level: int,
        coarse: torch.Tensor,
        skip: torch.Tensor,
        plan: list[LevelPlan],
        side: int,
        indexed: bool,
    ) -> torch.Tensor:
        """Decoder features of a level, (1, C, h, w) in its ``decoded`` window.

        Args:
            coarse: of the next coarser level, in its ``decoded`` window.
            skip: encoder features in the ``needed`` window.
        """
        y0, y1, x0, x1 = around = _grown(plan[level].decoded, _REACH, side)
        source = plan[level + 1].decoded
        known, height, width = skip.shape[1], y1 - y0, x1 - x0
        x = _empty(skip, (1, known + coarse.shape[1], height, width))
        x[:, :known] = _cut(skip, around, plan[level].needed)
        if indexed:
            rows = upsampled(coarse.float(), 2, y0, y1, source[0], side)
            x[:, known:] = upsampled(rows, 3, x0, x1, source[2], side)
        else:
            if coarse.shape[-2:] != (side // 2, side // 2):
                part = coarse
                coarse = _empty(part, (1, part.shape[1], side // 2, side // 2)).zero_()
                _cut(coarse, source).copy_(part)
            whole = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=True)
            x[:, known:] = _cut(whole, around)
        return _double_conv(self.network.up[UNet.LEVELS - 1 - level], x, plan[level].decoded, side)


def _layout(x: torch.Tensor) -> torch.memory_format:
    """What a window of features was cut out of."""
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


def _double_conv(block: DoubleConv, x: torch.Tensor, window: Window, side: int) -> torch.Tensor:
    """A block's features in a window of a level, out of those in the window ``_REACH`` larger."""
    for first, left_over in ((0, 1), (3, 0)):
        conv, norm, relu = (block[first + k] for k in range(3))
        y0, y1, x0, x1 = _grown(window, left_over + 1, side)
        top, bottom, left, right = _grown(window, left_over, side)
        # Zeros around x only where the level ends; elsewhere its outermost pixels are used up.
        zeros = (1 - (top - y0), 1 - (y1 - bottom), 1 - (left - x0), 1 - (x1 - right))
        x = relu(norm(_convolved(x, conv, zeros)))
    return x


def _convolved(x: torch.Tensor, conv: nn.Module, zeros: Window) -> torch.Tensor:
    """A convolution with some rows above and below, and columns left and right, of zeros."""
    if not isinstance(conv, nn.Conv2d):
        return conv(x, zeros)  # another library's
    top, bottom, left, right = zeros
    rows, columns = min(top, bottom), min(left, right)
    uneven = (left - columns, right - columns, top - rows, bottom - rows)
    layout = _layout(x)  # padding may lose it
    x = F.pad(x, uneven) if any(uneven) else x
    x = x.contiguous(memory_format=layout)
    return F.conv2d(x, conv.weight, conv.bias, padding=(rows, columns))


def _empty(like: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=_layout(like))


def _cut(x: torch.Tensor, window: Window, of: Window = (0, 0, 0, 0)) -> torch.Tensor:
    """A window of features that start where ``of`` starts; a view."""
    y0, y1, x0, x1 = window
    top, _, left, _ = of
    return x[:, :, y0 - top : y1 - top, x0 - left : x1 - left]


def _area(window: Window) -> int:
    y0, y1, x0, x1 = window
    return max(y1 - y0, 0) * max(x1 - x0, 0)


def _grown(window: Window, pixels: int, side: int) -> Window:
    """A window with pixels around it, inside its level."""
    y0, y1, x0, x1 = window
    return (
        max(y0 - pixels, 0),
        min(y1 + pixels, side),
        max(x0 - pixels, 0),
        min(x1 + pixels, side),
    )


def _rounded(window: Window, step: int, side: int) -> Window:
    """The least window around one that starts and ends at multiples of a step."""
    y0, y1, x0, x1 = window
    return (
        y0 // step * step,
        min(-(-y1 // step) * step, side),
        x0 // step * step,
        min(-(-x1 // step) * step, side),
    )


def _common(a: Window, b: Window) -> Window:
    return max(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), min(a[3], b[3])


def _around(a: Window, b: Window) -> Window:
    """The least window that holds both; neither is empty."""
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])


def source_rows(start: int, stop: int, side: int) -> tuple[int, int]:
    """First row that rows start..stop of a doubling to ``side`` rows need, and one past the last.

    Of s source rows, row i stands at i (s - 1) / (2 s - 1): between rows k - 1 and k for i = 2 k,
    between k and k + 1 for i = 2 k + 1; the first and the last row are the source's.
    """
    return max((start + 1) // 2 - 1, 0), min(stop // 2 + 1, side // 2)


def upsampled(
    x: torch.Tensor, dim: int, start: int, stop: int, first: int, side: int
) -> torch.Tensor:
    """Rows (or columns) start..stop of a bilinear (align_corners) doubling to ``side`` of them.

    Args:
        x: (1, C, h, w) float32, of which ``dim`` holds the source rows from ``first`` on, those of
            ``source_rows`` at least.
    """
    shape = list(x.shape)
    shape[dim] = stop - start
    out = _empty(x, shape)
    weights = _weights(side, x.device)
    # Rows of one parity follow each other in the source, too.
    for begin in (start, start + 1):
        end = stop - (stop - begin + 1) % 2  # the last of them, and one
        if begin == 0:
            _rows(out, dim, 0, 1).copy_(_rows(x, dim, 0, 1))
            begin += 2
        if end == side:
            _rows(out, dim, side - 1 - start, side - start).copy_(
                _rows(x, dim, side // 2 - 1 - first, side // 2 - first)
            )
            end -= 2
        if begin >= end:
            continue
        low = (begin + 1) // 2 - 1 - first
        count = (end - begin + 1) // 2
        torch.lerp(
            _rows(x, dim, low, low + count),
            _rows(x, dim, low + 1, low + 1 + count),
            weights[begin:end:2].view([-1 if k == dim else 1 for k in range(4)]),
            out=_rows(out, dim, begin - start, end - start, 2),
        )
    return out


def _rows(x: torch.Tensor, dim: int, start: int, stop: int, step: int = 1) -> torch.Tensor:
    part = slice(start, stop, step)
    return x[:, :, part] if dim == 2 else x[:, :, :, part]


@functools.lru_cache(maxsize=16)
def _weights(side: int, device: torch.device) -> torch.Tensor:
    """(side,) float32: of each row of a doubling, the share of the second of its source rows."""
    row = torch.arange(side, dtype=torch.float64, device=device)
    low = torch.div(row + 1, 2, rounding_mode="floor") - 1
    return (row * ((side // 2 - 1) / (side - 1)) - low).float()

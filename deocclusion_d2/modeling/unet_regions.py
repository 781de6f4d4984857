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
# size, and keeps about a thousand.
_STEPS = 32
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
        rows = upsampled_rows(y0, y1, 2 * side).needed
        columns = upsampled_rows(x0, x1, 2 * side).needed
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
        features = self._encode(x, plan)
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
                whole = whole.clone(memory_format=torch.channels_last)
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
        around = _grown(plan[level].decoded, _REACH, side)
        source = plan[level + 1].decoded
        if indexed:
            rows = upsampled_rows(*around[:2], side).from_row(source[0])
            columns = upsampled_rows(*around[2:], side).from_row(source[2])
            upsampled = columns.apply(rows.apply(coarse, dim=2), dim=3).to(skip.dtype)
        else:
            if coarse.shape[-1] != side // 2 or coarse.shape[-2] != side // 2:
                part, coarse = coarse, coarse.new_zeros((1, coarse.shape[1], side // 2, side // 2))
                coarse = coarse.contiguous(memory_format=torch.channels_last)
                _cut(coarse, source).copy_(part)
            whole = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=True)
            upsampled = _cut(whole, around)
        x = torch.cat([_cut(skip, around, plan[level].needed), upsampled], dim=1)
        return _double_conv(self.network.up[UNet.LEVELS - 1 - level], x, plan[level].decoded, side)


def _double_conv(block: DoubleConv, x: torch.Tensor, window: Window, side: int) -> torch.Tensor:
    """A block's features in a window of a level, out of those in the window ``_REACH`` larger."""
    for first, left_over in ((0, 1), (3, 0)):
        conv, norm, relu = (block[first + k] for k in range(3))
        y0, y1, x0, x1 = _grown(window, left_over + 1, side)
        top, bottom, left, right = _grown(window, left_over, side)
        # Zeros around x only where the level ends; elsewhere its outermost pixels are used up.
        top, bottom, left, right = (
            1 - (top - y0),
            1 - (y1 - bottom),
            1 - (left - x0),
            1 - (x1 - right),
        )
        rows, columns = min(top, bottom), min(left, right)
        x = F.pad(x, (left - columns, right - columns, top - rows, bottom - rows))
        x = x.contiguous(memory_format=torch.channels_last)
        x = relu(norm(F.conv2d(x, conv.weight, conv.bias, padding=(rows, columns))))
    return x


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


@dataclass(frozen=True)
class Upsampling:
    """Some rows (or columns) of a bilinear (align_corners) doubling.

    Attributes:
        low, high: (n,) int64, the two source rows of each.
        weight: (n,) float32, share of ``high``.
    """

    low: torch.Tensor
    high: torch.Tensor
    weight: torch.Tensor

    @property
    def needed(self) -> tuple[int, int]:
        """First source row, and one past the last."""
        return int(self.low[0]), int(self.high[-1]) + 1

    def from_row(self, first: int) -> Upsampling:
        """For a source that starts at a row."""
        return Upsampling(self.low - first, self.high - first, self.weight)

    def apply(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        """(..., source rows, ...) -> (..., n, ...) float32."""
        shape = [1] * x.ndim
        shape[dim] = -1
        low = x.index_select(dim, self.low.to(x.device)).float()
        high = x.index_select(dim, self.high.to(x.device)).float()
        return torch.lerp(low, high, self.weight.to(x.device).view(shape))


@functools.lru_cache(maxsize=1024)
def upsampled_rows(start: int, stop: int, size: int) -> Upsampling:
    """Rows start..stop of the doubling of ``size // 2`` rows."""
    source = size // 2
    position = torch.arange(start, stop, dtype=torch.float64) * ((source - 1) / (size - 1))
    low = position.floor().long().clamp(max=source - 1)
    high = (low + 1).clamp(max=source - 1)
    return Upsampling(low, high, (position - low).float())

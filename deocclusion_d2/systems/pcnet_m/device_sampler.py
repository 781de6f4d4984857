"""PCNet-M's training samples made on the network's device, a batch at once.

What ``data/samplers/erasing.py`` draws one by one, to the bit. The loader's workers draw recipes
(``mapper.RecipeMapper``): which instances, which squares, and the random numbers of the placements.
The device holds all masks as bits, and looks patches up in them.

Patches lie on canvases: a row and a column of zeros follow, for whatever lies outside. The host
waits for the device only to learn which samples still have no placement, a few times a batch.

Shape shorthand: N: samples; S: side of a patch in pixels; T: placements that are tried at most;
K: patches that are read at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from ...data.packed_masks import PackedMasks
from ...data.samplers import ErasingSettings

Tensors = dict[str, torch.Tensor]

# Pixels that are worked on at once, where every one of them has an index: it bounds the memory.
_PIXELS = 1 << 22
# Placements that are looked at together: one, as most fit, then so many times more, up to a limit.
_MORE, _MOST = 4, 32


@dataclass(frozen=True)
class MaskBits:
    """``PackedMasks`` on a device, with the same attributes as tensors."""

    bits: torch.Tensor
    offsets: torch.Tensor
    boxes: torch.Tensor

    @classmethod
    def of(cls, masks: PackedMasks, device: torch.device | str) -> MaskBits:
        arrays = (masks.bits, masks.offsets, masks.boxes)
        return cls(*(torch.from_numpy(a).to(device) for a in arrays))


class DeviceSampler:
    """Makes batches of samples from batches of recipes.

    Args:
        masks: of all instances.
        settings: numbers of the sampler; without seams.
        device: where samples are made.
    """

    def __init__(
        self, masks: PackedMasks, settings: ErasingSettings, device: torch.device | str
    ) -> None:
        self._device = torch.device(device)
        self._masks = MaskBits.of(masks, self._device)
        self._settings = settings

    def __call__(self, recipes: Mapping[str, torch.Tensor]) -> Tensors:
        """A batch as ``PCNetM`` takes it, on the device.

        Args:
            recipes: stacked samples of ``RecipeMapper``.

        Returns:
            ``modal_mask`` and ``eraser`` (N, S, S) uint8 0/1, ``category_id`` (N,) int64.
        """
        settings, patch = self._settings, self._settings.patch_size
        recipes = {k: v.to(self._device, non_blocking=True) for k, v in recipes.items()}
        size = recipes["size"]
        target, other = (
            read_patches(self._masks, recipes["rows"][:, k], recipes["squares"][:, k], size, patch)
            for k in (0, 1)
        )
        if "enlarged" in recipes:
            # Where there is one, the square is empty, and nothing has been read.
            other[:, :patch, :patch] |= unpack_patches(recipes["enlarged"], patch)
        numbers = recipes["numbers"]
        offsets = placement_offsets(numbers[:, :-1].unflatten(1, (-1, 3)), settings.overlap, size)
        chosen = first_fitting(target, other, size, offsets, settings.erased_share)

        every = torch.arange(len(size), device=self._device)
        shown = torch.arange(patch, device=self._device).expand(len(size), patch)
        if settings.common_grid:
            shown = source_index(size, torch.full_like(size, patch), patch)
            modal_mask = take_pixels(target, every, shown, shown)
        else:
            modal_mask = target[:, :patch, :patch].contiguous()
        eraser = place(other, every, size, offsets[every, chosen], shown)
        # The draw after those of the placements that were tried.
        in_case_2 = (numbers[every, 3 * (chosen + 1)] >= settings.gamma).to(torch.uint8)
        eraser &= 1 - (modal_mask & in_case_2[:, None, None])
        return {
            "modal_mask": modal_mask,
            "eraser": eraser,
            "category_id": recipes["category_id"],
        }


def source_index(
    side: torch.Tensor, size: torch.Tensor, patch: int, flip: torch.Tensor | None = None
) -> torch.Tensor:
    """Pixel of a square that each pixel of a patch shows, as ``nearest_source_index`` has it.

    Args:
        side: (N,) int64, pixels of the square.
        size: (N,) int64, of the patch, up to S.
        patch: S.
        flip: (N,) bool, whether the patch is mirrored.

    Returns:
        (N, S) int64, -1 beyond the patch.
    """
    place = torch.arange(patch, device=side.device).expand(len(side), patch)
    if flip is not None:
        place = torch.where(flip[:, None], size[:, None] - 1 - place, place)
    # Each operation is rounded by itself, on every device: tensors are divided by tensors (a GPU
    # multiplies by the inverse of a number), and no sum follows a product.
    step = 1.0 / (size.double() / side.double())
    index = (place.double() * step[:, None]).floor().long()
    index = torch.minimum(index, side[:, None] - 1)
    return torch.where((place >= 0) & (place < size[:, None]), index, -1)


def read_patches(
    masks: MaskBits, rows: torch.Tensor, squares: torch.Tensor, size: torch.Tensor, patch: int
) -> torch.Tensor:
    """Patches of masks, as ``SquareCrop.sample`` makes them.

    Args:
        rows: (N,) int64, which masks.
        squares: (N, 4) int64 of (x0, y0, side, flip), in image pixels; nothing is read of a square
            whose side is 0.
        size: (N,) int64, side of each patch in pixels.
        patch: S.

    Returns:
        (N, S + 1, S + 1) uint8 0/1, canvases.
    """
    canvas = rows.new_zeros((len(rows), patch + 1, patch + 1), dtype=torch.uint8)
    for part in _portions(len(rows), patch**2):
        box, offset = masks.boxes[rows[part]].long(), masks.offsets[rows[part]]
        x0, y0, side, flip = squares[part].unbind(1)
        x = source_index(side, size[part], patch, flip.bool())
        y = source_index(side, size[part], patch)
        x, in_x = _inside(x, x0 - box[:, 0], box[:, 2] - box[:, 0])
        y, in_y = _inside(y, y0 - box[:, 1], box[:, 3] - box[:, 1])
        stride = (box[:, 2] - box[:, 0] + 7) // 8
        byte = (offset[:, None] + y * stride[:, None])[:, :, None] + (x >> 3)[:, None]
        pixels = masks.bits.index_select(0, byte.flatten()).view(byte.shape)
        pixels >>= (x & 7).to(torch.uint8)[:, None]
        # 0 or 1: the lowest bit is the pixel, where there is one.
        pixels &= in_x[:, None]
        pixels &= in_y[:, :, None]
        canvas[part, :patch, :patch] = pixels
    return canvas


def _inside(
    index: torch.Tensor, start: torch.Tensor, length: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels of squares -> those of windows, 0 outside; and uint8 0/1, whether they are inside."""
    moved = index + start[:, None]
    inside = (index >= 0) & (moved >= 0) & (moved < length[:, None])
    return torch.where(inside, moved, 0), inside.to(torch.uint8)


def unpack_patches(bits: torch.Tensor, patch: int) -> torch.Tensor:
    """Bits of patches, row by row as in ``PackedMasks`` -> (N, S, S) uint8 0/1.

    Args:
        bits: (N, S, ceil(S / 8)) uint8.
    """
    shift = torch.arange(8, dtype=torch.uint8, device=bits.device)
    return ((bits[..., None] >> shift) & 1).flatten(2)[:, :, :patch]


def placement_offsets(
    numbers: torch.Tensor, overlap: tuple[float, float], size: torch.Tensor
) -> torch.Tensor:
    """How far erasers are shifted, as ``draw_offset`` draws it, in whole pixels.

    Args:
        numbers: (N, T, 3) float64, uniform in [0, 1): three of each placement.
        overlap: range of o.
        size: (N,) int64, side of each patch in pixels.

    Returns:
        (N, T, 2) int64: pixel (x, y) shows pixel (x, y) + offset of the other patch.
    """
    first, second, third = numbers.unbind(2)
    # As ``Generator.uniform`` does, low + (high - low) * u; see ``source_index`` about rounding.
    o = overlap[0] + (overlap[1] - overlap[0]) * first
    dx = (o - 1) + ((1 - o) - (o - 1)) * second
    dy = 1 - o / (1 - dx.abs())
    dy = torch.where(third < 0.5, dy, -dy)
    # Cut towards zero.
    return (torch.stack([dx, dy], dim=2) * size.double()[:, None, None]).long()


def first_fitting(
    target: torch.Tensor,
    other: torch.Tensor,
    size: torch.Tensor,
    offsets: torch.Tensor,
    erased_share: tuple[float, float],
) -> torch.Tensor:
    """The first placement that erases a wanted share of the target; the last one if none does.

    Args:
        target, other: (N, S + 1, S + 1) uint8 0/1, canvases.
        size: (N,) int64, side of each patch in pixels.
        offsets: (N, T, 2) int64, see ``placement_offsets``.
        erased_share: from the first to below the second.

    Returns:
        (N,) int64 in 0 to T - 1; 0 for a target without pixels.
    """
    tries = offsets.shape[1]
    low, high = erased_share
    area = torch.cat([count_pixels(target[k]) for k in _portions(len(target), target[0].numel())])
    chosen = torch.where(area > 0, tries - 1, 0)
    open_samples = area.nonzero()[:, 0]
    start, together = 0, 1
    while start < tries and len(open_samples):
        stop = min(start + together, tries)
        erased = erased_areas(target, other, size, offsets[:, start:stop], open_samples)
        share = erased.double() / area[open_samples, None].double()
        number = torch.arange(start, stop, device=area.device)
        first = torch.where((low <= share) & (share < high), number, tries).amin(1)
        chosen[open_samples] = torch.minimum(chosen[open_samples], first)
        open_samples = open_samples[first == tries]
        start, together = stop, min(_MORE * together, _MOST)
    return chosen


def erased_areas(
    target: torch.Tensor,
    other: torch.Tensor,
    size: torch.Tensor,
    offsets: torch.Tensor,
    samples: torch.Tensor,
) -> torch.Tensor:
    """Pixels of targets that placements erase.

    Args:
        target, other, size, offsets: see ``first_fitting``.
        samples: (M,) int64, which of the N are looked at.

    Returns:
        (M, T) int64.
    """
    patch, tries = target.shape[1] - 1, offsets.shape[1]
    shown = torch.arange(patch, device=size.device)[None]
    found = [offsets.new_zeros((0, tries))]
    for part in _portions(len(samples), tries * patch**2):
        which = samples[part]
        each = which.repeat_interleave(tries)
        placed = place(other, each, size[each], offsets[which].flatten(0, 1), shown)
        placed = placed.unflatten(0, (-1, tries))
        placed &= target[which, None, :patch, :patch]
        found.append(count_pixels(placed))
    return torch.cat(found)


def place(
    other: torch.Tensor,
    samples: torch.Tensor,
    size: torch.Tensor,
    offsets: torch.Tensor,
    shown: torch.Tensor,
) -> torch.Tensor:
    """Erasers: shifted patches, zero padded.

    Args:
        other: (N, S + 1, S + 1) uint8 0/1, canvases.
        samples: (K,) int64, which of the N.
        size: (K,) int64, side of each patch in pixels.
        offsets: (K, 2) int64, see ``placement_offsets``.
        shown: (K or 1, S) int64, pixel of the patch that each pixel shows along one axis.

    Returns:
        (K, S, S) uint8 0/1.
    """
    beyond = other.shape[1] - 1
    moved = shown[:, None] + offsets[:, :, None]
    moved = torch.where((moved >= 0) & (moved < size[:, None, None]), moved, beyond)
    return take_pixels(other, samples, rows=moved[:, 1], columns=moved[:, 0])


def take_pixels(
    canvases: torch.Tensor, samples: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """What canvases hold where rows and columns cross.

    Args:
        canvases: (N, P, P) uint8.
        samples: (K,) int64, which of the N.
        rows, columns: (K, S) int64, 0 to P - 1.

    Returns:
        (K, S, S) uint8.
    """
    side, patch = canvases.shape[1], rows.shape[1]
    # One axis after the other: no pixel needs an index of its own.
    lines = (samples[:, None] * side + rows).flatten()
    taken = canvases.flatten(0, 1).index_select(0, lines).unflatten(0, (-1, patch))
    return taken.gather(2, columns[:, None].expand(-1, patch, -1))


def count_pixels(masks: torch.Tensor) -> torch.Tensor:
    """Foreground of (..., S, S) uint8 0/1 masks: (...) int64."""
    # Summed up as int64, each pixel would be one first.
    return masks.sum((-2, -1), dtype=torch.int32).long()


def _portions(count: int, pixels: int) -> Iterator[slice]:
    """Slices of samples that have so many pixels each, a limited number together."""
    step = max(_PIXELS // pixels, 1)
    return (slice(k, k + step) for k in range(0, count, step))

"""Content completion: how near are the colours filled into hidden regions to the true ones?"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict

import numpy as np
from skimage.metrics import structural_similarity
from tabulate import tabulate

from ...structures import SceneTruth, WindowMask
from ...structures.window_mask import intersect_boxes
from ..base import ALL, SumEvaluator, Sums
from .filling import NETWORK, FilledRegion, FilledScene
from .lpips import find_lpips
from .regions import HiddenRegion

# Side in pixels of the window in which structural similarity compares (scikit-image's default).
SSIM_WINDOW = 7
# PSNR in dB that a hole without any error counts with in the mean over holes, where it would be
# infinite; also the most that any hole counts with.
MAX_PSNR = 60.0
GROUPS = ("hole0-10", "hole10-30", "hole30-100")
METRICS = ("L1", "L2", "PSNR", "PSNR_mean", "SSIM", "LPIPS")


class ContentEvaluator(SumEvaluator):
    """Judges a ``FilledScene`` by the true pixels, over the holes' pixels alone.

    The true pixels are the image's; of what is really hidden (``SceneTruth.unhidden``), those that
    would be seen if nothing hid the instance.

    Results under ``content``, of each method; values of pixels are in [0, 1], RGB:

    - ``L1``, ``L2``: mean absolute and mean squared error over all pixels of all holes;
    - ``PSNR``: 10 log10(1 / L2) in dB; without a key where ``L2`` is 0;
    - ``PSNR_mean``: mean over holes of each hole's own PSNR, 60 dB at most;
    - ``SSIM``: structural similarity (7 x 7 px windows, uniform weights; the mean of the three
      channels) of the photo with the hole filled to the photo, mean over all pixels of all holes;
    - ``LPIPS``: how different the square around the instance looks in the two, mean over holes;
      only where ``find_lpips`` finds what that takes.

    ``L1`` is the network's, ``L1-smooth``, ``L1-telea``, ``L1-navier_stokes`` and
    ``L1-mean_colour`` those of the fills without training, whichever the results hold. ``holes``
    and ``hole_pixels`` count.

    Each also by the share of the instance's pixels that is hidden: up to 10 %
    (``L1-hole0-10``, ``L1-telea-hole0-10``, ...), above that up to 30 % (``-hole10-30``), and above
    30 % (``-hole30-100``).

    In a mean over pixels a large hole weighs more than a small one; in ``PSNR_mean`` and ``LPIPS``
    all weigh the same. Images smaller than an SSIM window have no SSIM.
    """

    task = "content"
    unit = "holes"

    def empty(self) -> tuple[Sums, Sums]:
        # (group, "holes", "pixels" or "ssim_pixels") -> number; and (group, method, name of the
        # sum) -> value, methods in the order of the results.
        return Counter(), Counter()

    def process(self, inputs: list[dict], outputs: list[FilledScene]) -> None:
        """Add the images of a batch.

        Args:
            inputs: dicts with ``scene`` (:class:`Scene`), which holds its image, and ``truth``
                (:class:`SceneTruth`) where there is one.
            outputs: one :class:`FilledScene` per input.
        """
        for record, output in zip(inputs, outputs, strict=True):
            for reason, count in output.left_out.items():
                self.leave_out(reason, count)
            truth: SceneTruth | None = record.get("truth")
            image = record["scene"].image
            unhidden = None if truth is None else truth.unhidden
            for filled in output.regions:
                photo = image if unhidden is None else unhidden(filled.region.row, image)
                self._add_region(photo, filled)

    def _add_region(self, photo: np.ndarray, filled: FilledRegion) -> None:
        all_counts, all_sums = self.parts
        hole = filled.region.hole
        pixels = hole.area
        group = hole_group(pixels, pixels + filled.region.visible.area)
        distance = find_lpips()
        has_ssim = min(photo.shape[:2]) >= SSIM_WINDOW
        counts = {"holes": 1, "pixels": pixels, "ssim_pixels": pixels if has_ssim else 0}
        true = photo[hole.y0 : hole.box[3], hole.x0 : hole.box[2]][hole.array]
        for key in (ALL, group):
            for name, count in counts.items():
                all_counts[key, name] += count
        for method, fill in filled.fills.items():
            absolute, squared = hole_errors(fill, true)
            sums = {
                "L1": absolute * pixels,
                "L2": squared * pixels,
                "PSNR_mean": min(psnr(squared), MAX_PSNR),
            }
            if has_ssim:
                sums["SSIM"] = hole_similarity(photo, hole, fill) * pixels
            if distance is not None:
                sums["LPIPS"] = distance(*_squares(photo, filled.region, fill))
            for key in (ALL, group):
                for name, value in sums.items():
                    all_sums[key, method, name] += value

    def summarise(self, counts: Sums, sums: Sums) -> tuple[OrderedDict[str, float], str]:
        """Without any hole only their number, 0."""
        methods = list(dict.fromkeys(method for _, method, _ in sums))
        results: OrderedDict[str, float] = OrderedDict()
        table = []
        for group in (ALL, *GROUPS):
            if group != ALL and not counts[group, "holes"]:
                continue
            suffix = "" if group == ALL else f"-{group}"
            for method in methods:
                values = _measures(counts, sums, group, method)
                infix = "" if method == NETWORK else f"-{method}"
                for metric, value in values.items():
                    results[f"{metric}{infix}{suffix}"] = value
                holes = counts[group, "holes"]
                table.append([group, holes, method, *(values.get(metric) for metric in METRICS)])
            results[f"holes{suffix}"] = counts[group, "holes"]
            results[f"hole_pixels{suffix}"] = counts[group, "pixels"]
        text = tabulate(
            table,
            headers=["group", "holes", "method", *METRICS],
            tablefmt="pipe",
            floatfmt=("", "", "", ".4f", ".4f", ".2f", ".2f", ".4f", ".4f"),
            missingval="-",
        )
        return results, f"\n{text}"


def hole_group(hidden: int, total: int) -> str:
    """Group of a hole: ``hole0-10`` (0, 0.1], ``hole10-30`` (0.1, 0.3] or ``hole30-100``.

    Args:
        hidden: pixels of the hole.
        total: pixels of the instance, the hole among them.
    """
    if 10 * hidden <= total:
        return GROUPS[0]
    return GROUPS[1] if 10 * hidden <= 3 * total else GROUPS[2]


def hole_errors(fill: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Mean absolute and mean squared error of colours in [0, 1].

    Args:
        fill, true: (n, 3) uint8.
    """
    difference = fill.astype(np.float64) / 255 - true.astype(np.float64) / 255
    return float(np.abs(difference).mean()), float((difference**2).mean())


def psnr(squared_error: float) -> float:
    """Peak signal to noise ratio in dB of a mean squared error of values in [0, 1]."""
    return 10 * math.log10(1 / squared_error) if squared_error > 0 else math.inf


def hole_similarity(image: np.ndarray, hole: WindowMask, fill: np.ndarray) -> float:
    """Structural similarity of an image with a filled hole to the image: mean over the hole.

    Only the hole's surroundings are computed; the result is that of the whole image.

    Args:
        image: (H, W, 3) uint8, at least SSIM_WINDOW high and wide.
        hole: pixels that are filled.
        fill: (n, 3) uint8, their colours, row by row.
    """
    height, width = image.shape[:2]
    x0, x1 = _reach(hole.box[0], hole.box[2], width)
    y0, y1 = _reach(hole.box[1], hole.box[3], height)
    true = image[y0:y1, x0:x1]
    mask = hole.crop((x0, y0, x1, y1))
    filled = true.copy()
    filled[mask] = fill
    _, similarity = structural_similarity(
        true, filled, win_size=SSIM_WINDOW, data_range=255, channel_axis=-1, full=True
    )
    return float(similarity[mask].mean())


def _squares(
    photo: np.ndarray, region: HiddenRegion, fill: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The square around an instance in the photo: true, and with the hole filled."""
    height, width = photo.shape[:2]
    left, top, right, bottom = intersect_boxes(region.square.box, (0, 0, width, height))
    true = photo[top:bottom, left:right]
    filled = true.copy()
    filled[region.hole.crop((left, top, right, bottom))] = fill
    return true, filled


def _reach(start: int, stop: int, length: int) -> tuple[int, int]:
    """A range grown by all that its pixels' SSIM windows reach, and to a window's side at least."""
    margin = SSIM_WINDOW // 2
    first = max(min(start - margin, length - SSIM_WINDOW), 0)
    return first, min(max(stop + margin, SSIM_WINDOW), length)


def _measures(counts: Sums, sums: Sums, group: str, method: str) -> dict[str, float]:
    """The measures of one method over a group, those that are defined."""
    pixels, holes = counts[group, "pixels"], counts[group, "holes"]
    l2 = sums[group, method, "L2"] / pixels
    values = {"L1": sums[group, method, "L1"] / pixels, "L2": l2}
    if l2 > 0:
        values["PSNR"] = psnr(l2)
    values["PSNR_mean"] = sums[group, method, "PSNR_mean"] / holes
    if counts[group, "ssim_pixels"]:
        values["SSIM"] = sums[group, method, "SSIM"] / counts[group, "ssim_pixels"]
    if (group, method, "LPIPS") in sums:
        values["LPIPS"] = sums[group, method, "LPIPS"] / holes
    return values

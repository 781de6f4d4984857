"""Colours as networks take them."""

from __future__ import annotations

import torch


def normalise_rgb(
    image: torch.Tensor, pixel_mean: torch.Tensor, pixel_std: torch.Tensor
) -> torch.Tensor:
    """Colours in [0, 1], less their mean, over their deviation.

    Args:
        image: (N, S, S, 3) uint8 RGB.
        pixel_mean, pixel_std: (1, 3, 1, 1), of values in [0, 1]; see ``pixel_statistic``.

    Returns:
        (N, 3, S, S) float32.
    """
    rgb = image.permute(0, 3, 1, 2).float() / 255.0
    return (rgb - pixel_mean) / pixel_std


def pixel_statistic(values: tuple[float, ...]) -> torch.Tensor:
    """Three numbers, of R, G and B, as ``normalise_rgb`` takes them: (1, 3, 1, 1) float32."""
    return torch.tensor(values).view(1, 3, 1, 1)

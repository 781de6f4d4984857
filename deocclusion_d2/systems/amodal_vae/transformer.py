"""Where a completed mask lies: the box of the whole object, seen from the box of its visible part.

The paper relates the two by a spatial transformer (supplement, Sec. 3.2). Here it is a box, not a
free affine map: what comes out of the decoder is cropped tightly, and a box can also be given from
outside (with the true box most failures of the paper are gone).

A box is (dx, dy, log sx, log sy): its centre is that of the modal box, moved by dx of its widths
and dy of its heights; its sides are those of the modal box times sx and sy.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...structures.window_mask import Box

# Outside of its box nothing belongs to a mask. Not of probability 0: the logarithm of that would
# make borders louder than all else.
OUTSIDE_LOGIT = -5.0
# No box is more than e^3 = 20 times as large or small as the modal one.
_LARGEST_LOG = 3.0


class BoxTransformer(nn.Module):
    """The box of the whole object that a code stands for; at first it is the modal box.

    Args:
        size: M, side of the mask in pixels.
        latent: L, numbers of the code.
        width: widening factor.
        use_aspect: whether it is told the proportions of the modal box.
    """

    def __init__(self, size: int, latent: int, width: float, use_aspect: bool) -> None:
        super().__init__()
        first, second, hidden = (max(round(n * width), 1) for n in (32, 64, 64))
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.hidden = nn.Linear(second * (size // 4) ** 2 + use_aspect, hidden)
        self.hidden_of_code = nn.Linear(latent, hidden, bias=False)
        self.box = nn.Linear(hidden, 4)
        nn.init.zeros_(self.box.weight)
        nn.init.zeros_(self.box.bias)

    def seen(self, partial: torch.Tensor, aspect: torch.Tensor | None) -> torch.Tensor:
        """What there is to see of the partial mask, whatever the code: (N, D).

        Args:
            partial: (N, 1, M, M) in [0, 1].
            aspect: (N, 1), see ``AmodalVAE``; None for a network that does not look at it.
        """
        # In the order of memory of the weights, whatever that of the features is.
        features = self.features(partial).contiguous().flatten(1)
        if aspect is not None:
            features = torch.cat([features, aspect.to(features.dtype)], dim=1)
        return self.hidden(features)

    def forward(self, seen: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """
        Args:
            seen: (N, D), see ``seen``.
            code: (N, L).

        Returns:
            (N, 4) boxes.
        """
        box = self.box(F.relu(seen + self.hidden_of_code(code))).float()
        return torch.cat([box[:, :2], box[:, 2:].clamp(-_LARGEST_LOG, _LARGEST_LOG)], dim=1)


def place_in_frame(
    values: torch.Tensor, box: torch.Tensor, size: int, frame: float, outside: float = 0.0
) -> torch.Tensor:
    """Masks in their boxes, in a frame around the modal box.

    Args:
        values: (N, M, M), such as logits.
        box: (N, 4).
        size: T, side of the frame in pixels.
        frame: sides of the frame, as multiples of those of the modal box.
        outside: what stands outside the boxes.

    Returns:
        (N, T, T) float32, bilinear.
    """
    values, box = values.float() - outside, box.float()
    steps = (torch.arange(size, device=box.device, dtype=torch.float32) + 0.5) / size
    # In sides of the modal box, from its centre.
    across = ((steps - 0.5) * frame).expand(len(box), size)
    centre, sides = box[:, :2], box[:, 2:].exp()
    x = 2 * (across - centre[:, :1]) / sides[:, :1]
    y = 2 * (across - centre[:, 1:]) / sides[:, 1:]
    grid = torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1
    )
    placed = F.grid_sample(values[:, None], grid, align_corners=False)
    return placed[:, 0] + outside


def box_between(modal: Box, amodal: Box) -> np.ndarray:
    """The box of a whole object, seen from that of its visible part: (4,) float32.

    Args:
        modal, amodal: (x0, y0, x1, y1) in pixels, not empty.
    """
    w, h = modal[2] - modal[0], modal[3] - modal[1]
    return np.array(
        [
            (amodal[0] + amodal[2] - modal[0] - modal[2]) / 2 / w,
            (amodal[1] + amodal[3] - modal[1] - modal[3]) / 2 / h,
            np.log((amodal[2] - amodal[0]) / w),
            np.log((amodal[3] - amodal[1]) / h),
        ],
        dtype=np.float32,
    )


def box_from(modal: Box, box: np.ndarray) -> tuple[float, float, float, float]:
    """The reverse of ``box_between``: (x0, y0, x1, y1) in pixels.

    Example:
        >>> box_from((10, 10, 30, 20), np.array([0.5, 0, np.log(2), 0]))
        (10.0, 10.0, 50.0, 20.0)
    """
    w, h = modal[2] - modal[0], modal[3] - modal[1]
    dx, dy, log_x, log_y = (float(v) for v in box)
    x, y = (modal[0] + modal[2]) / 2 + dx * w, (modal[1] + modal[3]) / 2 + dy * h
    half_w, half_h = w * np.exp(log_x) / 2, h * np.exp(log_y) / 2
    return float(x - half_w), float(y - half_h), float(x + half_w), float(y + half_h)

"""LPIPS (Zhang et al., CVPR 2018), where its library and AlexNet's weights are at hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

# Side in pixels at which pictures are compared: AlexNet sees nothing in much smaller ones.
SIDE = 128

Distance = Callable[[np.ndarray, np.ndarray], float]


@functools.cache
def find_lpips() -> Distance | None:
    """What measures how different two pictures look; None where something is missing.

    Needed are torchmetrics (the extra ``lpips``), and torchvision's AlexNet in the folder of
    ``torch.hub``, where torchvision itself puts it. Nothing is downloaded.

    Returns:
        Two (h, w, 3) uint8 RGB pictures of one size -> their distance, 0 for equal ones.
    """
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
        from torchvision.models import AlexNet_Weights
    except ImportError:
        return None
    file = Path(AlexNet_Weights.IMAGENET1K_V1.url).name
    if not (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file():
        return None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = LearnedPerceptualImagePatchSimilarity("alex", normalize=True).to(device)

    @torch.inference_mode()
    def distance(first: np.ndarray, second: np.ndarray) -> float:
        tensors = []
        for picture in (first, second):
            sized = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            tensors.append(torch.from_numpy(sized).to(device).permute(2, 0, 1)[None] / 255)
        value = float(network(*tensors))
        # It keeps all that it has ever measured.
        network.reset()
        return value

    return distance

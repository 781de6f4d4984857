"""SeGAN's segmentor: from an image and a visible mask to the mask of the whole object in a box."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from detectron2.modeling.backbone import Backbone
from torch import nn
from torchvision.ops import roi_pool

from ...errors import UserError
from ...modeling.tensor_files import TensorFileError, read_tensor_file


class Segmentor(nn.Module):
    """A backbone, the maximum of its features in each cell of a box, and a linear layer.

    (N, 4, S, S) and N boxes -> (N, M, M) logits.

    Args:
        backbone: of images with a fourth channel, the visible mask; its coarsest feature map is
            used.
        roi_size, mask_size: sides of the pooled box and of the mask.
        average_pool: side of an average pooling of the features, 0 for none.
    """

    def __init__(
        self, backbone: Backbone, *, roi_size: int = 6, mask_size: int = 58, average_pool: int = 7
    ) -> None:
        super().__init__()
        shapes = backbone.output_shape()
        self.feature = max(shapes, key=lambda name: shapes[name].stride)
        self.backbone = backbone
        self.roi_size = roi_size
        self.mask_size = mask_size
        self.average_pool = average_pool
        self.head = nn.Linear(shapes[self.feature].channels * roi_size**2, mask_size**2)

    def forward(self, x: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """
        Args:
            x: (N, 4, S, S).
            boxes: (N, 4) of (x0, y0, x1, y1) in its pixels, one of each sample.
        """
        features = self.backbone(x)[self.feature]
        if self.average_pool:
            features = F.avg_pool2d(features, self.average_pool, 1)
        number = torch.arange(len(boxes), device=boxes.device, dtype=torch.float32)
        regions = roi_pool(
            features.float(),
            torch.cat([number[:, None], boxes.float()], dim=1),
            self.roi_size,
            features.shape[-1] / x.shape[-1],
        )
        logits = self.head(regions.flatten(1).to(self.head.weight.dtype))
        return logits.unflatten(1, (self.mask_size, self.mask_size))


def load_resnet18(backbone: Backbone, path: str) -> None:
    """Begin from a ResNet-18 of torchvision, in place; the visible mask begins as red does.

    Args:
        backbone: Detectron2's ResNet-18 of full width, for four channels.
        path: file of the state dict, see ``read_tensor_file``.

    Raises:
        UserError: there is no such file, or it holds another network.
    """
    where = f"MODEL.SEGAN.BACKBONE_WEIGHTS = {path!r}"
    if not Path(path).is_file():
        raise UserError(f"{where} does not exist; correct it, or leave it ''")
    try:
        content = read_tensor_file(path)
    except TensorFileError as error:
        raise UserError(f"{where} is no state dict ({error.reason})") from error
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise UserError(f"{where} is no state dict")
    named = {
        _name_of(name): value for name, value in state.items() if not str(name).startswith("fc.")
    }
    first = named.get("stem.conv1.weight")
    if isinstance(first, torch.Tensor) and first.ndim == 4 and first.shape[1] == 3:
        named["stem.conv1.weight"] = with_fourth_channel(first)
    own = backbone.state_dict()
    surplus = set(named) - set(own)
    if surplus:
        raise UserError(
            f"{where} is no ResNet-18 of torchvision as this config has it: it has "
            f"{min(surplus)}, too"
        )
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):
            continue
        found = named.get(name)
        if not isinstance(found, torch.Tensor) or found.shape != value.shape:
            raise UserError(
                f"{where} is no ResNet-18 of torchvision as this config has it: {name} does not fit"
            )
        value.copy_(found)


def with_fourth_channel(weight: torch.Tensor) -> torch.Tensor:
    """(O, 3, k, k) -> (O, 4, k, k): the weights of the visible mask are those of red."""
    return torch.cat([weight, weight[:, :1]], dim=1)


def _name_of(name: object) -> str:
    """A tensor of torchvision's ResNet by Detectron2's name."""
    name = str(name).removeprefix("module.")
    if name.startswith(("conv1.", "bn1.")):
        name = f"stem.{name}"
    for number in (1, 2, 3, 4):
        name = name.replace(f"layer{number}.", f"res{number + 1}.")
    for number in (1, 2):
        name = name.replace(f"bn{number}.", f"conv{number}.norm.")
    return name.replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")

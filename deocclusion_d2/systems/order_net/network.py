"""OrderNet: the supervised ordering that the paper compares with (Table 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from detectron2.config import configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import META_ARCH_REGISTRY, build_backbone
from detectron2.modeling.backbone import Backbone
from torch import nn

from ...modeling.instance_network import (
    PIXEL_MEAN,
    PIXEL_STD,
    Batch,
    InstanceNetwork,
    empty_sample,
    pixel_statistics,
)
from ...modeling.rgb import normalise_rgb

# The probability is a multiple of 2**-24, so that float32 holds it and its complement exactly.
_STEPS = float(2**24)


class PairClassifier(nn.Module):
    """A backbone, global average pooling and a linear layer. (N, C, S, S) -> (N, 2) logits.

    Args:
        backbone: its coarsest feature map is pooled.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        shapes = backbone.output_shape()
        self.feature = max(shapes, key=lambda name: shapes[name].stride)
        self.backbone = backbone
        self.head = nn.Linear(shapes[self.feature].channels, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x)[self.feature].mean(dim=(2, 3)))


@META_ARCH_REGISTRY.register()
class OrderNet(InstanceNetwork):
    """Classifies which of two neighbours is in front, from their masks and maybe their image.

    A batch is a dict of stacked tensors (N pairs, patches of S x S pixels around both instances):

    - ``first_mask``, ``second_mask``: (N, S, S) uint8 0/1, modal masks;
    - ``image``: (N, S, S, 3) uint8 RGB, only with colours (OrderNet^{M+I}, else OrderNet^M);
    - ``first_in_front``: (N,) int64 0/1, in training only.

    In training, ``forward`` returns ``{"loss_order": scalar}``; in evaluation,
    ``{"first_in_front": (N,) float32}``, the probability that the first is in front: the mean of
    p(i, j) and 1 - p(j, i). A swap of the two gives exactly 1 minus it.
    """

    @configurable
    def __init__(
        self,
        *,
        network: nn.Module,
        use_rgb: bool = False,
        pixel_mean: tuple[float, ...] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] = PIXEL_STD,
    ) -> None:
        """
        Args:
            network: (N, 2 or 5, S, S) -> (N, 2) logits: the first, the second is in front.
            use_rgb: whether the input holds the image.
            pixel_mean, pixel_std: RGB statistics, of values in [0, 1].
        """
        super().__init__(network, use_rgb=use_rgb, pixel_mean=pixel_mean, pixel_std=pixel_std)

    @classmethod
    def from_config(cls, cfg) -> dict:
        use_rgb = cfg.MODEL.ORDER_NET.USE_RGB
        backbone = build_backbone(cfg, ShapeSpec(channels=5 if use_rgb else 2))
        return {
            "network": PairClassifier(backbone),
            "use_rgb": use_rgb,
            **pixel_statistics(cfg),
        }

    def sample_of_inference(self, size: int) -> Batch:
        return empty_sample(size, ("first_mask", "second_mask"), rgb=self.use_rgb)

    def network_input(self, batch: Batch) -> torch.Tensor:
        """The network's input: (N, 2 or 5, S, S), channels last.

        Channels: first mask (0/1), second mask (0/1), and with colours the normalised RGB.
        """
        dtype = self.dtype
        channels = [
            batch[key].to(self.device, non_blocking=True).to(dtype)[:, None]
            for key in ("first_mask", "second_mask")
        ]
        if self.use_rgb:
            image = batch["image"].to(self.device, non_blocking=True)
            channels.append(normalise_rgb(image, self.pixel_mean, self.pixel_std).to(dtype))
        return torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See the class."""
        x = self.network_input(batch)
        if self.training:
            label = batch["first_in_front"].to(self.device, non_blocking=True)
            # Class 0: the first is in front.
            return {"loss_order": F.cross_entropy(self.network(x).float(), 1 - label.long())}
        swapped = torch.cat([x[:, 1:2], x[:, :1], x[:, 2:]], dim=1)
        # Two forwards of one shape: a swap then does the same computations in the other order.
        forth, back = (
            self._probability(inputs)
            for inputs in (x, swapped.contiguous(memory_format=torch.channels_last))
        )
        return {"first_in_front": 0.5 + torch.round((forth - back) * (_STEPS / 2)) / _STEPS}

    def _probability(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.network(x).float()
        return torch.sigmoid(logits[:, 0] - logits[:, 1])

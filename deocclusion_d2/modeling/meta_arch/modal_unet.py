"""Modal segmentation of a known box: the source of the paper's predicted modal masks (Table 3)."""

from __future__ import annotations

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from ..losses import mask_loss
from ..rgb import normalise_rgb, pixel_statistic
from ..unet import UNet, foreground_probability

Batch = dict[str, torch.Tensor]


@META_ARCH_REGISTRY.register()
class ModalUNet(nn.Module):
    """A U-Net from an image and the modal box of an instance to its modal mask (Sec. 4.1).

    The box tells which instance is meant, so every predicted mask belongs to one true mask.

    A batch is a dict of stacked tensors (N samples of S x S pixels):

    - ``image``: (N, S, S, 3) uint8 RGB, the square around the box;
    - ``box``: (N, S, S) uint8 0/1, the box in it;
    - ``modal_mask``: (N, S, S) uint8 0/1, in training only.

    In training, ``forward`` returns ``{"loss_modal": scalar}``; in evaluation, ``{"probability":
    (N, S, S) float32}``, the probability that a pixel belongs to the visible part of the instance.
    """

    use_rgb = True
    use_category = False

    @configurable
    def __init__(
        self,
        *,
        network: nn.Module,
        pixel_mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        pixel_std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        """
        Args:
            network: (N, 4, S, S) -> (N, 2, S, S) logits.
            pixel_mean, pixel_std: RGB statistics, of values in [0, 1].
        """
        super().__init__()
        # The layout that tensor cores and oneDNN compute convolutions fastest in.
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("pixel_mean", pixel_statistic(pixel_mean), persistent=False)
        self.register_buffer("pixel_std", pixel_statistic(pixel_std), persistent=False)

    @classmethod
    def from_config(cls, cfg) -> dict:
        return {
            "network": UNet(4, width=cfg.MODEL.MODAL_UNET.WIDTH),
            "pixel_mean": tuple(cfg.MODEL.PCNET_M.PIXEL_MEAN),
            "pixel_std": tuple(cfg.MODEL.PCNET_M.PIXEL_STD),
        }

    @property
    def device(self) -> torch.device:
        return self.pixel_mean.device

    def network_input(self, batch: Batch) -> torch.Tensor:
        """The network's input: (N, 4, S, S), normalised RGB and the box (0/1), channels last."""
        dtype = self.network.head.weight.dtype
        image = batch["image"].to(self.device, non_blocking=True)
        rgb = normalise_rgb(image, self.pixel_mean, self.pixel_std).to(dtype)
        box = batch["box"].to(self.device, non_blocking=True).to(dtype)
        x = torch.cat([rgb, box[:, None]], dim=1)
        return x.contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See the class."""
        logits = self.network(self.network_input(batch))
        if not self.training:
            return {"probability": foreground_probability(logits)}
        target = batch["modal_mask"].to(self.device, non_blocking=True)
        return {"loss_modal": mask_loss(logits, target)}

"""Modal segmentation of a known box: the source of the paper's predicted modal masks (Table 3)."""

from __future__ import annotations

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from ...modeling.instance_network import (
    PIXEL_MEAN,
    PIXEL_STD,
    Batch,
    InstanceNetwork,
    empty_sample,
    pixel_statistics,
    require_patch_size,
)
from ...modeling.losses import mask_loss
from ...modeling.rgb import normalise_rgb
from ...modeling.unet import UNet, foreground_probability


@META_ARCH_REGISTRY.register()
class ModalUNet(InstanceNetwork):
    """A U-Net from an image and the modal box of an instance to its modal mask (Sec. 4.1).

    The box tells which instance is meant, so every predicted mask belongs to one true mask.

    A batch is a dict of stacked tensors (N samples of S x S pixels):

    - ``image``: (N, S, S, 3) uint8 RGB, the square around the box;
    - ``box``: (N, S, S) uint8 0/1, the box in it;
    - ``modal_mask``: (N, S, S) uint8 0/1, in training only.

    In training, ``forward`` returns ``{"loss_modal": scalar}``; in evaluation, ``{"probability":
    (N, S, S) float32}``, the probability that a pixel belongs to the visible part of the instance.
    """

    @configurable
    def __init__(
        self,
        *,
        network: nn.Module,
        pixel_mean: tuple[float, ...] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] = PIXEL_STD,
    ) -> None:
        """
        Args:
            network: (N, 4, S, S) -> (N, 2, S, S) logits.
            pixel_mean, pixel_std: RGB statistics, of values in [0, 1].
        """
        super().__init__(network, use_rgb=True, pixel_mean=pixel_mean, pixel_std=pixel_std)

    @classmethod
    def from_config(cls, cfg) -> dict:
        require_patch_size(cfg, UNet.SIZE_DIVISIBILITY)
        return {
            "network": UNet(4, width=cfg.MODEL.MODAL_UNET.WIDTH),
            **pixel_statistics(cfg),
        }

    def sample_of_inference(self, size: int) -> Batch:
        return empty_sample(size, ("box",), rgb=True)

    def network_input(self, batch: Batch) -> torch.Tensor:
        """The network's input: (N, 4, S, S), normalised RGB and the box (0/1), channels last."""
        dtype = self.dtype
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

"""The supervised completion that the paper compares with (Sec. 4.1, Table 2, "Supervised")."""

from __future__ import annotations

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from ...modeling.instance_network import (
    Batch,
    InstanceNetwork,
    empty_sample,
    require_patch_size,
)
from ...modeling.losses import mask_loss
from ...modeling.unet import UNet, foreground_probability


@META_ARCH_REGISTRY.register()
class AmodalUNet(InstanceNetwork):
    """A U-Net from the modal mask of an instance to its amodal mask, trained on true amodal masks.

    A batch is a dict of stacked tensors (N samples of S x S pixels):

    - ``modal_mask``: (N, S, S) uint8 0/1;
    - ``amodal_mask``: (N, S, S) uint8 0/1, in training only;
    - ``category_id``: (N,) int64, the data set's category id.

    In training, ``forward`` returns
    ``{"loss_amodal": scalar}``; in evaluation, ``{"probability": (N, S, S) float32}``, the
    probability that a pixel belongs to the amodal mask.
    """

    @configurable
    def __init__(self, *, network: nn.Module, use_category: bool = True) -> None:
        """
        Args:
            network: (N, 1, S, S) -> (N, 2, S, S) logits.
            use_category: multiply the mask by the category id.
        """
        super().__init__(network, use_category=use_category)

    @classmethod
    def from_config(cls, cfg) -> dict:
        require_patch_size(cfg, UNet.SIZE_DIVISIBILITY)
        options = cfg.MODEL.AMODAL_UNET
        return {
            "network": UNet(1, width=options.WIDTH),
            "use_category": options.USE_CATEGORY,
        }

    def sample_of_inference(self, size: int) -> Batch:
        return empty_sample(size, ("modal_mask",), category=self.use_category)

    def network_input(self, batch: Batch) -> torch.Tensor:
        """The network's input: (N, 1, S, S), the mask as 0 or the category id, channels last."""
        mask = batch["modal_mask"].to(self.device, non_blocking=True).to(self.dtype)
        if self.use_category:
            category = batch["category_id"].to(self.device, non_blocking=True)
            mask = mask * category.to(self.dtype).view(-1, 1, 1)
        return mask[:, None].contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See the class."""
        logits = self.network(self.network_input(batch))
        if not self.training:
            return {"probability": foreground_probability(logits)}
        target = batch["amodal_mask"].to(self.device, non_blocking=True)
        return {"loss_amodal": mask_loss(logits, target)}

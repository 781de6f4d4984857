"""Its network."""

from __future__ import annotations

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from deocclusion_d2.modeling.instance_network import Batch, InstanceNetwork
from deocclusion_d2.modeling.losses import mask_loss
from deocclusion_d2.modeling.unet import foreground_probability


@META_ARCH_REGISTRY.register()
class OwnNet(InstanceNetwork):
    """``modal_mask`` and, in training, ``amodal_mask``: (N, S, S) uint8 0/1 -> ``probability``."""

    @configurable
    def __init__(self, *, kernel: int) -> None:
        super().__init__(nn.Conv2d(1, 2, kernel, padding=kernel // 2))

    @classmethod
    def from_config(cls, cfg) -> dict:
        return {"kernel": cfg.MODEL.OWN.KERNEL}

    def peak_activations(self, size: int) -> int:
        return 2 * size**2

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        mask = batch["modal_mask"].to(self.device)[:, None].to(self.dtype)
        logits = self.network(mask.contiguous(memory_format=torch.channels_last))
        if not self.training:
            return {"probability": foreground_probability(logits)}
        return {"loss_own": mask_loss(logits, batch["amodal_mask"].to(self.device))}

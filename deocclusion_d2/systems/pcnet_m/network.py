"""PCNet-M: completes the part of a mask that an eraser hides (Sec. 3.1, Fig. 3a)."""

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
    to_device,
)
from ...modeling.rgb import normalise_rgb
from ...modeling.unet import UNet, foreground_probability
from .losses import partial_completion_loss


@META_ARCH_REGISTRY.register()
class PCNetM(InstanceNetwork):
    """Partial completion network for masks.

    A batch is a dict of stacked tensors (N samples of S x S pixels):

    - ``modal_mask``: (N, S, S) uint8 0/1, the target instance A. What the eraser covers of it is
      hidden from the network, so this is the training target as well;
    - ``eraser``: (N, S, S) uint8 0/1;
    - ``gap``: (N, S, S) uint8 0/1, pixels of the target that are hidden though the eraser does not
      cover them; only in training, and only where borders are redrawn;
    - ``category_id``: (N,) int64, the data set's category id, 1 where there are no categories;
    - ``image``: (N, S, S, 3) uint8 RGB, only when the network uses colours.

    In training, ``forward`` returns ``{"loss_partial_completion": scalar}``; in evaluation,
    ``{"probability": (N, S, S) float32}``, the probability that a pixel belongs to A.
    """

    @configurable
    def __init__(
        self,
        *,
        network: nn.Module,
        use_rgb: bool = False,
        use_category: bool = True,
        weight_in_eraser: float = 5.0,
        pixel_mean: tuple[float, ...] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] = PIXEL_STD,
    ) -> None:
        """
        Args:
            network: (N, 2 or 5, S, S) -> (N, 2, S, S) logits.
            use_rgb: whether the input holds the image, erased under the eraser.
            use_category: multiply the visible mask by the category id.
            weight_in_eraser: loss weight of the pixels under the eraser.
            pixel_mean, pixel_std: RGB statistics, of values in [0, 1].
        """
        super().__init__(
            network,
            use_rgb=use_rgb,
            use_category=use_category,
            pixel_mean=pixel_mean,
            pixel_std=pixel_std,
        )
        self.weight_in_eraser = weight_in_eraser

    @classmethod
    def from_config(cls, cfg) -> dict:
        require_patch_size(cfg, UNet.SIZE_DIVISIBILITY)
        options = cfg.MODEL.PCNET_M
        return {
            "network": UNet(5 if options.USE_RGB else 2, width=options.WIDTH),
            "use_rgb": options.USE_RGB,
            "use_category": options.USE_CATEGORY,
            "weight_in_eraser": options.LOSS_WEIGHT_IN_ERASER,
            **pixel_statistics(cfg),
        }

    def sample_of_inference(self, size: int) -> Batch:
        masks = ("modal_mask", "eraser")
        return empty_sample(size, masks, rgb=self.use_rgb, category=self.use_category)

    def network_input(self, batch: Batch) -> torch.Tensor:
        """The network's input: (N, 2 or 5, S, S), channels last.

        Channels: visible mask (0, or the category id), eraser (0/1), and with colours the
        normalised RGB, zero under the eraser.
        """
        batch = to_device(batch, self.device)
        dtype = self.dtype
        eraser = batch["eraser"].to(dtype)
        visible = batch["modal_mask"].to(dtype) * (1 - eraser)
        if "gap" in batch:
            visible = visible * (1 - batch["gap"].to(dtype))
        if self.use_category:
            visible = visible * batch["category_id"].to(dtype).view(-1, 1, 1)
        channels = [visible[:, None], eraser[:, None]]
        if self.use_rgb:
            rgb = normalise_rgb(batch["image"], self.pixel_mean, self.pixel_std).to(dtype)
            channels.append(rgb * (1 - eraser[:, None]))
        return torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        logits = self.network(self.network_input(batch))
        if not self.training:
            return {"probability": foreground_probability(logits)}
        loss = partial_completion_loss(
            logits,
            batch["modal_mask"].to(self.device, non_blocking=True),
            batch["eraser"].to(self.device, non_blocking=True),
            self.weight_in_eraser,
        )
        return {"loss_partial_completion": loss}

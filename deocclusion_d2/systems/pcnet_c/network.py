"""PCNet-C: fills the hidden part of an object with its content (Sec. 3.1, Fig. 3b)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from ...inference.content.smooth_fill import smooth_fill
from ...modeling.discriminator import PatchDiscriminator
from ...modeling.instance_network import (
    PIXEL_MEAN,
    PIXEL_STD,
    Batch,
    InstanceNetwork,
    pixel_statistics,
    require_patch_size,
    to_device,
)
from ...modeling.losses import discriminator_loss, looks_real_loss
from ...modeling.rgb import normalise_rgb
from .losses import feature_l1, masked_l1, style_l1, total_variation
from .partial_conv_unet import PartialConvUNet
from .vgg_features import VGGFeatures


@dataclass(frozen=True)
class ContentLossWeights:
    """Weights of the losses; the defaults are the paper's. 0 leaves a loss out."""

    valid: float = 1.0
    hole: float = 6.0
    total_variation: float = 0.1
    perceptual: float = 0.1
    style: float = 250.0
    adversarial: float = 0.1


@META_ARCH_REGISTRY.register()
class PCNetC(InstanceNetwork):
    """Partial completion network for content.

    A batch is a dict of stacked tensors (N samples of S x S pixels, S a multiple of 128):

    - ``image``: (N, S, S, 3) uint8 RGB. In evaluation it does not matter what holes contain; in
      training it is the target there;
    - ``modal_mask``: (N, S, S) uint8 0/1, the visible pixels of the object (of the background: the
      pixels of no object);
    - ``hole``: (N, S, S) uint8 0/1, what is to be filled;
    - ``outside``: (N, S, S) uint8 0/1, beyond the image's border: not seen, and not judged;
    - ``category_id``: (N,) int64, the data set's category id, 1 where there are no categories and
      for the background.

    In training, ``forward`` returns a dict of weighted scalar losses, those of the discriminator
    among them. The adversarial loss sees the discriminator's weights as constants, and the
    discriminator's loss the output, so that one backward pass and one optimizer train both. In
    evaluation it returns ``{"rgb": (N, S, S, 3) float32}``, the output everywhere, 0 to 255.
    """

    @configurable
    def __init__(
        self,
        *,
        network: nn.Module,
        discriminator: PatchDiscriminator | None = None,
        features: VGGFeatures | None = None,
        use_category: bool = True,
        prefill: bool = False,
        weights: ContentLossWeights | None = None,
        discriminator_lr_factor: float = 0.1,
        discriminator_betas: tuple[float, float] = (0.0, 0.9),
        pixel_mean: tuple[float, ...] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] = PIXEL_STD,
    ) -> None:
        """
        Args:
            network: (N, 4, S, S) and validity (N, 1, S, S) -> (N, 3, S, S), colours normalised.
            discriminator: needed if ``weights.adversarial`` is not 0.
            features: needed if ``weights.perceptual`` or ``weights.style`` is not 0.
            use_category: multiply the modal mask by the category id.
            prefill: the network adds to a smooth fill (``smooth_fill``) instead of making colours
                from nothing; it begins with adding nothing.
            weights: of the losses, the paper's if not given.
            discriminator_lr_factor: its learning rate, as a share of the network's.
            discriminator_betas: its betas of Adam.
            pixel_mean, pixel_std: RGB statistics, of values in [0, 1].
        """
        super().__init__(
            network,
            use_rgb=True,
            use_category=use_category,
            pixel_mean=pixel_mean,
            pixel_std=pixel_std,
        )
        self.discriminator = discriminator
        self.features = features
        self.prefill = prefill
        self.weights = weights or ContentLossWeights()
        self.discriminator_lr_factor = discriminator_lr_factor
        self.discriminator_betas = discriminator_betas
        if prefill:
            nn.init.zeros_(network.head.weight)

    @classmethod
    def from_config(cls, cfg) -> dict:
        options = cfg.MODEL.PCNET_C
        require_patch_size(cfg, PartialConvUNet.SIZE_DIVISIBILITY)
        weights = ContentLossWeights(
            valid=options.VALID_WEIGHT,
            hole=options.HOLE_WEIGHT,
            total_variation=options.TV_WEIGHT,
            perceptual=options.PERCEPTUAL_WEIGHT,
            style=options.STYLE_WEIGHT,
            adversarial=options.ADVERSARIAL_WEIGHT,
        )
        return {
            "network": PartialConvUNet(width=options.WIDTH),
            "discriminator": (
                PatchDiscriminator(width=options.WIDTH) if weights.adversarial else None
            ),
            "use_category": options.USE_CATEGORY,
            "prefill": options.PREFILL,
            "weights": weights,
            "discriminator_lr_factor": options.DISCRIMINATOR_LR_FACTOR,
            "discriminator_betas": tuple(options.DISCRIMINATOR_BETAS),
            **pixel_statistics(cfg),
        }

    def prepare_training(self, cfg) -> None:
        """Load what only training needs: VGG-16, where a loss looks at its features.

        Raises:
            UserError: its weights are not there.
        """
        if self.weights.perceptual or self.weights.style:
            self.features = VGGFeatures.load(cfg.MODEL.PCNET_C.VGG_WEIGHTS)

    def optimizer_groups(self) -> list[dict]:
        """See ``InstanceNetwork``; the discriminator has a learning rate and betas of its own."""
        groups: list[dict] = [{"params": list(self.network.parameters())}]
        if self.discriminator is not None:
            groups.append(
                {
                    "params": list(self.discriminator.parameters()),
                    "lr_factor": self.discriminator_lr_factor,
                    "betas": self.discriminator_betas,
                }
            )
        return groups

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See the class."""
        batch = to_device(batch, self.device)
        target = normalise_rgb(batch["image"], self.pixel_mean, self.pixel_std)
        hole = batch["hole"][:, None].float()
        inside = 1.0 - batch["outside"][:, None].float()
        mask = batch["modal_mask"][:, None].float()
        if self.use_category:
            mask = mask * batch["category_id"].float().view(-1, 1, 1, 1)
        x = torch.cat([target, mask], dim=1).to(self.dtype, memory_format=torch.channels_last)
        known = inside * (1.0 - hole)
        output = self.network(x, known).float()
        if self.prefill:
            output = output + smooth_fill(target, known, mask)
        if not self.training:
            rgb = (output * self.pixel_std + self.pixel_mean) * 255.0
            return {"rgb": rgb.permute(0, 2, 3, 1)}
        # Nothing is known outside: there all images are alike.
        return self._losses(output * inside, target * inside, mask, hole * inside, inside)

    def _losses(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        mask: torch.Tensor,
        hole: torch.Tensor,
        inside: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        weights = self.weights
        composited = torch.where(hole > 0, output, target)
        losses = {
            "loss_valid": weights.valid * masked_l1(output, target, inside - hole),
            "loss_hole": weights.hole * masked_l1(output, target, hole),
            "loss_tv": weights.total_variation * total_variation(composited),
        }
        if weights.perceptual or weights.style:
            with torch.no_grad():
                wanted = self.features(target)
            seen = [self.features(output), self.features(composited)]
            losses["loss_perceptual"] = weights.perceptual * sum(
                feature_l1(f, wanted) for f in seen
            )
            losses["loss_style"] = weights.style * sum(style_l1(f, wanted) for f in seen)
        if weights.adversarial:
            real, fake = (torch.cat([rgb, mask], dim=1) for rgb in (target, composited))
            logits = self.discriminator(torch.cat([real, fake.detach()]))
            losses["loss_discriminator"] = discriminator_loss(*logits.chunk(2))
            # After the weights' norms were estimated for this step.
            losses["loss_adversarial"] = weights.adversarial * looks_real_loss(
                self.discriminator(fake, frozen=True)
            )
        return losses

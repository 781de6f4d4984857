"""SeGAN: segments the whole of an object of which a part is visible, and paints it (Fig. 2)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from detectron2.config import configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import META_ARCH_REGISTRY, build_backbone
from detectron2.utils import comm
from torch import nn

from ...errors import UserError
from ...modeling.discriminator import PatchDiscriminator
from ...modeling.instance_network import (
    PIXEL_MEAN,
    PIXEL_STD,
    Batch,
    InstanceNetwork,
    pixel_statistics,
    to_device,
)
from ...modeling.losses import discriminator_loss, looks_real_loss
from ...modeling.rgb import normalise_rgb
from .config import check_config
from .losses import coloured_input, region_loss, straight_through
from .painter import Painter
from .segmentor import Segmentor, load_resnet18, with_fourth_channel


def has_learned(part: nn.Module) -> bool:
    """Whether a part of SeGAN has been trained: its batch norms count their batches."""
    counts = [m.num_batches_tracked for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    return not counts or any(bool(count) for count in counts)


@META_ARCH_REGISTRY.register()
class SeGAN(InstanceNetwork):
    """Segmentor, painter and discriminator.

    A batch is a dict of stacked tensors (N samples; S: side of what the segmentor sees, M: of its
    mask, P: of what is painted). The segmentor's part of it:

    - ``image``: (N, S, S, 3) uint8 RGB, the whole photo or the square around the object;
    - ``modal_mask``: (N, S, S) uint8 0/1, the visible part in it;
    - ``box``: (N, 4) float32, (x0, y0, x1, y1) in its pixels, the box that is segmented;
    - ``mask_amodal``, ``mask_modal``: (N, M, M) uint8 0/1, whole object and visible part in the
      box; in training only.

    The painter's, all of the box:

    - ``crop_image``: (N, P, P, 3) uint8 RGB; ``crop_modal``: (N, P, P) uint8 0/1;
    - ``crop_amodal``: (N, P, P) uint8 0/1, the whole object: what stage "paint" colours, and what
      evaluation paints if it is given; else the segmentor's mask is painted;
    - ``crop_full``: (N, P, P, 3) uint8 RGB, the whole object on neutral grey; in training only.

    In training, ``forward`` returns a dict of weighted losses of the stage's parts:
    ``loss_segmentation``; ``loss_l1``, ``loss_adversarial`` and ``loss_discriminator``. The
    adversarial loss sees the discriminator's weights as constants, and the discriminator's loss the
    painted crop, so that one backward pass and one optimizer train both.

    In evaluation it returns, as far as the batch has the input, ``probability`` (N, M, M) float32
    and ``rgb`` (N, P, P, 3) float32, 0 to 255.
    """

    @configurable
    def __init__(
        self,
        *,
        segmentor: Segmentor,
        painter: Painter,
        discriminator: PatchDiscriminator,
        stage: str = "segment",
        region_weights: tuple[float, float, float] = (1.0, 5.0, 3.0),
        least_region: int = 10,
        l1_weight: float = 100.0,
        adversarial_weight: float = 1.0,
        painting_weight: float = 0.1,
        threshold: float = 0.5,
        hard: bool = False,
        pixel_mean: tuple[float, ...] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] = PIXEL_STD,
    ) -> None:
        """
        Args:
            stage: one of ``config.STAGES``.
            region_weights, least_region: see ``region_loss``.
            l1_weight, adversarial_weight: of the painter's losses (eq. 5).
            painting_weight: of both, end to end (eq. 6).
            threshold: probability above which a pixel belongs to the object, in (0, 1). What the
                painter sees is shifted by it, so that 0.5 stands for as much.
            hard: see ``straight_through``.
            pixel_mean, pixel_std: RGB statistics, of values in [0, 1].
        """
        super().__init__(use_rgb=True, pixel_mean=pixel_mean, pixel_std=pixel_std)
        self.segmentor = segmentor.to(memory_format=torch.channels_last)
        self.painter = painter.to(memory_format=torch.channels_last)
        self.discriminator = discriminator
        self.stage = stage
        self.region_weights = region_weights
        self.least_region = least_region
        self.l1_weight = l1_weight
        self.adversarial_weight = adversarial_weight
        self.painting_weight = painting_weight if stage == "end_to_end" else 1.0
        self.threshold = threshold
        self.hard = hard
        self.segmentor.requires_grad_(self.segments)
        self.painter.requires_grad_(self.paints)
        self.discriminator.requires_grad_(self.paints)

    @classmethod
    def from_config(cls, cfg) -> dict:
        options = cfg.MODEL.SEGAN
        check_config(cfg)
        backbone = build_backbone(cfg, ShapeSpec(channels=4))
        stride = max(shape.stride for shape in backbone.output_shape().values())
        across = -(-options.INPUT_SIZE // stride)
        if across < options.AVERAGE_POOL:
            raise UserError(
                f"MODEL.SEGAN.AVERAGE_POOL = {options.AVERAGE_POOL}: the features of "
                f"MODEL.SEGAN.INPUT_SIZE = {options.INPUT_SIZE} are {across} pixels across; use "
                "as much at most, or 0"
            )
        stem = getattr(getattr(backbone, "stem", None), "conv1", None)
        if stem is not None:
            with torch.no_grad():
                stem.weight.copy_(with_fourth_channel(stem.weight[:, :3]))
        return {
            "segmentor": Segmentor(
                backbone,
                roi_size=options.ROI_SIZE,
                mask_size=options.MASK_SIZE,
                average_pool=options.AVERAGE_POOL,
            ),
            "painter": Painter(options.PAINTER_DEPTH, options.PAINTER_CHANNELS),
            "discriminator": PatchDiscriminator(6, options.DISCRIMINATOR_WIDTH),
            "stage": options.STAGE,
            "region_weights": (
                options.LAMBDA_BACKGROUND,
                options.LAMBDA_VISIBLE,
                options.LAMBDA_INVISIBLE,
            ),
            "least_region": options.LEAST_REGION,
            "l1_weight": options.L1_WEIGHT,
            "adversarial_weight": options.ADVERSARIAL_WEIGHT,
            "painting_weight": options.PAINTING_WEIGHT,
            "threshold": options.THRESHOLD,
            "hard": options.HARD,
            **pixel_statistics(cfg),
        }

    @property
    def segments(self) -> bool:
        """Whether the segmentor learns."""
        return self.stage != "paint"

    @property
    def paints(self) -> bool:
        """Whether painter and discriminator learn."""
        return self.stage != "segment"

    def train(self, mode: bool = True) -> SeGAN:
        """What does not learn keeps the statistics of its batch norms, too."""
        super().train(mode)
        if not self.segments:
            self.segmentor.eval()
        if not self.paints:
            self.painter.eval()
            self.discriminator.eval()
        return self

    def inference_parts(self) -> list[nn.Module]:
        return [self.segmentor, self.painter]

    def peak_activations(self, size: int) -> int:
        """Those of the first layers, which are the largest."""
        stem = 64 * (size // 2) ** 2
        return max(stem, self.painter.peak_activations(size))

    def prepare_training(self, cfg) -> None:
        """Begin from ImageNet's weights, where the config names some.

        Raises:
            UserError: they are none; or one sample a batch, of which the painter's batch norm makes
                nothing where it has halved the box down to a pixel.
        """
        samples = cfg.SOLVER.IMS_PER_BATCH // comm.get_world_size()
        if self.paints and samples < 2 and 2**self.painter.depth == cfg.MODEL.SEGAN.PAINT_SIZE:
            raise UserError(
                f"SOLVER.IMS_PER_BATCH = {cfg.SOLVER.IMS_PER_BATCH}: the painter's batch norm "
                "needs two samples for each process; use "
                f"{2 * comm.get_world_size()} or more"
            )
        if cfg.MODEL.SEGAN.BACKBONE_WEIGHTS and self.stage == "segment":
            load_resnet18(self.segmentor.backbone, cfg.MODEL.SEGAN.BACKBONE_WEIGHTS)

    def optimizer_groups(self) -> list[dict]:
        """See ``InstanceNetwork``."""
        parts = [self.segmentor, self.painter, self.discriminator]
        groups = [{"params": list(part.parameters())} for part in parts]
        return [g for g in groups if any(p.requires_grad for p in g["params"])]

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See the class."""
        batch = to_device(batch, self.device)
        if not self.training:
            return self._results(batch)
        losses: dict[str, torch.Tensor] = {}
        mask = batch.get("crop_amodal")
        if self.segments:
            logits = self._segment(batch)
            losses["loss_segmentation"] = region_loss(
                logits,
                batch["mask_amodal"],
                batch["mask_modal"],
                self.region_weights,
                self.least_region,
            )
            mask = self._shifted(logits)
        if self.paints:
            losses |= self._painting_losses(batch, mask)
        return losses

    def _results(self, batch: Batch) -> dict[str, torch.Tensor]:
        results: dict[str, torch.Tensor] = {}
        mask = batch.get("crop_amodal")
        if "image" in batch:
            logits = self._segment(batch)
            results["probability"] = logits.float().sigmoid()
            mask = self._shifted(logits) if mask is None else mask
        if "crop_image" in batch:
            painted = self.painter(self._painter_input(batch, mask, cut=True))
            results["rgb"] = painted.float().permute(0, 2, 3, 1) * 255.0
        return results

    def _segment(self, batch: Batch) -> torch.Tensor:
        """(N, M, M) logits."""
        image = normalise_rgb(batch["image"], self.pixel_mean, self.pixel_std)
        x = torch.cat([image, batch["modal_mask"][:, None].float()], dim=1)
        x = x.to(self.dtype, memory_format=torch.channels_last)
        return self.segmentor(x, batch["box"])

    def _shifted(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities as the painter sees them: 0.5 where the segmentor's are the threshold."""
        return (logits.float() - math.log(self.threshold / (1 - self.threshold))).sigmoid()

    def _painter_input(self, batch: Batch, mask: torch.Tensor, cut: bool) -> torch.Tensor:
        """(N, 3, P, P) in [0, 1]; see ``coloured_input``.

        Args:
            mask: (N, M, M) or (N, P, P), the whole object.
            cut: whether it is cut at 0.5.
        """
        image = batch["crop_image"].permute(0, 3, 1, 2).float() / 255.0
        visible = batch["crop_modal"][:, None].float()
        whole = mask[:, None].float()
        if whole.shape[-2:] != image.shape[-2:]:
            whole = F.interpolate(whole, image.shape[-2:], mode="bilinear", align_corners=False)
        if cut:
            whole = straight_through(whole)
        coloured = coloured_input(image, visible, whole)
        dtype = next(self.painter.parameters()).dtype
        return coloured.to(dtype, memory_format=torch.channels_last)

    def _painting_losses(self, batch: Batch, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        given = self._painter_input(batch, mask, cut=self.hard)
        painted = self.painter(given).float()
        target = batch["crop_full"].permute(0, 3, 1, 2).float() / 255.0
        losses = {
            "loss_l1": self.painting_weight * self.l1_weight * (painted - target).abs().mean()
        }
        if self.adversarial_weight:
            given = given.float()
            seen = given.detach()
            pairs = torch.cat(
                [torch.cat([seen, target], 1), torch.cat([seen, painted.detach()], 1)]
            )
            logits = self.discriminator(pairs * 2 - 1)
            losses["loss_discriminator"] = discriminator_loss(*logits.chunk(2))
            fake = torch.cat([given, painted], dim=1) * 2 - 1
            losses["loss_adversarial"] = (
                self.painting_weight
                * self.adversarial_weight
                * looks_real_loss(self.discriminator(fake, frozen=True))
            )
        return losses

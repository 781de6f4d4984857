"""Amodal-VAE: a variational autoencoder of whole masks, and an encoder of partly hidden ones."""

from __future__ import annotations

import contextlib

import torch
from detectron2.config import configurable
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.utils.events import get_event_storage
from torch import nn

from ...errors import UserError
from ...modeling.instance_network import Batch, InstanceNetwork
from .losses import (
    box_loss,
    framed_loss,
    kl_between_normals,
    kl_to_standard_normal,
    kl_weight,
    reconstruction_loss,
)
from .transformer import OUTSIDE_LOGIT, BoxTransformer, place_in_frame

STAGES = ("full", "partial", "joint")
PARTIAL_KLS = ("full", "reverse", "prior")
JOINT_KLS = ("full", "prior")
# The network halves masks twice.
SIZE_DIVISIBILITY = 4
# Bounds of the log variance: its exponential stays finite.
_LOG_VARIANCE = (-8.0, 8.0)
# A number of the code is in use where the posterior's standard deviation is below this: unused ones
# keep that of the prior, 1.
ACTIVE_BELOW = 0.9


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around which the input goes by."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


class Encoder(nn.Module):
    """From a mask to a factorial normal distribution of codes.

    The supplement (Sec. 3.2) says convolutions, two residual blocks and fully connected layers,
    batch norm before ReLU; the widths are a choice.

    Args:
        size: M, side of the mask in pixels.
        latent: L, numbers of the code.
        width: widening factor.
        use_aspect: whether it is told the proportions of the box that the mask was cropped to.
    """

    def __init__(self, size: int, latent: int, width: float, use_aspect: bool) -> None:
        super().__init__()
        c1, c2, c3, hidden = _widths(width, 32, 64, 128, 256)
        self.features = nn.Sequential(
            *_convolution(1, c1, 1),
            *_convolution(c1, c2, 2),
            *_convolution(c2, c3, 2),
            ResidualBlock(c3),
            ResidualBlock(c3),
        )
        self.hidden = nn.Linear(c3 * (size // 4) ** 2 + use_aspect, hidden)
        self.code = nn.Linear(hidden, 2 * latent)

    def forward(
        self, mask: torch.Tensor, aspect: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            mask: (N, 1, M, M) in [0, 1].
            aspect: (N, 1) log of its box's width over height; None for networks that do not look
                at it.

        Returns:
            Means and log variances, (N, L) each.
        """
        # In the order of memory of the weights, whatever that of the features is.
        features = self.features(mask).contiguous().flatten(1)
        if aspect is not None:
            features = torch.cat([features, aspect.to(features.dtype)], dim=1)
        mean, log_variance = self.code(torch.relu(self.hidden(features))).chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)


class Decoder(nn.Module):
    """From a code to the logits of a whole mask.

    Args:
        size, latent, width: see ``Encoder``.
    """

    def __init__(self, size: int, latent: int, width: float) -> None:
        super().__init__()
        c1, c2, c3, hidden = _widths(width, 32, 64, 128, 256)
        self.side = size // 4
        self.hidden = nn.Linear(latent, hidden)
        self.first = nn.Linear(hidden, c3 * self.side**2)
        self.norm = nn.BatchNorm1d(c3 * self.side**2)
        self.features = nn.Sequential(
            ResidualBlock(c3),
            ResidualBlock(c3),
            *_transposed(c3, c2),
            *_transposed(c2, c1),
        )
        self.head = nn.Conv2d(c1, 1, 3, padding=1)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """
        Args:
            code: (N, L).

        Returns:
            (N, M, M) logits.
        """
        x = torch.relu(self.norm(self.first(torch.relu(self.hidden(code)))))
        x = x.view(len(x), -1, self.side, self.side)
        return self.head(self.features(x))[:, 0]


@META_ARCH_REGISTRY.register()
class AmodalVAE(InstanceNetwork):
    """Variational amodal completion.

    What the box of the whole object is depends on the code: a code for half of a car has another
    box than one for a van.

    A batch is a dict of stacked tensors (N samples; masks of M x M pixels):

    - ``partial``: (N, M, M) uint8, 255 times how much of a pixel is visible, cropped to the modal
      box;
    - ``aspect``: (N, 1) float32, the log of the modal box's width over its height;
    - in training, ``full``: (N, M, M) uint8 0/1, the whole mask cropped to its own box;
      ``full_aspect``: as ``aspect``, of that box; ``box``: (N, 4) float32, that box seen from the
      modal one (see ``transformer.py``); ``framed``: (N, T, T) uint8, the whole mask in the frame
      around the modal box, 0, 1 or ``UNKNOWN``; ``is_whole``: (N,) uint8, 0 for objects that are
      really hidden, of which ``full``, ``full_aspect`` and ``box`` say nothing (``joint`` only);
      ``noise``: (N, L) float32 standard normal numbers, by which codes are drawn: they belong to
      the sample, so that a resumed training goes on as it would have; ``frame``: (N,) float32,
      sides of the frame as multiples of the modal box's, for pictures.

    In training, ``forward`` returns the losses of the stage; in evaluation ``{"probability":
    (N, M, M) float32, "box": (N, 4) float32}`` of the posterior's mode. ``completions`` also draws
    others.
    """

    @configurable
    def __init__(
        self,
        *,
        stage: str = "full",
        size: int = 28,
        latent: int = 64,
        width: float = 1.0,
        kl: tuple[float, float, float, int] = (0.01, 0.5, 0.9995, 2000),
        partial_kl: str = "full",
        partial_kl_weight: float = 1.0,
        box_weight: float = 1.0,
        joint_kl: str = "full",
        frame: float = 3.0,
        use_aspect: bool = False,
    ) -> None:
        """
        Args:
            stage: of ``STAGES``: what training changes.
            size, latent, width: M, L and the widening factor of all parts.
            kl: start, final, alpha and begin of ``kl_weight``.
            partial_kl, partial_kl_weight: see ``MODEL.AMODAL_VAE.PARTIAL_KL``.
            box_weight: of the box's loss in the last stage.
            joint_kl: see ``MODEL.AMODAL_VAE.JOINT_KL``.
            frame: see ``place_in_frame``.
            use_aspect: whether the proportions of boxes are looked at.
        """
        super().__init__()
        self.stage, self.size, self.latent, self.width = stage, size, latent, width
        self.kl = kl
        self.partial_kl, self.partial_kl_weight = partial_kl, partial_kl_weight
        self.box_weight, self.joint_kl, self.frame = box_weight, joint_kl, frame
        self.use_aspect = use_aspect
        self.full_encoder = Encoder(size, latent, width, use_aspect)
        # The second stage starts where the first one has ended: what is whole tells its code, and
        # so do most masks of which little is hidden.
        self.partial_encoder = (
            self.full_encoder if stage == "full" else Encoder(size, latent, width, use_aspect)
        )
        self.decoder = Decoder(size, latent, width)
        self.transformer = BoxTransformer(size, latent, width, use_aspect)
        self.to(memory_format=torch.channels_last)
        # Training steps done in the first stage; checkpoints hold it, so that resuming goes on.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for part in self._frozen():
            part.requires_grad_(False)

    @classmethod
    def from_config(cls, cfg) -> dict:
        options = cfg.MODEL.AMODAL_VAE
        known_words = {"STAGE": STAGES, "PARTIAL_KL": PARTIAL_KLS, "JOINT_KL": JOINT_KLS}
        for key, known in known_words.items():
            if options[key] not in known:
                raise UserError(
                    f"MODEL.AMODAL_VAE.{key} = {options[key]!r}: use one of {', '.join(known)}"
                )
        if options.SIZE < SIZE_DIVISIBILITY or options.SIZE % SIZE_DIVISIBILITY:
            raise UserError(
                f"MODEL.AMODAL_VAE.SIZE = {options.SIZE}: use a multiple of {SIZE_DIVISIBILITY}"
            )
        if options.LATENT < 1:
            raise UserError(f"MODEL.AMODAL_VAE.LATENT = {options.LATENT}: use 1 or more")
        if options.WIDTH <= 0:
            raise UserError(f"MODEL.AMODAL_VAE.WIDTH = {options.WIDTH}: use a number above 0")
        if options.FRAME < 1:
            # A smaller frame does not hold the visible part.
            raise UserError(f"MODEL.AMODAL_VAE.FRAME = {options.FRAME}: use 1 or more")
        if not 0 <= options.KL_ALPHA <= 1:
            raise UserError(
                f"MODEL.AMODAL_VAE.KL_ALPHA = {options.KL_ALPHA}: use a number from 0 to 1"
            )
        return {
            "stage": options.STAGE,
            "size": options.SIZE,
            "latent": options.LATENT,
            "width": options.WIDTH,
            "kl": (options.KL_START, options.KL_FINAL, options.KL_ALPHA, options.KL_BEGIN),
            "partial_kl": options.PARTIAL_KL,
            "partial_kl_weight": options.PARTIAL_KL_WEIGHT,
            "box_weight": options.BOX_WEIGHT,
            "joint_kl": options.JOINT_KL,
            "frame": options.FRAME,
            "use_aspect": options.USE_ASPECT,
        }

    def _frozen(self) -> list[nn.Module]:
        """The parts that the stage leaves as they are."""
        return {
            "full": [self.transformer],
            "partial": [self.full_encoder, self.decoder, self.transformer],
            "joint": [self.full_encoder],
        }[self.stage]

    def train(self, mode: bool = True) -> AmodalVAE:
        """As every module; frozen parts keep the statistics that they have."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def inference_parts(self) -> list[nn.Module]:
        # The box stays in float32: its numbers are pixels of large objects.
        return [self.partial_encoder, self.decoder]

    def peak_activations(self, size: int) -> int:
        return _widths(self.width, 32)[0] * self.size**2

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """See the class."""
        if not self.training:
            found = self.completions(batch, torch.zeros(0, self.latent))
            return {key: values[:, 0] for key, values in found.items()}
        return {"full": self._full, "partial": self._partial, "joint": self._joint}[self.stage](
            batch
        )

    def encode(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log variances of the codes of partial masks, (N, L) float32 each."""
        mean, log_variance = self.partial_encoder(
            self._mask(batch, "partial", 255), self._aspect(batch, "aspect")
        )
        return mean.float(), log_variance.float()

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Probabilities of whole masks in their boxes, (N, M, M) float32.

        Args:
            code: (N, L).
        """
        return self.decoder(code.to(self.dtype)).float().sigmoid()

    def completions(self, batch: Batch, noise: torch.Tensor) -> dict[str, torch.Tensor]:
        """The mode's completion of each sample, and those of codes drawn from the posterior.

        Codes are decoded one after the other: in batches of one size a result is the same to the
        bit, whatever K is.

        Args:
            batch: N samples.
            noise: (K, L) standard normal numbers, the same for every sample of the batch: what an
                object gets does not depend on those beside it.

        Returns:
            ``probability``, (N, 1 + K, M, M) float32, and ``box``, (N, 1 + K, 4) float32; the
            mode's are first.
        """
        mean, log_variance = self.encode(batch)
        deviation = (0.5 * log_variance).exp()
        noise = noise.to(mean.device, mean.dtype)
        codes = [mean, *(mean + deviation * of_code for of_code in noise)]
        # Inference casts the other parts.
        dtype = self.transformer.box.weight.dtype
        partial = self._mask(batch, "partial", 255).to(dtype)
        seen = self.transformer.seen(partial, self._aspect(batch, "aspect"))
        return {
            "probability": torch.stack([self.decode(code) for code in codes], dim=1),
            "box": torch.stack([self.transformer(seen, code.to(dtype)) for code in codes], dim=1),
        }

    # ---------------------------------------------------------------- stages

    def _full(self, batch: Batch) -> dict[str, torch.Tensor]:
        mean, log_variance = self._whole_code(batch)
        weight = kl_weight(int(self.steps), *self.kl)
        self.steps += 1
        _log_scalars(kl_weight=weight, active_latents=active_latents(log_variance))
        logits = self.decoder(_drawn(mean, log_variance, self._target(batch, "noise")))
        return {
            "loss_mask": reconstruction_loss(logits, self._target(batch, "full")),
            "loss_kl": weight * kl_to_standard_normal(mean, log_variance).mean(),
        }

    def _partial(self, batch: Batch) -> dict[str, torch.Tensor]:
        mean, log_variance = self.encode(batch)
        with torch.no_grad():
            whole = self._whole_code(batch)
        _log_scalars(active_latents=active_latents(log_variance))
        if self.partial_kl == "full":
            kl = kl_between_normals(*whole, mean, log_variance)
        elif self.partial_kl == "reverse":
            kl = kl_between_normals(mean, log_variance, *whole)
        else:
            kl = kl_to_standard_normal(mean, log_variance)
        logits = self.decoder(_drawn(mean, log_variance, self._target(batch, "noise")))
        return {
            "loss_mask": reconstruction_loss(logits, self._target(batch, "full")),
            "loss_kl": self.partial_kl_weight * kl.mean(),
        }

    def _joint(self, batch: Batch) -> dict[str, torch.Tensor]:
        mean, log_variance = self.encode(batch)
        _log_scalars(active_latents=active_latents(log_variance))
        code = _drawn(mean, log_variance, self._target(batch, "noise"))
        logits = self.decoder(code)
        seen = self.transformer.seen(
            self._mask(batch, "partial", 255), self._aspect(batch, "aspect")
        )
        box = self.transformer(seen, code)
        target, is_whole = self._target(batch, "framed"), self._target(batch, "is_whole").float()
        side = target.shape[-1]
        # A mask of M pixels a side fills 1 / FRAME of the frame's side where the box is the modal.
        scale = (self.size * self.frame / side) ** 2
        kl = self.kl[1] * kl_to_standard_normal(mean, log_variance)
        if self.joint_kl == "full":
            with torch.no_grad():
                whole = self._whole_code(batch)
            to_whole = self.partial_kl_weight * kl_between_normals(*whole, mean, log_variance)
            kl = torch.where(is_whole > 0, to_whole, kl)
        with torch.autocast(self.device.type, enabled=False):
            true_box = self._target(batch, "box")
            of_box = box_loss(box, true_box)
            # Masks are drawn into the true box where it is known: else the decoder learns to move
            # them within the modal box sooner than the box learns to move.
            box = torch.where(is_whole[:, None] > 0, true_box, box)
            placed = place_in_frame(logits, box, side, self.frame, OUTSIDE_LOGIT)
            return {
                "loss_mask": framed_loss(placed, target, scale),
                "loss_kl": kl.mean(),
                "loss_box": self.box_weight * (is_whole * of_box).mean(),
            }

    def _whole_code(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log variances of the codes of whole masks, (N, L) each."""
        return self.full_encoder(self._mask(batch, "full"), self._aspect(batch, "full_aspect"))

    def _aspect(self, batch: Batch, key: str) -> torch.Tensor | None:
        return batch[key].to(self.device, non_blocking=True) if self.use_aspect else None

    def _mask(self, batch: Batch, key: str, whole: int = 1) -> torch.Tensor:
        """(N, 1, M, M) in [0, 1], channels last."""
        mask = batch[key].to(self.device, non_blocking=True).to(self.dtype) / whole
        return mask[:, None].contiguous(memory_format=torch.channels_last)

    def _target(self, batch: Batch, key: str) -> torch.Tensor:
        return batch[key].to(self.device, non_blocking=True)


def active_latents(log_variance: torch.Tensor) -> int:
    """How many numbers of the code are in use: those whose standard deviation is not the prior's.

    Args:
        log_variance: (N, L).
    """
    deviation = (0.5 * log_variance.detach().float()).exp().mean(dim=0)
    return int((deviation < ACTIVE_BELOW).sum())


def _drawn(mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return mean + (0.5 * log_variance).exp() * noise


def _log_scalars(**values: float) -> None:
    """For TensorBoard, in a training."""
    with contextlib.suppress(AssertionError):  # there is no storage outside of one
        storage = get_event_storage()
        for name, value in values.items():
            storage.put_scalar(f"amodal_vae/{name}", value)


def _widths(width: float, *channels: int) -> list[int]:
    return [max(round(n * width), 1) for n in channels]


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def _transposed(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]

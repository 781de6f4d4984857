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
from .transformer import BoxTransformer, place_in_frame

STAGES = ("full", "partial", "joint")
PARTIAL_KLS = ("full", "reverse", "prior")
# The network halves masks twice.
SIZE_DIVISIBILITY = 4
# Bounds of the log variance: its exponential stays finite.
_LOG_VARIANCE = (-8.0, 8.0)
# A number of the code is in use where the posterior's standard deviation is below this: unused ones
# keep that of the prior, 1.
_ACTIVE_BELOW = 0.9


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
    """

    def __init__(self, size: int, latent: int, width: float) -> None:
        super().__init__()
        c1, c2, c3, hidden = _widths(width, 32, 64, 128, 256)
        self.features = nn.Sequential(
            *_convolution(1, c1, 1),
            *_convolution(c1, c2, 2),
            *_convolution(c2, c3, 2),
            ResidualBlock(c3),
            ResidualBlock(c3),
        )
        self.hidden = nn.Linear(c3 * (size // 4) ** 2, hidden)
        self.code = nn.Linear(hidden, 2 * latent)

    def forward(self, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            mask: (N, 1, M, M) in [0, 1].

        Returns:
            Means and log variances, (N, L) each.
        """
        # In the order of memory of the weights, whatever that of the features is.
        features = self.features(mask).contiguous().flatten(1)
        mean, log_variance = self.code(torch.relu(self.hidden(features))).chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)


class Decoder(nn.Module):
    """From a code to the logits of a whole mask. For the arguments see ``Encoder``."""

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

    A batch is a dict of stacked tensors (N samples; masks of M x M pixels):

    - ``partial``: (N, M, M) uint8, 255 times how much of a pixel is visible, cropped to the modal
      box;
    - in training, ``full``: (N, M, M) uint8 0/1, the whole mask cropped to its own box; ``box``:
      (N, 4) float32, that box seen from the modal one (see ``transformer.py``); ``framed``:
      (N, T, T) uint8 0/1, the whole mask in the frame around the modal box.

    In training, ``forward`` returns the losses of the stage; in evaluation ``{"probability":
    (N, M, M) float32, "box": (N, 4) float32}`` of the posterior's mode. ``samples`` draws others.
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
        frame: float = 3.0,
    ) -> None:
        """
        Args:
            stage: of ``STAGES``: what training changes.
            size, latent, width: M, L and the widening factor of all parts.
            kl: start, final, alpha and begin of ``kl_weight``.
            partial_kl, partial_kl_weight: see ``MODEL.AMODAL_VAE.PARTIAL_KL``.
            box_weight: of the box's loss in the last stage.
            frame: see ``place_in_frame``.
        """
        super().__init__()
        self.stage, self.size, self.width = stage, size, width
        self.kl = kl
        self.partial_kl, self.partial_kl_weight = partial_kl, partial_kl_weight
        self.box_weight, self.frame = box_weight, frame
        self.full_encoder = Encoder(size, latent, width)
        self.partial_encoder = Encoder(size, latent, width)
        self.decoder = Decoder(size, latent, width)
        self.transformer = BoxTransformer(size, width)
        self.to(memory_format=torch.channels_last)
        # Training steps done in the first stage; checkpoints hold it, so that resuming goes on.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for part in self._frozen():
            part.requires_grad_(False)

    @classmethod
    def from_config(cls, cfg) -> dict:
        options = cfg.MODEL.AMODAL_VAE
        for key, known in (("STAGE", STAGES), ("PARTIAL_KL", PARTIAL_KLS)):
            if options[key] not in known:
                raise UserError(
                    f"MODEL.AMODAL_VAE.{key} = {options[key]!r}: use one of {', '.join(known)}"
                )
        if options.SIZE < SIZE_DIVISIBILITY or options.SIZE % SIZE_DIVISIBILITY:
            raise UserError(
                f"MODEL.AMODAL_VAE.SIZE = {options.SIZE}: use a multiple of {SIZE_DIVISIBILITY}"
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
            "frame": options.FRAME,
        }

    def _frozen(self) -> list[nn.Module]:
        """The parts that the stage leaves as they are."""
        return {
            "full": [self.partial_encoder, self.transformer],
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
            mean, _ = self.encode(batch)
            return {"probability": self.decode(mean), "box": self.box(batch)}
        return {"full": self._full, "partial": self._partial, "joint": self._joint}[self.stage](
            batch
        )

    def encode(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log variances of the codes of partial masks, (N, L) float32 each."""
        mean, log_variance = self.partial_encoder(self._mask(batch, "partial", 255))
        return mean.float(), log_variance.float()

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Probabilities of whole masks in their boxes, (N, M, M) float32.

        Args:
            code: (N, L).
        """
        return self.decoder(code.to(self.dtype)).float().sigmoid()

    def box(self, batch: Batch) -> torch.Tensor:
        """The boxes of whole objects, (N, 4) float32, seen from the modal ones."""
        # Inference casts the other parts.
        dtype = self.transformer.box.weight.dtype
        return self.transformer(self._mask(batch, "partial", 255).to(dtype))

    def samples(self, batch: Batch, noise: torch.Tensor) -> torch.Tensor:
        """Completions for codes that are drawn from the posterior.

        Args:
            batch: with ``partial``.
            noise: (K, L) standard normal numbers, the same for every sample of the batch: what an
                object gets does not depend on those beside it.

        Returns:
            (N, K, M, M) float32 probabilities.
        """
        mean, log_variance = self.encode(batch)
        noise = noise.to(mean.device, mean.dtype)
        codes = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        count, k = codes.shape[:2]
        return self.decode(codes.flatten(0, 1)).view(count, k, self.size, self.size)

    # ---------------------------------------------------------------- stages

    def _full(self, batch: Batch) -> dict[str, torch.Tensor]:
        mean, log_variance = self.full_encoder(self._mask(batch, "full"))
        weight = kl_weight(int(self.steps), *self.kl)
        self.steps += 1
        _log_scalars(kl_weight=weight, active_latents=active_latents(log_variance))
        logits = self.decoder(_drawn(mean, log_variance))
        return {
            "loss_mask": reconstruction_loss(logits, self._target(batch, "full")),
            "loss_kl": weight * kl_to_standard_normal(mean, log_variance),
        }

    def _partial(self, batch: Batch) -> dict[str, torch.Tensor]:
        mean, log_variance = self.partial_encoder(self._mask(batch, "partial", 255))
        with torch.no_grad():
            whole = self.full_encoder(self._mask(batch, "full"))
        _log_scalars(active_latents=active_latents(log_variance))
        if self.partial_kl == "full":
            kl = kl_between_normals(*whole, mean, log_variance)
        elif self.partial_kl == "reverse":
            kl = kl_between_normals(mean, log_variance, *whole)
        else:
            kl = kl_to_standard_normal(mean, log_variance)
        logits = self.decoder(_drawn(mean, log_variance))
        return {
            "loss_mask": reconstruction_loss(logits, self._target(batch, "full")),
            "loss_kl": self.partial_kl_weight * kl,
        }

    def _joint(self, batch: Batch) -> dict[str, torch.Tensor]:
        partial = self._mask(batch, "partial", 255)
        mean, log_variance = self.partial_encoder(partial)
        _log_scalars(active_latents=active_latents(log_variance))
        probability = self.decoder(_drawn(mean, log_variance)).float().sigmoid()
        box, target = self.transformer(partial), self._target(batch, "framed")
        side = target.shape[-1]
        # A mask of M pixels a side fills 1 / FRAME of the frame's side where the box is the modal.
        scale = (self.size * self.frame / side) ** 2
        with torch.autocast(self.device.type, enabled=False):
            placed = place_in_frame(probability, box, side, self.frame)
            return {
                "loss_mask": framed_loss(placed, target, scale),
                "loss_kl": self.kl[1] * kl_to_standard_normal(mean, log_variance),
                "loss_box": self.box_weight * box_loss(box, self._target(batch, "box")),
            }

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
    return int((deviation < _ACTIVE_BELOW).sum())


def _drawn(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


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

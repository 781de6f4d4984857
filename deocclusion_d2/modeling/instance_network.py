"""What the networks over instance crops have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from ..errors import UserError
from .category_ids import TrainedOn
from .imagenet import PIXEL_MEAN, PIXEL_STD
from .rgb import pixel_statistic

Batch = dict[str, torch.Tensor]


class InstanceNetwork(nn.Module):
    """Base of the meta-architectures that look at square crops around instances.

    A batch is a dict of stacked tensors with the samples first. In training, ``forward`` returns a
    dict of scalar losses, in evaluation a dict of results with the samples first.

    Args:
        network: what computes; it may be ``None`` for a subclass of several parts, which then
            overrides ``inference_parts`` and ``peak_activations``.
        use_rgb: whether a batch holds the image.
        use_category: whether the result depends on ``category_id``.
        pixel_mean, pixel_std: RGB statistics, of values in [0, 1].

    Attributes:
        trained_on: what checkpoints note beside the weights.
    """

    def __init__(
        self,
        network: nn.Module | None = None,
        *,
        use_rgb: bool = False,
        use_category: bool = False,
        pixel_mean: tuple[float, ...] = PIXEL_MEAN,
        pixel_std: tuple[float, ...] = PIXEL_STD,
    ) -> None:
        super().__init__()
        if network is not None:
            # The layout that tensor cores and oneDNN compute convolutions fastest in.
            self.network = network.to(memory_format=torch.channels_last)
        self.use_rgb = use_rgb
        self.use_category = use_category
        self.trained_on = TrainedOn()
        self.register_buffer("pixel_mean", pixel_statistic(pixel_mean), persistent=False)
        self.register_buffer("pixel_std", pixel_statistic(pixel_std), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.pixel_mean.device

    @property
    def dtype(self) -> torch.dtype:
        """In which the network computes."""
        return next(self.inference_parts()[0].parameters()).dtype

    def inference_parts(self) -> list[nn.Module]:
        """The parts that inference runs, and whose precision it may change."""
        return [self.network]

    def sample_of_inference(self, size: int) -> Batch:
        """What a batch of evaluation holds, for programs that take the network elsewhere.

        Args:
            size: side of the crop in pixels.

        Returns:
            One sample by its keys, each (1, ...); nothing for a network that cannot go.
        """
        return {}

    def peak_activations(self, size: int) -> int:
        """Numbers in the largest activation of one sample.

        Args:
            size: side of the crop in pixels.
        """
        return self.network.peak_activations(size)

    def prepare_training(self, cfg) -> None:
        """Load what only training needs; called once, before the optimizer is built."""

    def optimizer_groups(self) -> list[dict]:
        """Groups of parameters: ``params``, and what differs from the config's optimizer.

        ``lr_factor`` multiplies the learning rate. A model that has groups is trained by Adam; none
        are all parameters alike, by any optimizer.
        """
        return []


def pixel_statistics(cfg) -> dict[str, tuple[float, ...]]:
    """A config's statistics of colours, as ``InstanceNetwork`` takes them."""
    return {
        "pixel_mean": tuple(cfg.MODEL.INSTANCE.PIXEL_MEAN),
        "pixel_std": tuple(cfg.MODEL.INSTANCE.PIXEL_STD),
    }


def require_patch_size(cfg, multiple: int) -> None:
    """Refuse patches whose side the config's network cannot halve as often as it does.

    Args:
        multiple: what the side has to be a multiple of, a power of 2.

    Raises:
        UserError: naming the config key.
    """
    side = cfg.INPUT.INSTANCE_CROP.SIZE
    if side < multiple or side % multiple:
        raise UserError(
            f"INPUT.INSTANCE_CROP.SIZE = {side}: {cfg.MODEL.META_ARCHITECTURE} halves patches "
            f"{multiple.bit_length() - 1} times; use a multiple of {multiple}"
        )


def empty_sample(
    size: int, masks: Sequence[str], *, rgb: bool = False, category: bool = False
) -> Batch:
    """A sample of empty patches; see ``InstanceNetwork.sample_of_inference``.

    Args:
        size: S in pixels.
        masks: keys of (1, S, S) uint8.
        rgb: with ``image``, (1, S, S, 3) uint8.
        category: with ``category_id``, (1,) int64.
    """
    sample = {key: torch.zeros((1, size, size), dtype=torch.uint8) for key in masks}
    if category:
        sample["category_id"] = torch.ones(1, dtype=torch.int64)
    if rgb:
        sample["image"] = torch.zeros((1, size, size, 3), dtype=torch.uint8)
    return sample


def to_device(batch: Batch, device: torch.device, keys: Iterable[str] | None = None) -> Batch:
    """Entries of a batch on a device.

    Args:
        keys: of the entries; None for all.
    """
    return {k: batch[k].to(device, non_blocking=True) for k in (batch if keys is None else keys)}

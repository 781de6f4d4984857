"""Features of VGG-16, for the perceptual and the style loss of PCNet-C."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.models import VGG16_Weights, vgg16

from ..errors import UserError

# Where the layers end that the losses look at: behind the first three poolings.
_POOLINGS = (5, 10, 17)
_KEYS_OFF = (
    "or turn the two losses off by MODEL.PCNET_C.PERCEPTUAL_WEIGHT 0 MODEL.PCNET_C.STYLE_WEIGHT 0"
)


class VGGFeatures:
    """What VGG-16 sees behind its first three poolings.

    Not a module of the model that uses it: it is frozen, and has no place in checkpoints.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        """
        Args:
            layers: VGG-16's ``features``, at least up to the third pooling.
        """
        stages = []
        start = 0
        for pooling in _POOLINGS:
            stages.append(layers[start:pooling])
            start = pooling
        self._stages = nn.ModuleList(stages).eval().requires_grad_(False)

    @classmethod
    def load(cls, weights: str = "") -> VGGFeatures:
        """Torchvision's weights, or those of a file.

        Args:
            weights: a state dict of torchvision's ``vgg16`` or of its ``features`` (a checkpoint's
                ``state_dict`` too); empty for torchvision's own, which it downloads once.

        Raises:
            UserError: there are none; the message names the config keys.
        """
        if weights:
            return cls(_layers_from_file(weights))
        try:
            return cls(vgg16(weights=VGG16_Weights.IMAGENET1K_V1).features)
        except (OSError, RuntimeError) as error:
            raise UserError(
                "VGG-16's weights cannot be downloaded; name a file of them by "
                f"MODEL.PCNET_C.VGG_WEIGHTS, {_KEYS_OFF}"
            ) from error

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """
        Args:
            x: (N, 3, S, S) RGB, normalised by ImageNet's statistics.

        Returns:
            (N, 64, S / 2, S / 2), (N, 128, S / 4, S / 4), (N, 256, S / 8, S / 8).
        """
        self._stages.to(x.device)
        features = []
        for stage in self._stages:
            x = stage(x)
            features.append(x)
        return features


def _layers_from_file(path: str) -> nn.Sequential:
    if not Path(path).is_file():
        raise UserError(
            f"MODEL.PCNET_C.VGG_WEIGHTS = {path!r} does not exist; correct it, {_KEYS_OFF}"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        state = {k.removeprefix("module.").removeprefix("features."): v for k, v in state.items()}
        layers = vgg16(weights=None).features
        wanted = {name for name in layers.state_dict() if int(name.split(".")[0]) < _POOLINGS[-1]}
        layers = layers[: _POOLINGS[-1]]
        layers.load_state_dict({name: state[name] for name in wanted})
    except KeyError as error:
        raise UserError(
            f"MODEL.PCNET_C.VGG_WEIGHTS = {path!r} lacks the tensor {error} of VGG-16"
        ) from error
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"MODEL.PCNET_C.VGG_WEIGHTS = {path!r} is no VGG-16 state dict: {reason}"
        ) from error
    return layers

"""Features of VGG-16, for the perceptual and the style loss of PCNet-C."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torchvision.models import VGG16_Weights, vgg16

from ...errors import UserError
from ...modeling.tensor_files import TensorFileError, read_tensor_file

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
            weights: file of a state dict of torchvision's ``vgg16`` or of its ``features`` (a
                checkpoint's ``state_dict`` too), see ``read_tensor_file``; empty for torchvision's
                own, which it downloads once.

        Raises:
            UserError: there are none; the message names the config keys.
        """
        if weights:
            return cls(_layers(_read(weights), f"MODEL.PCNET_C.VGG_WEIGHTS = {weights!r}"))
        try:
            state = VGG16_Weights.IMAGENET1K_V1.get_state_dict(
                progress=True, check_hash=True, weights_only=True
            )
            return cls(_layers(state, "torchvision's VGG-16"))
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


def _read(path: str) -> dict[str, torch.Tensor]:
    if not Path(path).is_file():
        raise UserError(
            f"MODEL.PCNET_C.VGG_WEIGHTS = {path!r} does not exist; correct it, {_KEYS_OFF}"
        )
    where = f"MODEL.PCNET_C.VGG_WEIGHTS = {path!r} is no VGG-16 state dict"
    try:
        content = read_tensor_file(path)
        state = content.get("state_dict", content.get("model", content))
        return {n.removeprefix("module."): torch.as_tensor(value) for n, value in state.items()}
    except TensorFileError as error:
        raise UserError(f"{where} ({error.reason})") from error
    # Names and values of another kind.
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(where) from error


def _layers(state: Mapping[str, torch.Tensor], source: str) -> nn.Sequential:
    # Names and shapes only: the classifier alone would be half a gigabyte.
    with torch.device("meta"):
        layers = vgg16(weights=None).features[: _POOLINGS[-1]]
    state = {name.removeprefix("features."): value for name, value in state.items()}
    try:
        layers.load_state_dict({name: state[name] for name in layers.state_dict()}, assign=True)
    except KeyError as error:
        raise UserError(f"{source} lacks the tensor {error}") from error
    except RuntimeError as error:
        raise UserError(f"{source}: tensors of other shapes than VGG-16's") from error
    return layers

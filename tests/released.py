"""Small networks in the layout of released files, and the way in and out of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.released import ReleasedLayout, find_layout, find_layout_of_ours
from deocclusion_d2.systems import released_layouts, system
from tests.helpers import random_model
from tests.systems.pcnet_c.test_partial_conv_unet import small_network


@functools.cache
def layout(kind: str) -> ReleasedLayout:
    """The layout of a system."""
    return system(kind).network.released()


def from_official(checkpoint: Any) -> dict[str, torch.Tensor]:
    """Of whichever network it is."""
    return find_layout(checkpoint, released_layouts()).from_official(checkpoint)


def to_official(model_state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Of whichever network it is."""
    return find_layout_of_ours(model_state, released_layouts()).to_official(model_state)


def refusal(checkpoint) -> str:
    with pytest.raises(UserError) as error:
        from_official(checkpoint)
    assert "\n" not in str(error.value)
    return str(error.value)


@functools.lru_cache
def _random_state(kind: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    if kind == "pcnet_m":
        state = random_model().state_dict()
    else:
        state = {f"network.{k}": v for k, v in small_network(released=True).state_dict().items()}
    for number, name in enumerate(n for n in state if n.endswith("num_batches_tracked")):
        state[name] = torch.tensor(100 + number)
    return state


def small_state(kind: str) -> dict[str, torch.Tensor]:
    """State dict of a small model with random weights, statistics and counters."""
    return {name: value.clone() for name, value in _random_state(kind).items()}


def batch_norm(name: str, channels: int) -> list[tuple[str, tuple[int, ...]]]:
    vectors = [f"{name}.{x}" for x in ("weight", "bias", "running_mean", "running_var")]
    return [*((v, (channels,)) for v in vectors), (f"{name}.num_batches_tracked", ())]


def convolve(state, name, x, **options):
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)


def normalise(state, name, x):
    mean, variance, weight, bias = (
        state[f"{name}.{x}"].view(1, -1, 1, 1)
        for x in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

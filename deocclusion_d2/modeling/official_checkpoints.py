"""The names of the authors' released networks, and ours: tensors in either layout become the other.

A released file holds ``step``, ``state_dict`` (names with a ``module.`` prefix) and ``optimizer``.
PCNet-M's tensors have the names of its U-Net, PCNet-C's those of its network of partial
convolutions, which keeps constant ones as ``mask_conv.weight`` (ours does without, and keeps a
``gain`` for each, see ``PartialConv2d``). Our names are those of ``PCNetM`` and ``PCNetC``.

All functions are pure; nothing here reads or writes files. Tensors are passed on, not copied.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..errors import UserError
from ..systems.pcnet_c.partial_conv_unet import PartialConvUNet
from .unet import UNet

State = dict[str, torch.Tensor]

KINDS = ("pcnet_m", "pcnet_c")
PREFIX = "module."
# Where both meta-architectures keep the network whose tensors a released file holds.
OUR_PREFIX = "network."

# Names of each message's list that are written out.
_NAMES_SHOWN = 3
# The channels that the network of a kind can take: the masks, with or without RGB; RGB, with or
# without a mask.
_INPUT_CHANNELS = {"pcnet_m": (2, 5), "pcnet_c": (3, 4)}
_DISCRIMINATOR = {f"conv{i}.0.weight_orig" for i in range(1, 6)}
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class NetworkShape:
    """What decides the shapes of a network's tensors.

    Attributes:
        in_channels: channels of the input.
        width: the widening factor, 2 (PCNet-M) and 1 (PCNet-C) in the released files.
    """

    in_channels: int
    width: float


@dataclass(frozen=True)
class Entry:
    """One tensor of a released file.

    Attributes:
        official: its name there, without ``module.``.
        ours: its name in our model's state dict; None for the constant ones of ``mask_conv``.
        shape: its shape.
    """

    official: str
    ours: str | None
    shape: tuple[int, ...]


def from_official(checkpoint: Mapping[str, Any], kind: str | None = None) -> State:
    """Turn a released checkpoint into a state dict of our model.

    An inpainting network of partial convolutions in the layout of PCNet-C, which takes RGB alone,
    becomes a PCNet-C that ignores the mask: where to start training (supplement A).

    Args:
        checkpoint: a released file's content, or its ``state_dict`` alone, with or without the
            prefix ``module.``. Batch norm's counters may be absent, all of them (files of old
            versions of torch): they become 0.
        kind: "pcnet_m" or "pcnet_c"; told from the names when not given.

    Raises:
        UserError: it is something else, or tensors are missing, unknown or of a wrong shape, or a
            ``mask_conv.weight`` is not all ones. One line that names the tensors.
    """
    state, prefix = _official_state(checkpoint)
    kind = kind or detect_kind(state)
    wanted = official_layout(kind, read_shape(state, kind))
    counters = {e.official for e in wanted if e.official.endswith(_COUNTER)}
    if counters.isdisjoint(state):
        state |= {name: torch.zeros((), dtype=torch.int64) for name in counters}
    _check(state, {e.official: e.shape for e in wanted}, prefix)
    masks = [e.official for e in wanted if e.ours is None]
    changed = [prefix + name for name in masks if not bool((state[name] == 1).all())]
    if changed:
        raise UserError(f"not all ones, as a released network has it: {_some(changed)}")
    ours = {e.ours: state[e.official] for e in wanted if e.ours is not None}
    if kind == "pcnet_c":
        ours |= {name: torch.tensor(1) for name in _gain_names()}
        _take_a_mask(ours)
    return ours


def _gain_names() -> list[str]:
    return [f"{OUR_PREFIX}{n}.gain" for n, _ in _module_names("pcnet_c") if n.endswith(".conv")]


def _take_a_mask(state: State) -> None:
    """Give an RGB network's tensors the fourth channel, in place; those that have it stay."""
    levels = PartialConvUNet.LEVELS
    first, last = (f"{OUR_PREFIX}{n}.conv.weight" for n in ("encoder.0", f"decoder.{levels - 1}"))
    if state[first].shape[1] == 4:
        return
    for name in (first, last):
        weight = state[name]
        # The new channel's values count in the sum that the layer divides by.
        weight = weight * ((weight.shape[1] + 1) / weight.shape[1])
        state[name] = torch.cat([weight, torch.zeros_like(weight[:, :1])], dim=1)


def to_official(model_state: Mapping[str, Any], kind: str | None = None) -> State:
    """Turn a state dict of our model into the ``state_dict`` of a released file, in its order.

    PCNet-C's discriminator has no place in it. Weights are multiplied by their gains.

    Args:
        model_state: what our model's ``state_dict()`` gives.
        kind: "pcnet_m" or "pcnet_c"; told from the names when not given.

    Raises:
        UserError: as for ``from_official``.
    """
    state = _without_gains(model_state)
    kind = kind or _closest_kind(
        state,
        {k: {e.ours for e in official_layout(k) if e.ours} for k in KINDS},
        "one of our checkpoints",
    )
    translated = {e.ours: e.official for e in official_layout(kind)}
    shape = read_shape({translated[n]: v for n, v in state.items() if n in translated}, kind)
    wanted = official_layout(kind, shape)
    _check(state, {e.ours: e.shape for e in wanted if e.ours is not None}, prefix="")
    like = next(iter(state.values()))
    return {
        PREFIX + e.official: like.new_ones(e.shape) if e.ours is None else state[e.ours]
        for e in wanted
    }


def _without_gains(model_state: Mapping[str, Any]) -> State:
    state = {n: v for n, v in model_state.items() if not n.startswith("discriminator.")}
    for name in _gain_names():
        weight = name.removesuffix("gain") + "weight"
        gain = state.pop(name, None)
        if isinstance(gain, torch.Tensor) and isinstance(state.get(weight), torch.Tensor):
            state[weight] = state[weight] * gain.to(state[weight].dtype)
    return state


def detect_kind(checkpoint: Mapping[str, Any]) -> str:
    """Tell "pcnet_m" from "pcnet_c" by the names, even if some are missing.

    Raises:
        UserError: it is the discriminator of PCNet-C, or no released network at all.
    """
    state, _ = _official_state(checkpoint)
    if not _DISCRIMINATOR.isdisjoint(state):
        raise UserError(
            "this is the discriminator of PCNet-C, which only training uses: name the file of the "
            "network itself"
        )
    known = {k: {e.official for e in official_layout(k)} for k in KINDS}
    return _closest_kind(state, known, "a released PCNet-M or PCNet-C")


def read_shape(checkpoint: Mapping[str, Any], kind: str) -> NetworkShape:
    """Input channels and width of a released network, from the shapes of its tensors.

    What cannot be read, or is impossible, is the released networks' own: comparing the shapes then
    says what is wrong.
    """
    state, _ = _official_state(checkpoint)
    if kind == "pcnet_m":
        # The widest level: where 16 w is not an integer, this one tells w best.
        first, widest, channels_per_width = "inc.conv.conv.0.weight", "down4.mpconv.1.conv.4", 128
        default = NetworkShape(2, 2.0)
    else:
        first, widest, channels_per_width = "enc_1.conv.input_conv.weight", "enc_7.bn", 512
        default = NetworkShape(4, 1.0)
    in_channels, width = default.in_channels, default.width
    if _ndim(state.get(first)) == 4 and state[first].shape[1] in _INPUT_CHANNELS[kind]:
        in_channels = state[first].shape[1]
    scale = state.get(f"{widest}.weight")
    # Networks refuse levels with fewer than 4 channels; their first has an eighth of the widest's.
    if _ndim(scale) == 1 and len(scale) >= 32:
        width = len(scale) / channels_per_width
    return NetworkShape(in_channels, width)


def official_layout(kind: str, shape: NetworkShape | None = None) -> list[Entry]:
    """Every tensor of a released file, in the file's order.

    Args:
        kind: "pcnet_m" or "pcnet_c".
        shape: of the network; the released one's when not given.
    """
    return list(_layout(kind, shape or read_shape({}, kind)))


@functools.lru_cache(maxsize=16)
def _layout(kind: str, shape: NetworkShape) -> tuple[Entry, ...]:
    # Names and shapes only, no memory.
    with torch.device("meta"):
        network = _build_network(kind, shape)
    state = {OUR_PREFIX + name: tuple(value.shape) for name, value in network.state_dict().items()}
    entries = []
    for ours, official in _module_names(kind):
        for leaf in ("weight", "bias", "running_mean", "running_var", _COUNTER):
            name = f"{OUR_PREFIX}{ours}.{leaf}"
            # The first and the last block of PCNet-C have no batch norm, few convolutions a bias.
            if name in state:
                entries.append(Entry(f"{official}.{leaf}", name, state[name]))
        if official.endswith(".input_conv"):
            mask_conv = official.removesuffix("input_conv") + "mask_conv.weight"
            entries.append(Entry(mask_conv, None, state[f"{OUR_PREFIX}{ours}.weight"]))
    return tuple(entries)


def _build_network(kind: str, shape: NetworkShape) -> nn.Module:
    build = {"pcnet_m": UNet, "pcnet_c": PartialConvUNet}[kind]
    return build(shape.in_channels, width=shape.width)


def _module_names(kind: str) -> list[tuple[str, str]]:
    """(our name, released name) of the modules that hold tensors, in the order of a file."""
    if kind == "pcnet_m":
        stages = [("stem", "inc.conv.conv")]
        stages += [(f"down.{i}", f"down{i + 1}.mpconv.1.conv") for i in range(UNet.LEVELS)]
        stages += [(f"up.{i}", f"up{i + 1}.conv.conv") for i in range(UNet.LEVELS)]
        # Convolution, batch norm, (ReLU,) convolution, batch norm.
        names = [
            (f"{ours}.{k}", f"{official}.{k}") for ours, official in stages for k in (0, 1, 3, 4)
        ]
        return [*names, ("head", "outc.conv")]
    levels = PartialConvUNet.LEVELS
    # Released blocks are numbered by level, ours in the order of computation.
    blocks = [(f"encoder.{i}", f"enc_{i + 1}") for i in range(levels)]
    blocks += [(f"decoder.{levels - k}", f"dec_{k}") for k in (5, 6, 7, 4, 3, 2, 1)]
    names = []
    for ours, official in blocks:
        names.append((f"{ours}.conv", f"{official}.conv.input_conv"))
        names.append((f"{ours}.norm", f"{official}.bn"))
    return names


def _official_state(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The named tensors, without the prefix ``module.``; and that prefix, if they had it."""
    if not isinstance(checkpoint, Mapping):
        raise UserError(f"holds a {type(checkpoint).__name__}, where named tensors are expected")
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, Mapping):
        raise UserError(f"its state_dict is a {type(state).__name__}, not named tensors")
    names = [str(name) for name in state]
    prefix = PREFIX if names and all(name.startswith(PREFIX) for name in names) else ""
    return {str(name).removeprefix(prefix): value for name, value in state.items()}, prefix


def _closest_kind(state: Mapping[str, Any], known: dict[str, set], expected: str) -> str:
    found = {kind: len(names & state.keys()) for kind, names in known.items()}
    kind = max(found, key=found.__getitem__)
    if not found[kind]:
        names = [str(name) for name in state]
        raise UserError(f"this is not {expected}; it holds {_some(names) if names else 'nothing'}")
    return kind


def _check(state: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]], prefix: str) -> None:
    """Refuse a state whose names or shapes are not the wanted ones."""
    missing = [prefix + name for name in wanted if name not in state]
    unexpected = [prefix + name for name in state if name not in wanted]
    wrong = []
    for name, shape in wanted.items():
        if name in state:
            value = state[name]
            if not isinstance(value, torch.Tensor):
                wrong.append(f"{prefix}{name} is a {type(value).__name__}, not a tensor")
            elif tuple(value.shape) != shape:
                wrong.append(f"{prefix}{name} has {tuple(value.shape)} instead of {shape}")
    problems = {"missing": missing, "unexpected": unexpected, "wrong shape": wrong}
    if any(problems.values()):
        raise UserError("; ".join(f"{k}: {_some(names)}" for k, names in problems.items() if names))


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _ndim(value: Any) -> int:
    return value.ndim if isinstance(value, torch.Tensor) else -1

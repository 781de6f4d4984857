"""The names of authors' released networks, and ours: tensors in either layout become the other.

A released file holds ``step``, ``state_dict`` (names with a ``module.`` prefix) and ``optimizer``.
What the tensors of one network are called there is a ``ReleasedLayout``, which its system declares.

All functions are pure; nothing here reads or writes files (``released_files.py`` does). Tensors
are passed on, not copied.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import UserError

State = dict[str, torch.Tensor]
# What a torch file holds, or its named tensors alone.
Content = Mapping[str, Any]

PREFIX = "module."

# Data that authors trained on -> their category ids, which released files do not say.
CATEGORY_IDS: dict[str, tuple[int, ...]] = {"kins": tuple(range(1, 9)), "cocoa": (1,)}

# Names of each message's list that are written out.
_NAMES_SHOWN = 3
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class NetworkShape:
    """What decides the shapes of a network's tensors.

    Attributes:
        in_channels: channels of the input.
        width: the widening factor.
    """

    in_channels: int
    width: float


@dataclass(frozen=True)
class Module:
    """A part of a network that holds tensors: a convolution or a batch norm.

    Attributes:
        ours: its name in our network.
        official: its name in a released file.
        ones: name there of a part that we do without: a weight of the shape of this one's, all
            ones, which the file holds right after this one; "" for none.
    """

    ours: str
    official: str
    ones: str = ""


@dataclass(frozen=True)
class Entry:
    """One tensor of a released file.

    Attributes:
        official: its name there, without ``module.``.
        ours: its name in our model's state dict; None for constant ones.
        shape: its shape.
    """

    official: str
    ours: str | None
    shape: tuple[int, ...]


class ReleasedLayout(ABC):
    """How the authors' files name one network's tensors, and what else tells them from ours.

    Most is renaming: ``build`` and ``modules`` say it all. ``after_import``, ``before_export`` and
    ``refusal`` are for what is not. A network whose size is no
    width, or is read elsewhere, has its own ``read_shape``.

    Attributes:
        name: of the network, in messages.
        example: how ``tools/import_official_checkpoint.py`` is called for it, in that tool's
            ``--help``; argparse fills in "%(prog)s".
        released: the shape of the released network.
        in_channels: the numbers of input channels that the network can have.
        first: official name of the weight of the first convolution, which tells the input channels.
        widest: official name of the weight of a batch norm of the widest level, which tells the
            width.
        channels_per_width: channels of that level at width 1.
        narrowest: the fewest channels of that level with which the network can be built.
        our_prefix: where our model keeps the network.
        takes_category_ids: whether the network multiplies masks by category ids.
    """

    name: str
    example: str
    released: NetworkShape
    in_channels: tuple[int, ...]
    first: str
    widest: str
    channels_per_width: int
    narrowest: int
    our_prefix: str = "network."
    takes_category_ids: bool = False

    @abstractmethod
    def build(self, shape: NetworkShape) -> nn.Module:
        """Our network."""

    @abstractmethod
    def modules(self) -> list[Module]:
        """The parts that hold tensors, in the order of a released file."""

    @abstractmethod
    def how_to_use(self, shape: NetworkShape, weights: Path) -> str:
        """What to do with an imported network: lines that the tool prints.

        Args:
            shape: of the network; configs need overrides where it is not the released one's.
            weights: the Detectron2 checkpoint that was written.
        """

    def after_import(self, state: State) -> State:
        """Our model's state, from a released file's tensors under our names."""
        return state

    def before_export(self, model_state: Mapping[str, Any]) -> State:
        """The tensors of a released file under our names, from our model's state.

        The state is not checked yet: it may lack tensors.
        """
        return dict(model_state)

    def refusal(self, state: Mapping[str, Any]) -> str:
        """What to say of a file of the same release that does not hold the network.

        Args:
            state: a file's tensors, by names without ``module.``.

        Returns:
            One line that says what it is; "" where it is no such file.
        """
        return ""

    def from_official(self, checkpoint: Content) -> State:
        """Turn a released checkpoint into a state dict of our model.

        Args:
            checkpoint: a released file's content, or its ``state_dict`` alone, with or without the
                prefix ``module.``. Batch norm's counters may be absent, all of them (files of old
                versions of torch): they become 0.

        Raises:
            UserError: it is something else, or tensors are missing, unknown or of a wrong shape, or
                constant ones are not all ones. One line that names the tensors.
        """
        state, prefix = _official_state(checkpoint)
        wanted = self.entries(self.read_shape(state))
        counters = {e.official for e in wanted if e.official.endswith(_COUNTER)}
        if counters.isdisjoint(state):
            state |= {name: torch.zeros((), dtype=torch.int64) for name in counters}
        _check(state, {e.official: e.shape for e in wanted}, prefix)
        ones = [e.official for e in wanted if e.ours is None]
        changed = [prefix + name for name in ones if not bool((state[name] == 1).all())]
        if changed:
            raise UserError(f"not all ones, as a released network has it: {_some(changed)}")
        return self.after_import({e.ours: state[e.official] for e in wanted if e.ours is not None})

    def to_official(self, model_state: Mapping[str, Any]) -> State:
        """Turn a state dict of our model into the ``state_dict`` of a released file, in its order.

        Args:
            model_state: what our model's ``state_dict()`` gives.

        Raises:
            UserError: tensors are missing, unknown or of a wrong shape. One line that names them.
        """
        state = self.before_export(model_state)
        official = {e.ours: e.official for e in self.entries()}
        shape = self.read_shape({official[n]: v for n, v in state.items() if n in official})
        wanted = self.entries(shape)
        _check(state, {e.ours: e.shape for e in wanted if e.ours is not None}, prefix="")
        like = next(iter(state.values()))
        return {
            PREFIX + e.official: like.new_ones(e.shape) if e.ours is None else state[e.ours]
            for e in wanted
        }

    def read_shape(self, checkpoint: Content) -> NetworkShape:
        """Input channels and width of a released network, from the shapes of its tensors.

        What cannot be read, or is impossible, is the released network's own: comparing the shapes
        then says what is wrong.
        """
        state, _ = _official_state(checkpoint)
        in_channels, width = self.released.in_channels, self.released.width
        first, widest = state.get(self.first), state.get(self.widest)
        if _ndim(first) == 4 and first.shape[1] in self.in_channels:
            in_channels = first.shape[1]
        if _ndim(widest) == 1 and len(widest) >= self.narrowest:
            width = len(widest) / self.channels_per_width
        return NetworkShape(in_channels, width)

    def entries(self, shape: NetworkShape | None = None) -> list[Entry]:
        """Every tensor of a released file, in the file's order.

        Args:
            shape: of the network; the released one's when not given.
        """
        return list(_entries(self, shape or self.released))


@functools.lru_cache(maxsize=16)
def _entries(layout: ReleasedLayout, shape: NetworkShape) -> tuple[Entry, ...]:
    # Names and shapes only, no memory.
    with torch.device("meta"):
        network = layout.build(shape)
    prefix = layout.our_prefix
    state = {prefix + name: tuple(value.shape) for name, value in network.state_dict().items()}
    entries = []
    for module in layout.modules():
        for leaf in ("weight", "bias", "running_mean", "running_var", _COUNTER):
            name = f"{prefix}{module.ours}.{leaf}"
            # Not every convolution has a bias, nor every block a batch norm.
            if name in state:
                entries.append(Entry(f"{module.official}.{leaf}", name, state[name]))
        if module.ones:
            shape_of_ones = state[f"{prefix}{module.ours}.weight"]
            entries.append(Entry(f"{module.ones}.weight", None, shape_of_ones))
    return tuple(entries)


# -------------------------------------------------------------------- which network


def find_layout(checkpoint: Content, layouts: Sequence[ReleasedLayout]) -> ReleasedLayout:
    """Tell by the names, even if some are missing, which network a released file holds.

    Raises:
        UserError: none of these, or a file that a layout refuses.
    """
    state, _ = _official_state(checkpoint)
    for layout in layouts:
        if refusal := layout.refusal(state):
            raise UserError(refusal)
    known = [{e.official for e in layout.entries()} for layout in layouts]
    return _closest(state, layouts, known, f"a released {either(layouts)}")


def find_layout_of_ours(
    model_state: Mapping[str, Any], layouts: Sequence[ReleasedLayout]
) -> ReleasedLayout:
    """Tell by the names, even if some are missing, of which network our model's state dict is.

    Raises:
        UserError: none of these.
    """
    known = [{e.ours for e in layout.entries() if e.ours} for layout in layouts]
    return _closest(model_state, layouts, known, "one of our checkpoints")


def either(layouts: Sequence[ReleasedLayout]) -> str:
    """The names of the networks: "A, B or C"."""
    *names, last = [layout.name for layout in layouts]
    return f"{', '.join(names)} or {last}" if names else last


def _closest(
    state: Mapping[str, Any],
    layouts: Sequence[ReleasedLayout],
    known: Sequence[set],
    expected: str,
) -> ReleasedLayout:
    found = [len(names & state.keys()) for names in known]
    if not any(found):
        names = [str(name) for name in state]
        raise UserError(f"this is not {expected}; it holds {_some(names) if names else 'nothing'}")
    return layouts[found.index(max(found))]


# -------------------------------------------------------------------- named tensors


def _official_state(checkpoint: Content) -> tuple[dict[str, Any], str]:
    """The named tensors, without the prefix ``module.``; and that prefix, if they had it."""
    if not isinstance(checkpoint, Mapping):
        raise UserError(f"holds a {type(checkpoint).__name__}, where named tensors are expected")
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, Mapping):
        raise UserError(f"its state_dict is a {type(state).__name__}, not named tensors")
    names = [str(name) for name in state]
    prefix = PREFIX if names and all(name.startswith(PREFIX) for name in names) else ""
    return {str(name).removeprefix(prefix): value for name, value in state.items()}, prefix


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

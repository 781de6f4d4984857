"""Category ids as networks take them: a mask is multiplied by its instance's (``USE_CATEGORY``).

By 0 nothing is left of a mask, and of ids that a network has never seen it makes something: so
checkpoints keep what masks were multiplied by in training, and other ids are refused, unless
``DEOCCLUSION.CATEGORY_MAP`` says which of the network's stands for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import UserError

# Data sets whose ids are multiplied by number them from here; by 0 nothing is left of a mask.
FIRST_CATEGORY_ID = 1
# What a network without category ids multiplies by.
NO_CATEGORY_ID = 1
# In DEOCCLUSION.CATEGORY_MAP: all ids that neither another pair nor the network knows.
OTHERS = "any"

_SHOWN = 10


class TrainedOn:
    """What a network was trained on, as checkpoints keep it beside the weights.

    Attributes:
        category_ids: those of the training data, which masks were multiplied by; 1 alone for a
            network without category ids; None where nobody has noted it, as in checkpoints of
            versions up to 0.3.
    """

    # Of checkpoints.
    KEY = "trained_on"

    def __init__(self, category_ids: Iterable[int] | None = None) -> None:
        self.category_ids = None if category_ids is None else frozenset(category_ids)

    def add(self, category_ids: Iterable[int]) -> None:
        """Note more ids; a training may go on with other data."""
        self.category_ids = frozenset(category_ids) | (self.category_ids or frozenset())

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or JSON; empty where nothing is noted."""
        return {} if self.category_ids is None else {"category_ids": sorted(self.category_ids)}

    def load_state_dict(self, state: Any) -> None:
        """Add what a checkpoint has noted.

        Raises:
            ValueError: it is nothing that ``state_dict`` gives.
        """
        if not isinstance(state, Mapping):
            raise ValueError(f"{self.KEY} is no dict")
        if "category_ids" not in state:
            return
        ids = state["category_ids"]
        if not isinstance(ids, list) or not ids or not all(type(i) is int for i in ids):
            raise ValueError(f"{self.KEY}: category_ids is no list of integers")
        self.add(ids)


@dataclass(frozen=True)
class KnownCategories:
    """The category ids that a network knows, and which of them stand for others.

    Attributes:
        trained: see ``TrainedOn.category_ids``; None: all from ``FIRST_CATEGORY_ID`` on.
        pairs: id of the input -> id of the network.
        others: the network's id for all ids that are neither in ``pairs`` nor known; None: they
            are refused.
    """

    trained: frozenset[int] | None = None
    pairs: Mapping[int, int] = field(default_factory=dict)
    others: int | None = None

    @classmethod
    def read(cls, value: Any, trained: frozenset[int] | None = None) -> KnownCategories:
        """What ``DEOCCLUSION.CATEGORY_MAP`` says for a network.

        Args:
            value: pairs (id of the input, or "any"; id of the network).

        Raises:
            UserError: they are none, or an id is not the network's.
        """
        where = f"DEOCCLUSION.CATEGORY_MAP = {value!r}"
        pairs: dict[int | str, int] = {}
        for pair in value if isinstance(value, list | tuple) else (value,):
            if (
                not isinstance(pair, list | tuple)
                or len(pair) != 2
                or not (type(pair[0]) is int or pair[0] == OTHERS)
                or type(pair[1]) is not int
            ):
                raise UserError(
                    f"{where}: use pairs (id of the input, id of the network), such as "
                    f"((3, 4), ('{OTHERS}', 1))"
                )
            if pair[0] in pairs:
                raise UserError(f"{where}: {pair[0]!r} stands there twice")
            pairs[pair[0]] = pair[1]
        known = cls(trained)
        for wanted in pairs.values():
            if not known.knows(wanted):
                raise UserError(f"{where}: {wanted} is no id of the network: {known.described}")
        others = pairs.pop(OTHERS, None)
        return cls(trained, pairs, others)

    @property
    def described(self) -> str:
        """Of which ids the network knows."""
        if self.trained is None:
            return f"they are {FIRST_CATEGORY_ID} or more"
        return f"it was trained with {described_ids(self.trained)}"

    def knows(self, category_id: int) -> bool:
        """Whether an id is the network's own."""
        if category_id < FIRST_CATEGORY_ID:
            return False
        return self.trained is None or category_id in self.trained

    def of(self, category_ids: np.ndarray) -> np.ndarray:
        """The network's ids for those of the input, which must not be ``refused``.

        Args:
            category_ids: (N,) int64.

        Returns:
            (N,) int64.
        """
        if not self.pairs and self.others is None:
            return category_ids
        unique, inverse = np.unique(category_ids, return_inverse=True)
        return np.array([self._of(i) for i in unique.tolist()], np.int64)[inverse]

    def _of(self, category_id: int) -> int:
        if category_id in self.pairs:
            return self.pairs[category_id]
        return category_id if self.others is None or self.knows(category_id) else self.others

    def refused(self, category_ids: Sequence[int] | np.ndarray) -> list[int]:
        """Those of the input's ids that nothing stands for, each once, ascending."""
        if self.others is not None:
            return []
        unique = np.unique(np.asarray(category_ids, np.int64)).tolist()
        return [i for i in unique if i not in self.pairs and not self.knows(i)]


def require_category_ids(
    category_ids: Sequence[int] | np.ndarray,
    place_of: Callable[[int], str],
    known: KnownCategories | None = None,
    key: str = "USE_CATEGORY",
) -> None:
    """Refuse ids that a network that multiplies masks by them cannot take.

    Args:
        category_ids: N ids of the data set.
        place_of: row -> how messages name the instance.
        known: the network's; None for one that is to be trained.
        key: the config key that makes the network depend on ids.

    Raises:
        UserError: one line that names these ids, and the first such instance.
    """
    refused = (known or KnownCategories()).refused(category_ids)
    if not refused:
        return
    row = int(np.flatnonzero(np.isin(np.asarray(category_ids, np.int64), refused))[0])
    place, first = place_of(row), int(category_ids[row])
    others = [i for i in refused if i != first]
    also = f" (also {described_ids(others)})" if others else ""
    if known is None or known.trained is None:
        what_to_do = f"number the categories from {FIRST_CATEGORY_ID}"
        if known is not None:
            what_to_do += f", or set DEOCCLUSION.CATEGORY_MAP (({first}, {FIRST_CATEGORY_ID}),)"
        raise UserError(
            f"{place}: category id {first}{also}: the network multiplies masks by their ids, which "
            f"have to be {FIRST_CATEGORY_ID} or more: {what_to_do}, or use a network trained with "
            f"{key} False"
        )
    example = min(known.trained)
    raise UserError(
        f"{place}: category id {first}{also}: the network multiplies masks by their ids, and was "
        f"trained with {described_ids(known.trained)} alone: name the id that stands for it by "
        f"DEOCCLUSION.CATEGORY_MAP, such as (({first}, {example}),), or (('{OTHERS}', {example}),) "
        f"for all that it does not know, or use a network trained with {key} False"
    )


def described_ids(category_ids: Iterable[int]) -> str:
    """Ids as messages name them: "1 to 8", "2, 4 and 7"."""
    ids = sorted(category_ids)
    if len(ids) > 2 and all(b - a == 1 for a, b in pairwise(ids)):
        return f"{ids[0]} to {ids[-1]}"
    if len(ids) > _SHOWN:
        return f"{', '.join(map(str, ids[:_SHOWN]))} and {len(ids) - _SHOWN} more"
    *most, last = map(str, ids)
    return f"{', '.join(most)} and {last}" if most else last

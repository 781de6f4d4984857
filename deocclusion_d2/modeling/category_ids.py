"""Category ids as networks take them: a mask is multiplied by its instance's (``USE_CATEGORY``).

The place to know more about ids than that, such as those that weights have been trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import UserError

# Data sets whose ids are multiplied by number them from here; by 0 nothing is left of a mask.
FIRST_CATEGORY_ID = 1


def require_category_ids(
    category_ids: Sequence[int] | np.ndarray,
    place_of: Callable[[int], str],
    key: str = "USE_CATEGORY",
) -> None:
    """Refuse ids that a network that multiplies masks by them cannot take.

    Args:
        category_ids: N ids of the data set.
        place_of: row -> how messages name the instance.
        key: the config key that makes the network depend on ids.

    Raises:
        UserError: one line that names the first such instance.
    """
    refused = np.flatnonzero(np.asarray(category_ids) < FIRST_CATEGORY_ID)
    if refused.size:
        row = int(refused[0])
        raise UserError(
            f"{place_of(row)}: category id {category_ids[row]}: the network multiplies masks by "
            f"their ids, which have to be {FIRST_CATEGORY_ID} or more: number the categories from "
            f"{FIRST_CATEGORY_ID}, or use a network trained with {key} False"
        )

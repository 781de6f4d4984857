"""What shows of objects that lie over each other."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.synthesis.visibility import resolve_visibility


def test_hidden_objects_are_left_out_and_hide_nothing() -> None:
    front, thin, back = (np.zeros((40, 40), dtype=bool) for _ in range(3))
    front[:30, :30] = True
    thin[:30, :31] = True  # shows one column of 30 px: 3 percent
    back[:40, :40] = True
    seen = resolve_visibility([back, thin, front, None], [2, 1, 3, 0])
    assert sorted(seen) == [0, 2]
    np.testing.assert_array_equal(seen[0], back & ~front)

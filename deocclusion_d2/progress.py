"""How far a long call is: a bar on stderr, or a function of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

# Called with what is done and the total, first at the start, in the process of the caller. What it
# raises ends the call, which then leaves what any other error leaves.
Progress = Callable[[int, int], object]


@contextmanager
def counting(
    total: int, progress: Progress | None = None, done: int = 0, **bar: Any
) -> Iterator[Callable[[int], object]]:
    """Count what a block does.

    Args:
        progress: gets the numbers; without, tqdm shows them.
        done: what was done before.
        bar: further arguments of tqdm.

    Yields:
        A function that takes how much more is done.
    """
    if progress is None:
        with tqdm(total=total, initial=done, **bar) as shown:
            yield shown.update
        return

    def update(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    update(0)
    yield update

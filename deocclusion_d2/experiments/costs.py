"""What methods cost in use: time per object, and parameters of the networks that run."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

# The time is that of the fastest of so many rounds, after one that warms up.
ROUNDS = 3
# Images of the test set, spread over it, that are worked on.
IMAGES = 16


def measure_cost(work: Callable[[], Any], objects: int) -> dict[str, float]:
    """Time and parameters of a method.

    Args:
        work: runs it once.
        objects: of the work, at least one.

    Returns:
        ``ms``: milliseconds per object, of the fastest of ``ROUNDS`` rounds; ``parameters``:
        millions, of the networks' modules that ran, as they run: batch norms are folded away.
    """
    with _counted_parameters() as used:
        work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return {"ms": 1000 * min(times) / objects, "parameters": sum(used.values()) / 1e6}


def hardware() -> str:
    """What this program runs on, for reports."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    return f"{device}, {torch.get_num_threads()} CPU threads of {os.cpu_count()}"


@contextlib.contextmanager
def _counted_parameters() -> Iterator[dict[int, int]]:
    """id -> size of every parameter whose module runs meanwhile."""
    used: dict[int, int] = {}

    def note(module: nn.Module, given: Any, result: Any) -> None:
        used.update({id(p): p.numel() for p in module.parameters(recurse=False)})

    handle = register_module_forward_hook(note)
    try:
        yield used
    finally:
        handle.remove()


def _processor() -> str:
    capabilities = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    return f"{platform.machine()} CPU {capabilities}".strip()

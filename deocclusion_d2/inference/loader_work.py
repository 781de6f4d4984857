"""Work with networks on the batches of a loader, in the loader's own workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from ..data.loaders import enter_worker
from .network_runner import NetworkRunner
from .network_server import NetworkServer, on_gpu, serve

T = TypeVar("T")


@contextmanager
def work_in_workers(
    loader: DataLoader, work: Callable[[list[dict]], T], runners: Sequence[NetworkRunner]
) -> Iterator[Iterable[T]]:
    """What ``work`` makes of a loader's batches, in order, while a ``with`` lasts.

    The loader's workers do it, each on its core, or with the network in this process where that is
    on a GPU. A single worker on a CPU only loads: this process runs a network on all cores.

    Args:
        loader: of lists of records.
        work: each worker has its own copy.
        runners: of the networks that ``work`` runs.

    Returns:
        An iterable that has the loader's length.
    """
    workers = loader.num_workers
    if workers < (1 if on_gpu(runners) else 2):
        yield _Here(loader, work)
        return
    with serve(runners, workers) as server:
        yield DataLoader(
            loader.dataset,
            batch_sampler=loader.batch_sampler,
            num_workers=workers,
            collate_fn=_Then(loader.collate_fn, work),
            worker_init_fn=_Enter(server),
        )


@dataclass
class _Here:
    """Batches after some work, which is done as they are taken."""

    loader: DataLoader
    work: Callable[[list[dict]], Any]

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return map(self.work, self.loader)


@dataclass
class _Then:
    """One function after another."""

    first: Callable[[list], list[dict]]
    second: Callable[[list[dict]], Any]

    def __call__(self, samples: list) -> Any:
        return self.second(self.first(samples))


@dataclass
class _Enter:
    """What happens once in each worker."""

    server: NetworkServer | None

    def __call__(self, number: int) -> None:
        enter_worker(number)
        if self.server is not None:
            self.server.enter_worker(number)

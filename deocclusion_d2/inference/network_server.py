"""The networks in one process, the work on images in others: what keeps a GPU busy.

Workers crop patches and paste results; masks travel to the network, and back, as bits. What comes
from several workers is put together to full batches, and thresholds and sums are taken where the
network runs (see ``network_runner.Operation``).

Shape shorthand: P: samples of a batch.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from ..workers import can_fork
from .network_runner import NetworkRunner, Operation


@dataclass(frozen=True)
class Bits:
    """A boolean array as bits, as ``numpy.packbits`` orders them.

    Attributes:
        packed: (P, B) uint8, the bits of each sample, the last byte filled up with zeros.
        shape: of a sample.
    """

    packed: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> Bits:
        """(P, ...) bool."""
        rows = values.reshape(len(values), -1)
        return cls(np.packbits(rows, axis=1), values.shape[1:])

    def on(self, device: torch.device) -> torch.Tensor:
        """(P, ...) uint8, 0 or 1; unpacked on the device, so that bits alone travel there."""
        packed = torch.from_numpy(self.packed).to(device, non_blocking=True)
        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        bits = ((packed[..., None] >> shifts) & 1).flatten(1)
        return bits[:, : int(np.prod(self.shape))].reshape(-1, *self.shape)

    def array(self) -> np.ndarray:
        """(P, ...) bool."""
        count = int(np.prod(self.shape))
        bits = np.unpackbits(self.packed, axis=1, count=count)
        return bits.view(bool).reshape(-1, *self.shape)


@dataclass(frozen=True)
class _Request:
    """At most a batch of samples for a network.

    Attributes:
        network: its number.
        entries: (P, ...) each; masks as bits.
    """

    network: int
    operation: Operation
    entries: dict[str, np.ndarray | Bits]

    def __len__(self) -> int:
        value = next(iter(self.entries.values()))
        return len(value.packed if isinstance(value, Bits) else value)

    @property
    def kind(self) -> tuple:
        """Requests of one kind can share a batch."""
        shapes = [
            (key, v.shape if isinstance(v, Bits) else (v.dtype, v.shape[1:]))
            for key, v in self.entries.items()
        ]
        return self.network, self.operation, tuple(shapes)


def serve(
    runners: Sequence[NetworkRunner], workers: int
) -> AbstractContextManager[NetworkServer | None]:
    """What runs networks for so many workers, while a ``with`` lasts.

    None where each worker runs copies of its own, on its core: where the networks are on the CPU.

    Raises:
        UserError: workers cannot share a network on a GPU on this system.
    """
    if not workers or not on_gpu(runners):
        return nullcontext()
    return NetworkServer(runners, workers)


def on_gpu(runners: Iterable[NetworkRunner]) -> bool:
    """Whether one of them runs its network on a GPU."""
    return any(runner.model.device.type != "cpu" for runner in runners)


class NetworkClient:
    """A worker's way to the networks. One iterator of results at a time."""

    def __init__(self, connection: Connection, network: int) -> None:
        self._connection = connection
        self._network = network
        self._under_way = False

    def results(
        self, chunks: Iterable[dict[str, np.ndarray]], operation: Operation
    ) -> Iterator[np.ndarray]:
        """See ``NetworkRunner.results``; a chunk is made while the network has the one before."""
        try:
            for chunk in chunks:
                entries = {k: Bits.of(v) if v.dtype == bool else v for k, v in chunk.items()}
                # Never two under way: each side could then wait for the other to read.
                answer = self._answer()
                self._connection.send(_Request(self._network, operation, entries))
                self._under_way = True
                yield from answer
            yield from self._answer()
        finally:
            # Of a caller that has stopped early.
            self._answer()

    def _answer(self) -> np.ndarray | tuple:
        """The answer that is under way; nothing without one."""
        if not self._under_way:
            return ()
        self._under_way = False
        answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer.array() if isinstance(answer, Bits) else answer


class NetworkServer:
    """Runs networks for the workers of this process, in a thread, while a ``with`` lasts.

    Args:
        runners: what runs the networks; those of the workers' copies of the method.
        workers: how many will ask.

    Raises:
        UserError: workers are no copies of this process on this system.
    """

    def __init__(self, runners: Sequence[NetworkRunner], workers: int) -> None:
        if not can_fork():
            raise UserError(
                f"{workers} workers cannot share a network on a GPU on this system: use "
                "--num-workers 0, or DATALOADER.NUM_WORKERS 0"
            )
        self._runners = list(runners)
        context = multiprocessing.get_context("fork")
        self._pipes = [context.Pipe() for _ in range(workers)]
        self._end, self._ended = context.Pipe()
        self._thread: threading.Thread | None = None

    def enter_worker(self, number: int) -> None:
        """Called in a worker: from now on its runners ask the server."""
        for network, runner in enumerate(self._runners):
            runner.client = NetworkClient(self._pipes[number][1], network)

    def __enter__(self) -> NetworkServer:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        # The workers are gone. An answer that none of them has read ends here.
        for _, theirs in self._pipes:
            theirs.close()
        self._end.send(None)
        self._thread.join()
        for end in (*(ours for ours, _ in self._pipes), self._end, self._ended):
            end.close()

    def _serve(self) -> None:
        connections = [ours for ours, _ in self._pipes]
        waiting: deque[tuple[Connection, _Request]] = deque()
        while True:
            for ready in wait([*connections, self._ended], 0 if waiting else None):
                if ready is self._ended:
                    return
                try:
                    waiting.append((ready, ready.recv()))
                except EOFError:
                    connections.remove(ready)
            if waiting:
                self._answer(self._of_one_kind(waiting))

    def _of_one_kind(
        self, waiting: deque[tuple[Connection, _Request]]
    ) -> list[tuple[Connection, _Request]]:
        """Take the first request, and what of the others fits into its batch."""
        first = waiting.popleft()
        taken, room = [first], self._room(first[1])
        for item in list(waiting):
            if len(item[1]) <= room and item[1].kind == first[1].kind:
                waiting.remove(item)
                taken.append(item)
                room -= len(item[1])
        return taken

    def _room(self, request: _Request) -> int:
        """Samples that still fit into the batch of a request."""
        longest = max(
            v.shape[0] if isinstance(v, Bits) else v.shape[1]
            for v in request.entries.values()
            if isinstance(v, Bits) or v.ndim > 1
        )
        return self._runners[request.network].forward_size(longest) - len(request)

    def _answer(self, requests: list[tuple[Connection, _Request]]) -> None:
        try:
            results = self._compute([request for _, request in requests])
        except Exception as error:  # the worker raises it, and the process that waits for its part
            results = [error] * len(requests)
        for (connection, _), result in zip(requests, results, strict=True):
            with suppress(BrokenPipeError):  # of a worker that was killed: others say so
                connection.send(result)

    def _compute(self, requests: list[_Request]) -> list[np.ndarray | Bits]:
        runner = self._runners[requests[0].network]
        together = {
            key: self._together([request.entries[key] for request in requests], runner)
            for key in requests[0].entries
        }
        out = runner.compute(together, requests[0].operation)
        stops = np.cumsum([len(request) for request in requests])[:-1]
        parts = np.split(out, stops)
        return [Bits.of(part) if part.dtype == bool else part for part in parts]

    @staticmethod
    def _together(values: list[Any], runner: NetworkRunner) -> np.ndarray | torch.Tensor:
        if not isinstance(values[0], Bits):
            return np.concatenate(values)
        packed = np.concatenate([value.packed for value in values])
        return Bits(packed, values[0].shape).on(runner.model.device)

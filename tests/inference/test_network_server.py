"""The networks in one process: the same results, whoever asks, and full batches."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from deocclusion_d2.errors import UserError
from deocclusion_d2.inference import network_server
from deocclusion_d2.inference.network_runner import NetworkRunner
from deocclusion_d2.inference.network_server import Bits, NetworkServer
from deocclusion_d2.workers import can_fork, map_in_order

needs_fork = pytest.mark.skipif(not can_fork(), reason="processes are not forked here")


@pytest.mark.parametrize("shape", [(5, 8, 8), (3, 7, 5), (1, 1, 1), (4, 3)])
def test_bits_are_numpys(shape):
    values = np.random.default_rng(0).random(shape) < 0.4
    bits = Bits.of(values)
    assert bits.packed.nbytes == shape[0] * -(-int(np.prod(shape[1:])) // 8)
    np.testing.assert_array_equal(bits.array(), values)
    on_device = bits.on(torch.device("cpu"))
    assert on_device.dtype == torch.uint8
    np.testing.assert_array_equal(on_device.numpy(), values)


class FakeRunner(NetworkRunner):
    """Needs no network; notes how large its batches are."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.client = None
        self.uses_category = False
        self.model = torch.nn.Linear(1, 1)
        self.model.device = torch.device("cpu")
        self.seen: list[int] = []

    def forward_size(self, patch_size: int) -> int:
        assert patch_size == 4
        return self.size


@dataclass(frozen=True)
class Sum:
    """Pixels of each mask times the factor of its sample."""

    add: int = 0

    def __call__(self, runner: FakeRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        assert len(batch["mask"]) == runner.size
        runner.seen.append(int(batch["factor"].count_nonzero()))
        return batch["mask"].sum((1, 2)) * batch["factor"] + self.add


@dataclass(frozen=True)
class Turn:
    """Masks in, masks out."""

    def __call__(self, runner: FakeRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["mask"].flip(2) > 0


@dataclass(frozen=True)
class Fails:
    def __call__(self, runner: FakeRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        raise UserError("the network is broken")


def samples(seed: int, count: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        {"mask": random.random((4, 4)) < 0.5, "factor": np.asarray(random.integers(1, 9))}
        for _ in range(count)
    ]


class Ask:
    """Asks for a number of samples, in two operations that take turns."""

    def __init__(self, runner: NetworkRunner, server: NetworkServer | None) -> None:
        self.runner = runner
        self.server = server

    def __call__(self, part: tuple[int, int]) -> tuple[list[int], list[np.ndarray]]:
        sums = list(self.runner.results(iter(samples(*part)), Sum(part[0] % 2)))
        return [int(s) for s in sums], list(self.runner.results(iter(samples(*part)), Turn()))

    def enter_worker(self, number: int) -> None:
        self.server.enter_worker(number)


@needs_fork
def test_any_number_of_workers_gets_the_same():
    parts = [(seed, 1 + 3 * seed % 11) for seed in range(12)]
    expected = [Ask(FakeRunner(4), None)(part) for part in parts]
    for part, (sums, turned) in zip(parts, expected, strict=True):
        for sample, s, t in zip(samples(*part), sums, turned, strict=True):
            assert s == sample["mask"].sum() * sample["factor"] + part[0] % 2
            np.testing.assert_array_equal(t, sample["mask"][:, ::-1])
    for count in (1, 3):
        runner = FakeRunner(4)
        with NetworkServer([runner], count) as server:
            found = list(map_in_order(Ask(runner, server), parts, count))
        for (sums, turned), (s, t) in zip(expected, found, strict=True):
            assert sums == s
            np.testing.assert_array_equal(turned, t)
        assert sum(runner.seen) == sum(count for _, count in parts)


@needs_fork
def test_requests_of_one_kind_share_a_batch():
    runner = FakeRunner(8)
    server = NetworkServer([runner], 1)
    chunk = {"mask": np.ones((3, 4, 4), bool), "factor": np.arange(1, 4)}
    entries = {k: Bits.of(v) if v.dtype == bool else v for k, v in chunk.items()}
    waiting = network_server.deque(
        (name, network_server._Request(0, operation, entries))
        for name, operation in (("a", Sum()), ("b", Sum(1)), ("c", Sum()), ("d", Sum()))
    )
    # Room for two of three samples each; "b" wants something else.
    assert [name for name, _ in server._of_one_kind(waiting)] == ["a", "c"]
    assert [name for name, _ in waiting] == ["b", "d"]
    results = server._compute([request for _, request in waiting][:1] * 2)
    assert [r.tolist() for r in results] == [[17, 33, 49]] * 2
    assert runner.seen == [6]


class AskForTrouble(Ask):
    def __call__(self, part: int) -> list:
        results = self.runner.results(iter(samples(0, 9)), Sum())
        next(results)
        results.close()  # one answer is still under way
        again = [int(s) for s in self.runner.results(iter(samples(1, 2)), Sum())]
        return again if part else list(self.runner.results(iter(samples(0, 2)), Fails()))


@needs_fork
def test_a_caller_that_stops_early_and_an_error():
    runner, others = FakeRunner(4), set(multiprocessing.active_children())
    with NetworkServer([runner], 1) as server:
        results = map_in_order(AskForTrouble(runner, server), [1, 0, 1], 1)
        expected = [int(s["mask"].sum() * s["factor"]) for s in samples(1, 2)]
        assert next(results) == expected
        with pytest.raises(UserError, match=r"^the network is broken$"):
            next(results)
    assert set(multiprocessing.active_children()) <= others


@dataclass(frozen=True)
class Much:
    """More than a pipe holds."""

    def __call__(self, runner: FakeRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.zeros(runner.size, 2**20)


@needs_fork
def test_the_end_does_not_wait_for_a_worker_that_was_killed():
    server = NetworkServer([FakeRunner(1)], 1)
    with server:
        chunk = {key: value[None] for key, value in samples(0, 1)[0].items()}
        # What a worker sends; nobody reads the answer.
        server._pipes[0][1].send(network_server._Request(0, Much(), chunk))
    assert not server._thread.is_alive()


def test_systems_without_fork_are_refused(monkeypatch):
    monkeypatch.setattr(network_server, "can_fork", lambda: False)
    with pytest.raises(UserError, match="cannot share a network on a GPU on this system"):
        NetworkServer([FakeRunner(1)], 2)

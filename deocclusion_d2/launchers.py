"""Who this process is, where another program has started it with others: torchrun, or Slurm's srun.

Both say so in environment variables. Standard library alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import UserError

# Ports of Slurm's jobs: below those that systems give out by themselves.
_FIRST_PORT, _PORTS = 12000, 20000


@dataclass(frozen=True)
class Place:
    """The place of a process in its group.

    Attributes:
        rank: number in the group, from 0.
        world_size: processes of the group.
        local_rank: number on its machine, from 0.
        local_size: processes of the group on its machine.
        machine: number of its machine, from 0.
        url: where the processes meet, as ``torch.distributed`` takes it.
        launcher: who has started the process, as messages call it.
    """

    rank: int
    world_size: int
    local_rank: int
    local_size: int
    machine: int
    url: str
    launcher: str

    def __post_init__(self) -> None:
        if not (
            0 <= self.local_rank < self.local_size <= self.world_size
            and 0 <= self.rank < self.world_size
        ):
            raise UserError(
                f"{self.launcher}'s variables contradict each other: rank {self.rank} of "
                f"{self.world_size}, on its machine {self.local_rank} of {self.local_size}"
            )


def outside_place(environment: Mapping[str, str], on_terminal: bool = False) -> Place | None:
    """The place that a launcher gave this process; None for a process on its own.

    Args:
        environment: ``os.environ``.
        on_terminal: somebody types what this process reads.

    Raises:
        UserError: variables are missing or are no numbers.
    """
    # torchrun may run in a step of Slurm, whose variables are about torchrun then.
    return torchrun_place(environment) or slurm_place(environment, on_terminal)


def torchrun_place(environment: Mapping[str, str]) -> Place | None:
    """The place by torchrun's variables, which other launchers of PyTorch set as well.

    Raises:
        UserError: some of them are missing, or are no numbers.
    """
    if "LOCAL_RANK" not in environment and "TORCHELASTIC_RUN_ID" not in environment:
        return None
    variables = _Variables("torchrun", environment)
    local_size = variables.number("LOCAL_WORLD_SIZE")
    rank = variables.number("RANK")
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        variables.text(name)
    return Place(
        rank=rank,
        world_size=variables.number("WORLD_SIZE"),
        local_rank=variables.number("LOCAL_RANK"),
        local_size=local_size,
        machine=variables.number("GROUP_RANK", rank // max(local_size, 1)),
        url="env://",
        launcher="torchrun",
    )


def slurm_place(environment: Mapping[str, str], on_terminal: bool = False) -> Place | None:
    """The place in a step of several tasks, which srun starts.

    None in a batch script outside srun, where only the job has several tasks; in a step of one
    task; and in a shell that ``srun --pty`` has opened, whose commands are started once.

    The processes meet on the first machine of the step, at a port made from the numbers of job and
    step; ``MASTER_ADDR`` and ``MASTER_PORT`` say otherwise.

    Raises:
        UserError: variables are missing, or cannot be read.
    """
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks == "1" or (on_terminal and "SLURM_PTY_PORT" in environment):
        return None
    variables = _Variables("Slurm", environment)
    world_size = variables.number("SLURM_STEP_NUM_TASKS")
    machine = variables.number("SLURM_NODEID", 0)
    sizes = tasks_per_node(variables.text("SLURM_STEP_TASKS_PER_NODE"))
    if sum(sizes) != world_size or machine >= len(sizes):
        raise UserError(
            "Slurm's variables contradict each other: SLURM_STEP_NUM_TASKS is "
            f"{tasks}, SLURM_NODEID {machine}, SLURM_STEP_TASKS_PER_NODE "
            f"{environment['SLURM_STEP_TASKS_PER_NODE']}"
        )
    if "MASTER_ADDR" in environment:
        host = environment["MASTER_ADDR"]
    elif len(sizes) == 1:
        host = "127.0.0.1"
    else:
        host = first_host(variables.text("SLURM_STEP_NODELIST"))
    if "MASTER_PORT" in environment:
        port = variables.number("MASTER_PORT")
    else:
        # Steps of one job may run side by side.
        job, step = variables.number("SLURM_JOB_ID"), variables.number("SLURM_STEP_ID", 0)
        port = _FIRST_PORT + (31 * job + step) % _PORTS
    return Place(
        rank=variables.number("SLURM_PROCID"),
        world_size=world_size,
        local_rank=variables.number("SLURM_LOCALID"),
        local_size=sizes[machine],
        machine=machine,
        url=f"tcp://{f'[{host}]' if ':' in host else host}:{port}",
        launcher="Slurm",
    )


def refuse_half_a_place(environment: Mapping[str, str]) -> None:
    """Refuse variables that tell of several processes, but not which of them share a machine.

    Each process would else do all the work, and all would write the same files.

    Raises:
        UserError: it is so.
    """
    several = environment.get("WORLD_SIZE", "1") not in ("", "1")
    if several and "RANK" in environment and "LOCAL_RANK" not in environment:
        raise UserError(
            "RANK and WORLD_SIZE are set, but LOCAL_RANK is not: start the processes by torchrun, "
            "or say --num-machines, --machine-rank and --dist-url, or unset RANK"
        )


def tasks_per_node(text: str) -> list[int]:
    """Slurm's short form of tasks on each node: ``"2(x3),1"`` is 2, 2, 2, 1.

    Raises:
        UserError: it is no such form.
    """
    sizes: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if match is None:
            raise UserError(f"Slurm's SLURM_STEP_TASKS_PER_NODE can't be read: {text}")
        sizes += [int(match[1])] * int(match[2] or 1)
    return sizes


def first_host(nodes: str) -> str:
    """First name of a node list of Slurm: ``"node[03-04,07],login"`` begins with ``node03``.

    Raises:
        UserError: it is no node list.
    """
    # The first of the list is the first in every bracket.
    name = re.match(r"((?:[^\[\],]|\[[^\[\]]+\])+)(?:,|$)", nodes.strip())
    first = "" if name is None else re.sub(r"\[(\w+)[^\]]*\]", r"\1", name[1])
    if not first or "[" in first:
        raise UserError(f"Slurm's node list can't be read: {nodes}; set MASTER_ADDR")
    return first


@dataclass(frozen=True)
class _Variables:
    """What a launcher says, refused in one line where it is missing."""

    launcher: str
    environment: Mapping[str, str]

    def text(self, name: str) -> str:
        value = self.environment.get(name)
        if not value:
            raise UserError(
                f"{self.launcher} has started this process, but {name} is not set: set it, or "
                "start the program without it"
            )
        return value

    def number(self, name: str, default: int | None = None) -> int:
        if default is not None and name not in self.environment:
            return default
        text = self.text(name)
        if not text.isdecimal():
            raise UserError(f"{self.launcher}'s {name} is {text}, not a number")
        return int(text)

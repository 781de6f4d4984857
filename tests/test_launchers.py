"""What torchrun and Slurm say of a process, read from variables made by hand."""

from __future__ import annotations

import re

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.launchers import (
    Place,
    first_host,
    outside_place,
    refuse_half_a_place,
    tasks_per_node,
)

# Second process of the second machine, of two machines with two each.
TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}
# Last task of three machines with 2, 2 and 1.
JOB = {
    "SLURM_JOB_ID": "1000",
    "SLURM_NTASKS": "5",
    "SLURM_JOB_NODELIST": "node[03-05]",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
STEP = {
    **JOB,
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_STEP_NODELIST": "node[03-04,07]",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2",
}


def without(variables: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in names}


def test_torchrun():
    place = outside_place(TORCHRUN)
    assert place == Place(3, 4, 1, 2, machine=1, url="env://", launcher="torchrun")
    # Launchers that set no GROUP_RANK count machine by machine.
    assert outside_place(without(TORCHRUN, "GROUP_RANK")) == place
    # torchrun in a step of Slurm: its variables are the nearer ones.
    assert outside_place({**STEP, **TORCHRUN}) == place


def test_a_step_of_slurm():
    # 12000 + (31 * 1000 + 2) % 20000 = 12000 + 11002
    url = "tcp://node03:23002"
    assert outside_place(STEP) == Place(4, 5, 0, 1, machine=2, url=url, launcher="Slurm")
    second = {**STEP, "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0"}
    assert outside_place(second) == Place(1, 5, 1, 2, machine=0, url=url, launcher="Slurm")
    chosen = {**STEP, "MASTER_ADDR": "fe80::1", "MASTER_PORT": "5"}
    assert outside_place(chosen).url == "tcp://[fe80::1]:5"
    # On one machine no name need be known.
    one = {**STEP, "SLURM_STEP_TASKS_PER_NODE": "5", "SLURM_NODEID": "0"}
    assert outside_place(one).url == "tcp://127.0.0.1:23002"


def test_a_process_on_its_own():
    assert outside_place({}) is None
    assert outside_place(JOB) is None  # a batch script outside srun, whose job has 5 tasks
    assert outside_place({**STEP, "SLURM_STEP_NUM_TASKS": "1"}) is None
    # Typed into a shell that srun has opened; and a step started there, whose input is no terminal.
    shell = {**STEP, "SLURM_PTY_PORT": "40000"}
    assert outside_place(shell, on_terminal=True) is None
    assert outside_place(shell, on_terminal=False) == outside_place(STEP)
    # Variables alone that others use, too.
    assert outside_place({"MASTER_ADDR": "a", "MASTER_PORT": "1", "WORLD_SIZE": "4"}) is None


@pytest.mark.parametrize("name", ["MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_WORLD_SIZE"])
def test_what_torchrun_leaves_out_is_named(name):
    with pytest.raises(UserError, match=f"^torchrun has started this process, but {name} is not"):
        outside_place(without(TORCHRUN, name))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({**TORCHRUN, "RANK": "4"}, "contradict each other: rank 4 of 4, on its machine 1 of 2"),
        ({**TORCHRUN, "RANK": "one"}, "torchrun's RANK is one, not a number"),
        (without(STEP, "SLURM_PROCID"), "Slurm has started this process, but SLURM_PROCID is not"),
        (without(STEP, "SLURM_STEP_NODELIST"), "but SLURM_STEP_NODELIST is not set"),
        (without(STEP, "SLURM_JOB_ID"), "but SLURM_JOB_ID is not set"),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, "SLURM_STEP_NUM_TASKS is 5, SLURM_NODEID"),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "2(y2)"}, "can't be read: 2(y2)"),
        ({**STEP, "SLURM_STEP_NODELIST": "node[03"}, "node[03; set MASTER_ADDR"),
    ],
)
def test_what_cannot_be_is_one_line(variables, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        outside_place(variables)
    assert "\n" not in str(error.value)


def test_ranks_of_which_nobody_says_who_shares_a_machine():
    with pytest.raises(UserError, match="LOCAL_RANK is not"):
        refuse_half_a_place({"RANK": "0", "WORLD_SIZE": "2"})
    refuse_half_a_place({"RANK": "0", "WORLD_SIZE": "1"})
    refuse_half_a_place({"WORLD_SIZE": "2"})
    refuse_half_a_place(TORCHRUN)


def test_short_forms_of_slurm():
    assert tasks_per_node("4") == [4]
    assert tasks_per_node("2(x3),1") == [2, 2, 2, 1]
    assert first_host("login") == "login"
    assert first_host("node[03-04,07]") == "node03"
    assert first_host("node[7,09-11],other") == "node7"
    assert first_host("a1,node[03-04]") == "a1"
    assert first_host("rack[2-3]n[010-020].site") == "rack2n010.site"
    for wrong in ("", "[", "node[]", ","):
        with pytest.raises(UserError, match="can't be read"):
            first_host(wrong)

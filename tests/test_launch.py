"""Starting processes, and joining those that a launcher has started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from detectron2.engine import default_argument_parser

from deocclusion_d2.engine.train import train
from deocclusion_d2.errors import UserError
from deocclusion_d2.launch import _free_port, launch

ROOT = Path(__file__).resolve().parents[1]

# One of two processes loses an image, and the other one waits for it as for a slow disk.
FAILING = """
import os, signal, sys, time
import deocclusion_d2.cli
from deocclusion_d2 import launch
from deocclusion_d2.errors import UserError

launch._GRACE = launch._LOOK = 0.2

def work():
    here = launch.local_size()
    # At once, as both write to one pipe; and out before it is killed.
    sys.stdout.write(f"rank {launch.rank()} of {launch.world_size()} on this machine {here}\\n")
    sys.stdout.flush()
    launch.synchronize()
    if "--killed" in sys.argv and launch.rank() == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if launch.rank() == 1 and "--killed" not in sys.argv:
        raise UserError("no image on this machine")
    time.sleep(600)

if __name__ == "__main__":
    with launch.one_voice():
        if "--wrong" in sys.argv:
            raise UserError("wrong arguments")
        launch.launch(work, 2 if "--spawn" in sys.argv else 1, cpu_group=True)
"""


def torchrun(rank: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def slurm(rank: int, port: int) -> dict[str, str]:
    return {
        "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NODELIST": "node1", "SLURM_NODEID": "0",
        "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "MASTER_PORT": str(port),
    }  # fmt: skip


def run(arguments: list, places: list[dict[str, str]]) -> list[tuple[int, str, str]]:
    """A program once for each place, at the same time: exit codes, stdout and stderr."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, **place},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in places
    ]
    ends = []
    try:
        for process in running:
            out, err = process.communicate(timeout=300)
            ends.append((process.returncode, out, err))
    finally:
        for process in running:
            process.kill()
    return ends


def in_group(arguments: list, variables) -> list[tuple[int, str, str]]:
    port = _free_port()
    return run(arguments, [variables(rank, port) for rank in range(2)])


def test_one_process_runs_here():
    seen = []
    launch(seen.append, 1, args=("done",))
    assert seen == ["done"]


def test_what_cannot_be_started_is_one_line():
    count = torch.cuda.device_count() + 2
    with pytest.raises(UserError, match=f"--num-gpus is {count}, but this machine has"):
        launch(print, count)
    with pytest.raises(UserError, match="need --dist-url"):
        launch(print, 1, num_machines=2)


@pytest.fixture
def set_place(monkeypatch):
    def set_place(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_place


@pytest.mark.parametrize(
    "options",
    [
        {"processes": 2},
        {"processes": 1, "machine_rank": 1},
        {"processes": 1, "dist_url": "tcp://a:1"},
        {"processes": 1, "dist_url": "tcp://a:1", "num_machines": 2},
    ],
)
def test_a_launcher_and_options_that_start_processes_are_refused(set_place, options):
    set_place(torchrun(0, 1))
    with pytest.raises(UserError, match="^torchrun has started 2 processes: leave out --num-gpus"):
        launch(print, **options)


def test_one_process_of_torchrun_runs_here(set_place):
    seen = []
    set_place({**torchrun(0, 1), "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"})
    launch(seen.append, 1, args=("done",))
    assert seen == ["done"]


def test_a_task_of_slurm_per_machine_may_start_processes_itself(set_place, monkeypatch):
    """As Detectron2 is used: what is said by options counts."""
    started = []
    monkeypatch.setattr("torch.multiprocessing.spawn", lambda *a, **k: started.append(k["args"]))
    set_place({**slurm(1, 1), "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_LOCALID": "0",
               "SLURM_NODEID": "1"})  # fmt: skip
    options = {"machine_rank": 1, "dist_url": "tcp://a:1", "on_gpus": False, "cpu_group": True}
    launch(print, 4, num_machines=2, **options)
    assert started == [(print, (), 2, 4, 1, "tcp://a:1", False)]
    with pytest.raises(UserError, match="^Slurm has started 2 processes"):
        launch(print, 4, num_machines=3, **options)


def test_half_a_place_is_refused_unless_options_say_the_rest(set_place, monkeypatch):
    set_place({"RANK": "0", "WORLD_SIZE": "2"})
    with pytest.raises(UserError, match="LOCAL_RANK is not"):
        launch(print, 1)
    started = []
    monkeypatch.setattr("torch.multiprocessing.spawn", lambda *a, **k: started.append(k["args"]))
    launch(print, 1, num_machines=2, dist_url="tcp://a:1", on_gpus=False, cpu_group=True)
    assert len(started) == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["torchrun", "slurm", "spawn"])
def test_one_process_that_fails_ends_all_with_one_line(tmp_path, way):
    program = tmp_path / "failing.py"
    program.write_text(FAILING)
    if way == "spawn":
        ends = run([program, "--spawn"], [{}])
    else:
        ends = in_group([program], {"torchrun": torchrun, "slurm": slurm}[way])
    assert [code for code, _, _ in ends] == [1] * len(ends)
    assert "".join(err for _, _, err in ends) == "error: no image on this machine\n"
    said = sorted(line for _, out, _ in ends for line in out.splitlines())
    assert said == [f"rank {k} of 2 on this machine 2" for k in range(2)]


@pytest.mark.slow
def test_each_machine_says_that_the_first_process_has_gone(tmp_path):
    """No launcher is told here of machine 0; of the two on machine 1 one speaks."""
    program = tmp_path / "failing.py"
    program.write_text(FAILING)
    port = _free_port()
    step = {**slurm(0, port), "MASTER_ADDR": "127.0.0.1", "SLURM_STEP_NUM_TASKS": "3",
            "SLURM_STEP_TASKS_PER_NODE": "1,2"}  # fmt: skip
    places = [
        {**step, "SLURM_PROCID": rank, "SLURM_LOCALID": local, "SLURM_NODEID": machine}
        for rank, local, machine in (("0", "0", "0"), ("1", "0", "1"), ("2", "1", "1"))
    ]
    ends = run([program, "--killed"], places)
    assert [code for code, _, _ in ends] == [-9, 1, 1]
    # "the first process", or "another process" where it was still being waited for.
    assert re.fullmatch("error: .* process of the group has ended.*\n", ends[1][2]), ends
    assert ends[0][2] == ends[2][2] == ""
    assert ends[2][1] == "rank 2 of 3 on this machine 2\n"


def test_wrong_arguments_are_told_once(tmp_path):
    program = tmp_path / "failing.py"
    program.write_text(FAILING)
    ends = in_group([program, "--wrong"], torchrun)
    assert ends == [(1, "", "error: wrong arguments\n"), (1, "", "")]


@pytest.mark.slow
def test_a_training_by_torchrun_is_that_of_processes_started_here(tiny_kins, tmp_path):
    def arguments(output: Path) -> list[str]:
        return [
            "--config-file", str(ROOT / "configs/quick_schedules/pcnet_m_kins_quick.yaml"),
            "DATASETS.TRAIN", f"('kins.modal:{tiny_kins}/instances_train.json',)",
            "DATASETS.TEST", "()", "DATALOADER.NUM_WORKERS", "0", "MODEL.PCNET_M.WIDTH", "0.25",
            "INPUT.INSTANCE_CROP.SIZE", "32", "SOLVER.IMS_PER_BATCH", "4", "SOLVER.MAX_ITER", "2",
            "SOLVER.CPU_BFLOAT16", "False", "VIS_PERIOD", "0", "SEED", "1", "MODEL.DEVICE", "cpu",
            "OUTPUT_DIR", str(output),
        ]  # fmt: skip

    here, joined = tmp_path / "here", tmp_path / "joined"
    args = default_argument_parser().parse_args(arguments(here))
    launch(train, 2, args=(args,), on_gpus=False, cpu_group=True)
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    ends = in_group(
        [ROOT / "tools/train_net.py", *arguments(joined)],
        lambda rank, port: {**torchrun(rank, port), **hidden},
    )
    assert [code for code, _, _ in ends] == [0, 0], ends
    # The first process alone speaks; the other one's log is a file.
    assert "Process 0 of 2" in ends[0][1] and ends[1][1:] == ("", "")
    weights = [(folder / "model_final.pth").read_bytes() for folder in (here, joined)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_conversion_by_slurm_writes_the_same(tiny_kins, tmp_path):
    def arguments(output: str) -> list:
        return [
            ROOT / "tools/convert_modal_to_amodal.py", "--input",
            tiny_kins / "instances_train.json", "--method", "convex", "--shard-size", "9",
            "--output", tmp_path / output,
        ]  # fmt: skip

    assert run(arguments("alone.json"), [{}])[0][0] == 0
    ends = in_group(arguments("joined.json"), slurm)
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert "written: " in ends[0][1] and ends[1][1:] == ("", "")
    alone, joined = (tmp_path / name for name in ("alone.json", "joined.json"))
    assert alone.read_bytes() == joined.read_bytes()
    # What is wrong with the input is said once.
    ends = in_group([*arguments("joined.json"), "--method", "raw"], torchrun)
    assert [code for code, _, _ in ends] == [1, 1]
    errors = [line for _, _, err in ends for line in err.splitlines() if "error" in line]
    assert len(errors) == 1 and "--overwrite" in errors[0]

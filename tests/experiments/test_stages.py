"""Stages are done once for the same inputs, anew for others, and go on after an interruption."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments.stages import StageStore


def counted(folder: Path) -> int:
    """Work that notes how often it ran in this folder."""
    ran = folder / "ran"
    ran.write_text(ran.read_text() + "x" if ran.exists() else "x")
    return len(ran.read_text())


def test_same_inputs_are_done_once_and_others_anew(tmp_path):
    first = StageStore(tmp_path).run("train", {"lr": 0.1, "data": {"a": 1, "b": 2}}, counted)
    # Another run of the program; the order of keys says nothing.
    again = StageStore(tmp_path).run("train", {"data": {"b": 2, "a": 1}, "lr": 0.1}, counted)
    assert (again.result, again.key, again.folder) == (1, first.key, first.folder)
    for inputs in ({"lr": 0.2, "data": {"a": 1, "b": 2}}, {"lr": 0.1, "data": {"a": 1, "b": 3}}):
        other = StageStore(tmp_path).run("train", inputs, counted)
        assert other.key != first.key and other.result == 1
    assert StageStore(tmp_path).run("test", {"lr": 0.1}, counted).folder.name.startswith("test-")


def test_successors_change_with_their_predecessors(tmp_path):
    keys = set()
    for lr in (0.1, 0.2, 0.1):
        store = StageStore(tmp_path)
        network = store.run("train", {"lr": lr}, counted)
        keys.add(store.run("evaluate", {"network": network.key}, counted).key)
        assert next(iter(store.used.values())) == network and len(store.used) == 2
    assert len(keys) == 2


def test_an_interrupted_stage_goes_on_in_its_folder(tmp_path):
    def interrupted(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise UserError("out of battery")

    def goes_on(folder: Path) -> str:
        return (folder / "half").read_text()

    with pytest.raises(UserError, match="battery"):
        StageStore(tmp_path).run("train", {"lr": 1}, interrupted)
    assert not list(tmp_path.rglob("done.json"))
    stage = StageStore(tmp_path).run("train", {"lr": 1}, goes_on)
    assert stage.result == "1" and stage.resumed
    assert not StageStore(tmp_path).run("train", {"lr": 2}, counted).resumed


def test_a_result_is_what_json_makes_of_it(tmp_path):
    """The first run and later ones see the same."""
    for _ in range(2):
        stage = StageStore(tmp_path).run("a", {}, lambda folder: {"x": (1, 2)})
        assert stage.result == {"x": [1, 2]}


def test_damaged_and_foreign_results_are_refused(tmp_path):
    stage = StageStore(tmp_path).run("a", {"k": 1}, counted)
    done = stage.folder / "done.json"
    content = json.loads(done.read_text())
    done.write_text(json.dumps({**content, "key": "0" * 64}))
    with pytest.raises(UserError, match="other inputs: remove the folder"):
        StageStore(tmp_path).run("a", {"k": 1}, counted)
    done.write_text("{")
    with pytest.raises(UserError, match="damaged: remove the folder"):
        StageStore(tmp_path).run("a", {"k": 1}, counted)


def _slow(folder: Path) -> int:
    time.sleep(0.5)
    return counted(folder)


def _ask(root: Path, results) -> None:
    results.put(StageStore(root).run("a", {}, _slow).result)


def test_two_programs_share_a_stage(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    programs = [context.Process(target=_ask, args=(tmp_path, results)) for _ in range(2)]
    for program in programs:
        program.start()
    for program in programs:
        program.join(60)
    assert [results.get(timeout=5) for _ in programs] == [1, 1]

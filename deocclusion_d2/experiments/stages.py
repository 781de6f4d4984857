"""Stages of an experiment: done once for the same inputs, and gone on with after an interruption.

A stage is a folder whose name holds the hash of everything that decides its result. It is finished
when ``done.json`` is there, which is written last and at once. Changed inputs are another folder,
so nothing stale is ever used and going back to earlier settings costs nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import portalocker

from ..errors import UserError
from ..files import hash_of

_DONE = "done.json"
_WAIT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        name: what it is, for people.
        key: hash of its inputs, and of its predecessors' through their keys.
        folder: what it wrote.
        result: what its work returned, as it comes back from JSON.
        seconds: how long the run took that finished it.
        resumed: whether that run went on with what an interrupted one had left, so that
            ``seconds`` is not all of the time.
    """

    name: str
    key: str
    folder: Path
    result: Any
    seconds: float
    resumed: bool


class StageStore:
    """Finished and interrupted stages below a folder.

    Several programs may share the folder: whoever needs a stage that another one is working on
    waits for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Stages that were asked for, in order, each once.
        self.used: dict[str, Stage] = {}

    def run(self, name: str, inputs: Mapping[str, Any], work: Callable[[Path], Any]) -> Stage:
        """The stage of these inputs; its work is done only when it is not finished yet.

        Args:
            name: short, becomes part of the folder's name.
            inputs: everything that decides the result, JSON-able.
            work: called with the stage's folder, which may hold what an interrupted run left;
                what it returns must be JSON-able.

        Raises:
            UserError: what ``work`` raises; the stage stays unfinished.
        """
        key = hash_of({"name": name, **inputs})
        folder = self.folder / f"{name}-{key[:12]}"
        if key not in self.used:
            done = _read_done(folder, key)
            if done is None:
                done = _work_locked(folder, key, inputs, work)
            self.used[key] = Stage(
                name, key, folder, done["result"], done["seconds"], done["resumed"]
            )
        return self.used[key]


def _work_locked(
    folder: Path, key: str, inputs: Mapping[str, Any], work: Callable[[Path], Any]
) -> dict:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {error.strerror}") from None
    with portalocker.Lock(folder / "lock", timeout=_WAIT_SECONDS, check_interval=1.0):
        # Another program may have finished it while this one waited.
        done = _read_done(folder, key)
        if done is not None:
            return done
        resumed = any(p.name != "lock" for p in folder.iterdir())
        start = time.monotonic()
        result = work(folder)
        done = {
            "key": key,
            "inputs": dict(inputs),
            "result": result,
            "seconds": round(time.monotonic() - start, 1),
            "resumed": resumed,
        }
        unfinished = folder / f"{_DONE}.part"
        unfinished.write_text(json.dumps(done, indent=1) + "\n")
        unfinished.replace(folder / _DONE)
    return json.loads((folder / _DONE).read_text())


def _read_done(folder: Path, key: str) -> dict | None:
    path = folder / _DONE
    if not path.is_file():
        return None
    try:
        done = json.loads(path.read_text())
    except json.JSONDecodeError:
        raise UserError(f"{path} is damaged: remove the folder {folder}") from None
    if done.get("key") != key:
        raise UserError(f"{path} belongs to other inputs: remove the folder {folder}")
    return done

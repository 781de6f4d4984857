"""Files that run a command when they are read without care: it makes a marker file."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Runs:
    """Its pickle calls ``function(*arguments)``."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.called


def touches(marker: Path) -> Runs:
    return Runs(os.system, f"touch '{marker}'")


def _torch_file(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _old_tar(marker: Path) -> bytes:
    """The format of torch 0.1, whose entries are pickles."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(touches(marker), 2)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _torchscript(marker: Path) -> bytes:
    """What torch takes for a TorchScript program, for it has constants."""
    buffer = io.BytesIO(_torch_file({"model": {}}))
    with zipfile.ZipFile(buffer, "a") as archive:
        folder = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{folder}/constants.pkl", pickle.dumps(touches(marker), 2))
    return buffer.getvalue()


def _with_object(marker: Path) -> dict:
    return {"model": {"a": torch.zeros(2)}, "optimizer": {"state": [{"x": touches(marker)}]}}


def _object_array(marker: Path) -> bytes:
    array = np.empty(1, object)
    array[0] = touches(marker)
    return pickle.dumps({"model": {"a": array}, "__author__": "x"}, 4)


# File name -> (its bytes, by the marker; what the refusal says).
WEIGHTS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "whole.pkl": (lambda m: pickle.dumps(touches(m), 2), r"it holds \w+\.system, not plain arrays"),
    "oldest.pkl": (lambda m: pickle.dumps(touches(m), 0), r"it holds \w+\.system"),
    "evaluated.pkl": (
        lambda m: pickle.dumps(Runs(builtins.eval, f"open({str(m)!r}, 'w')"), 4),
        r"it holds builtins\.eval",
    ),
    "zoo.pkl": (
        lambda m: pickle.dumps(
            {"model": {"a": np.zeros(3, "f4"), "b": touches(m)}, "__author__": "x"}, 2
        ),
        r"it holds \w+\.system",
    ),
    "objects.pkl": (_object_array, r"it holds \w+\.system|of other things than numbers"),
    "zip.pkl": (lambda m: _torch_file(_with_object(m)), "give it a name in .pth"),
    "zip.pth": (lambda m: _torch_file(_with_object(m)), r"it holds \w+\.system, not tensors"),
    "legacy.pth": (
        lambda m: _torch_file(_with_object(m), _use_new_zipfile_serialization=False),
        r"it holds \w+\.system, not tensors",
    ),
    "released.pth.tar": (lambda m: _torch_file(_with_object(m)), r"it holds \w+\.system"),
    "tar.pth": (_old_tar, "a tar archive"),
    "script.pth": (_torchscript, "a TorchScript program"),
    "pickle.pth": (lambda m: pickle.dumps(touches(m), 2), r"it holds \w+\.system"),
    "pycls.pyth": (lambda m: _torch_file(_with_object(m)), r"it holds \w+\.system"),
    "pickle.safetensors": (lambda m: pickle.dumps(touches(m), 2), "no safetensors file"),
}


def write_weights(folder: Path, name: str) -> tuple[Path, Path]:
    """(the file of ``WEIGHTS``, the marker that it would make)."""
    marker = folder / "marker"
    path = folder / name
    path.write_bytes(WEIGHTS[name][0](marker))
    return path, marker


# How a config runs a command, when its tags are obeyed.
def configs(folder: Path) -> tuple[dict[str, Path], Path]:
    """(config files by what is special about them, the marker that they would make)."""
    marker = folder / "marker"
    tag = f"!!python/object/apply:os.system [\"touch '{marker}'\"]"
    texts = {
        "value": f"MODEL: {{META_ARCHITECTURE: {tag}}}\n",
        "key": f"? {tag}\n: 1\n",
        "unknown": f"SEED: 1\nNONE: {tag}\n",
        "base": "_BASE_: value.yaml\nSEED: 1\n",
        "bases": f"_BASE_: [{folder}/value.yaml]\n",
        "renamed": "_BASE_: value.yaml\nINPUT: {PARTIAL_COMPLETION: {PATCH_SIZE: 48}}\n",
        "new": f"SEED: !!python/object/new:os.system [\"touch '{marker}'\"]\n",
        "name": "SEED: !!python/name:os.system x\n",
    }
    paths = {name: folder / f"{name}.yaml" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    return paths, marker

"""Files of tensors (.pth, .pkl, .safetensors): reading one runs no code that it holds.

A pickle can name any function of any module to be called while it is read, and torch's files are
pickles too. What is read here is arrays, tensors and plain values; everything else is an error.
"""

from __future__ import annotations

import json
import pickle
import re
import tarfile
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from ..errors import UserError
from ..files import whole_file
from .category_ids import TrainedOn

SAFETENSORS = ".safetensors"
PICKLE = ".pkl"
_ITERATION = "iteration"

# Booleans, whole numbers, floats, complex numbers, bytes, text: arrays of these are bytes alone.
_PLAIN_KINDS = "biufcSU"
_OTHER_ARRAYS = "arrays of other things than numbers and text"
_ZIP = b"PK\x03\x04"
_HOW = "save its tensors alone, by torch.save or as .safetensors"


class TensorFileError(UserError):
    """A file is no file of tensors.

    Attributes:
        reason: what it is instead; a clause that starts with "it".
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path} is not a readable checkpoint ({reason})")
        self.reason = reason


def read_tensor_file(path: str | Path) -> Mapping[str, Any]:
    """What a file of tensors holds, on the CPU.

    Args:
        path: ``.safetensors``; ``.pkl``, a pickle of numpy arrays as in Detectron2's model zoos;
            any other name for what ``torch.save`` writes.

    Returns:
        The dict in the file: tensors, of a ``.pkl`` numpy arrays, and plain values. A
        ``.safetensors`` gives ``{"model": named tensors}``, with ``"iteration"`` and
        ``"trained_on"`` (see ``TrainedOn``) where they are noted.

    Raises:
        TensorFileError: it is none, is broken, or holds what could run code.
        OSError: it cannot be opened.
    """
    path = Path(path)
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    if path.suffix == SAFETENSORS:
        content = _read_safetensors(path)
    elif path.suffix == PICKLE:
        if is_zip:
            raise TensorFileError(path, "it is a file of torch.save: give it a name in .pth")
        content = _read_pickle(path)
    else:
        content = _read_torch(path, is_zip)
    if not isinstance(content, Mapping):
        raise TensorFileError(path, f"it holds a {type(content).__name__}, not named tensors")
    return content


def write_torch_file(path: Path, content: Mapping[str, Any]) -> None:
    """``torch.save``; the file appears under its name complete, or not at all.

    Its folder must be there.

    Raises:
        UserError: it cannot be written.
    """
    with whole_file(path, path.parent) as unfinished, unfinished.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # On a full disk torch complains of a wrong position, after the system's own word.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def write_safetensors(
    path: Path,
    model: Mapping[str, torch.Tensor],
    iteration: int,
    trained_on: Mapping[str, Any] | None = None,
) -> None:
    """Write named tensors, and what is known of their training, so that no pickle is needed.

    The file appears under its name complete, or not at all.

    Raises:
        UserError: it cannot be written.
    """
    from safetensors.torch import save

    # The format knows no views: tensors that share memory are written one by one.
    notes = {"format": "pt", _ITERATION: str(iteration)}
    if trained_on:
        notes[TrainedOn.KEY] = json.dumps(trained_on)
    own = {name: value.detach().cpu().contiguous().clone() for name, value in model.items()}
    with whole_file(path, path.parent) as unfinished:
        # Its own way to write a file lets nobody but the user read it.
        unfinished.write_bytes(save(own, notes))


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata() or {}
            content: dict[str, Any] = {"model": {k: file.get_tensor(k) for k in file.keys()}}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise TensorFileError(path, "it is no safetensors file, or a broken one") from error
    noted = notes.get(_ITERATION, "")
    if noted.isascii() and noted.isdigit() and len(noted) < 19:
        content[_ITERATION] = int(noted)
    if TrainedOn.KEY in notes:
        try:
            content[TrainedOn.KEY] = json.loads(notes[TrainedOn.KEY])
        except (ValueError, RecursionError) as error:
            raise TensorFileError(path, f"its note {TrainedOn.KEY!r} is no JSON") from error
    return content


# -------------------------------------------------------------------- torch.save


def _read_torch(path: Path, is_zip: bool) -> Any:
    # Versions of torch before 2.6 read these two by other means, whatever weights_only says.
    if is_zip:
        if _is_torchscript(path):
            raise TensorFileError(path, f"it is a TorchScript program, not tensors; {_HOW}")
    elif tarfile.is_tarfile(path):
        raise TensorFileError(path, f"it is a tar archive, torch's format before 0.4; {_HOW}")
    try:
        with warnings.catch_warnings():
            # Written by hand, most likely; the line below says more.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever a file of another kind makes torch raise
        # Versions of torch say "Unsupported global: GLOBAL a.b", "unsupported GLOBAL a.b".
        found = re.search(r"nsupported (?:global: )?(?:GLOBAL|class) ([\w.]*\w)", str(error))
        if found:
            _refuse(path, f"it holds {found[1]}", "tensors", error)
        raise TensorFileError(path, "it is no torch file, or a broken one") from error


def _is_torchscript(path: Path) -> bool:
    # With torch's own reader: another might see other entries in a forged archive.
    try:
        return "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records()
    except RuntimeError:
        return False


def _refuse(path: Path, held: str, wanted: str, error: Exception) -> NoReturn:
    reason = f"{held}, not {wanted}; it could run code and is not loaded: {_HOW}"
    raise TensorFileError(path, reason) from error


# -------------------------------------------------------------------- pickles of arrays


def _read_pickle(path: Path) -> Any:
    with path.open("rb") as file:
        unpickler = _Arrays(file, encoding="latin1")
        try:
            return _finished(unpickler.load(), {})
        except MemoryError:
            raise
        except _Foreign as error:
            _refuse(path, f"it holds {error}", "plain arrays", error)
        except Exception as error:  # whatever a file of another kind makes pickle raise
            raise TensorFileError(path, "it is no pickle of arrays, or a broken one") from error


class _Foreign(pickle.UnpicklingError):
    """Names something that a pickle of arrays does not need."""


class _Type:
    """A data type while it is read: its name, then maybe its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, name: str) -> None:
        self.dtype = np.dtype(str(name))

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])
        if self.dtype.kind not in _PLAIN_KINDS or any(part is not None for part in state[2:5]):
            raise _Foreign(_OTHER_ARRAYS)


class _Array:
    """An array while it is read: nothing, then all that it is."""

    __slots__ = ("array",)

    def __setstate__(self, state: tuple) -> None:
        _, shape, of, by_columns, data = state
        self.array = _array_of(data, of, shape, "F" if by_columns else "C")


class _Arrays(pickle.Unpickler):
    """Reads what pickles of numpy arrays name, and refuses every other name.

    Nothing of numpy is called by a file: its own functions trust what they are given.
    """

    def find_class(self, module: str, name: str) -> Any:
        # numpy.core until numpy 2.
        module = module.replace("numpy._core", "numpy.core")
        known = {
            ("numpy", "ndarray"): "numpy.ndarray",  # only handed on
            ("numpy", "dtype"): self._dtype,
            ("numpy.core.multiarray", "_reconstruct"): self._empty,
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy.core.numeric", "_frombuffer"): self._frombuffer,
            # How Python 3 writes bytes for Python 2, and empty ones.
            ("_codecs", "encode"): self._encode,
            ("__builtin__", "bytes"): self._no_bytes,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in known:
            raise _Foreign(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Foreign("references to something outside the file")

    # Bound methods, because a file cannot change them.
    def _dtype(self, name: str, *_: Any) -> _Type:
        return _Type(name)

    def _empty(self, *_: Any) -> _Array:
        return _Array()

    def _scalar(self, of: _Type, data: bytes | str) -> np.generic:
        return _array_of(data, of, (), "C")[()]

    def _frombuffer(self, data: bytes, of: _Type, shape: tuple, order: str) -> np.ndarray:
        return _array_of(data, of, shape, order)

    def _encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise _Foreign(f"text in {encoding}")
        return text.encode("latin1")

    def _no_bytes(self) -> bytes:
        return b""


def _array_of(data: bytes | str, of: _Type, shape: tuple, order: str) -> np.ndarray:
    if not isinstance(of, _Type) or of.dtype.kind not in _PLAIN_KINDS:
        raise _Foreign(_OTHER_ARRAYS)
    # Python 2 wrote bytes as text.
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    flat = np.frombuffer(raw, of.dtype) if raw else np.empty(0, of.dtype)
    array = flat.reshape(shape, order=order)
    # torch reads neither foreign byte order nor memory that cannot be written.
    return array.astype(array.dtype.newbyteorder("="), copy=True)


def _finished(value: Any, seen: dict[int, Any]) -> Any:
    """A value in which arrays are whole: while a pickle is read, they are made in two steps.

    Raises:
        RecursionError: containers too deep, or one that holds itself.
    """
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, _Type):
        return value.dtype
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) not in seen:
        if isinstance(value, dict):
            whole: Any = type(value)((k, _finished(v, seen)) for k, v in value.items())
        else:
            whole = type(value)(_finished(v, seen) for v in value)
        seen[id(value)] = whole
    return seen[id(value)]

"""What may be written: one rule for all tools and the Python interface.

- An output is never an input, under whatever name or link.
- Nothing is replaced without being asked (``--overwrite``), and nothing but a file of its own kind
  then. A folder is replaced when all in it is known to be ours (``check_replaceable`` of scenes).
- Folders of scenes take no other files.
- It is all checked before anything is computed.
- What killed runs have left at the place of an output is cleaned away then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from .errors import UserError
from .unfinished import clean_leftovers

# How files begin that may be replaced by one of their kind; blanks in front do not count.
_BEGINS: dict[str, Callable[[bytes], bool]] = {
    "JSON file": lambda head: head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"", b"{", b"["),
    "PNG file": lambda head: head[:8] in (b"", b"\x89PNG\r\n\x1a\n"),
    "HTML page": lambda head: head.lstrip()[:9].lower() in (b"", b"<!doctype"),
    # The field of the format's version comes first.
    "ONNX file": lambda head: head[:1] in (b"", b"\x08"),
    # Of torch, now and before 1.6, and safetensors.
    "checkpoint": lambda head: (
        head[:4] in (b"", b"PK\x03\x04") or head[:1] == b"\x80" or head[8:9] == b"{"
    ),
}
# Of a scene's folder; a scene takes no other files.
GRAPH_FILE = "graph.json"
LAYERS_FOLDER = "layers"
_KIND_OF = {".json": "JSON file", ".png": "PNG file", ".html": "HTML page", ".htm": "HTML page"}


class Inputs:
    """Files and folders that a run reads.

    Args:
        paths: those that are not there, or empty, are left out.
    """

    def __init__(self, paths: Iterable[str | os.PathLike | None] = ()) -> None:
        self._shown: dict[str, str] = {}
        self._ids: set[tuple[int, int]] = set()
        self.add(paths)

    def add(self, paths: Iterable[str | os.PathLike | None]) -> None:
        """More of them."""
        for path in paths:
            if path and (status := _status(path)) is not None:
                self._shown[os.path.realpath(path)] = os.fspath(path)
                self._ids.add((status.st_dev, status.st_ino))

    @property
    def is_single(self) -> bool:
        return len(self._shown) == 1

    def __contains__(self, path: str | Path) -> bool:
        status = _status(path)
        if status is None:
            return os.path.realpath(path) in self._shown
        return (status.st_dev, status.st_ino) in self._ids

    def inside(self, folder: str | Path) -> str | None:
        """One that lies in a folder, or None."""
        above = os.path.join(os.path.realpath(folder), "")
        return next((self._shown[p] for p in self._shown if p.startswith(above)), None)


def check_output_file(
    path: str | Path,
    inputs: Inputs | None = None,
    overwrite: bool = False,
    option: str = "--output",
    endings: tuple[str, ...] = (),
    kind: str | None = None,
) -> None:
    """Find what would stop a file from being written, or what it would destroy, before the work.

    What killed runs have left of it is removed; nothing else changes.

    Args:
        path: the file.
        inputs: what the run reads.
        overwrite: whether an older file of its kind may be replaced.
        option: what names the file, for the message.
        endings: its name has to end so; any when empty.
        kind: what is going to be written, a key of ``_BEGINS``; None: what the ending says.

    Raises:
        UserError: one line that says what to do.
    """
    path = Path(path)
    if endings and path.suffix.lower() not in endings:
        raise UserError(
            f"{path}: not a {endings[0]} file; give a file name that ends in {endings[0]}"
        )
    if inputs is not None and path in inputs:
        which = "the input" if inputs.is_single else "one of the inputs"
        raise UserError(f"{path} is {which}: name another file as {option}")
    check_folder_can_be_made(path.parent)
    status = _status(path)
    if status is not None and S_ISDIR(status.st_mode):
        raise UserError(f"{path} is a folder: name a file as {option}")
    if status is not None and not S_ISREG(status.st_mode):
        raise UserError(f"{path} is no ordinary file: name another as {option}")
    folder = os.path.realpath(path.parent)
    if folder == "/dev" or folder.startswith(("/proc/", "/sys/")):  # /dev/stdout, of root
        raise UserError(f"{path} is no place for files: name another as {option}")
    around = enclosing_scene(path)
    if around is not None:
        raise UserError(f"{path}: inside of {around}, which holds the scene alone")
    if os.path.lexists(path):
        if not overwrite:
            raise UserError(f"{path} exists: pass --overwrite to replace it")
        _check_kind(path, option, kind or _KIND_OF.get(path.suffix.lower()))
    clean_leftovers(path.parent, [path.name])


def check_folder_can_be_made(folder: str | Path) -> None:
    """Whether files can be put into a folder, which may be still to be made.

    Raises:
        UserError: it, or one above it, is no folder, or not writable.
    """
    folder = Path(folder)
    nearest = folder
    while _status(nearest) is None and nearest != nearest.parent:
        if os.path.islink(nearest):
            raise UserError(f"{nearest} is a link that leads nowhere")
        nearest = nearest.parent
    status = _status(nearest)
    if status is None or not S_ISDIR(status.st_mode):
        raise UserError(f"the folder {folder} cannot be made: {nearest} is no folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"the folder {nearest} is not writable")


def files_in_name(name: str | None) -> Iterator[str]:
    """The files that a data set's name such as ``coco:FILE@FOLDER`` may mean."""
    if not name:
        return
    marks = [-1, *(k for k, character in enumerate(name) if character in ":@"), len(name)]
    for position, start in enumerate(marks):
        for end in marks[position + 1 :]:
            part = name[start + 1 : end]
            if part and os.path.isfile(part):
                yield part


def same_place(first: str | Path, second: str | Path) -> bool:
    """Whether two paths lead to one file or folder, or would if it were there."""
    return second in Inputs([first]) or os.path.realpath(first) == os.path.realpath(second)


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Whether a path leads into a folder, at any depth."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def is_layered_scene(folder: str | Path) -> bool:
    """Whether a folder holds a layered scene."""
    return os.path.isfile(os.path.join(folder, GRAPH_FILE))


def enclosing_scene(path: str | Path, scenes: Iterable[str | Path] = ()) -> Path | None:
    """The scene whose folder a file would lie in, or None: a scene takes no other files.

    Args:
        path: the file.
        scenes: folders of scenes, which need not be there yet.
    """
    for folder in scenes:
        if is_inside(path, folder):
            return Path(folder)
    parent = Path(os.path.abspath(path)).parent
    above = parent.parent if parent.name == LAYERS_FOLDER else parent
    return above if is_layered_scene(above) else None


def _check_kind(path: Path, option: str, kind: str | None) -> None:
    if kind is None or not path.exists():
        return
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not _BEGINS[kind](head):
        raise UserError(f"{path} exists and is no {kind}: name another file as {option}")


def _status(path: str | os.PathLike) -> os.stat_result | None:
    """Of what a path leads to; None where nothing is.

    Raises:
        UserError: it can be no path.
    """
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        raise UserError(f"{os.fspath(path)[:80]}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{os.fspath(path)!r:.80}: {error}") from None

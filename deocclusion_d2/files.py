"""Files and folders that appear complete or not at all, names, and checksums."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .errors import UserError
from .unfinished import NEW, OLD, unfinished_file, unfinished_folder


@contextmanager
def whole_file(path: str | Path, folder: Path | None = None) -> Iterator[Path]:
    """A file to write, which takes its place when the block ends, and survives a power cut then.

    After an error ``path`` is as it was. Whether it may be written is ``outputs``' to say.

    Args:
        path: the file.
        folder: where it grows, on the same file system; its own folder when not given, which is
            made where it is missing.

    Raises:
        UserError: ``path`` cannot be written.
    """
    path = Path(path)
    try:
        if folder is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_file(folder or path.parent, path.name) as unfinished:
            yield unfinished
            _sync(unfinished)
            os.replace(unfinished, path)
            _sync(path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A folder to fill, which takes its place, and that of an older one, when the block ends.

    After an error an older folder is as it was. A link is followed.

    Raises:
        UserError: ``folder`` cannot be written.
    """
    path = Path(os.path.realpath(folder))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(path.parent, path.name) as work:
            new, old = work / NEW, work / OLD
            new.mkdir()
            yield new
            if path.exists():
                path.rename(old)
            try:
                new.rename(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error


@contextmanager
def whole_text_file(path: str | Path, folder: Path | None = None) -> Iterator[TextIO]:
    """A text file of ASCII, opened for writing; see ``whole_file``."""
    with (
        whole_file(path, folder) as unfinished,
        unfinished.open("w", encoding="ascii", newline="\n") as file,
    ):
        yield file


def readable_json(value: Any) -> str:
    """JSON in which letters of every script are themselves, and what is not seen is escaped."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    unseen = {c for c in set(text) if not c.isprintable() and c != "\n"}
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in unseen})


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


# -------------------------------------------------------------------- names

# Of every system: what stands between folders, in Windows' devices or in patterns; control
# characters; halves of surrogate pairs; marks that turn the direction of text or cannot be seen.
FORBIDDEN_CHARACTERS = (
    r'\x00-\x1f\x7f-\x9f\ud800-\udfff/\\:*?"<>|\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff'
)
_FORBIDDEN = re.compile(f"[{FORBIDDEN_CHARACTERS}]")
# Windows' devices, with any ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
# Some file systems take 143 bytes; an ending has to fit too.
_MOST_BYTES = 100


def portable_name(name: str) -> str:
    """A name that a file can have on every file system; the name itself wherever that is one.

    At most 100 bytes of UTF-8, without an ending, composed (NFC).
    """
    text = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name))
    text = text.encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore")
    text = text.strip(" ").rstrip(". ")
    if text.startswith("."):
        text = f"_{text[1:]}"
    return f"_{text}" if not text or _DEVICE.fullmatch(text) else text


def portable_names(names: list[str], taken: set[str] | None = None) -> list[str]:
    """Portable names that stay different where capitals and small letters are the same.

    Args:
        taken: keys of names that are there already, by ``name_key``; these names' are added.
    """
    taken = set() if taken is None else taken
    found = []
    for name in map(portable_name, names):
        free, number = name, 1
        while name_key(free) in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(name_key(free))
        found.append(free)
    return found


def name_key(name: str) -> str:
    """The same for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def base_name(path: str) -> str:
    """A file's name without its folders, of Windows too; every character can be written."""
    name = re.split(r"[/\\]", path)[-1]
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files and folders that are being written, told from those that a killed run has left.

They lie beside what they are going to be, as ``.NAME.MACHINE-RANDOM.tmp``, and their writer holds a
lock on them until it ends, however it ends. A folder's lock is on the file ``lock`` in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# Where a lock tells nothing (another machine, a file system without locks, an older version of
# this package), something is left over when nothing in it has changed for so long.
ABANDONED_SECONDS = 24 * 3600.0
_LOCK = "lock"
# Folders inside of an unfinished folder: what it becomes, and what it takes the place of.
NEW, OLD = "new", "old"

_NAME = re.compile(r"\.(.+)\.([0-9a-f]{8})-[0-9a-f]{12}\.tmp")
# Versions before 0.3: a file's random part, and a folder's.
_OLDER_FILE = re.compile(r"\.(.+)\.[0-9a-f]{32}\.tmp")
_OLDER_FOLDER = re.compile(r"\.(.+)\.[a-z0-9_]{8}")
# Of names that leave no room in a file's 255 bytes.
_LONGEST = 200


@contextmanager
def unfinished_file(folder: Path, name: str) -> Iterator[Path]:
    """A new, empty file in ``folder`` that is going to be ``name``; removed at the end if it is
    still there.

    Raises:
        OSError: it cannot be made.
    """
    path = folder / _name(name)
    lock = _make_locked(path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


@contextmanager
def unfinished_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new folder in ``folder`` in which ``name`` grows; removed at the end with all in it.

    Raises:
        OSError: it cannot be made.
    """
    path, lock = _make_locked_folder(folder, name)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make_locked_folder(folder: Path, name: str) -> tuple[Path, int]:
    while True:
        path = folder / _name(name)
        path.mkdir(mode=0o700)
        try:
            return path, _make_locked(path / _LOCK)
        except FileNotFoundError:
            continue  # somebody took it for a leftover before it was locked
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise


def clean_leftovers(folder: str | Path, names: Collection[str] | None = None) -> None:
    """Remove what killed runs have left in ``folder`` of things of these names.

    Without names it is all that is left there, in a folder that is ours alone.

    Nothing of a run that may be alive is touched, on this machine or another. What a run had moved
    away and not yet replaced comes back.
    """
    wanted = None if names is None else {_shortened(name): name for name in names}
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.name.startswith(".")]
    except OSError:
        return
    for entry in found:
        match = _NAME.fullmatch(entry)
        older = None if match else _OLDER_FILE.fullmatch(entry) or _OLDER_FOLDER.fullmatch(entry)
        name = (match or older)[1] if match or older else None
        if name is not None and (wanted is None or name in wanted):
            target = Path(folder) / (name if wanted is None else wanted[name])
            with contextlib.suppress(OSError):
                _clean(Path(folder) / entry, target, match[2] if match else "")


def _clean(path: Path, target: Path, machine: str) -> None:
    is_folder = path.is_dir() and not path.is_symlink()
    if not machine and is_folder and {p.name for p in path.iterdir()} - {OLD} != {NEW}:
        return  # somebody's own
    lock_file = path / _LOCK if is_folder else path
    if is_folder and machine == _machine():
        # Of a run that was killed before it made the lock; one that lives makes another.
        with contextlib.suppress(OSError):
            path.rmdir()
            return
    lock = None
    try:
        free: bool | None = None
        if machine and lock_file.exists():
            lock = os.open(lock_file, os.O_RDWR)
            free = _take_lock(lock)
        known = free is not None and machine == _machine()
        if free is False or not (known or _age(path) > ABANDONED_SECONDS):
            return
        if not is_folder:
            path.unlink()
            return
        if (path / OLD).is_dir() and not os.path.lexists(target):
            (path / OLD).rename(target)
        shutil.rmtree(path)
    finally:
        if lock is not None:
            os.close(lock)


def _make_locked(path: Path) -> int:
    """Make a file, and hold its lock until its descriptor, which is returned, is closed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # Somebody may be cleaning it away, or have done so before it was locked.
        _take_lock(descriptor, wait=True)
        if os.fstat(descriptor).st_nlink or sys.platform == "win32":
            return descriptor
        os.close(descriptor)


def _take_lock(descriptor: int, wait: bool = False) -> bool | None:
    """Whether the lock was free; None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _age(path: Path) -> float:
    """Seconds since anything in a file or folder has changed."""
    times = [path.lstat().st_mtime, *(p.lstat().st_mtime for p in path.rglob("*"))]
    return time.time() - max(times)


@cache
def _machine() -> str:
    """8 hexadecimal digits, the same in all programs of a machine."""
    number = ""
    with contextlib.suppress(OSError):
        number = Path("/etc/machine-id").read_text("ascii", "replace")
    return hashlib.sha256(f"{platform.node()} {number}".encode()).hexdigest()[:8]


def _name(name: str) -> str:
    return f".{_shortened(name)}.{_machine()}-{uuid.uuid4().hex[:12]}.tmp"


def _shortened(name: str) -> str:
    data = os.fsencode(name)
    if len(data) <= _LONGEST:
        return name
    return f"{name[:30]}~{hashlib.sha256(data).hexdigest()[:16]}"

"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file to write beside ``path``, which takes its place when the block ends.

    After an error ``path`` is as it was. Its folder is made where it is missing.

    Raises:
        UserError: ``path`` cannot be written.
    """
    path = Path(path)
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        unfinished = Path(name)
        yield unfinished
        unfinished.chmod(0o644)
        os.replace(unfinished, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)

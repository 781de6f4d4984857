"""Errors that a user can cause and mend."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


class UserError(ValueError):
    """Input, settings or weights can't be used.

    The message is one line that names the file, image, annotation or config key, and what to do.
    """


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """For tools: a user's error ends the program with its message and status 1, no traceback.

    So does a file that cannot be read or written, and one that a library misses. Errors that the
    package did not foresee keep their traceback: they are bugs.
    """
    try:
        yield
    except UserError as error:
        # What a worker of a loader raises comes with its traceback in the text.
        text = str(error)
        message = text.rsplit("UserError: ", 1)[-1].strip() if "Traceback" in text else text
    except OSError as error:
        if error.filename is None and not isinstance(error, FileNotFoundError):
            raise
        message = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)

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

    Errors that the package did not foresee keep their traceback: they are bugs.
    """
    try:
        yield
    except (UserError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)

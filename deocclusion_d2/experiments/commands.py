"""Runs the project's own commands one after the other, as a user would type them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError

# What Detectron2 prints while it trains and evaluates, and tqdm's bars.
_PROGRESS = re.compile(r"(eta: \S+ +iter: \d+|Inference done \d+/\d+|\d+%\|[^|]*\|)")
_LINES_SHOWN_ON_FAILURE = 15


def run_command(title: str, command: Sequence[str], log: Path) -> float:
    """Run a Python program of the project; everything it prints goes to a log.

    The command line and the program's progress are shown.

    Args:
        title: what the step is for.
        command: program and arguments, without the interpreter.
        log: file for the output, replaced.

    Returns:
        Seconds that it took.

    Raises:
        UserError: the program failed, with the reason where it gave one in a line; its last lines
            are shown.
    """
    print(f"\n== {title}\n$ python {shlex.join(command)}", flush=True)
    start = time.monotonic()
    last: deque[str] = deque(maxlen=_LINES_SHOWN_ON_FAILURE)
    log.parent.mkdir(parents=True, exist_ok=True)
    shown = False
    reason = "the command failed"
    with (
        open(log, "w") as file,
        subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            close_fds=False,  # it inherits the lock of its stage, see stages.py
        ) as process,
    ):
        # Universal newlines end a line at the carriage returns of progress bars as well.
        for line in process.stdout:
            file.write(line)
            last.append(line.rstrip())
            # What it wrote to its standard output may come after, from a buffer.
            if line.startswith("error: "):
                reason = line.removeprefix("error: ").strip()
            if progress := _PROGRESS.search(line):
                print(f"\r   {progress.group(1)}  ".ljust(72), end="", flush=True)
                shown = True
    seconds = time.monotonic() - start
    if process.returncode:
        print("\n" + "\n".join(last), file=sys.stderr)
        raise UserError(f"{title}: {reason}; all that it printed is in {log}")
    print(f"{chr(13) if shown else ''}   done in {seconds:.0f} s".ljust(72), flush=True)
    return seconds

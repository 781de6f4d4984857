"""Errors that a user can cause and mend, and how tools say them: in one line."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import multiprocessing
import os
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

# Status of a program that the user stopped, and of one whose reader has gone, as shells count them.
INTERRUPTED = 130
READER_GONE = 141

# Control characters, marks that turn the direction of text, line separators, and what is left of
# bytes that are no text.
_UNPRINTABLE = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ud800-\udfff"
)
_IN_A_LINE = re.compile(f"[{_UNPRINTABLE}]")
_IN_TEXT = re.compile(f"(?![\n\t])[{_UNPRINTABLE}]")
_IN_COLOURED_TEXT = re.compile(f"(\x1b\\[[0-9;]*m)|(?![\n\t])[{_UNPRINTABLE}]")

# What the system says where it names no file, and the user can mend. Others are bugs.
_OF_THE_SYSTEM = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
}
# What torch says where Python raises MemoryError.
_OUT_OF_MEMORY = re.compile(r"not enough memory|can't allocate memory|out of (?:shared )?memory")
# What it says where the other end of a connection has gone.
_CONNECTION_LOST = re.compile(
    r"Connection (?:closed|reset|refused)|Broken pipe|connection was aborted|failed to recv"
    r"|remote process exited"
)


# Who decides whether this process speaks.
_asked: Callable[[BaseException], bool] | None = None


class UserError(ValueError):
    """Input, settings or weights can't be used.

    The message is one line that names the file, image, annotation or config key, and what to do.
    """


def printable(text: object) -> str:
    r"""A name as a terminal or a page may show it, on one line.

    Escape sequences and other control characters, line ends, marks that turn the direction of text
    and broken bytes become ``\x1b``, ``\n``, ``\u202e``; every other character stays.
    """
    return _IN_A_LINE.sub(_escaped, str(text))


def printable_text(text: object) -> str:
    """As ``printable``, but line ends and tabs stay: of text that is ours, with names in it."""
    return _IN_TEXT.sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def one_line(error: BaseException) -> str | None:
    """What there is to say of an error that the user caused and can mend; None for a bug."""
    text = _own_text(str(error))
    if isinstance(error, UserError):
        message: str | None = text
    elif isinstance(error, OSError):
        message = _of_system(error, text)
    elif isinstance(error, MemoryError) or _is_out_of_memory(error, text):
        message = f"out of memory: {text}" if text else "out of memory"
    elif is_connection_lost(error):
        message = "another process of the group has ended; what it or its launcher says tells why"
    else:
        message = None
    return None if message is None else printable(" ".join(message.split()))


def is_connection_lost(error: BaseException) -> bool:
    """Whether an error says that another process of a group has gone, as torch puts it."""
    return isinstance(error, RuntimeError) and _CONNECTION_LOST.search(str(error)) is not None


def _own_text(text: str) -> str:
    """A message without the traceback that a worker of a loader puts before it."""
    if "Traceback (most recent call last)" not in text:
        return text
    heads = list(re.finditer(r"^(?:\w+\.)*\w*(?:Error|Exception): ", text, re.MULTILINE))
    return text[heads[-1].end() :] if heads else text


def _of_system(error: OSError, text: str) -> str | None:
    if error.filename is not None:
        to = f" -> {error.filename2}" if error.filename2 is not None else ""
        return f"{_as_text(error.filename)}{to}: {error.strerror or text}"
    said = re.match(r"\[Errno (\d+)\] (.+?)(?:: '(.+)')?$", text.strip())
    if said and said[3]:
        return f"{said[3]}: {said[2]}"
    if said and int(said[1]) in _OF_THE_SYSTEM:
        return said[2]
    # Detectron2 and fvcore say in their own words that a file is missing.
    without_network = getattr(sys.modules.get("urllib.error"), "URLError", ())
    return text if isinstance(error, (FileNotFoundError, without_network)) else None


def _as_text(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else str(name)


def _is_out_of_memory(error: BaseException, text: str) -> bool:
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(text) is not None


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """For tools: a user's error ends the program with its message and status 1, no traceback.

    So does a file that cannot be read or written, one that a library misses, a full disk and memory
    that does not suffice. Ctrl-C ends it with one line and status 130; a reader of the output that
    has gone (``tool | head``), silently. Errors that the package did not foresee keep their
    traceback: they are bugs.

    Meanwhile names in what is printed and logged are made printable (``printable_text``), and log
    lines that cannot be written are left out; that is said at the end.

    It is around a program's whole ``main``, so that what is printed last, and ``--help``, is told
    in the same way. In a group of processes the first that fails speaks (``let_speak``).
    """
    try:
        with _printable_logs(), _quiet_logs(), _any_name_on(sys.stdout), _printable_streams():
            try:
                yield
            except SystemExit:
                sys.stdout.flush()
                raise
            # A full disk or a closed pipe is said now, while somebody listens.
            sys.stdout.flush()
        return
    except KeyboardInterrupt:
        message, status = "interrupted", INTERRUPTED
        if multiprocessing.parent_process() is not None:  # the first process speaks for all
            sys.exit(status)
        failure: BaseException = KeyboardInterrupt()
    except Exception as error:
        # Of what is printed, not of other processes.
        if isinstance(error, BrokenPipeError):
            has_reader = _has_reader(sys.stdout)
            if not (_takes(sys.stdout) and has_reader):
                sys.exit(READER_GONE)
        said = one_line(error)
        if said is None:
            raise
        message, status, failure = f"error: {said}", 1, error
    _takes(sys.stdout)
    if _asked is None or _asked(failure):
        print(message, file=sys.stderr)
    sys.exit(status)


def let_speak(asked: Callable[[BaseException], bool] | None) -> None:
    """From now on, ask whether this process says what has ended it, or another one does.

    None: it does.
    """
    global _asked
    _asked = asked


def _has_reader(stream: TextIO) -> bool:
    """False where a stream is a pipe whose other end is closed."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return not any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError):  # a system without poll, a stream without a file
        return True


def _takes(stream: TextIO) -> bool:
    """Whether a stream takes what is in its buffer; one that doesn't is led to nowhere.

    Python would try once more at the end, and complain.
    """
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        if isinstance(stream, _PrintableStream):
            stream.failure = None
        return False
    return True


@contextlib.contextmanager
def _any_name_on(stream: TextIO) -> Iterator[None]:
    """While it lasts, characters that a stream's encoding lacks are escaped, and no error."""
    if not isinstance(stream, io.TextIOWrapper) or stream.errors != "strict":
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        # What still is in the buffer may not be writable any more: that is said elsewhere.
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors="strict")


class _PrintableStream:
    """A stream that shows text as ``printable_text`` does, but leaves colours of log lines.

    Once it could not take something, flushing it fails to the end: what is lost is gone from the
    buffer, and not everybody who writes says so.

    Args:
        stream: where the text goes.
        bars: leave what moves progress bars, too.
    """

    # What tqdm writes besides its lines, or before one.
    _MOVES = re.compile(r"(?:\n|\x1b\[A)+\Z|\r")
    # How Detectron2's log lines begin on a terminal, and argparse's help from Python 3.14 on.
    _COLOURED = re.compile(
        r"(?:\x1b\[\d+m|WARNING|ERROR| )+\[\d\d/\d\d \d\d:\d\d:\d\d |\x1b\[[\d;]*musage: "
    )

    def __init__(self, stream: TextIO, bars: bool = False) -> None:
        self._stream = stream
        self._bars = bars
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        move = self._MOVES.match(text) if self._bars else None
        start = move.end() if move else 0
        shown = (_IN_COLOURED_TEXT if self._COLOURED.match(text) else _IN_TEXT).sub(
            _escaped_or_colour, text[start:]
        )
        with self._noting_failure():
            self._stream.write(text[:start] + shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.failure is not None:
            raise self.failure
        with self._noting_failure():
            self._stream.flush()

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _printable_streams() -> Iterator[None]:
    if isinstance(sys.stdout, _PrintableStream):
        yield
        return
    with (
        contextlib.redirect_stdout(_PrintableStream(sys.stdout)),
        contextlib.redirect_stderr(_PrintableStream(sys.stderr, bars=True)),
    ):
        yield


@contextlib.contextmanager
def _printable_logs() -> Iterator[None]:
    """While it lasts, whatever is logged is printable. Other packages colour what they log."""
    before = logging.getLogRecordFactory()
    package = __name__.partition(".")[0]

    def made(*args, **kwargs) -> logging.LogRecord:
        record = before(*args, **kwargs)
        ours = record.name.partition(".")[0] == package
        error = record.exc_info[1] if record.exc_info else None
        line = None if error is None else one_line(error)
        with contextlib.suppress(Exception):  # arguments that do not fit: logging says so
            text = record.getMessage()
            if line is not None:  # of what ends a training, which Detectron2 logs
                record.exc_info, record.msg, record.args = None, f"{text} {line}", None
                text = record.msg
            clean = (_IN_TEXT if ours else _IN_COLOURED_TEXT).sub(_escaped_or_colour, text)
            if clean != text:
                record.msg, record.args = clean, None
        return record

    logging.setLogRecordFactory(made)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """While it lasts, a full disk or a closed pipe under a log line gives no traceback for each."""
    before = logging.Handler.handleError

    def handle(handler: logging.Handler, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            before(handler, record)

    logging.Handler.handleError = handle  # type: ignore[method-assign]
    try:
        yield
    finally:
        logging.Handler.handleError = before  # type: ignore[method-assign]


def _escaped_or_colour(match: re.Match[str]) -> str:
    return match[1] if match.lastindex else _escaped(match)


def quiet_interrupts() -> None:
    """For programs: Ctrl-C while they are still being imported is one line, too."""
    before = sys.excepthook

    def hook(kind, error, trace) -> None:
        if issubclass(kind, KeyboardInterrupt):
            if multiprocessing.parent_process() is None:
                print("interrupted", file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = hook

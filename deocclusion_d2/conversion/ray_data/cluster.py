"""A cluster of Ray while a conversion lasts, its settings, and the errors of its workers."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

from ...errors import UserError, one_line
from ...workers import usable_cores

# What a killed worker may cost, in bytes of rows: little beside the whole, enough for Ray to be
# idle most of the time.
LEAST_BLOCK, _LARGEST_BLOCK, _BLOCKS_PER_CORE = 1 << 17, 1 << 23, 16
# Ray says nothing of it, and uses a token by itself only where it has found the cluster itself.
_TOKEN = (
    ": if it asks for a token, as Ray's clusters do, set RAY_AUTH_MODE=token, and have ~/.ray/auth_"
    "token as on its head"
)
# Where Ray says how far it is when its output is no terminal.
_PROGRESS_LOG = "ray.data._internal.progress.logging_progress"


def require_ray() -> None:
    try:
        import fsspec  # noqa: F401
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--engine ray needs {error.name or 'ray'}: pip install 'deocclusion_d2[ray]'"
        ) from None


@contextlib.contextmanager
def joined_cluster(address: str | None) -> Iterator[None]:
    """Be part of a cluster while a ``with`` lasts; one that the process is part of is kept."""
    import ray

    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    hint = ""
    try:
        if address:
            _require_answer(address)
            hint = "" if "RAY_AUTH_MODE" in os.environ else _TOKEN
            ray.init(address=address, **quiet)
        else:
            # It reports to nobody, and its own processes' notes are no concern of the user's.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            os.environ.setdefault("RAY_COLOR_PREFIX", "0")
            # Of two cores at least, as an actor holds one and Ray's own tasks need another.
            cores = max(2, usable_cores())
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = f"--ray-address {address}" if address else "a Ray cluster on this machine"
        raise UserError(f"{where}: it cannot be reached: {first_line(error)}{hint}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT, for which Ray would wait many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=30).close()


@contextlib.contextmanager
def data_settings(size: int) -> Iterator[None]:
    """Ray Data's settings, while a ``with`` lasts: order as in the input, blocks of a fit size.

    Args:
        size: of all files, in bytes.
    """
    import ray

    context = ray.data.DataContext.get_current()
    before = context.execution_options.preserve_order, context.target_max_block_size
    cores = max(1, room_for(ray.cluster_resources(), "CPU"))
    block = size // (cores * _BLOCKS_PER_CORE)
    context.execution_options.preserve_order = True
    context.target_max_block_size = min(max(block, LEAST_BLOCK), _LARGEST_BLOCK)
    # Errors are said here, in a line; what is left is how far it is, where no bar can be shown.
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    logging.getLogger(_PROGRESS_LOG).setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        context.execution_options.preserve_order, context.target_max_block_size = before


def room_for(resources: dict[str, float], name: str) -> int:
    return int(resources.get(name, 0))


class _Told(Exception):
    """A user's error on its way out of a worker. Ray adds lines of its own to an error's text."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """In workers: what the user caused and can mend becomes a line."""
    try:
        yield
    except Exception as error:
        line = one_line(error)
        if line is None:
            raise
        raise _Told(line) from None


@contextlib.contextmanager
def errors_in_one_line(output: str) -> Iterator[None]:
    """Here: a line that a worker told is a UserError; so is an output that cannot be written."""
    import pyarrow
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        cause: BaseException | None = getattr(error, "cause", None)
        if isinstance(cause, _Told):
            raise UserError(cause.line) from None
        if isinstance(cause, (OSError, pyarrow.ArrowException)):
            # Ray puts lines of its own where an error of the system has a file's name.
            said = getattr(cause, "strerror", None) or first_line(cause)
            raise UserError(f"{output} cannot be written: {said}") from None
        if isinstance(error, ray.exceptions.RayTaskError):
            raise
        # Not of what was run, but of what runs it: machines, memory, disks.
        raise UserError(f"the Ray cluster has failed: {first_line(error)}") from None
    except pyarrow.ArrowException as error:
        raise UserError(f"{output} cannot be written: {first_line(error)}") from None
    except OSError as error:
        if error.filename is not None or error.strerror is None:
            raise
        raise UserError(f"{output} cannot be written: {error.strerror}") from None


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

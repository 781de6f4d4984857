"""Steps of an experiment, run in this program: their lines go to a log, their errors are one."""

from __future__ import annotations

import contextlib
import logging
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from detectron2.utils.logger import setup_logger

from ..engine.train import run_training
from ..errors import UserError, one_line_errors
from ..launch import launch

LOG = "output.txt"
_LOGGERS = ("detectron2", "fvcore", "deocclusion_d2")


@contextlib.contextmanager
def step(title: str, folder: Path) -> Iterator[None]:
    """Do a step: its title and its time are shown, its other lines go to ``LOG`` in a folder.

    Raises:
        UserError: the step's, with its title and the log.
    """
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / LOG
    try:
        with _printing_to(log):
            yield
    except UserError as error:
        raise UserError(f"{title}: {error}; all that it printed is in {log}") from error
    print(f"   done in {time.monotonic() - start:.0f} s", flush=True)


def train(title: str, folder: Path, cfg, num_gpus: int) -> None:
    """Train what a config describes, going on with what is there; ``OUTPUT_DIR`` is the folder.

    Raises:
        UserError: settings, weights or data that cannot be used.
    """
    with step(title, folder):
        if num_gpus <= 1:
            run_training(cfg, Namespace(), resume=True, bar=True)
            return
        try:
            launch(_train_in_group, num_gpus, args=(cfg, folder))
        # What torch says when a process of a group has failed; its own line stands above.
        except (RuntimeError, SystemExit) as error:
            raise UserError("a process of the training failed") from error


def _train_in_group(cfg, folder: Path) -> None:
    from detectron2.utils import comm

    with one_line_errors(), _printing_to(folder / f"rank{comm.get_rank()}_{LOG}"):
        run_training(cfg, Namespace(), resume=True, bar=True)


@contextlib.contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """Standard output goes to a file; loggers that are set up meanwhile vanish afterwards."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    with log.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        # Those of an earlier step write to its log.
        for logger in loggers:
            logger.handlers[:] = []
        setup_logger.cache_clear()
        try:
            yield
        finally:
            for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
                logger.handlers[:], logger.propagate, logger.level = handlers, propagate, level
            setup_logger.cache_clear()

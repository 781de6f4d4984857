"""Trained weights into the model of a config, all of them or an error."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.modeling import build_model

from ..errors import UserError


def load_model(cfg) -> torch.nn.Module:
    """Build the model of a config and load ``MODEL.WEIGHTS`` into it, ready to infer.

    Raises:
        UserError: there are no weights, or they are not a checkpoint of this model.
    """
    weights = cfg.MODEL.WEIGHTS
    if not weights:
        raise UserError(
            "MODEL.WEIGHTS is empty: name a trained checkpoint (--weights, or MODEL.WEIGHTS FILE)"
        )
    model = build_model(cfg)
    checkpointer = StrictCheckpointer(model)
    with checkpoint_errors(checkpointer, weights):
        checkpointer.load(weights)
    return model.eval()


@contextmanager
def checkpoint_errors(
    checkpointer: DetectionCheckpointer, weights: str, resume: bool = False
) -> Iterator[None]:
    """While a checkpoint is read: what a missing or broken one makes torch raise, in one line.

    Args:
        checkpointer: it reads the checkpoint inside the ``with``.
        weights: ``MODEL.WEIGHTS``; empty: none are read.
        resume: the last checkpoint of the checkpointer's folder is read instead, if there is one.

    Raises:
        UserError: the file does not exist, or is no checkpoint.
    """
    path, where = weights, "MODEL.WEIGHTS: "
    if resume and checkpointer.has_checkpoint():
        path, where = checkpointer.get_checkpoint_file(), "--resume: "
    if path and "://" not in path and not os.path.isfile(path):
        raise UserError(f"{where}file {path!r} does not exist")
    try:
        yield
    except UserError:
        raise
    except (
        AssertionError,
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split()[:20])}"
        if isinstance(error, pickle.UnpicklingError):  # torch says at length how to trust it
            reason = "it is no torch file, or a broken one"
        raise UserError(f"{where}{path!r} is not a readable checkpoint ({reason})") from error


class StrictCheckpointer(DetectionCheckpointer):
    """A checkpointer that refuses weights which do not fit, instead of warning.

    A model with half of its weights runs and gives wrong masks.
    """

    def _log_incompatible_keys(self, incompatible) -> None:
        problems = [
            f"{name} has shape {tuple(found)}, the config's model {tuple(wanted)}"
            for name, found, wanted in incompatible.incorrect_shapes
        ]
        problems += [f"{name} is missing" for name in incompatible.missing_keys]
        problems += [f"{name} is unknown" for name in incompatible.unexpected_keys]
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"MODEL.WEIGHTS do not fit this config: {problems[0]}{more}")

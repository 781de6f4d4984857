"""Trained weights into the model of a config, all of them or an error."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

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
    if "://" not in weights and not os.path.isfile(weights):
        raise UserError(f"MODEL.WEIGHTS: file {weights!r} does not exist")
    model = build_model(cfg)
    try:
        StrictCheckpointer(model).load(weights)
    except UserError:
        raise
    # What a broken file makes torch and Detectron2 raise.
    except (
        AssertionError,
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        reason = " ".join(str(error).split()[:20])
        raise UserError(
            f"MODEL.WEIGHTS: {weights!r} is not a readable checkpoint "
            f"({type(error).__name__}: {reason})"
        ) from error
    return model.eval()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


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

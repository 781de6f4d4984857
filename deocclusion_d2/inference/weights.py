"""Trained weights into the model of a config, all of them or an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.modeling import build_model

from ..errors import UserError
from ..files import whole_text_file
from ..modeling.category_ids import TrainedOn
from ..modeling.tensor_files import PICKLE, TensorFileError, read_tensor_file, write_torch_file


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
    checkpointer = Checkpointer(model, strict=True)
    with checkpoint_errors(checkpointer, weights):
        checkpointer.load(weights)
    return model.eval()


@contextmanager
def checkpoint_errors(
    checkpointer: Checkpointer, weights: str, resume: bool = False
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
    except TensorFileError as error:
        reason = error.reason
    except UserError:
        raise
    except (
        AssertionError,
        AttributeError,
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split()[:20])}"
    else:
        return
    raise UserError(f"{where}{path!r} is not a readable checkpoint ({reason})")


class Checkpointer(DetectionCheckpointer):
    """Detectron2's, which runs no code of the files that it reads, and leaves no halves of them.

    Args:
        strict: refuse weights that do not fit, instead of warning: a model with half of its weights
            runs and gives wrong masks.
    """

    def __init__(
        self, model: torch.nn.Module, save_dir: str = "", *, strict: bool = False, **more: Any
    ) -> None:
        super().__init__(model, save_dir, **more)
        self._strict = strict
        trained_on = getattr(self.model, TrainedOn.KEY, None)
        if isinstance(trained_on, TrainedOn):
            # Read where a training goes on or a network is used, not where a new one starts from
            # other weights.
            self.add_checkpointable(TrainedOn.KEY, trained_on)

    def get_checkpoint_file(self) -> str:
        """The last checkpoint of the folder.

        Raises:
            UserError: the note of it names no file of the folder.
        """
        note = os.path.join(self.save_dir, "last_checkpoint")
        try:
            path = super().get_checkpoint_file()
        except ValueError as error:
            raise UserError(f"{note} is no text; write the name of a checkpoint there") from error
        if path and os.path.dirname(path) != os.path.dirname(note):
            raise UserError(f"{note} names {path!r}, which is not in its folder; correct it")
        return path

    def save(self, name: str, **kwargs: Any) -> None:
        if not self.save_dir or not self.save_to_disk:
            return
        path = Path(self.save_dir, f"{name}.pth")
        states = {key: value.state_dict() for key, value in self.checkpointables.items()}
        # A network that was not trained has nothing to note.
        states = {key: state for key, state in states.items() if state or key != TrainedOn.KEY}
        self.logger.info(f"Saving checkpoint to {path}")
        write_torch_file(path, {"model": self.model.state_dict(), **states, **kwargs})
        self.tag_last_checkpoint(path.name)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        with whole_text_file(os.path.join(self.save_dir, "last_checkpoint")) as file:
            file.write(last_filename_basename)

    def _load_file(self, filename: str) -> dict[str, Any]:
        loaded = dict(read_tensor_file(filename))
        if filename.endswith(PICKLE) and not ("model" in loaded and "__author__" in loaded):
            # Of Caffe2 or Detectron 1; their ImageNet models have no "blobs".
            blobs = loaded.get("blobs", loaded)
            model = {k: v for k, v in blobs.items() if not k.endswith("_momentum")}
            loaded = {"model": model, "__author__": "Caffe2", "matching_heuristics": True}
        elif filename.endswith(".pyth"):  # of pycls
            if "model_state" not in loaded:
                raise TensorFileError(filename, "it has no 'model_state', as files in .pyth have")
            state = loaded["model_state"].items()
            model = {k: v for k, v in state if not k.endswith("num_batches_tracked")}
            loaded = {"model": model, "__author__": "pycls", "matching_heuristics": True}
        elif "model" not in loaded:
            loaded = {"model": loaded}
        # Detectron2's main branch takes this option behind a path.
        url = getattr(self, "_parsed_url_during_load", None)
        if url is not None and parse_qs(url.query).get("matching_heuristics") == ["True"]:
            loaded["matching_heuristics"] = True
        return loaded

    def _log_incompatible_keys(self, incompatible) -> None:
        if not self._strict:
            super()._log_incompatible_keys(incompatible)
            return
        problems = [
            f"{name} has shape {tuple(found)}, the config's model {tuple(wanted)}"
            for name, found, wanted in incompatible.incorrect_shapes
        ]
        problems += [f"{name} is missing" for name in incompatible.missing_keys]
        problems += [f"{name} is unknown" for name in incompatible.unexpected_keys]
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"MODEL.WEIGHTS do not fit this config: {problems[0]}{more}")

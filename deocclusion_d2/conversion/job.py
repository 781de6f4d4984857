"""What to convert and how: the settings of a conversion, checked, and the method they name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chosen_steps import use_fingerprint, uses_own_network
from ..deoccluder import Deoccluder
from ..errors import UserError
from ..files import file_sha256
from ..methods import method_config, method_name, uses_default_network, uses_network
from ..outputs import Inputs, check_output_file
from ..structures import DEFAULT_MIN_SCORE
from ..workers import worker_count
from .input_file import InputFile
from .older import config_hash_of_0_1

# How masks are written: compressed RLE; polygons along the corners of their pixels.
SEGMENTATIONS = ("rle", "polygons")


@dataclass(frozen=True)
class AnyJob:
    """What to convert, and how, whatever runs the conversion.

    Attributes:
        input, output: see the jobs.
        method: one of ``deoccluder.accepted_methods()``; None for the config's own completion.
        format: a name of ``ANNOTATION_FORMATS``; None to tell it from the annotations.
        config_file, weights: of the method's network; see ``deoccluder.method_config``. The
            methods without network need neither.
        opts: alternating config keys and values.
        image_root: folder of the images, for models that look at colours and COCOA files without
            image sizes; the folder of the annotations when None.
        overwrite: replace an existing output.
        skip_invalid: leave annotations that cannot be used as they are, instead of stopping.
        segmentation: how amodal masks are written, one of ``SEGMENTATIONS``.
        num_workers: how many work at the same time; None for as many as there is room for. They
            change no result.
    """

    input: Path | str
    output: Path | str
    method: str | None = None
    format: str | None = None
    config_file: str | None = None
    weights: str | None = None
    opts: tuple[str, ...] = ()
    image_root: Path | None = None
    overwrite: bool = False
    skip_invalid: bool = False
    segmentation: str = "rle"
    num_workers: int | None = None

    @property
    def uses_network(self) -> bool:
        """Whether a config says what to do. Raises UserError."""
        return self.config_file is not None or self.method is None or uses_network(self.method)

    def check_names(self) -> None:
        """Refuse names that nothing has. Raises UserError."""
        if self.method is not None:
            uses_network(self.method)
        if self.segmentation not in SEGMENTATIONS:
            known = ", ".join(SEGMENTATIONS)
            raise UserError(f"unknown --segmentation {self.segmentation!r}: use {known}")

    def check_network(self) -> None:
        """Refuse a config or weights that cannot be read. Raises UserError."""
        if self.uses_network:
            cfg = self.load_config()
            if uses_own_network(cfg):
                self.weights_file(cfg)
        elif self.weights or self.opts:
            raise UserError(
                f"--method {self.method} uses no network: leave out --weights and config "
                "overrides, or name a --config-file"
            )

    def load_config(self):
        """The config, with weights and method in it. Raises UserError."""
        return method_config(self.method, self.config_file, self.weights, self.opts)

    def weights_file(self, cfg) -> Path:
        """The local file of the weights. Raises UserError."""
        from detectron2.utils.file_io import PathManager

        name = cfg.MODEL.WEIGHTS
        if not name:
            raise UserError("--weights is missing, and MODEL.WEIGHTS is empty")
        try:
            path = Path(PathManager.get_local_path(name))
        except (OSError, ValueError) as error:
            raise UserError(f"weights {name}: {_one_line(error)}") from None
        if not path.is_file():
            raise UserError(f"weights {name}: there is no such file")
        return path


@dataclass(frozen=True)
class ConversionJob(AnyJob):
    """What to convert by the processes of a group, and how.

    Attributes:
        input: COCO-like JSON with modal masks; or, with ``images_from``, COCO results.
        output: JSON to write.
        images_from: the JSON whose images and categories COCO results were predicted for; without
            ``image_root``, images lie beside it.
        min_score: predictions below it are left out; None for the config's DEOCCLUSION.MIN_SCORE,
            or its default for methods without network.
        shard_size: instances (about) that are lost at most when the process is killed.
        overwrite: also replaces shards that another conversion has left.
        num_workers: processes that work on parts of the shards, of each process of a group; None
            for one per core.
    """

    input: Path
    output: Path
    images_from: Path | None = None
    min_score: float | None = None
    shard_size: int = 1000

    def input_file(self, min_score: float | None) -> InputFile:
        """The input and how it is read, with a least score of predictions."""
        return InputFile(
            self.input, self.format, self.image_root, self.images_from, min_score, self.skip_invalid
        )

    @property
    def shard_folder(self) -> Path:
        return self.output.with_name(self.output.name + ".shards")

    def check(self) -> None:
        """Find what would stop the conversion later, before anything is computed.

        Raises:
            UserError: saying what to do.
        """
        self.check_names()
        if self.shard_size < 1:
            raise UserError(f"--shard-size is {self.shard_size}: use 1 or more")
        worker_count(self.num_workers)
        self.input_file(self.min_score).check()
        inputs = Inputs([self.input, self.images_from, self.config_file, self.weights])
        check_output_file(self.output, inputs, self.overwrite, kind="JSON file")
        held = inputs.inside(self.shard_folder)
        if held is not None:
            raise UserError(f"{held} lies in {self.shard_folder}, the folder of finished shards")
        self.check_network()

    def score_threshold(self) -> float:
        """The least score of a prediction that is used. Raises UserError."""
        if self.min_score is not None:
            return self.min_score
        return self.load_config().DEOCCLUSION.MIN_SCORE if self.uses_network else DEFAULT_MIN_SCORE


@dataclass(frozen=True)
class Method:
    """The deoccluder of a job.

    Attributes:
        deoccluder: de-occludes a list of scenes.
        settings: all that decides the result beside the input, JSON-able; for the output's info.
        config: hash of the config, for the shards alone.
        config_of_0_1: the same as version 0.1 made it.
        uses_default_network: whether it runs the network that comes with the package.
    """

    deoccluder: Deoccluder
    settings: dict[str, Any]
    config: str = ""
    config_of_0_1: str = ""
    uses_default_network: bool = False

    @classmethod
    def build(cls, job: AnyJob) -> Method:
        if not job.uses_network:
            deoccluder = Deoccluder.baseline(job.method)
            return cls(deoccluder, {"method": job.method, **deoccluder.describe()})
        cfg = job.load_config()
        deoccluder = Deoccluder.from_config(cfg)
        settings = {"method": method_name(cfg.DEOCCLUSION.COMPLETION), **deoccluder.describe()}
        if uses_own_network(cfg):
            weights = job.weights_file(cfg)
            settings |= {"weights": weights.name, "weights_sha256": file_sha256(weights)}
        default = uses_default_network(job.method, job.config_file, job.weights)
        return cls(deoccluder, settings, use_fingerprint(cfg), config_hash_of_0_1(cfg), default)


def _one_line(error: Exception) -> str:
    # A KeyError's own text is its message in quotes.
    return " ".join(str(error.args[0] if len(error.args) == 1 else error).split())

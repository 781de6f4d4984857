"""Decomposes a photo or a folder of photos: reads, de-occludes, completes, writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..config import load_config
from ..deoccluder import (
    Deoccluder,
    build_content,
    content_source,
    method_config,
    method_name,
    uses_network,
    uses_own_network,
)
from ..errors import UserError
from ..files import file_sha256
from ..inference.content import ContentFiller
from ..structures import LayeredScene
from ..systems import find_step
from ..visualization.layers import layers_overview
from .decompose import decompose_scenes
from .detector import Detector
from .explanation import README, README_FILE
from .mask_sources import MaskedPhoto, MaskSource, open_masks
from .photos import list_photos, output_names, read_photo
from .scene_folder import check_replaceable, is_layered_scene, save_layered_scene

OVERVIEW_FILE = "overview.png"
# What needs no training.
_METHOD = "convex_r"
# Photos that share the networks' batches.
_PHOTOS_PER_STEP = 8


@dataclass(frozen=True)
class DecompositionJob:
    """What to decompose, and how.

    Attributes:
        image: a photo, or a folder of photos.
        output: folder to write. Of one photo it is the decomposition itself; of a folder of photos
            it holds one decomposition per photo.
        masks: see ``open_masks``; or None, with ``detector`` set.
        detector, detector_weights: config and weights of an instance-segmentation network.
        method: one of ``deoccluder.accepted_methods()``; None: the config's, and "convex_r"
            without a config file.
        config_file, weights: of the order's and the masks' network; weights None for the config's
            ``MODEL.WEIGHTS``.
        content_config, content_weights: likewise of the colours' network; None: what
            ``DEOCCLUSION.CONTENT`` says, which is OpenCV's inpainting unless the config has more.
        opts: alternating config keys and values, for all these configs.
        things_only: leave out COCOA's regions of stuff.
        overwrite: decompose again what is already there.
        skip_invalid: count photos that cannot be used, instead of stopping at the first one.
    """

    image: str
    output: str
    masks: str | None = None
    detector: str | None = None
    detector_weights: str | None = None
    method: str | None = None
    config_file: str | None = None
    weights: str | None = None
    content_config: str | None = None
    content_weights: str | None = None
    opts: tuple[str, ...] = ()
    things_only: bool = False
    overwrite: bool = False
    skip_invalid: bool = False


@dataclass
class JobResult:
    """What a job did.

    Attributes:
        written: folders of decompositions.
        already_there: folders of those that were there before, and were left alone.
        invalid: one line for every photo that was skipped.
    """

    written: list[Path] = field(default_factory=list)
    already_there: list[Path] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


def decompose_photos(job: DecompositionJob, say: Callable[[str], None] = print) -> JobResult:
    """Run a job. Every decomposition appears complete; those before an error are kept.

    Args:
        say: gets lines for the user: which methods are used.

    Raises:
        UserError: one line naming the option, file or config key.
    """
    result = JobResult()
    photos = list_photos(job.image)
    waiting = []
    for photo, folder in zip(photos, _folders(job, photos), strict=True):
        if is_layered_scene(folder) and not job.overwrite:
            result.already_there.append(folder)
        else:
            check_replaceable(folder)
            waiting.append((photo, folder))
    if not waiting:
        return result
    tools = _Tools.of(job)
    say(tools.text)
    with tqdm(total=len(waiting), unit="photo", disable=len(photos) == 1) as bar:
        for start in range(0, len(waiting), _PHOTOS_PER_STEP):
            _step(job, tools, waiting[start : start + _PHOTOS_PER_STEP], result, bar)
    return result


def _step(
    job: DecompositionJob,
    tools: _Tools,
    photos: Sequence[tuple[Path, Path]],
    result: JobResult,
    bar: tqdm,
) -> None:
    """Some photos. Those before one that cannot be used are written before the error is raised."""
    ready: list[tuple[MaskedPhoto, Path]] = []
    failure = None
    for path, folder in photos:
        try:
            ready.append((_masked_photo(path, tools.masks), folder))
        except UserError as error:
            if not job.skip_invalid:
                failure = error
                break
            result.invalid.append(str(error))
            bar.update()
    for layered, (photo, folder) in zip(tools.decompose(ready), ready, strict=True):
        overview = layers_overview(layered, photo.scene.image)
        save_layered_scene(layered, folder, {OVERVIEW_FILE: overview, README_FILE: README})
        result.written.append(folder)
        bar.update()
    if failure is not None:
        raise failure


def _masked_photo(path: Path, masks: MaskSource) -> MaskedPhoto:
    photo = masks(path, read_photo(path))
    if all(mask.is_empty for mask in photo.scene.modal_masks):
        raise UserError(f"{path}: there is no object in it, by its masks: nothing to decompose")
    return photo


def _folders(job: DecompositionJob, photos: Sequence[Path]) -> list[Path]:
    output = Path(job.output)
    if not Path(job.image).is_dir():
        return [output]
    if is_layered_scene(output):
        raise UserError(f"{output}: is a decomposition of one photo; name another folder")
    return [output / name for name in output_names(photos)]


@dataclass
class _Tools:
    """The methods of a job.

    Attributes:
        text: names them, in a line.
    """

    masks: MaskSource
    deoccluder: Deoccluder
    content: ContentFiller
    dilation: int
    description: dict[str, Any]
    text: str

    @classmethod
    def of(cls, job: DecompositionJob) -> _Tools:
        _check_options(job)
        description: dict[str, Any] = {}
        if job.config_file or (job.method is not None and uses_network(job.method)):
            settings = method_config(job.method, job.config_file, job.weights, job.opts)
            method = method_name(settings.DEOCCLUSION.COMPLETION)
            description["method"] = method
            deoccluder = Deoccluder.from_config(settings)
            if uses_own_network(settings):
                description |= _weights("weights", settings)
        else:
            settings = load_config(None, job.opts)
            method = job.method or _METHOD
            description["method"] = method
            deoccluder = Deoccluder.baseline(method)
        content, text, of_content = _content(job, settings)
        return cls(
            _mask_source(job, settings.DEOCCLUSION.MIN_SCORE, deoccluder.uses_category),
            deoccluder,
            content,
            settings.DEOCCLUSION.CONTENT_DILATION,
            {**description, **of_content, **deoccluder.describe()},
            f"order and amodal masks by {method}, content by {text}",
        )

    def decompose(self, photos: Sequence[tuple[MaskedPhoto, Path]]) -> Iterator[LayeredScene]:
        scenes = [photo.scene for photo, _ in photos]
        names = [photo.categories for photo, _ in photos]
        results = self.deoccluder(scenes)
        layered = decompose_scenes(scenes, results, self.content, names, self.dilation)
        for scene in layered:
            scene.description = {**self.description, **scene.description}
            yield scene


def _check_options(job: DecompositionJob) -> None:
    if (job.masks is None) == (job.detector is None):
        raise UserError("name either --masks or --detector")
    if job.detector_weights and not job.detector:
        raise UserError("--detector-weights needs --detector")
    if job.content_weights and not job.content_config:
        raise UserError("--content-weights needs --content-config")
    if job.weights and not job.config_file:
        raise UserError("--weights needs --config-file")
    if len(job.opts) % 2:
        raise UserError(f"config overrides are KEY VALUE pairs, {' '.join(job.opts)!r} is not")


def _content(job: DecompositionJob, cfg) -> tuple[ContentFiller, str, dict[str, str]]:
    """What fills in the colours, its name for people, and its weights."""
    if job.content_config:
        chosen = ["MODEL.WEIGHTS", job.content_weights] if job.content_weights else []
        cfg = load_config(job.content_config, [*job.opts, *chosen])
    name, of_network = content_source(cfg)
    if job.content_config and of_network is None:
        raise UserError(
            f"--content-config {job.content_config}: {cfg.MODEL.META_ARCHITECTURE} fills in no "
            "colours; name a config of a network that does, such as configs/pcnet_c_coco.yaml"
        )
    text = find_step("content", name)[1].text or name
    if of_network is None:
        text += " (--content-config names a network)"
    return build_content(cfg), text, _weights("content_weights", of_network) if of_network else {}


def _mask_source(job: DecompositionJob, min_score: float, needs_category: bool) -> MaskSource:
    if job.detector is None:
        return open_masks(job.masks, min_score, job.things_only)
    return Detector.from_files(
        job.detector, job.detector_weights, job.opts, min_score, needs_category
    )


def _weights(key: str, cfg) -> dict[str, str]:
    """Name and checksum of the weights of a config whose network has been loaded."""
    from detectron2.utils.file_io import PathManager

    weights = Path(PathManager.get_local_path(cfg.MODEL.WEIGHTS))
    return {key: weights.name, f"{key}_sha256": file_sha256(weights)}

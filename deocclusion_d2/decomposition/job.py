"""Decomposes a photo or a folder of photos: reads, de-occludes, completes, writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fvcore.common.config import CfgNode

from ..chosen_steps import build_content, content_source, uses_own_network
from ..config import default_of, flatten, load_config
from ..deoccluder import Deoccluder
from ..errors import UserError
from ..files import file_sha256, hash_of
from ..inference.content import ContentFiller
from ..inference.network_server import NetworkServer, serve
from ..methods import (
    NO_COMPLETION,
    WHOLE_OBJECTS_ORDERING,
    method_config,
    method_name,
    uses_default_network,
    uses_network,
    with_steps,
)
from ..outputs import Inputs, files_in_name
from ..pretrained import DEFAULT
from ..progress import Progress, counting
from ..structures import LayeredScene, OverlapSummary, Scene
from ..systems import find_step, system_of
from ..unfinished import clean_leftovers
from ..version import SAME_RESULTS_SINCE
from ..visualization.layers import layered_samples_sheet, layers_overview
from ..workers import map_in_order, worker_count
from .decompose import decompose_scenes
from .detector import Detector, detected_view, detector_config
from .explanation import README, README_FILE
from .mask_sources import MaskedPhoto, MaskSource, open_masks
from .photos import list_photos, output_names, read_photo
from .scene_folder import (
    PHOTO_KEY,
    SETTINGS_KEY,
    check_replaceable,
    check_request,
    is_layered_scene,
    save_layered_scene,
)

OVERVIEW_FILE = "overview.png"
SAMPLES_FILE = "samples.png"
REGIONS_FILE = "regions.png"
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
        method: one of ``deoccluder.accepted_methods()``; None for the config's.
        config_file, weights: of the order's and the masks' network; see ``method_config``.
        content_config, content_weights: likewise of the colours' network; None: what
            ``DEOCCLUSION.CONTENT`` says, which is the smooth fill unless the config has more.
        opts: alternating config keys and values, for all these configs.
        things_only: leave out COCOA's regions of stuff.
        overwrite: decompose again what is already there.
        skip_invalid: count photos that cannot be used, and finished scenes that were made of
            something else, instead of stopping at the first one.
        num_workers: processes that decompose photos; None for one per core. They change no result.
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
    num_workers: int | None = None

    def inputs(self) -> Inputs:
        """The files that are read."""
        given = (self.detector, self.detector_weights, self.config_file, self.weights)
        content = (self.content_config, self.content_weights)
        return Inputs([*list_photos(self.image), *files_in_name(self.masks), *given, *content])

    def folders(self) -> list[tuple[Path, Path]]:
        """Every photo, and the folder of its decomposition.

        Raises:
            UserError: there is no photo, or ``output`` is a decomposition of one of several.
        """
        photos, output = list_photos(self.image), Path(self.output)
        if not Path(self.image).is_dir():
            return [(photos[0], output)]
        if is_layered_scene(output):
            raise UserError(f"{output}: is a decomposition of one photo; name another folder")
        return [(p, output / n) for p, n in zip(photos, output_names(photos), strict=True)]


@dataclass
class JobResult:
    """What a job did.

    Attributes:
        written: folders of decompositions.
        already_there: folders of those that were there before, and were left alone.
        invalid: one line for every photo that was skipped.
        overlaps: of the masks of what was written; None when none of them overlap.
        info: the methods, thresholds and checksums of weights of what was written.
    """

    written: list[Path] = field(default_factory=list)
    already_there: list[Path] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    overlaps: OverlapSummary | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-able, for programs that go on with the folders."""
        kinds = {
            "written": [str(folder) for folder in self.written],
            "already_there": [str(folder) for folder in self.already_there],
        }
        counts = {kind: len(folders) for kind, folders in kinds.items()}
        overlaps = {} if self.overlaps is None else {"overlaps": self.overlaps.to_json()}
        return {
            **kinds,
            "counts": {**counts, "skipped": len(self.invalid)},
            "info": {**self.info, **overlaps},
            "warnings": [f"skipped: {line}" for line in self.invalid],
        }

    def add(self, other: JobResult) -> None:
        self.written += other.written
        self.already_there += other.already_there
        self.invalid += other.invalid
        self.overlaps = _sum(self.overlaps, other.overlaps)


def decompose_photos(
    job: DecompositionJob,
    say: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> JobResult:
    """Run a job. Every decomposition appears complete; those before an error are kept.

    Args:
        say: gets lines for the user: which methods are used.
        progress: called with the photos that are done, skipped ones among them, and the number of
            those that are to be decomposed, in place of a bar on stderr. What it raises ends the
            job; decompositions that are complete are kept then.

    Raises:
        UserError: one line naming the option, file or config key.
    """
    result = JobResult()
    _check_options(job)
    planned = job.folders()
    _check_outputs(job, planned)
    finished, waiting = [], []
    for photo, folder in planned:
        if is_layered_scene(folder) and not job.overwrite:
            finished.append((photo, folder))
        else:
            check_replaceable(folder)
            waiting.append((photo, folder))
    tools = _Tools.of(job)
    result.info = {**tools.description, **tools.content.describe()}
    for photo, folder in finished:
        try:
            masked = None if job.detector else _masked_photo(photo, tools.masks)
            check_request(folder, tools.request(photo, masked))
            result.already_there.append(folder)
        except UserError as error:
            if not job.skip_invalid:
                raise
            result.invalid.append(str(error))
    if not waiting:
        return result
    say(tools.text)
    if tools.deoccluder.needs_calibration and job.detector is None:
        photos = [photo for photo, _ in planned]
        tools = tools.calibrated(photos, worker_count(job.num_workers, parts=len(photos)))
    workers = worker_count(job.num_workers, parts=len(waiting))
    if workers and tools.masks.is_on_gpu:
        workers = 0
    size = min(_PHOTOS_PER_STEP, math.ceil(len(waiting) / max(workers, 1)))
    steps = [waiting[start : start + size] for start in range(0, len(waiting), size)]
    with (
        counting(len(waiting), progress, unit="photo", disable=len(planned) == 1) as count,
        tools.serve(workers) as server,
        closing(map_in_order(_Work(job, tools, server), steps, workers)) as done,
    ):
        for of_step in done:
            result.add(of_step)
            count(len(of_step.written) + len(of_step.invalid))
    return result


def _check_outputs(job: DecompositionJob, planned: Sequence[tuple[Path, Path]]) -> None:
    """No output holds an input; what killed runs have left is removed."""
    inputs = job.inputs()
    for folder in {folder.parent for _, folder in planned}:
        clean_leftovers(folder, {f.name for _, f in planned if f.parent == folder})
    for _, folder in planned:
        held = inputs.inside(folder) if is_layered_scene(folder) else None
        if held is not None:
            raise UserError(f"{held} lies in {folder}, the output: name another folder as --output")


@dataclass
class _Work:
    """Decomposes some photos, in any process.

    Attributes:
        server: of networks that the workers share.
    """

    job: DecompositionJob
    tools: _Tools
    server: NetworkServer | None

    def __call__(self, photos: Sequence[tuple[Path, Path]]) -> JobResult:
        """Those before one that cannot be used are written before its error is raised."""
        job, tools, result = self.job, self.tools, JobResult()
        ready: list[tuple[Path, MaskedPhoto, Path]] = []
        failure = None
        for path, folder in photos:
            try:
                ready.append((path, _masked_photo(path, tools.masks), folder))
            except UserError as error:
                if not job.skip_invalid:
                    failure = error
                    break
                result.invalid.append(str(error))
        decomposed = zip(tools.decompose([photo for _, photo, _ in ready]), ready, strict=True)
        for (layered, overlaps), (path, photo, folder) in decomposed:
            overview = layers_overview(layered, photo.scene.image)
            further = {OVERVIEW_FILE: overview, README_FILE: README}
            if any(layer.samples for layer in layered.layers):
                further[SAMPLES_FILE] = layered_samples_sheet(layered, photo.scene.image)
            if photo.regions is not None:
                further[REGIONS_FILE] = photo.regions
            request = tools.request(path, None if job.detector else photo)
            layered.description[PHOTO_KEY] = request[PHOTO_KEY]
            save_layered_scene(layered, folder, further, job.overwrite, request)
            result.written.append(folder)
            result.overlaps = _sum(result.overlaps, overlaps)
        if failure is not None:
            raise failure
        return result

    def enter_worker(self, number: int) -> None:
        if self.server is not None:
            self.server.enter_worker(number)


def _sum(first: OverlapSummary | None, second: OverlapSummary | None) -> OverlapSummary | None:
    """Of two; None where there are none."""
    return first + second if first is not None and second is not None else first or second


def _masked_photo(path: Path, masks: MaskSource) -> MaskedPhoto:
    photo = masks(path, read_photo(path))
    if all(mask.is_empty for mask in photo.scene.modal_masks):
        raise UserError(f"{path}: there is no object in it, by its masks: nothing to decompose")
    return photo


@dataclass
class _Scenes:
    """Reads the scenes of photos whose masks are given."""

    masks: MaskSource
    photos: Sequence[Path]

    def __call__(self, numbers: Sequence[int]) -> list[Scene]:
        scenes = []
        for number in numbers:
            path = self.photos[number]
            # What is wrong with a photo is said when its turn comes.
            with suppress(UserError):
                scenes.append(self.masks(path, read_photo(path)).scene)
        return scenes


@dataclass
class _Tools:
    """The methods of a job.

    Attributes:
        description: of the order's, the masks' and the colours' method, for graph.json.
        settings: all that decides a scene beside its photo and masks, JSON-able.
        text: names them, in a line.
    """

    masks: MaskSource
    deoccluder: Deoccluder
    content: ContentFiller
    dilation: int
    inset: int
    description: dict[str, Any]
    settings: dict[str, Any]
    text: str

    @classmethod
    def of(cls, job: DecompositionJob) -> _Tools:
        description: dict[str, Any] = {}
        source = ""
        whole = _detector_of_whole_objects(job)
        if whole is not None or _wants_network(job):
            if whole is None:
                settings = method_config(job.method, job.config_file, job.weights, job.opts)
            else:
                settings = _ordering_alone(job, whole)
            method = method_name(settings.DEOCCLUSION.COMPLETION)
            description["method"] = method
            deoccluder = Deoccluder.from_config(settings)
            if uses_own_network(settings):
                if settings is whole:
                    source = " of the detector"
                elif uses_default_network(job.method, job.config_file, job.weights):
                    source = f" of the network {DEFAULT!r}, which comes with this package"
                description |= _weights("weights", settings)
        else:
            settings = load_config(None, job.opts)
            description["method"] = method = job.method
            deoccluder = Deoccluder.baseline(
                method, settings.DEOCCLUSION.OVERLAPS, settings.DEOCCLUSION.GAP
            )
        content, text, of_content, content_settings = _content(job, settings)
        description |= {**of_content, **deoccluder.describe()}
        masks = _mask_source(job, settings.DEOCCLUSION.MIN_SCORE, deoccluder.uses_category)
        order = f"order and amodal masks by {method}{source}"
        if whole is not None:
            description["detected"] = "amodal"
            ordering = settings.DEOCCLUSION.ORDERING
            order = f"amodal masks by the detector, order by {ordering}{source}"
        dilation, inset = settings.DEOCCLUSION.CONTENT_DILATION, settings.DEOCCLUSION.CONTENT_INSET
        wanted = {
            **description,
            **content.describe(),
            "content_dilation": dilation,
            "edge_inset": inset,
        }
        return cls(
            masks,
            deoccluder,
            content,
            dilation,
            inset,
            description,
            {
                # Weights are known by their content.
                **{k: v for k, v in wanted.items() if f"{k}_sha256" not in wanted},
                **_of_detector(job),
                SETTINGS_KEY: _settings_sha256(settings, content_settings),
            },
            f"{order}, content by {text}",
        )

    def calibrated(self, photos: Sequence[Path], workers: int) -> _Tools:
        """These for a folder of photos, of which the masks are given.

        Finished scenes count too: who goes on finds what a run in one go would have found.
        """
        read = _Scenes(self.masks, photos)
        deoccluder = self.deoccluder.calibrated(
            self.deoccluder.calibration(read, len(photos), workers)
        )
        description = {**self.description, **deoccluder.describe()}
        return replace(self, deoccluder=deoccluder, description=description)

    def serve(self, workers: int) -> AbstractContextManager[NetworkServer | None]:
        """Let workers use the networks; see ``inference.network_server.serve``."""
        return serve([*self.deoccluder.runners, *self.content.runners], workers)

    def request(self, path: Path, photo: MaskedPhoto | None) -> dict[str, Any]:
        """All that decides a photo's scene; of a detector's masks what makes them."""
        masks = {} if photo is None else {"masks_sha256": _masks_sha256(photo)}
        version = {"version": SAME_RESULTS_SINCE}
        return {PHOTO_KEY: file_sha256(path), **masks, **self.settings, **version}

    def decompose(
        self, photos: Sequence[MaskedPhoto]
    ) -> Iterator[tuple[LayeredScene, OverlapSummary | None]]:
        scenes = [photo.scene for photo in photos]
        names = [photo.categories for photo in photos]
        results = self.deoccluder(scenes)
        layered = decompose_scenes(scenes, results, self.content, names, self.dilation, self.inset)
        for scene, result in zip(layered, results, strict=True):
            scene.description = {**self.description, **scene.description}
            yield scene, result.ownership.summary() if result.ownership else None


def _check_options(job: DecompositionJob) -> None:
    if (job.masks is None) == (job.detector is None):
        raise UserError("name either --masks or --detector")
    if job.detector_weights and not job.detector:
        raise UserError("--detector-weights needs --detector")
    if job.content_weights and not job.content_config:
        raise UserError("--content-weights needs --content-config")
    if job.weights and not job.config_file and not (job.method is None or uses_network(job.method)):
        raise UserError(f"--method {job.method} uses no network: leave out --weights")
    if len(job.opts) % 2:
        raise UserError(f"config overrides are KEY VALUE pairs, {' '.join(job.opts)!r} is not")


def _content(job: DecompositionJob, cfg) -> tuple[ContentFiller, str, dict[str, str], CfgNode]:
    """What fills in the colours, its name for people, its weights, and its config."""
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
    weights = {} if of_network is None else _weights("content_weights", of_network)
    return build_content(cfg), text, weights, cfg if of_network is None else of_network


def _mask_source(job: DecompositionJob, min_score: float, needs_category: bool) -> MaskSource:
    if job.detector is None:
        return open_masks(job.masks, min_score, job.things_only)
    return Detector.from_files(
        job.detector, job.detector_weights, job.opts, min_score, needs_category
    )


def _wants_network(job: DecompositionJob) -> bool:
    """Whether order and masks are a network's."""
    return bool(job.config_file) or job.method is None or uses_network(job.method)


def _detector_of_whole_objects(job: DecompositionJob) -> CfgNode | None:
    """The config of a detector whose masks are amodal; None for any other source of masks."""
    if job.detector is None:
        return None
    cfg = detector_config(job.detector, job.detector_weights, job.opts)
    return cfg if detected_view(cfg) == "amodal" else None


def _ordering_alone(job: DecompositionJob, detector: CfgNode) -> CfgNode:
    """What orders the whole objects of a detector; nothing is completed.

    It is what the user names, a config or an ordering; else the detector's own ordering, or a rule.

    Returns:
        A config; ``detector`` itself, changed in place, where its network does it.

    Raises:
        UserError: a completion is named.
    """
    named = dict(zip(job.opts[::2], job.opts[1::2], strict=False))
    completion = named.get("DEOCCLUSION.COMPLETION", NO_COMPLETION)
    if job.method not in (None, NO_COMPLETION) or completion != NO_COMPLETION:
        option = "--method" if job.method is not None else "DEOCCLUSION.COMPLETION"
        raise UserError(
            f"{option}: the detector has learned amodal masks, which are not completed; leave it "
            "out, or say that they are modal: DEOCCLUSION.DETECTED modal"
        )
    ordering = named.get("DEOCCLUSION.ORDERING")
    own = system_of(detector).network.own_ordering(detector)
    if own and ordering in (None, own) and not (job.config_file or job.weights):
        detector.merge_from_other_cfg(with_steps(detector, own, NO_COMPLETION, job.opts[::2]))
        return detector
    cfg = method_config(None, job.config_file, job.weights, job.opts)
    if ordering is None and not (job.config_file or job.weights):
        ordering = WHOLE_OBJECTS_ORDERING
    return with_steps(cfg, ordering, NO_COMPLETION, job.opts[::2])


def _weights(key: str, cfg) -> dict[str, str]:
    """Name and checksum of the weights of a config whose network has been loaded."""
    from detectron2.utils.file_io import PathManager

    weights = Path(PathManager.get_local_path(cfg.MODEL.WEIGHTS))
    return {key: weights.name, f"{key}_sha256": file_sha256(weights)}


# -------------------------------------------------------------------- what decides a scene


def _masks_sha256(photo: MaskedPhoto) -> str:
    """Of the masks of one photo as they were read, whatever file they are from."""
    scene = photo.scene
    size = (scene.height, scene.width)
    objects = [
        [mask.to_rle(*size), int(category_id), name, instance_id]
        for mask, category_id, name, instance_id in zip(
            scene.modal_masks, scene.category_ids, photo.categories, scene.instance_ids, strict=True
        )
    ]
    return hash_of([*size, objects])


def _settings_sha256(*configs: CfgNode) -> str:
    """Of what configs change of the defaults: keys that a later version adds do not count."""
    return hash_of(
        [
            {
                key: value
                for key, value in flatten(cfg)
                if key.split(".")[0] in ("DEOCCLUSION", "INPUT", "MODEL", "TEST")
                and key not in ("MODEL.WEIGHTS", "MODEL.DEVICE", "DEOCCLUSION.DETECTED")
                and value != default_of(key)
            }
            for cfg in configs
        ]
    )


def _of_detector(job: DecompositionJob) -> dict[str, Any]:
    """What decides a detector's masks; nothing where they are from a file."""
    if job.detector is None:
        return {}
    cfg = detector_config(job.detector, job.detector_weights, job.opts)
    weights = _weights("detector_weights", cfg)
    return {
        "detector_sha256": _settings_sha256(cfg),
        "detector_weights_sha256": weights["detector_weights_sha256"],
    }

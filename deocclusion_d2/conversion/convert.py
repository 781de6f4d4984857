"""A file of modal annotations -> pseudo-amodal COCO JSON, by one process or many.

Every process of a group reads the index of the input, takes every W-th shard, gives parts of it to
its workers, and writes what they have finished; when all shards are there, the first process puts
them together.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import launch
from ..deoccluder import Deoccluder
from ..errors import UserError
from ..inference.calibration import RequestCalibration
from ..inference.steps import require_known_ids
from ..pretrained import DEFAULT
from ..progress import Progress, counting
from ..structures import Scene
from ..version import SAME_RESULTS_SINCE, __version__
from ..workers import map_in_order, worker_count
from .annotations import INSTANCES_AT_ONCE, ShardReader, convert_shard
from .check import bridged_gap, first_look
from .document_index import DocumentIndex, read_index
from .input_file import InputFile
from .job import ConversionJob, Method
from .merge import merge
from .predicted_input import PredictedInput
from .shards import ShardFolder, ShardPart, ShardPlan, split_shard
from .tally import Tally
from .writers import WRITERS

if TYPE_CHECKING:
    from ..inference.network_server import NetworkServer

T = TypeVar("T")


@dataclass
class ConversionResult:
    """What a conversion did.

    Attributes:
        output: the file that was written, or the folder or address of several.
        tally: the numbers; all 0 in processes of a group but the first.
        info: what the output says about its conversion (``info.deocclusion``).
        warnings: what is odd about the input as a whole, a line each.
    """

    output: Path | str
    tally: Tally = field(default_factory=Tally)
    info: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """JSON-able, for programs that go on with the output."""
        return {
            "written": [str(self.output)],
            "counts": self.tally.counts(),
            "info": self.info,
            "warnings": self.warnings,
            "skipped": self.tally.skipped_reasons(),
            "assumed": dict(self.tally.assumed.counts),
        }


def convert(
    job: ConversionJob,
    deoccluder: Deoccluder | None = None,
    writer: str = "coco",
    progress: Progress | None = None,
) -> ConversionResult:
    """Convert a file; called by every process of a group, or by one alone.

    Args:
        job: the same in all processes.
        deoccluder: used instead of the one that the job describes.
        writer: a name of ``WRITERS``, the format of the output.
        progress: called with the instances that are done and their total (crowd regions among
            them) of the first process's share, there, in place of a bar on stderr. What it raises
            ends the conversion: there is no output then, finished shards stay for the next run.

    Raises:
        UserError: in all processes, when one of them meets it; likewise.
    """
    start = time.perf_counter()
    main = launch.is_main_process()

    def prepare() -> tuple[DocumentIndex | PredictedInput | None, Method]:
        job.check()
        WRITERS.find(writer)
        source = _read_input(job.input_file(job.score_threshold() if job.images_from else None))
        if deoccluder is not None:
            method = Method(deoccluder, {"method": job.method, **deoccluder.describe()})
        else:
            method = Method.build(job)
        if source is not None:
            ids, steps = list(source.category_ids), getattr(method.deoccluder, "steps", ())
            require_known_ids(ids, lambda row: source.place_of_category(ids[row]), steps)
        return source, method

    source, method = _together(prepare)
    if main and method.uses_default_network:
        print(f"network: {DEFAULT!r}, which comes with this package (others: --config-file)")
    info = {"version": __version__, **_describe(job, source), **method.settings}
    folder = ShardFolder(job.shard_folder)

    def open_folder() -> None:
        if main:
            fingerprint = {k: v for k, v in info.items() if k not in ("input", "images_from")}
            fingerprint |= {"version": SAME_RESULTS_SINCE}
            fingerprint |= {"input_size": source.size, "shard_size": job.shard_size}
            older = {**fingerprint, "config": method.config_of_0_1}
            folder.open({**fingerprint, "config": method.config}, job.overwrite, (older,))
            if job.images_from and not folder.modal_json.exists():
                source.write(folder.modal_json, show_bar=progress is None)

    _together(open_folder)
    index = source
    if job.images_from:
        index = _together(lambda: read_index(folder.modal_json, "coco"))
    plan = ShardPlan.make(
        index.image_of_item, index.instances_of_item, index.num_images, job.shard_size
    )
    calibration = _together(lambda: _calibrate(job, index, folder, method.deoccluder))
    deoccluder = method.deoccluder
    calibration = launch.all_gather(calibration)[0]
    if calibration is not None:
        deoccluder = deoccluder.calibrated(calibration)
        info |= deoccluder.describe()
    alone = _together(lambda: _say_what_to_expect(job, index, deoccluder))
    done_now = _together(
        lambda: _convert_own_shards(job, index, plan, folder, deoccluder, progress)
    )
    done_now = sum(launch.gather(done_now))
    result = ConversionResult(job.output)
    total = result.tally

    def finish() -> None:
        if not main:
            return
        total.add(source.tally if job.images_from else index.skipped)
        for number in range(len(plan)):
            header = folder.header(number)
            if header is None:
                raise UserError(
                    f"{folder.shard(number)} is missing: do all machines share this folder?"
                )
            total.add(Tally.from_dict(header["tally"]))
        if total.overlaps is not None:
            info["overlaps"] = total.overlaps.to_json()
        merge(index, plan, folder, info, job.output, WRITERS[writer])
        folder.remove()
        print(total.table(time.perf_counter() - start, done_now))
        print(f"written: {job.output}")
        result.info = info
        # Said when it was read.
        doubt = None if job.images_from else index.doubt
        result.warnings += [f"{job.input}: {line}" for line in (doubt, alone) if line]
        for line in total.oddities():
            result.warnings.append(f"{job.input}: {line}")
            print(f"warning: {result.warnings[-1]}", file=sys.stderr)

    _together(finish)
    return result


def _read_input(file: InputFile) -> DocumentIndex | PredictedInput | None:
    """Read and check the input. Predictions are for the first process alone; others get None."""
    main = launch.is_main_process()
    if file.images_from is not None and not main:
        return None
    source = file.read_document() if file.images_from is None else file.read_predictions()
    if main:
        if isinstance(source, DocumentIndex) and source.doubt:
            file.warn(source.doubt)
        print(file.headline(source))
    return source


def _say_what_to_expect(
    job: ConversionJob, index: DocumentIndex, deoccluder: Deoccluder
) -> str | None:
    """Three lines, by the first process alone. Returns the warning where nothing touches."""
    if not launch.is_main_process():
        return None
    report = first_look(index, job.images_from is not None, bridged_gap(deoccluder.describe()))
    print("\n".join(report.opening()))
    alone = report.not_touching()
    if alone:
        job.input_file(None).warn(alone)
    return alone


def _describe(job: ConversionJob, source: DocumentIndex | PredictedInput | None) -> dict[str, Any]:
    """What the output says about its input; nothing in processes that do not write it."""
    if source is None:
        return {}
    about = {"input": job.input.name, "input_sha256": source.sha256}
    if job.segmentation != "rle":
        about["segmentation"] = job.segmentation
    if isinstance(source, DocumentIndex):
        return {**about, "format": source.format.name}
    return {
        **about,
        "format": "coco_results",
        "images_from": job.images_from.name,
        "images_from_sha256": source.images.sha256,
        "min_score": job.score_threshold(),
    }


def _calibrate(
    job: ConversionJob, index: DocumentIndex, folder: ShardFolder, deoccluder: Deoccluder
) -> RequestCalibration | None:
    """What the first process measures on the input, or has measured in an earlier run.

    None in other processes, and where the method measures nothing.
    """
    if not launch.is_main_process() or not deoccluder.needs_calibration:
        return None
    found = folder.calibration()
    if found is None:
        # Errors come when it is converted.
        read = _Scenes.of(_reader(job, index, deoccluder, skip_invalid=True))
        workers = worker_count(job.num_workers, parts=len(read.items))
        found = deoccluder.calibration(read, len(read.items), workers)
        folder.save_calibration(found)
    return found


@dataclass
class _Scenes:
    """Reads the scenes of an input's images, without what cannot be used in them.

    Attributes:
        items: of each image that has some.
    """

    reader: ShardReader
    items: list[np.ndarray]

    @classmethod
    def of(cls, reader: ShardReader) -> _Scenes:
        image_of_item = reader.index.image_of_item
        order = np.argsort(image_of_item, kind="stable")
        images, starts = np.unique(image_of_item[order], return_index=True)
        # Of no items there is no part.
        parts = np.split(order, starts)[1:]
        used = [part for image, part in zip(images, parts, strict=True) if image >= 0]
        return cls(reader, used)

    def __call__(self, numbers: Sequence[int]) -> list[Scene]:
        read = (self.reader.read(self.items[number]) for number in numbers)
        return [image.scene for of_image in read for image in of_image.images]


def _reader(
    job: ConversionJob, index: DocumentIndex, deoccluder: Deoccluder, skip_invalid: bool
) -> ShardReader:
    image_root = job.input_file(None).photo_folder if deoccluder.uses_rgb else None
    return ShardReader(index, image_root, skip_invalid, job.images_from)


@dataclass
class _Work:
    """Reads and converts a part of a shard, in any process.

    Attributes:
        server: of a network that the workers share.
    """

    reader: ShardReader
    deoccluder: Deoccluder
    server: NetworkServer | None
    as_polygons: bool

    def __call__(self, part: ShardPart) -> tuple[Tally, list[tuple[int, str]]]:
        read = self.reader.read(part.items)
        lines = list(
            convert_shard(read, self.deoccluder, self.reader.index.format, self.as_polygons)
        )
        return read.tally, lines

    def enter_worker(self, number: int) -> None:
        if self.server is not None:
            self.server.enter_worker(number)


def _convert_own_shards(
    job: ConversionJob,
    index: DocumentIndex,
    plan: ShardPlan,
    folder: ShardFolder,
    deoccluder: Deoccluder,
    progress: Progress | None,
) -> int:
    """Convert this process's share of the shards. Returns the instances converted."""
    rank, world = launch.rank(), launch.world_size()
    reader = _reader(job, index, deoccluder, job.skip_invalid)
    own = range(rank, len(plan), world)
    items = {n: shard for n, shard in enumerate(plan.items_by_shard()) if n in own}
    todo = [number for number in own if not _is_finished(folder, number, job.skip_invalid)]
    instances = int(plan.instances[own].sum())
    parts = [
        part
        for number in todo
        for part in split_shard(
            number, items[number], plan.image_of_item, index.instances_of_item, INSTANCES_AT_ONCE
        )
    ]
    # Shards may be small, and then their parts are no reason for a worker.
    worth = math.ceil(sum(part.instances for part in parts) / INSTANCES_AT_ONCE)
    workers = worker_count(job.num_workers, launch.local_size(), min(worth, len(parts)))
    converted = 0
    as_polygons = job.segmentation == "polygons"
    with counting(
        instances,
        progress if rank == 0 else None,
        instances - int(plan.instances[todo].sum()),
        desc="converting" if world == 1 else f"converting (process 1 of {world})",
        unit="inst",
        disable=rank != 0,
    ) as count:
        try:
            with (
                deoccluder.serve(workers) as server,
                contextlib.closing(
                    map_in_order(_Work(reader, deoccluder, server, as_polygons), parts, workers)
                ) as results,
            ):
                converted = _write_shards(folder, parts, results, count)
        except Exception:
            # On a full disk the others find out for themselves.
            with contextlib.suppress(OSError):
                folder.ask_to_stop()
            raise
    return converted


def _write_shards(
    folder: ShardFolder,
    parts: Sequence[ShardPart],
    results: Iterator[tuple[Tally, list[tuple[int, str]]]],
    progress: Callable[[int], object],
) -> int:
    """Put the parts of each shard together. Returns the instances of those that were written."""
    converted = 0
    tally, lines = Tally(), []
    for part, (of_part, lines_of_part) in zip(parts, results, strict=True):
        tally.add(of_part)
        lines += lines_of_part
        progress(part.instances)
        if not part.is_last:
            continue
        lines.sort()
        folder.write(part.shard, {"tally": tally.to_dict()}, (line for _, line in lines))
        converted += tally.instances
        tally, lines = Tally(), []
        if folder.asked_to_stop():
            break
    return converted


def _is_finished(folder: ShardFolder, number: int, skip_invalid: bool) -> bool:
    """Whether a shard of an earlier run can stay: not if it skipped what must now be an error, nor
    that of version 0.3 or older, whose annotations have no ``attributes``.
    """
    header = folder.header(number)
    if header is None or "attributes_left" not in header["tally"]:
        return False
    return skip_invalid or not header["tally"]["skipped"]


def _together(action: Callable[[], T]) -> T:
    """Do something in every process; when one of them fails, all raise its error."""
    result, error = None, None
    try:
        result = action()
    except UserError as failure:
        error = str(failure)
    # `synchronize` waits as long as the group's timeout allows, which the gather does not.
    launch.synchronize()
    errors = [e for e in launch.all_gather(error) if e is not None]
    if errors:
        raise UserError(errors[0])
    return result

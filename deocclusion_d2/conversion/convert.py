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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from tqdm import tqdm

from .. import launch
from ..deoccluder import Deoccluder
from ..errors import UserError
from ..inference.calibration import RequestCalibration
from ..structures import Scene, own_pixels
from ..version import SAME_RESULTS_SINCE, __version__
from ..workers import map_in_order, worker_count
from .annotations import ShardReader, convert_shard
from .document_index import DocumentIndex, read_index
from .job import ConversionJob, Method
from .merge import merge
from .predicted_input import PredictedInput
from .shards import ShardFolder, ShardPart, ShardPlan, split_shard
from .tally import Tally
from .writers import WRITERS

if TYPE_CHECKING:
    from ..inference.network_server import NetworkServer

T = TypeVar("T")

# Instances in one call of the deoccluder: enough patches for full batches, little enough that the
# workers end together, and a bar that moves.
_INSTANCES_AT_ONCE = 256


def convert(
    job: ConversionJob, deoccluder: Deoccluder | None = None, writer: str = "coco"
) -> Tally:
    """Convert a file; called by every process of a group, or by one alone.

    Args:
        job: the same in all processes.
        deoccluder: used instead of the one that the job describes.
        writer: a name of ``WRITERS``, the format of the output.

    Returns:
        What was done, in the first process; in the others an empty tally.

    Raises:
        UserError: in all processes, when one of them meets it. There is no output then;
            finished shards stay for the next run.
    """
    start = time.perf_counter()
    main = launch.is_main_process()

    def prepare() -> tuple[DocumentIndex | PredictedInput | None, Method]:
        job.check()
        WRITERS.find(writer)
        source = _read_input(job)
        if deoccluder is not None:
            return source, Method(deoccluder, {"method": job.method, **deoccluder.describe()})
        return source, Method.build(job)

    source, method = _together(prepare)
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
                source.write(folder.modal_json)

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
    done_now = _together(lambda: _convert_own_shards(job, index, plan, folder, deoccluder))
    done_now = sum(launch.gather(done_now))
    total = Tally()

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
        for line in total.oddities():
            print(f"warning: {job.input}: {line}", file=sys.stderr)

    _together(finish)
    return total


def _read_input(job: ConversionJob) -> DocumentIndex | PredictedInput | None:
    """Read and check the input. Predictions are for the first process alone; others get None."""
    main = launch.is_main_process()
    if job.images_from is None:
        index = read_index(job.input, job.format, job.image_root, job.skip_invalid)
        if main:
            if index.doubt:
                print(f"warning: {job.input}: {index.doubt}", file=sys.stderr)
            how = "" if job.format else " (told from its keys)"
            print(f"{job.input}: {len(index.item_places):,} items, format {index.format.name}{how}")
        return index
    if not main:
        return None
    min_score = job.score_threshold()
    predicted = PredictedInput.read(job.input, job.images_from, min_score, job.skip_invalid)
    print(
        f"{job.input}: {predicted.entries:,} predictions, {len(predicted.numbers):,} used "
        f"(score {min_score:g} or more); images of {job.images_from}"
    )
    return predicted


def _describe(job: ConversionJob, source: DocumentIndex | PredictedInput | None) -> dict[str, Any]:
    """What the output says about its input; nothing in processes that do not write it."""
    if source is None:
        return {}
    about = {"input": job.input.name, "input_sha256": source.sha256}
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
        parts = np.split(order, starts[1:])
        used = [part for image, part in zip(images, parts, strict=True) if image >= 0]
        return cls(reader, used)

    def __call__(self, numbers: Sequence[int]) -> list[Scene]:
        read = (self.reader.read(self.items[number]) for number in numbers)
        return [image.scene for of_image in read for image in of_image.images]


def _reader(
    job: ConversionJob, index: DocumentIndex, deoccluder: Deoccluder, skip_invalid: bool
) -> ShardReader:
    image_root = None
    if deoccluder.uses_rgb:
        image_root = job.image_root or (job.images_from or job.input).parent
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

    def __call__(self, part: ShardPart) -> tuple[Tally, list[tuple[int, str]]]:
        read = self.reader.read(part.items)
        lines = list(convert_shard(read, self.deoccluder, self.reader.index.format))
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
) -> int:
    """Convert this process's share of the shards. Returns the instances converted."""
    rank, world = launch.rank(), launch.world_size()
    reader = _reader(job, index, deoccluder, job.skip_invalid)
    own = range(rank, len(plan), world)
    items = {n: shard for n, shard in enumerate(plan.items_by_shard()) if n in own}
    todo = [
        number
        for number in own
        if not _is_finished(folder, number, job.skip_invalid)
        or _is_outdated(folder, number, reader, items[number], deoccluder.owns_pixels)
    ]
    instances = int(plan.instances[own].sum())
    parts = [
        part
        for number in todo
        for part in split_shard(
            number, items[number], plan.image_of_item, index.instances_of_item, _INSTANCES_AT_ONCE
        )
    ]
    # Shards may be small, and then their parts are no reason for a worker.
    worth = math.ceil(sum(part.instances for part in parts) / _INSTANCES_AT_ONCE)
    workers = worker_count(job.num_workers, launch.local_size(), min(worth, len(parts)))
    converted = 0
    with tqdm(
        total=instances,
        initial=instances - int(plan.instances[todo].sum()),
        desc="converting" if world == 1 else f"converting (process 1 of {world})",
        unit="inst",
        disable=rank != 0,
    ) as bar:
        try:
            with (
                deoccluder.serve(workers) as server,
                contextlib.closing(
                    map_in_order(_Work(reader, deoccluder, server), parts, workers)
                ) as results,
            ):
                converted = _write_shards(folder, parts, results, bar.update)
        except UserError:
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
    """Whether a shard of an earlier run can stay: not if it skipped what must now be an error."""
    header = folder.header(number)
    return header is not None and (skip_invalid or not header["tally"]["skipped"])


def _is_outdated(
    folder: ShardFolder, number: int, reader: ShardReader, items: np.ndarray, owns_pixels: bool
) -> bool:
    """Whether a version before 0.3 made a shard, and what it holds is written otherwise now.

    That is masks that share pixels, and boxes without a mask. Tallies did not count them then.
    """
    if "overlapping" in folder.header(number)["tally"]:
        return False
    scenes = [image.scene for image in reader.read(items).images]
    return any(
        (owns_pixels and own_pixels(scene.modal_masks))
        or any(mask.is_empty for mask in scene.modal_masks)
        for scene in scenes
    )


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

"""Rows -> converted rows: actors of Ray, each with its copy of the networks."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...inference.calibration import ENOUGH_SCENES, RequestCalibration, chosen_scenes
from ...json_files import dump_json
from ...workers import one_thread
from ..annotations import INSTANCES_AT_ONCE
from ..job import Method
from ..rows import ConvertedRow, ImageRow, convert_rows, scenes_reader
from .cluster import LEAST_BLOCK, room_for, telling
from .files import InputFiles, is_text
from .job import RayJob
from .reading import rows_of_file, with_annotations
from .tables import rows_in, table_of

if TYPE_CHECKING:
    import pyarrow
    import ray.data


@dataclass(frozen=True)
class Prepared:
    """What all actors know before they begin.

    Attributes:
        settings: of the method, for ``info``.
        calibration: what was measured on the input, JSON-able; None where nothing is.
        uses_rgb: whether images are read.
        uses_default_network: whether the network is that of the package.
    """

    settings: dict[str, Any]
    calibration: dict[str, Any] | None
    uses_rgb: bool
    uses_default_network: bool


def prepare_on_cluster(job: RayJob, files: InputFiles) -> Prepared:
    import ray

    # Where an actor would be: this process may be on a machine without a GPU, or with less memory.
    task = ray.remote(**_resources(job))(_prepare)
    return ray.get(task.remote(_for_device(job), files))


def _prepare(job: RayJob, files: InputFiles) -> Prepared:
    with telling():
        one_thread()
        method = Method.build(job)
        deoccluder, settings = method.deoccluder, dict(method.settings)
        calibration = None
        if deoccluder.needs_calibration:
            rows = sample_of(replace(job, skip_invalid=True), files, deoccluder.uses_rgb)
            found = deoccluder.calibration(scenes_reader(rows), len(rows))
            calibration = found.to_json()
            settings |= deoccluder.calibrated(found).describe()
        return Prepared(settings, calibration, deoccluder.uses_rgb, method.uses_default_network)


def sample_of(job: RayJob, files: InputFiles, uses_rgb: bool) -> list[ImageRow]:
    """Images that stand for the whole input when something is measured on it, 1,000 at most.

    Of one document they are those that ``convert`` takes: at equal distances. Of several files as
    many of each, at equal distances again; of more files than that, files at equal distances. Of
    files of rows they are the first rows, as finding others would mean to read all.
    """
    chosen = [files.names[number] for number in chosen_scenes(len(files.names))]
    most = math.ceil(ENOUGH_SCENES / len(chosen))
    rows: list[ImageRow] = []
    for file in chosen:
        rows += with_annotations(rows_of_file(file, job, uses_rgb, most))
    return [rows[number] for number in chosen_scenes(len(rows))]


def _for_device(job: RayJob) -> RayJob:
    """The job as an actor sees it, with the processor as the device where it has no GPU."""
    if not job.uses_network or "num_gpus" in _resources(job):
        return job
    # Unless the user's own overrides name a device.
    return replace(job, opts=("MODEL.DEVICE", "cpu", *job.opts))


def _resources(job: RayJob) -> dict[str, int]:
    """What an actor holds: a GPU, or a core."""
    import ray

    if job.on_gpus and job.uses_network and room_for(ray.cluster_resources(), "GPU"):
        return {"num_gpus": 1}
    return {"num_cpus": 1}


class _Converter:
    """An actor: weights and config are read once, then rows are converted, block by block."""

    def __init__(self, job: RayJob, prepared: Prepared, packed: bool) -> None:
        one_thread()
        self._job = job
        self._packed = packed
        self._deoccluder = Method.build(job).deoccluder
        if prepared.calibration is not None:
            found = RequestCalibration.from_json(prepared.calibration)
            self._deoccluder = self._deoccluder.calibrated(found)

    def __call__(self, block: pyarrow.Table) -> Iterator[pyarrow.Table]:
        as_polygons = self._job.segmentation == "polygons"
        with telling():
            for rows in _at_once(rows_in(block, ImageRow)):
                found = convert_rows(rows, self._deoccluder, self._job.skip_invalid, as_polygons)
                yield _packed(list(found)) if self._packed else table_of(list(found))


def _at_once(rows: Iterable[ImageRow]) -> Iterator[list[ImageRow]]:
    """Rows in lists of about ``INSTANCES_AT_ONCE`` items."""
    some: list[ImageRow] = []
    count = 0
    for row in rows:
        some.append(row)
        count += len(row.items)
        if count >= INSTANCES_AT_ONCE:
            yield some
            some, count = [], 0
    if some:
        yield some


def converted(
    rows: ray.data.Dataset, job: RayJob, prepared: Prepared, files: InputFiles
) -> ray.data.Dataset:
    import ray

    resources = _resources(job)
    room = room_for(ray.cluster_resources(), "GPU" if "num_gpus" in resources else "CPU")
    worth = files.size // LEAST_BLOCK
    # From there on it is Ray that starts and ends them, within the cluster's room.
    first = max(1, min(room, worth, job.num_workers or room))
    return rows.map_batches(
        _Converter,
        fn_constructor_args=(_for_device(job), prepared, not job.writes_json),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=job.num_workers, initial_size=first
        ),
        **resources,
    )


# What a row of the written Parquet files holds; all texts, but for the size in pixels.
#   file         the input that it is of
#   image_id, file_name, height, width
#   image        JSON of the image record, every key of it
#   annotations  JSON of the list of its annotations
#   categories   JSON of the COCO categories that they name
#   tally        JSON of what was counted in converting it
#   about        JSON of what its document says as a whole, in the first row of each document
def _packed(rows: list[ConvertedRow]) -> pyarrow.Table:
    import pyarrow as pa

    number = {"height": pa.int32(), "width": pa.int32()}
    names = ("file", "image_id", "file_name", "height", "width", "image", "annotations",
             "categories", "tally", "about")  # fmt: skip
    schema = pa.schema([(name, number.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist(list(map(_as_written, rows)), schema=schema)


def _as_written(row: ConvertedRow) -> dict[str, Any]:
    image = row.image or {}
    for key in ("id", "file_name"):
        if isinstance(image.get(key), str) and not is_text(image[key]):
            raise UserError(
                f"{row.file}: image {image['id']!r}: '{key}' {image[key]!r} holds half a "
                "character, which Parquet cannot: mend it, or write NAME.json"
            )
    return {
        "file": row.file,
        "image_id": str(image["id"]) if image else None,
        **{key: image.get(key) for key in ("file_name", "height", "width")},
        "image": None if row.record is None else dump_json(row.record),
        "annotations": "[" + ", ".join(filter(None, row.lines)) + "]",
        "categories": dump_json(row.categories),
        "tally": dump_json(row.tally.counted()),
        "about": None if row.about is None else json.dumps(row.about),
    }

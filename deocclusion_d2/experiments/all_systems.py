"""Every system side by side: order, shapes, colours, detections; what each costs, and a sheet."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from detectron2.data import DatasetCatalog
from PIL import Image

from ..data.datasets import ensure_registered
from ..data.scenes import scene_from_record
from ..decomposition.detector import Detector
from ..deoccluder import Deoccluder
from ..evaluation.content import HoleFiller
from ..evaluation.content.filling import NETWORK, hole_of
from ..files import whole_file
from ..json_files import read_json_file
from ..structures import Scene, SceneTruth, WindowMask
from ..systems import Shown, detectors, rows
from ..visualization.hidden_objects import HiddenObject, best_mask, choose_hidden_objects
from ..visualization.object_cells import FoundObject
from ..visualization.system_sheet import SheetRow, draw_system_sheet
from .content import content_config, content_rows, hole_filler
from .costs import IMAGES, ROUNDS, hardware, measure_cost
from .data import fingerprint as data_fingerprint
from .experiment import Experiment
from .paper_tables import completion, content, detection, ordering
from .tables import Column, Table

if TYPE_CHECKING:
    from detectron2.config import CfgNode

NAME = "all_systems"
OBJECTS = 10
SHEET = "objects.png"
COST = [
    Column("ms an object", "cost", "ms", 2, unit=""),
    Column("M parameters", "cost", "parameters", 2, unit=""),
]
TABLES = {
    "ordering": ordering,
    "completion": completion,
    "content": content,
    "detection": detection,
}


def all_systems(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """The tables of order, shapes, colours and detections, with what every row costs."""
    tables = []
    for name, run in TABLES.items():
        of_table = [row for row in _rows_of(name) if row in chosen]
        if not of_table:
            continue
        if name == "detection" and tables and e.data.supervised != e.data.train:
            tables[-1].notes.append(
                "There are no detectors: they learn true amodal labels of the training set."
            )
            continue
        first, *others = run(e, seeds, of_table)
        for row, metrics in first.rows.items():
            first.rows[row] = [{**metrics[0], "cost": _cost(e, name, row, seeds[0])}, *metrics[1:]]
        first.columns = [*first.columns, *COST]
        first.notes.append(_cost_note(name))
        tables += [first, *others]
    return tables


def _rows_of(table: str) -> Collection[str]:
    return {"content": content_rows, "detection": detectors}.get(table, partial(rows, table))()


def _cost_note(table: str) -> str:
    what = {
        "ordering": "its images' order",
        "completion": "order and masks",
        "content": "the colours of a hidden part",
        "detection": "detection of all objects of its image, by the objects that are annotated",
    }[table]
    return (
        f"ms an object: {what}, over {IMAGES} images of the test set (or all, where it has fewer) "
        "that are worked on together; "
        f"the fastest of {ROUNDS} rounds, on {hardware()}. Parameters: of the networks that run."
    )


# -------------------------------------------------------------------- costs


def _cost(e: Experiment, table: str, row: str, seed: int) -> dict[str, float]:
    inputs: dict[str, Any]
    if table == "content":
        cfg, inputs = content_config(e, row, seed)
    elif table == "detection":
        detector = e.detector(e.data.train, seed, detectors()[row])
        cfg, inputs = e.detector_config(detectors()[row], detector), {"network": detector.key}
    else:
        method = e.method(row, seed, draws=False)
        cfg, inputs = method.cfg, dict(method.inputs)
    inputs |= {"table": table, "hardware": hardware(), "test": data_fingerprint(e.data.test)}

    def work(folder: Path) -> dict[str, float]:
        print(f"\n== cost of {row}, {table}", flush=True)
        prepare = _PREPARED.get(table, _masks_work)
        run, objects = prepare(table, row, cfg, _scenes(e.data.test))
        return measure_cost(run, max(objects, 1))

    return e.store.run("cost", inputs, work).result


Run = tuple[Callable[[], Any], int]
Given = Sequence[tuple[Scene, SceneTruth]]


def _masks_work(table: str, row: str, cfg: CfgNode, given: Given) -> Run:
    deoccluder = Deoccluder.from_config(cfg)
    scenes = [scene for scene, _ in given]
    if deoccluder.needs_calibration:
        measured = deoccluder.calibration(lambda numbers: [scenes[n] for n in numbers], len(scenes))
        deoccluder = deoccluder.calibrated(measured)
    run = deoccluder.order if table == "ordering" else deoccluder
    return lambda: run(scenes), sum(map(len, scenes))


def _content_work(table: str, row: str, cfg: CfgNode | None, given: Given) -> Run:
    filler = hole_filler(row, cfg)
    holes = [hole_of(s, region) for s, truth in given for region in filler.regions(s, truth)[0]]
    return lambda: filler.content.fill(holes), len(holes)


def _detection_work(table: str, row: str, cfg: CfgNode, given: Given) -> Run:
    detector = Detector(cfg, min_score=0.5, needs_category=False)
    scenes = [scene for scene, _ in given]

    def run() -> None:
        for scene in scenes:
            detector(Path(scene.file_name or ""), scene.image)

    return run, sum(map(len, scenes))


_PREPARED = {"content": _content_work, "detection": _detection_work}


def _scenes(dataset_name: str) -> Given:
    """Images spread over a data set, read."""
    records = DatasetCatalog.get(ensure_registered(dataset_name))
    count = min(len(records), IMAGES)
    chosen = [records[number * len(records) // count] for number in range(count)]
    return [scene_from_record(r, load_image=os.path.isfile(r["file_name"])) for r in chosen]


# -------------------------------------------------------------------- the sheet


def draw_objects(
    e: Experiment, seeds: Sequence[int], tables: Sequence[Table], folder: Path
) -> Iterator[Shown]:
    """The same hidden objects by every row of the tables of shapes, colours and detections.

    Writes ``SHEET`` into the folder; nothing where no object of the test set is hidden by a quarter
    to three quarters, or its images are not there.
    """
    records = DatasetCatalog.get(ensure_registered(e.data.test))
    records = [record for record in records if os.path.isfile(record["file_name"])]
    chosen = choose_hidden_objects(records, OBJECTS)
    if not chosen:
        return
    seed = seeds[0]
    sheet = [SheetRow("truth")]
    by_name = {table.name: table for table in tables}
    for row in by_name["completion"].rows if "completion" in by_name else ():
        deoccluder = Deoccluder.from_config(e.method(row, seed, draws=False).cfg)
        results = deoccluder([one.scene for one in chosen])
        masks = [r.amodal_masks[one.row] for r, one in zip(results, chosen, strict=True)]
        sheet.append(SheetRow(row, masks=masks))
    for row in by_name["detection"].rows if "detection" in by_name else ():
        path = e.detections(e.detector(e.data.train, seed, detectors()[row]))
        sheet.append(SheetRow(row, masks=_detected(path, chosen)))
    colours = list(by_name["content"].rows) if "content" in by_name else []
    if colours:
        sheet.append(SheetRow("true colours", pictures=[one.photo for one in chosen]))
    for row in colours:
        filler = hole_filler(row, content_config(e, row, seed)[0])
        sheet.append(SheetRow(row, pictures=[_painted(filler, one) for one in chosen]))
    objects = [FoundObject(o.scene.image, o.modal_mask, o.amodal_mask, ()) for o in chosen]
    with whole_file(folder / SHEET) as file:
        Image.fromarray(draw_system_sheet(objects, sheet)).save(file, "PNG")
    yield Shown(
        SHEET,
        f"{len(chosen)} objects of the test set by every system, seed {seed}: of each image the "
        "largest of the commonest category that is hidden by a quarter to three quarters. Number: "
        "IoU with the true mask, whose outline is dashed; of a detector it is the best of its "
        "masks. Colours are filled into the true hidden part.",
    )


def _detected(path: Path, chosen: Sequence[HiddenObject]) -> list[WindowMask | None]:
    """The masks of a detector's results that fit objects best."""
    masks = defaultdict(list)
    for result in read_json_file(path) if path.is_file() else ():
        masks[result["image_id"]].append(WindowMask.from_rle(result["segmentation"]))
    return [best_mask(masks[one.scene.image_id], one.amodal_mask) for one in chosen]


def _painted(filler: HoleFiller, one: HiddenObject) -> np.ndarray | None:
    """The photo with an object's hidden part filled; None where that is not to be filled."""
    (filled,) = filler([{"scene": one.scene, "truth": one.truth}])
    for region in filled.regions:
        if region.region.row == one.row:
            hole = region.region.hole
            photo = one.scene.image.copy()
            x0, y0, x1, y1 = hole.box
            photo[y0:y1, x0:x1][hole.array] = region.fills[NETWORK]
            return photo
    return None

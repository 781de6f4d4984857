"""What the experiment "segan" shows: the paper's Tables 1 and 2, and a sheet of painted objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import cv2
import numpy as np
from detectron2.data import DatasetCatalog
from PIL import Image
from tabulate import tabulate

from ...data.datasets import ensure_registered
from ...data.full_objects import knows_hidden_colours
from ...data.scenes import scene_from_record
from ...files import whole_file
from ...inference.weights import load_model
from ...visualization.canvas import captions, side_by_side
from ..base import Shown
from .evaluator import METRICS, SeGANPredictor, build_predictor, measure
from .experiments import END_TO_END, STAGES
from .mapper import NEUTRAL

OBJECTS = 12
SHEET = "painted.png"
_TILE, _CAPTION, _MARGIN = 128, 24, 3
# A small or hardly hidden object shows nothing: least pixels, and shares of the object.
_LEAST, _HIDDEN = 400, (0.2, 0.75)


def draw_figures(
    experiment: Any,
    seeds: Sequence[int],
    rows: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]],
    folder: Path,
) -> Iterator[Shown]:
    """See ``OwnExperiment.figures``. The sheet is of the first seed's network, end to end.

    Nothing where the painter cannot learn from the data.
    """
    if any(experiment.lacks(row) for row in (STAGES, END_TO_END)):
        return
    measured = {
        row: [
            experiment.measure("segan", row, seed, lambda cfg, name, _: measure(cfg, name)).result
            for seed in seeds
        ]
        for row in (STAGES, END_TO_END)
    }
    cfg = experiment.method(END_TO_END, seeds[0]).cfg
    records = DatasetCatalog.get(ensure_registered(experiment.data.test))
    with whole_file(folder / SHEET) as file:
        sheet = draw_painted(build_predictor(cfg, load_model(cfg)), records)
        Image.fromarray(sheet).save(file, "PNG")
    yield Shown(
        SHEET,
        f"{_table(measured)}\n\nUnion, visible and invisible (percent) and L1 and L2 (colours in "
        "[0, 1]) as `SeGANEvaluator` has them, of true visible masks; `_code` is what the released "
        "code computes, `_hidden` is of hidden pixels alone. Outside: share of the hidden pixels "
        "that the box does not reach. The picture: what is seen and the mask that was segmented "
        "(outline), what is painted by it, and the whole object on grey.",
        {row: list(values) for row, values in measured.items()},
    )


def _table(measured: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """A row per network; means over seeds, with their sample standard deviation."""

    def cell(values: list[float], metric: str) -> str:
        digits = 4 if metric.startswith("L") else 1
        text = f"{mean(values):.{digits}f}"
        return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text

    shown = [m for m in METRICS if any(m in of for seeds in measured.values() for of in seeds)]
    cells = [
        [row, *(cell([of[m] for of in seeds if m in of], m) for m in shown)]
        for row, seeds in measured.items()
    ]
    return tabulate(cells, ["SeGAN", *shown], tablefmt="github", disable_numparse=True)


def draw_painted(predictor: SeGANPredictor, records: Sequence[dict]) -> np.ndarray:
    """Hidden objects of a data set, as SeGAN segments and paints them.

    Args:
        records: dataset dicts; of each image the largest object is taken that is well hidden.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    chosen = []
    for record in filter(knows_hidden_colours, records):
        scene, truth = scene_from_record(record)
        for row, modal in enumerate(scene.modal_masks):
            if truth.amodal_masks is None or not truth.knows_whole(row):
                continue
            whole = truth.amodal_masks[row]
            share = 1 - modal.area / max(whole.area, 1)
            if modal.area >= _LEAST and _HIDDEN[0] <= share <= _HIDDEN[1]:
                chosen.append((whole.area, record, row))
    chosen.sort(key=lambda found: -found[0])
    names = captions(["segmented", "painted", "truth"], _TILE, _CAPTION)
    columns = 2
    lines = [side_by_side(names * columns, _MARGIN)]
    tiles: list[np.ndarray] = []
    for _, record, row in chosen[:OBJECTS]:
        scene, truth = scene_from_record(record, load_image=True)
        (result,) = predictor([{"scene": scene}])
        box, whole = result.boxes[row], result.whole[row]
        x0, y0, x1, y1 = box.box
        seen = scene.image[y0:y1, x0:x1].copy()
        outline = whole.crop(box.box).view(np.uint8)
        contours, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(seen, contours, -1, (255, 220, 0), 1)
        true = truth.unhidden(row, scene.image)[y0:y1, x0:x1].copy()
        true[~truth.amodal_masks[row].crop(box.box)] = NEUTRAL
        painted = np.clip(np.round(result.painted[row]), 0, 255).astype(np.uint8)
        tiles += [_tile(picture) for picture in (seen, painted, true)]
    tiles += [np.full_like(names[0], 255, shape=(_TILE, _TILE, 3))] * (-len(tiles) % (3 * columns))
    for start in range(0, len(tiles), 3 * columns):
        lines.append(side_by_side(tiles[start : start + 3 * columns], _MARGIN))
    return np.concatenate(lines)


def _tile(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR)

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
from ...files import whole_file
from ...inference.weights import load_model
from ...visualization.canvas import captions, side_by_side
from ...visualization.hidden_objects import HiddenObject, choose_hidden_objects
from ..base import Shown
from .evaluator import METRICS, SeGANPredictor, build_predictor, measure
from .experiments import END_TO_END, STAGES

OBJECTS = 12
SHEET = "painted.png"
_TILE, _CAPTION, _MARGIN = 128, 24, 3
_COLUMNS, _OUTLINE = 2, (255, 220, 0)


def draw_figures(
    experiment: Any,
    seeds: Sequence[int],
    rows: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]],
    folder: Path,
) -> Iterator[Shown]:
    """See ``OwnExperiment.figures``. The sheet is of the first seed's network, end to end.

    Nothing where the row of the whole is not asked for, the painter cannot learn from the data, or
    nothing hidden can be shown.
    """
    if END_TO_END not in rows or any(experiment.lacks(row) for row in (STAGES, END_TO_END)):
        return
    records = DatasetCatalog.get(ensure_registered(experiment.data.test))
    objects = [one for one in choose_hidden_objects(records, OBJECTS) if one.photo is not None]
    if not objects:
        return
    measured = {
        row: [
            experiment.measure("segan", row, seed, lambda cfg, name, _: measure(cfg, name)).result
            for seed in seeds
        ]
        for row in (STAGES, END_TO_END)
    }
    cfg = experiment.method(END_TO_END, seeds[0]).cfg
    with whole_file(folder / SHEET) as file:
        sheet = draw_painted(build_predictor(cfg, load_model(cfg)), objects)
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


def draw_painted(predictor: SeGANPredictor, objects: Sequence[HiddenObject]) -> np.ndarray:
    """Hidden objects as SeGAN segments and paints them, two in a row.

    Args:
        objects: at least one; the colours of all are known.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    tiles: list[np.ndarray] = []
    for one in objects:
        (result,) = predictor([{"scene": one.scene}])
        box = result.boxes[one.row]
        seen = box.window(one.scene.image).copy()
        outline = result.whole[one.row].crop(box.box).view(np.uint8)
        contours, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(seen, contours, -1, _OUTLINE, 1)
        painted = np.clip(np.round(result.painted[one.row]), 0, 255).astype(np.uint8)
        true = box.on_neutral(box.window(one.photo), one.amodal_mask)
        tiles += [_tile(picture) for picture in (seen, painted, true)]
    names = captions(["segmented", "painted", "truth"], _TILE, _CAPTION)
    width = len(names) * _COLUMNS
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % width)
    rows = [names * _COLUMNS, *(tiles[k : k + width] for k in range(0, len(tiles), width))]
    return np.concatenate([side_by_side(row, _MARGIN) for row in rows])


def _tile(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR)

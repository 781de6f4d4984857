"""Makes the network that comes with the package: its data, its training, and its manifest.

COCO's annotations (CC BY 4.0) of a fixed list of images, street scenes and generic shapes of this
package's own; no photo is looked at, and nobody's amodal mask.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import fingerprint, load_config
from ..data.datasets import ensure_registered
from ..deoccluder import Deoccluder
from ..engine.evaluate import evaluate_deocclusion
from ..errors import UserError
from ..files import whole_text_file
from ..json_files import read_json_file
from ..pretrained import DEFAULT, packaged_folder
from ..pretrained.pack import pack
from ..synthesis.shapes import GenericShapesConfig
from ..synthesis.shapes import write_splits as write_shapes
from ..synthesis.street import SyntheticKinsConfig
from ..synthesis.street import write_splits as write_streets
from ..systems import system_of
from ..version import __version__
from .data import fingerprint as data_fingerprint
from .stages import StageStore
from .steps import step, train

CONFIG = "pcnet_m_general"
FOLDER = packaged_folder(DEFAULT)
_IDS = "coco_image_ids.json"
_LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class GeneralModelSettings:
    """What the network is made of.

    Attributes:
        coco: COCO's instance annotations that together hold the images of the list.
        street_images, shape_scenes: how many are drawn.
        seed: of the training; the scenes have seeds of their own.
        opts: alternating config keys and values of the training.
        tests: data sets of which figures go into the manifest, with their truth.
        num_gpus: for training.
    """

    coco: tuple[Path, ...]
    street_images: int = 1000
    shape_scenes: int = 800
    seed: int = 0
    opts: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    num_gpus: int = 1


def make_general_model(settings: GeneralModelSettings, output: Path, folder: Path) -> dict:
    """Do all steps that are not done yet.

    Args:
        output: folder of the stages.
        folder: where the packed network goes.

    Returns:
        The manifest.

    Raises:
        UserError: annotations that lack images of the list, or a step failed.
    """
    store = StageStore(output.resolve() / "stages")
    ids = image_ids()
    names = _make_data(settings, store, ids)
    cfg = load_config(CONFIG, [*settings.opts, "SEED", str(settings.seed)])
    cfg.DATASETS.TRAIN = tuple(names[name] for name in cfg.DATASETS.TRAIN)
    cfg.TEST.EXPECTED_RESULTS = []

    def learn(stage: Path) -> str:
        # Training freezes its config.
        own = cfg.clone()
        own.OUTPUT_DIR = str(stage)
        train("the general network learns", stage, own, settings.num_gpus)
        return "model_final.pth"

    stage = store.run(
        CONFIG,
        {
            "config": fingerprint(cfg, system_of(cfg), "training"),
            "train": [data_fingerprint(name) for name in cfg.DATASETS.TRAIN],
        },
        learn,
    )
    cfg.MODEL.WEIGHTS = str(stage.folder / stage.result)
    return pack(Path(cfg.MODEL.WEIGHTS), folder, CONFIG, _facts(settings, cfg, ids), CONFIG)


def image_ids() -> list[int]:
    """The COCO images that the network learns from."""
    return read_json_file(FOLDER / _IDS)


def coco_of_images(paths: Sequence[Path], ids: Sequence[int]) -> dict[str, Any]:
    """The images of a list, and their annotations, out of COCO annotation files.

    Raises:
        UserError: a file of another kind, or an image that is in none of them.
    """
    wanted = set(ids)
    images, annotations, categories = {}, {}, None
    for path in paths:
        content = read_json_file(path)
        lists = ("images", "annotations", "categories")
        if not isinstance(content, dict) or any(type(content.get(k)) is not list for k in lists):
            raise UserError(
                f"{path}: it holds no lists {', '.join(lists)}; name COCO's annotations"
            )
        categories = categories or content["categories"]
        images |= {i["id"]: i for i in content["images"] if i["id"] in wanted}
        annotations |= {a["id"]: a for a in content["annotations"] if a["image_id"] in wanted}
    missing = sorted(wanted - images.keys())
    if missing:
        raise UserError(
            f"{', '.join(map(str, paths))}: {len(missing)} of {len(wanted)} images are in none of "
            f"them, such as {missing[0]}; name COCO's instances_train2017.json and "
            "instances_val2017.json"
        )
    return {
        "images": [images[i] for i in sorted(images)],
        "annotations": [annotations[i] for i in sorted(annotations)],
        "categories": categories,
    }


def _make_data(
    settings: GeneralModelSettings, store: StageStore, ids: Sequence[int]
) -> dict[str, str]:
    """Name in the config -> name of the data set that is made here."""

    def photos(stage: Path) -> None:
        with (
            step("photos: COCO's annotations", stage),
            whole_text_file(stage / "instances.json") as file,
        ):
            json.dump(coco_of_images(settings.coco, ids), file)

    def streets(stage: Path) -> None:
        with step(f"streets: {settings.street_images} scenes", stage):
            write_streets(stage, {"train": settings.street_images}, SyntheticKinsConfig(), None)

    def shapes(stage: Path) -> None:
        with step(f"shapes: {settings.shape_scenes} scenes", stage):
            write_shapes(stage, {"train": settings.shape_scenes}, GenericShapesConfig(), None)

    made = {
        "coco_general": ("coco:{}/instances.json", {"ids": list(ids)}, photos),
        "synthetic_kins_train_modal": (
            "kins.modal:{0}/instances_train.json@{0}/training/image_2",
            {"images": settings.street_images},
            streets,
        ),
        "generic_shapes_train_modal": (
            "kins.modal:{}/instances_train.json",
            {"scenes": settings.shape_scenes},
            shapes,
        ),
    }
    return {
        name: ensure_registered(pattern.format(store.run(name, inputs, work).folder))
        for name, (pattern, inputs, work) in made.items()
    }


def _facts(settings: GeneralModelSettings, cfg, ids: Sequence[int]) -> dict[str, Any]:
    """What the manifest says about the network."""
    files = " ".join(path.name for path in settings.coco)
    opts = " ".join(settings.opts)
    figures = {}
    for name in settings.tests:
        results = evaluate_deocclusion(cfg, name)
        figures[name] = {
            f"{task}/{metric}": round(value, 2)
            for task, metrics in results.items()
            for metric, value in metrics.items()
            if "-" not in metric  # of all, not of a level or a share
        }
    return {
        "licence": _LICENCE,
        "version": __version__,
        "trained_on": [
            {
                "data": f"COCO 2017 instance annotations of {len(ids)} images",
                "licence": "CC BY 4.0, COCO Consortium, https://cocodataset.org",
                "image_ids": _IDS,
            },
            {
                "data": f"synthetic street scenes, {settings.street_images} images, seed 0",
                "licence": _LICENCE,
            },
            {
                "data": f"generic shapes, {settings.shape_scenes} scenes, seed 0",
                "licence": _LICENCE,
            },
        ],
        "seed": settings.seed,
        "iterations": cfg.SOLVER.MAX_ITER,
        "command": f"tools/make_general_model.py --coco {files} --output OUTPUT {opts}".strip(),
        "settings": Deoccluder.from_config(cfg).describe(),
        "figures": figures,
    }

"""The whole way on a small synthetic KINS; what ``tools/demo.py`` calls.

Modal masks -> PCNet-M -> order, completion and labels -> amodal Mask R-CNN, and pictures.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from ..data.datasets import DatasetName, ensure_registered
from ..deoccluder import Deoccluder
from ..synthesis.street import SyntheticKinsConfig, write_splits
from ..visualization import by_deoccluder, render_records, select_records
from .run import ExperimentSettings, build_experiment, run_experiment
from .stages import StageStore
from .steps import step


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demonstration. The defaults are those of ``make demo``.

    Attributes:
        train_images, val_images, height, width: of the synthetic KINS, sizes in pixels.
        pcnet_iterations, detector_iterations: lengths of the trainings.
        label_sources: what Mask R-CNN is trained on, rows of label_conversion.
        pictures: validation images that are drawn.
        seed: of the data and of all trainings.
    """

    train_images: int = 160
    val_images: int = 40
    height: int = 128
    width: int = 416
    pcnet_iterations: int = 400
    detector_iterations: int = 120
    label_sources: tuple[str, ...] = ("OG+",)
    pictures: int = 6
    seed: int = 0


def run_demo(settings: DemoSettings, output: Path) -> str:
    """Run all steps that are not done yet.

    Args:
        settings: sizes.
        output: folder for data, models, reports and pictures.

    Returns:
        The tables, Markdown, and where pictures and everything else are.

    Raises:
        UserError: a step failed.
    """
    output = output.resolve()
    data = _make_data(settings, output)
    names = {
        split: str(
            DatasetName("kins", f"{data}/instances_{split}.json", f"{data}/{folder}/image_2")
        )
        for split, folder in (("train", "training"), ("val", "testing"))
    }
    opts = (
        *("pcnet_m.SOLVER.MAX_ITER", str(settings.pcnet_iterations)),
        *("mask_rcnn.SOLVER.MAX_ITER", str(settings.detector_iterations)),
        *("mask_rcnn.SOLVER.STEPS", f"({settings.detector_iterations * 5 // 6},)"),
    )
    reports = []
    for name, methods in (
        ("ordering", ("Area", "Y-axis", "Convex", "OG", "OG+")),
        ("completion", ("Raw", "Convex", "Convex^R", "NOG", "OG", "OG+")),
        ("label_conversion", settings.label_sources),
    ):
        chosen = ExperimentSettings(
            name, names["train"], names["val"],
            seeds=(settings.seed,), methods=methods, opts=opts,
        )  # fmt: skip
        reports.append(run_experiment(chosen, output, name=name))
    experiment = build_experiment(chosen, output)
    cfg = experiment.config_in_use("pcnet_m_plus", settings.seed)
    pictures = output / "pictures"
    with step("pictures", output / "pictures"):
        deoccluder = Deoccluder.from_config(cfg)
        records = DatasetCatalog.get(ensure_registered(names["val"]))
        records = select_records(records, max_images=settings.pictures)
        title = "Amodal masks (hatched: completed hidden part)"
        method = by_deoccluder(deoccluder)
        classes = MetadataCatalog.get(names["val"]).thing_classes
        rendered = render_records(
            records, method, pictures, title, deoccluder.uses_rgb, overwrite=True, classes=classes
        )
        list(rendered)
    return "\n\n".join([*reports, f"Pictures: {pictures}\nEverything else: {output}"])


def _make_data(settings: DemoSettings, output: Path) -> Path:
    """The synthetic KINS; returns its folder."""
    counts = {"train": settings.train_images, "val": settings.val_images}
    config = SyntheticKinsConfig(settings.height, settings.width, settings.seed)
    title = f"synthetic KINS: {settings.train_images} + {settings.val_images} street scenes"

    def work(folder: Path) -> None:
        with step(title, folder):
            write_splits(folder, counts, config, os.cpu_count() or 1)

    inputs = {**counts, "height": settings.height, "width": settings.width, "seed": settings.seed}
    return StageStore(output / "stages").run("synthetic_kins", inputs, work).folder

"""The whole way on a small synthetic KINS; what ``tools/demo.py`` calls.

Modal masks -> PCNet-M -> order, completion and labels -> amodal Mask R-CNN, and pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..data.datasets import DatasetName
from .commands import run_command
from .run import ExperimentSettings, build_experiment, run_experiment
from .stages import StageStore


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demonstration. The defaults are those of ``make demo``.

    Attributes:
        train_images, val_images, height, width: of the synthetic KINS, sizes in pixels.
        pcnet_iterations, detector_iterations: lengths of the trainings.
        label_sources: what Mask R-CNN is trained on, see ``paper_tables.LABEL_SOURCES``.
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


def run_demo(settings: DemoSettings, output: Path, project: Path) -> str:
    """Run all steps that are not done yet.

    Args:
        settings: sizes.
        output: folder for data, models, reports and pictures.
        project: root of the project, with ``tools/``, ``datasets/`` and ``configs/``.

    Returns:
        The tables, Markdown, and where pictures and everything else are.

    Raises:
        UserError: a step failed.
    """
    output = output.resolve()
    data = _make_data(settings, output, project)
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
        reports.append(run_experiment(chosen, output, project, name=name))
    experiment = build_experiment(chosen, output, project)
    cfg = experiment.config_in_use("pcnet_m_plus", settings.seed)
    pictures = output / "pictures"
    command = [str(project / "tools/visualize_deocclusion.py"), "--dataset", names["val"]]
    command += ["--config-file", experiment.trainings.config_file("pcnet_m_plus")]
    command += ["--weights", cfg.MODEL.WEIGHTS]
    command += ["--output", str(pictures), "--max-images", str(settings.pictures)]
    command += ["DEOCCLUSION.ORDERING_PRIOR", cfg.DEOCCLUSION.ORDERING_PRIOR]
    run_command("pictures", command, output / "pictures_log.txt")
    return "\n\n".join([*reports, f"Pictures: {pictures}\nEverything else: {output}"])


def _make_data(settings: DemoSettings, output: Path, project: Path) -> Path:
    """The synthetic KINS; returns its folder."""
    sizes = {
        "--train": settings.train_images,
        "--val": settings.val_images,
        "--height": settings.height,
        "--width": settings.width,
        "--seed": settings.seed,
    }

    def work(folder: Path) -> None:
        command = [str(project / "datasets/prepare_synthetic_kins.py"), "--output", str(folder)]
        command += [str(x) for pair in sizes.items() for x in pair]
        title = f"synthetic KINS: {settings.train_images} + {settings.val_images} street scenes"
        run_command(title, command, folder / "log.txt")

    return StageStore(output / "stages").run("synthetic_kins", sizes, work).folder

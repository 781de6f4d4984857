"""The whole way on a small synthetic KINS; what ``tools/demo.py`` calls.

Modal masks -> order, completion and labels by the network that comes along -> amodal Mask R-CNN
from several label sources, and pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from ..data.datasets import DatasetName, ensure_registered
from ..deoccluder import Deoccluder
from ..files import whole_file
from ..json_files import read_json_file
from ..structures import WindowMask
from ..synthesis.street import SyntheticKinsConfig, write_splits
from ..visualization import (
    FoundObject,
    by_deoccluder,
    draw_found_objects,
    render_records,
    select_records,
)
from ..visualization.hidden_objects import best_mask, choose_hidden_objects
from .experiment import Experiment
from .paper_tables import TRUE_LABELS
from .run import ExperimentSettings, build_experiment, run_experiment
from .stages import StageStore
from .steps import step
from .trainings import weights_of

# The row of the tables that needs no training.
GENERAL = "general"
_NAMES = {GENERAL: "pseudo-amodal labels", "Raw": "modal labels", TRUE_LABELS: "true amodal labels"}

# A detector that gets somewhere in minutes: images of half the size, two a step and so more steps,
# and one mask and one box for all categories.
_DETECTOR = {
    "MODEL.FPN.OUT_CHANNELS": "64",
    "MODEL.ANCHOR_GENERATOR.SIZES": "[[6], [12], [24], [48], [96]]",
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": "True",
    "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": "True",
    "SOLVER.IMS_PER_BATCH": "2",
}
# What it has learned of pictures then stays; what learns is what is made of that.
_FROZEN = "5"


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demonstration. The defaults are those of ``make demo``.

    Attributes:
        train_images, val_images, height, width: of the synthetic KINS, sizes in pixels.
        start_iterations: length of the training on modal labels that all detectors start from.
        detector_iterations: length of each detector's own training, on its labels.
        label_sources: what detectors are trained on, rows of label_conversion.
        pictures: validation images that are drawn, and hidden objects.
        seed: of the data and of all trainings.
    """

    train_images: int = 160
    val_images: int = 60
    height: int = 128
    width: int = 416
    start_iterations: int = 750
    detector_iterations: int = 400
    label_sources: tuple[str, ...] = ("Raw", GENERAL, TRUE_LABELS)
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
    train, val = (
        str(DatasetName("kins", f"{data}/instances_{split}.json", f"{data}/{folder}/image_2"))
        for split, folder in (("train", "training"), ("val", "testing"))
    )

    def experiment(name: str, methods: Sequence[str], opts: Sequence[str] = ()):
        return ExperimentSettings(
            name, train, val, seeds=(settings.seed,), methods=tuple(methods), opts=tuple(opts)
        )

    def report(chosen: ExperimentSettings) -> str:
        return run_experiment(chosen, output, name=chosen.experiment)

    reports = [
        report(experiment("ordering", ("Area", "Y-axis", "Convex", GENERAL))),
        report(experiment("completion", ("Raw", "Convex", "Convex^R", GENERAL))),
    ]
    opts = _detector_opts(settings, settings.start_iterations)
    start = build_experiment(experiment("label_conversion", (), opts), output).detector_start(
        settings.seed
    )
    opts = _detector_opts(settings, settings.detector_iterations, weights_of(start))
    detection = experiment("label_conversion", settings.label_sources, opts)
    reports.append(report(detection))
    pictures = output / "pictures"
    done = build_experiment(detection, output)
    with step("pictures", pictures):
        _draw_scenes(done, val, settings, pictures)
        picture = _draw_hidden_objects(done, val, settings, output / "hidden_objects.png")
    where = [f"Pictures: {pictures}", *picture, f"Everything else: {output}"]
    return "\n\n".join([*reports, "\n".join(where)])


def _detector_opts(settings: DemoSettings, iterations: int, start: str = "") -> list[str]:
    """Overrides of Mask R-CNN's config.

    Args:
        iterations: length of the training.
        start: weights to start from; such a training slows down for its last third.
    """
    side = min(settings.height, settings.width) // 2
    values = {
        **_DETECTOR,
        "INPUT.MIN_SIZE_TRAIN": f"({side},)",
        "INPUT.MIN_SIZE_TEST": str(side),
        "SOLVER.MAX_ITER": str(iterations),
        "SOLVER.STEPS": "()",
    }
    if start:
        values |= {"MODEL.WEIGHTS": start, "MODEL.BACKBONE.FREEZE_AT": _FROZEN}
        if iterations > 1:
            values["SOLVER.STEPS"] = f"({iterations * 2 // 3},)"
    return [part for key, value in values.items() for part in (f"mask_rcnn.{key}", value)]


def _make_data(settings: DemoSettings, output: Path) -> Path:
    """The synthetic KINS; returns its folder."""
    counts = {"train": settings.train_images, "val": settings.val_images}
    config = SyntheticKinsConfig(settings.height, settings.width, settings.seed)
    title = f"synthetic KINS: {settings.train_images} + {settings.val_images} street scenes"

    def work(folder: Path) -> None:
        with step(title, folder):
            write_splits(folder, counts, config, None)

    inputs = {**counts, "height": settings.height, "width": settings.width, "seed": settings.seed}
    return StageStore(output / "stages").run("synthetic_kins", inputs, work).folder


def _draw_scenes(experiment: Experiment, val: str, settings: DemoSettings, pictures: Path) -> None:
    """Order and masks of whole scenes by the network that comes along."""
    deoccluder = Deoccluder.from_config(experiment.config_in_use("pcnet_m_general", settings.seed))
    records = DatasetCatalog.get(ensure_registered(val))
    records = select_records(records, max_images=settings.pictures)
    title = "Amodal masks (hatched: completed hidden part)"
    method = by_deoccluder(deoccluder)
    classes = MetadataCatalog.get(val).thing_classes
    rendered = render_records(
        records, method, pictures, title, deoccluder.uses_rgb, overwrite=True, classes=classes
    )
    list(rendered)


def _draw_hidden_objects(
    experiment: Experiment, val: str, settings: DemoSettings, path: Path
) -> list[str]:
    """The same hidden objects as the detectors see them; returns what there is to say of it.

    Of a detector's masks it is the one that fits best.
    """
    records = DatasetCatalog.get(ensure_registered(val))
    chosen = choose_hidden_objects(records, settings.pictures)
    if not chosen:
        return []
    sources = {_NAMES.get(name, name): name for name in settings.label_sources}
    found: list[dict] = []
    for source in sources.values():
        labels = experiment.data.train
        if source != TRUE_LABELS:
            labels = experiment.convert(source, settings.seed)
        masks = defaultdict(list)
        path_of = experiment.detections(experiment.detector(labels, settings.seed))
        for result in read_json_file(path_of) if path_of.is_file() else ():
            masks[result["image_id"]].append(WindowMask.from_rle(result["segmentation"]))
        found.append(masks)
    shown = [
        FoundObject(
            one.scene.image,
            one.modal_mask,
            one.amodal_mask,
            [best_mask(masks[one.scene.image_id], one.amodal_mask) for masks in found],
        )
        for one in chosen
    ]
    with whole_file(path) as file:
        Image.fromarray(draw_found_objects(shown, list(sources))).save(file, "PNG")
    return [f"Hidden objects as the detectors see them: {path}"]

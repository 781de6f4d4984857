"""From modal masks to an amodal Mask R-CNN, and what the labels are worth (paper, Table 4).

A synthetic KINS gives exact amodal truth. PCNet-M learns from its modal masks alone; every method
converts the training set; Mask R-CNN is trained on several label sources at equal training and
evaluated on the true amodal masks of the validation set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

from ..config import load_config
from .commands import run_command
from .compare_methods import METHODS, compare_methods
from .label_quality import label_quality

# Name in the tables -> --method of the conversion.
CONVERSIONS = {
    "Raw": "raw",
    "Convex": "convex",
    "Convex^R": "convex_r",
    "NOG": "pcnet_nog",
    "OG": "pcnet",
}
TRUE_LABELS = "GT"


@dataclass(frozen=True)
class LabelConversionExperiment:
    """Sizes of the experiment. The defaults are those of ``make demo``.

    Attributes:
        train_images, val_images, height, width: of the synthetic KINS, sizes in pixels.
        pcnet_config, detector_config: below the project's root.
        pcnet_iterations, detector_iterations: lengths of the trainings.
        label_sources: what Mask R-CNN is trained on: "GT", or names of ``CONVERSIONS``.
        pictures: validation images that are drawn.
        seed: of the data and of all trainings.
    """

    train_images: int = 160
    val_images: int = 40
    height: int = 128
    width: int = 416
    pcnet_config: str = "configs/quick_schedules/pcnet_m_kins_quick.yaml"
    pcnet_iterations: int = 800
    detector_config: str = "configs/quick_schedules/amodal_mask_rcnn_R_18_FPN_kins_quick.yaml"
    detector_iterations: int = 300
    label_sources: tuple[str, ...] = ("OG",)
    pictures: int = 6
    seed: int = 0

    def run(self, output: Path, project: Path) -> str:
        """Run all steps that are not done yet.

        Args:
            output: folder for data, models, results and pictures.
            project: root of the project, with ``tools/`` and ``configs/``.

        Returns:
            The report: Markdown tables. It is in ``report.md`` and, as figures, in
            ``results.json`` too.

        Raises:
            UserError: a step failed.
        """
        output = output.resolve()
        steps = _Steps(self, output, project)
        steps.make_data()
        steps.train_pcnet()
        methods = steps.evaluate_methods()
        quality = {name: steps.convert(name) for name in CONVERSIONS}
        detection = {name: steps.train_detector(name) for name in self.label_sources}
        pictures = steps.draw()
        report = _report(methods, quality, detection)
        (output / "report.md").write_text(report + "\n")
        results = {
            "settings": asdict(self),
            "methods": methods,
            "labels": quality,
            "mask_rcnn": detection,
        }
        (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        return f"{report}\n\nPictures: {pictures}\nEverything else: {output}"


class _Steps:
    def __init__(self, settings: LabelConversionExperiment, output: Path, project: Path) -> None:
        self.settings = settings
        self.output = output
        self.project = project
        data = output / "synthetic_KINS"
        self.data = data
        self.train_json = data / "instances_train.json"
        self.train_images = data / "training" / "image_2"
        self.train_set = f"kins:{self.train_json}@{self.train_images}"
        self.train_set_modal = f"kins.modal:{self.train_json}@{self.train_images}"
        self.val_set = f"kins:{data / 'instances_val.json'}@{data / 'testing' / 'image_2'}"
        self.pcnet_weights = output / "pcnet_m" / "model_final.pth"

    def make_data(self) -> None:
        s = self.settings
        self._run(
            f"synthetic KINS: {s.train_images} + {s.val_images} street scenes",
            "data",
            ["datasets/prepare_synthetic_kins.py", "--output", str(self.data)]
            + ["--train", str(s.train_images), "--val", str(s.val_images)]
            + ["--height", str(s.height), "--width", str(s.width), "--seed", str(s.seed)],
            self.data / "instances_val.json",
        )

    def train_pcnet(self) -> None:
        overrides = _opts(
            DATASETS__TRAIN=f"('{self.train_set_modal}',)",
            DATASETS__TEST="()",
            SOLVER__MAX_ITER=self.settings.pcnet_iterations,
            SEED=self.settings.seed,
            OUTPUT_DIR=self.pcnet_weights.parent,
        )
        self._run(
            "PCNet-M learns from the modal masks",
            "train_pcnet_m",
            ["tools/train_net.py", "--config-file", self.settings.pcnet_config, "--resume"]
            + overrides,
            self.pcnet_weights,
        )

    def evaluate_methods(self) -> dict:
        print("\n== ordering and completion on the validation images", flush=True)
        cfg = load_config(str(self.project / self.settings.pcnet_config))
        cfg.MODEL.WEIGHTS = str(self.pcnet_weights)
        return compare_methods(cfg, self.val_set, tuple(METHODS))

    def convert(self, name: str) -> dict:
        method, labels = CONVERSIONS[name], self._labels(name)
        command = ["tools/convert_modal_to_amodal.py", "--method", method]
        command += ["--format", "kins", "--input", str(self.train_json), "--output", str(labels)]
        if method.startswith("pcnet"):
            command += ["--config-file", self.settings.pcnet_config]
            command += ["--weights", str(self.pcnet_weights)]
        self._run(f"labels by {name}", f"convert_{method}", command, labels)
        return label_quality(f"pseudo_amodal:{labels}@{self.train_images}", self.train_set)

    def train_detector(self, source: str) -> dict:
        labels = (
            self.train_set
            if source == TRUE_LABELS
            else f"pseudo_amodal:{self._labels(source)}@{self.train_images}"
        )
        folder = self.output / f"mask_rcnn_{CONVERSIONS.get(source, 'ground_truth')}"
        iterations = self.settings.detector_iterations
        overrides = _opts(
            DATASETS__TRAIN=f"('{labels}',)",
            DATASETS__TEST=f"('{self.val_set}',)",
            SOLVER__MAX_ITER=iterations,
            SOLVER__STEPS=f"({iterations * 5 // 6},)",
            SEED=self.settings.seed,
            OUTPUT_DIR=folder,
        )
        self._run(
            f"amodal Mask R-CNN learns from {source} labels",
            folder.name,
            ["tools/train_net.py", "--config-file", self.settings.detector_config, "--resume"]
            + overrides,
            folder / "model_final.pth",
        )
        return _last_metrics(folder / "metrics.json")

    def draw(self) -> Path:
        pictures = self.output / "pictures"
        command = ["tools/visualize_deocclusion.py", "--dataset", self.val_set]
        command += ["--config-file", self.settings.pcnet_config]
        command += ["--weights", str(self.pcnet_weights), "--output", str(pictures)]
        command += ["--max-images", str(self.settings.pictures)]
        self._run("pictures", "pictures", command, done=None)
        return pictures

    def _labels(self, name: str) -> Path:
        return self.output / "labels" / f"{CONVERSIONS[name]}.json"

    def _run(self, title: str, log: str, command: list[str], done: Path | None) -> None:
        """Run a command, unless the file that it writes last is there already."""
        if done is not None and done.exists():
            print(f"\n== {title}: {done} is there already", flush=True)
            return
        run_command(title, command, self.output / "logs" / f"{log}.txt", self.project)


def _opts(**values: object) -> list[str]:
    """KEY VALUE overrides; a double underscore stands for the dot."""
    return [str(x) for key, value in values.items() for x in (key.replace("__", "."), value)]


def _last_metrics(path: Path) -> dict[str, float]:
    """The evaluation that a training ended with: AP of boxes and masks."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    evaluated = [m for m in lines if "segm/AP" in m]
    return {k: evaluated[-1][k] for k in ("segm/AP", "segm/AP50", "bbox/AP", "bbox/AP50")}


def _report(methods: dict, quality: dict, detection: dict) -> str:
    def table(headers: Sequence[str], rows: list[list]) -> str:
        return tabulate(rows, headers, tablefmt="github", floatfmt=".1f", missingval="")

    ordering = [[n, methods[n]["ordering"]["Acc"]] for n in ("Area", "Y-axis", "Convex", "OG")]
    completion = [
        [name]
        + [methods[name]["completion"].get(k) for k in _COMPLETION.values()]
        + [quality[name]["completion"].get(k) for k in _COMPLETION.values()]
        for name in CONVERSIONS
    ]
    detector = [[name, *metrics.values()] for name, metrics in detection.items()]
    return "\n\n".join(
        [
            "Order accuracy on validation images, % of occluded pairs:",
            table(["ordering", "accuracy"], ordering),
            "Completion, %: validation images, and pseudo labels of the training images:",
            table(
                ["completion"]
                + [f"val {k}" for k in _COMPLETION]
                + [f"labels {k}" for k in _COMPLETION],
                completion,
            ),
            "Amodal Mask R-CNN on validation images, by label source:",
            table(["labels", "mask AP", "mask AP50", "box AP", "box AP50"], detector),
        ]
    )


# Column -> metric of AmodalCompletionEvaluator.
_COMPLETION = {
    "mIoU": "mIoU_mean",
    "mIoU (sum)": "mIoU_sum",
    "invisible": "invisible_IoU_mean",
}

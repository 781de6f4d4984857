"""What all experiments are made of: trained networks, evaluated methods, converted labels.

Every step is a stage (see ``stages.py``), so experiments that need the same network or the same
evaluation share it, and an interrupted experiment goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detectron2.data import MetadataCatalog

from ..chosen_steps import use_fingerprint
from ..conversion import ConversionJob, convert
from ..data.datasets import DatasetName
from ..data.datasets.formats.pseudo_amodal import PseudoAmodal
from ..engine.evaluate import Metrics, evaluation_folder
from ..evaluation.label_quality import label_quality
from ..methods import method_name, with_steps
from ..systems import BESIDE_WEIGHTS, Calibration, rows, system_of, trainings
from .compare_methods import evaluate_row, reference_training
from .data import ExperimentData, num_classes
from .data import fingerprint as data_fingerprint
from .stages import Stage, StageStore, hash_of
from .steps import step
from .trainings import Trainings, pretrained_stage, weights_of

if TYPE_CHECKING:
    from detectron2.config import CfgNode

# Bins of the hidden share in evaluations: the supplement's figure needs finer ones than tables.
HIDDEN_BINS = 10


@dataclass(frozen=True)
class Experiment:
    """The steps of an experiment on one data set.

    Attributes:
        data: its data sets.
        trainings: its networks.
        store: its stages.
    """

    data: ExperimentData
    trainings: Trainings
    store: StageStore

    # ---------------------------------------------------------------- networks

    def network(self, name: str, seed: int, opts: Sequence[str] = ()) -> Stage:
        """A trained network, with those that it starts from.

        One that is pretrained is there already, and is the same for all seeds and overrides.

        Args:
            name: of the training.
        """
        training = trainings()[name][0]
        if training.pretrained:
            return pretrained_stage(name)
        if training.starts_from:
            before = self.network(training.starts_from, seed, opts)
            opts = (*opts, "MODEL.WEIGHTS", weights_of(before))
        return self.trainings.train(
            name,
            self.data.train_modal if _from_modal(name) else self.data.supervised,
            seed,
            test=self.data.test if training.evaluated else None,
            opts=opts,
        )

    def can_train(self, row: str) -> bool:
        """Whether the labels that a row's network learns from are there."""
        training = rows()[row].training
        return not training or _from_modal(training) or self.data.supervised is not None

    def is_trained(self, row: str) -> bool:
        """Whether a row's figures depend on the seed: its network is trained here."""
        training = rows()[row].training
        return bool(training) and not trainings()[training][0].pretrained

    def calibrate(self, network: Stage, cfg: CfgNode, calibration: Calibration) -> Stage:
        """What is fitted to the training data for a network's use: ``result["file"]`` holds it.

        Args:
            network: the trained network.
            cfg: how it is used.
        """
        inputs = {"network": network.key, "settings": hash_of(calibration.settings(cfg))}

        def work(folder: Path) -> dict:
            what = calibration.key.lower().replace("_", " ")
            print(f"\n== {what} of {self.data.train_modal}", flush=True)
            calibration.fit(cfg, [self.data.train_modal], folder / calibration.file)
            return {"file": calibration.file}

        return self.store.run("prior", inputs, work)

    def config_in_use(self, name: str, seed: int) -> CfgNode:
        """The config that uses a network: with its weights, and what was fitted for its use.

        Both are made first where they are missing.
        """
        return self._in_use(name, self.network(name, seed))

    def _in_use(self, name: str, network: Stage | None, opts: Sequence[str] = ()) -> CfgNode:
        """A network's config for using it."""
        cfg = self.trainings.config(name, *opts)
        system = system_of(cfg)
        if network is not None:
            cfg.MODEL.WEIGHTS = weights_of(network)
            calibration = system.network.calibration
            if calibration is not None and cfg.DEOCCLUSION[calibration.key] == BESIDE_WEIGHTS:
                fitted = self.calibrate(network, cfg, calibration)
                path = fitted.folder / fitted.result["file"]
                cfg.DEOCCLUSION[calibration.key] = str(path)
        return cfg

    # ---------------------------------------------------------------- methods

    def evaluate(
        self,
        row: str,
        seed: int,
        predictions: Stage | None = None,
        train_opts: Sequence[str] = (),
        test_opts: Sequence[str] = (),
    ) -> Metrics:
        """Figures of a row on the test set.

        Args:
            row: of the tables.
            seed: of its network; without effect for rows that train none.
            predictions: stage of predicted modal masks that are completed instead of the true ones.
            train_opts: overrides for the training of the network and for its use.
            test_opts: overrides for its use alone.
        """
        name = rows()[row].training
        network = self.network(name, seed, train_opts) if name else None
        cfg = self._in_use(name or reference_training(), network, (*train_opts, *test_opts))
        test = self.data.test
        if predictions:
            results = predictions.folder / predictions.result["file"]
            test = str(DatasetName.predicted(str(results), test))
        inputs = {
            "method": row,
            "settings": _use_of(row, cfg),
            "network": network.key if network else None,
            "test": data_fingerprint(self.data.test),
            "predictions": predictions.key if predictions else None,
        }

        def work(folder: Path) -> Metrics:
            print(f"\n== {row} on {test}", flush=True)
            return evaluate_row(cfg, row, test, hidden_bins=HIDDEN_BINS)

        return self.store.run("evaluate", inputs, work).result

    def predict_modal_masks(self, seed: int) -> Stage:
        """Modal masks predicted from the images: ``result["file"]`` holds them."""
        name = mask_training()
        network = self.network(name, seed)

        def work(folder: Path) -> dict:
            cfg = self.trainings.config(name, "MODEL.WEIGHTS", weights_of(network))
            with step("predicted modal masks", folder):
                system_of(cfg).network.masks(cfg, self.data.test, str(folder / "results.json"))
            return {"file": "results.json"}

        inputs = {"network": network.key, "test": data_fingerprint(self.data.test)}
        return self.store.run("predict", inputs, work)

    # ---------------------------------------------------------------- labels

    def convert(self, row: str, seed: int) -> Stage:
        """Pseudo-amodal labels of the training set: ``result["file"]`` holds them."""
        source = rows()[row]
        method = method_name(source.completion)
        network = self.network(source.training, seed) if source.training else None
        train = MetadataCatalog.get(self.data.train)
        about = {"method": method, "format": train.annotation_format}
        about["input"] = Path(train.annotation_json)
        inputs: dict = {"method": method, "train": data_fingerprint(self.data.train_modal)}
        if network:
            cfg = self._in_use(source.training, network)
            inputs["settings"] = _use_of(row, cfg)
            inputs["network"] = network.key
            overrides = ["DEOCCLUSION.ORDERING", source.ordering]
            calibration = system_of(cfg).network.calibration
            if calibration is not None:
                key = calibration.key
                overrides += [f"DEOCCLUSION.{key}", cfg.DEOCCLUSION[key]]
            about["config_file"] = self.trainings.config_file(source.training)
            about["weights"] = weights_of(network)
            about["image_root"] = Path(train.image_root)
            about["opts"] = tuple(self.trainings.opts(source.training, *overrides))

        def work(folder: Path) -> dict:
            with step(f"labels by {row}", folder):
                convert(ConversionJob(**about, output=folder / "labels.json", overwrite=True))
            return {"file": "labels.json"}

        return self.store.run("convert", inputs, work)

    def judge_labels(self, labels: Stage) -> Metrics:
        """How well converted labels of the training set agree with the true ones."""
        inputs = {"labels": labels.key, "truth": data_fingerprint(self.data.train)}
        return self.store.run(
            "label_quality",
            inputs,
            lambda folder: label_quality(self._labels_name(labels), self.data.train),
        ).result

    def detector(self, labels: str | Stage, seed: int) -> Stage:
        """Mask R-CNN, and how well it finds the true amodal masks of the test set.

        Args:
            labels: a registered data set, or converted labels of the training set.
            seed: of the training.

        Returns:
            Its ``result["metrics"]`` are Detectron2's "segm/AP", "segm/AP50", "bbox/AP" and so on,
            percent.
        """
        return self.trainings.train(
            detector_training(),
            labels if isinstance(labels, str) else self._labels_name(labels),
            seed,
            test=self.data.test,
            opts=self._detector_opts(),
            labels_key=labels.key if isinstance(labels, Stage) else None,
        )

    def detector_start(self, seed: int) -> Stage:
        """Mask R-CNN on the modal labels, for others to start from; it is not evaluated."""
        return self.trainings.train(
            detector_training(), self.data.train_modal, seed, opts=self._detector_opts()
        )

    def detections(self, detector: Stage) -> Path:
        """COCO results of a detector on the test set, a JSON file."""
        folder = evaluation_folder(str(detector.folder), self.data.test)
        return Path(folder) / "coco_instances_results.json"

    def _detector_opts(self) -> tuple[str, str]:
        return "MODEL.ROI_HEADS.NUM_CLASSES", str(num_classes(self.data.train))

    def _labels_name(self, labels: Stage) -> str:
        images = MetadataCatalog.get(self.data.train).image_root
        json_file = labels.folder / labels.result["file"]
        return str(DatasetName(PseudoAmodal.name, str(json_file), str(images)))


def _use_of(row: str, cfg: CfgNode) -> str:
    """The hash of how a row's steps use a config: their networks too, where others serve them."""
    return use_fingerprint(with_steps(cfg, rows()[row].ordering, rows()[row].completion))


def mask_training() -> str:
    """The training whose network predicts modal masks from images."""
    return next(n for n, (_, s) in trainings().items() if s.network.masks is not None)


def detector_training() -> str:
    """The training of Detectron2's own detector."""
    return next(n for n, (_, s) in trainings().items() if s.network.serves_others)


def _from_modal(name: str) -> bool:
    """Whether a training needs modal labels alone."""
    return trainings()[name][0].labels in ("modal", "appearance")

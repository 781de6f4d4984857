"""What all experiments are made of: trained networks, evaluated methods, converted labels.

Every step is a stage (see ``stages.py``), so experiments that need the same network or the same
evaluation share it, and an interrupted experiment goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detectron2.data import MetadataCatalog

from ..chosen_steps import option, set_option, use_fingerprint
from ..config import fingerprint
from ..conversion import ConversionJob, convert
from ..data.datasets import DatasetName
from ..data.datasets.formats.pseudo_amodal import PseudoAmodal
from ..engine.evaluate import Metrics, evaluation_folder
from ..errors import UserError
from ..evaluation.label_quality import label_quality
from ..methods import method_name, with_steps
from ..systems import (
    BESIDE_WEIGHTS,
    Calibration,
    Row,
    find_step,
    rows,
    system_of,
    trainings,
)
from .compare_methods import evaluate_row, reference_training
from .data import ExperimentData, knows_colours, num_classes, short_name
from .data import fingerprint as data_fingerprint
from .stages import Stage, StageStore, hash_of
from .steps import step
from .trainings import Trainings, pretrained_stage, weights_of

if TYPE_CHECKING:
    from typing import Any

    from detectron2.config import CfgNode

# Bins of the hidden share in evaluations: the supplement's figure needs finer ones than tables.
HIDDEN_BINS = 10


@dataclass(frozen=True)
class Method:
    """A row with the networks that it uses, trained.

    Attributes:
        cfg: its steps, and the weights of all networks.
        inputs: what decides its results beside the data, for the stages that use it.
    """

    cfg: CfgNode
    inputs: Mapping[str, Any]


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
        """Whether all networks of a row can be had; see ``lacks``."""
        return not self.lacks(row)

    def lacks(self, row: str) -> str:
        """What a row's networks, and those that they start from, lack; "" where all is there."""
        for name in (n for first in _trainings_of(row) for n in chain_of(first)):
            if not _from_modal(name) and self.data.supervised is None:
                train = short_name(self.data.train)
                return f"{train} has no amodal labels (--supervised-train names other data)"
            if trainings()[name][0].labels == "full_object" and not knows_colours(
                self.data.supervised
            ):
                supervised = short_name(self.data.supervised)
                return f"nobody knows the colours of what is hidden in {supervised}"
            try:
                self.trainings.config_file(name)
            except UserError as error:
                return str(error)
        return ""

    def is_trained(self, row: str) -> bool:
        """Whether a row's figures depend on the seed: a network of it is trained here."""
        return any(not trainings()[name][0].pretrained for name in _trainings_of(row))

    def any_config(self) -> CfgNode:
        """A config where none counts: of how test data are read."""
        return self.trainings.config(reference_training())

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

    def _in_use(
        self,
        name: str,
        network: Stage | None,
        opts: Sequence[str] = (),
        first: Sequence[str] = (),
    ) -> CfgNode:
        """A network's config for using it; see ``Trainings.opts``."""
        cfg = self.trainings.config(name, *opts, first=first)
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

    def method(
        self,
        row: str,
        seed: int,
        train_opts: Sequence[str] = (),
        test_opts: Sequence[str] = (),
        draws: bool = True,
    ) -> Method:
        """A row's method; its networks are trained first where they are missing.

        Args:
            row: of the tables.
            seed: of its networks; without effect for rows that train none.
            train_opts: overrides for the training of the row's own network and for its use.
            test_opts: overrides for its use alone.
            draws: whether it draws the samples that evaluations look at.
        """
        declared = rows()[row]
        name = declared.training
        network = self.network(name, seed, train_opts) if name else None
        opts, first = (*train_opts, *test_opts), row_options(declared, draws)
        cfg = self._in_use(name or reference_training(), network, opts, first)
        cfg = with_steps(cfg, declared.ordering, declared.completion)
        inputs = {"settings": "", "network": network.key if network else None}
        if not declared.networks:
            return Method(cfg, inputs | {"settings": use_fingerprint(cfg)})
        stages = {step: self.network(t, seed) for step, t in declared.networks.items()}
        configs = {step: self._in_use(declared.networks[step], s) for step, s in stages.items()}
        # Before the config names files: where those lie does not count.
        settings = [fingerprint(cfg, system_of(cfg), "use")]
        for other in configs.values():
            settings += [fingerprint(c, system_of(other), "use") for c in (other, cfg)]
        inputs |= {
            "settings": hash_of(settings),
            "networks": {step: stage.key for step, stage in stages.items()},
        }
        sources = {step: self._source(configs[step], stage) for step, stage in stages.items()}
        name_sources(cfg, declared, sources)
        return Method(cfg, inputs)

    def _source(self, cfg: CfgNode, network: Stage) -> str:
        """A network as ``DEOCCLUSION.ORDERING_CONFIG`` names it: "YAML@WEIGHTS"."""
        cfg = cfg.clone()
        cfg.MODEL.WEIGHTS = ""
        text = cfg.dump()

        def work(folder: Path) -> str:
            (folder / "config.yaml").write_text(text)
            return "config.yaml"

        stage = self.store.run("config", {"config": hash_of(text)}, work)
        return f"{stage.folder / stage.result}@{weights_of(network)}"

    def measure(
        self, name: str, row: str, seed: int, work: Callable[[CfgNode, str, Path], Any]
    ) -> Stage:
        """A stage of what a system measures on the test set with a row, beside the evaluation.

        Args:
            name: of the stage.
            work: (config of the row, name of the test set, the stage's folder) -> its result.
        """
        method = self.method(row, seed)
        inputs = {**method.inputs, "test": data_fingerprint(self.data.test)}

        def measured(folder: Path) -> Any:
            print(f"\n== {name.replace('_', ' ')} of {row} on {self.data.test}", flush=True)
            return work(method.cfg, self.data.test, folder)

        return self.store.run(name, inputs, measured)

    def samples_of(self, row: str) -> int:
        """How many completions evaluations draw for an object; 0 for rows that draw none."""
        declared = rows()[row]
        if declared.samples is None:
            return 0
        first = row_options(declared, draws=True)
        return option(self.trainings.config(declared.training, first=first), declared.samples[0])

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
            predictions: stage of predicted modal masks that are completed instead of the true ones.
            seed, train_opts, test_opts: see ``method``.
        """
        method = self.method(row, seed, train_opts, test_opts)
        test = self.data.test
        if predictions:
            results = predictions.folder / predictions.result["file"]
            test = str(DatasetName.predicted(str(results), test))
        inputs = {
            "method": row,
            **method.inputs,
            "test": data_fingerprint(self.data.test),
            "predictions": predictions.key if predictions else None,
        }

        def work(folder: Path) -> Metrics:
            print(f"\n== {row} on {test}", flush=True)
            return evaluate_row(method.cfg, row, test, hidden_bins=HIDDEN_BINS)

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
        train = MetadataCatalog.get(self.data.train)
        about = {"method": method, "format": train.annotation_format}
        about["input"] = Path(train.annotation_json)
        inputs: dict = {"method": method, "train": data_fingerprint(self.data.train_modal)}
        if source.training:
            made = self.method(row, seed, draws=False)
            cfg = made.cfg
            inputs |= made.inputs
            overrides = ["DEOCCLUSION.ORDERING", source.ordering]
            for key in _keys_of_sources(source):
                overrides += [f"DEOCCLUSION.{key}", str(option(cfg, key))]
            calibration = system_of(cfg).network.calibration
            if calibration is not None:
                key = calibration.key
                overrides += [f"DEOCCLUSION.{key}", cfg.DEOCCLUSION[key]]
            about["config_file"] = self.trainings.config_file(source.training)
            about["weights"] = cfg.MODEL.WEIGHTS
            about["image_root"] = Path(train.image_root)
            first = row_options(source, draws=False)
            about["opts"] = tuple(self.trainings.opts(source.training, *overrides, first=first))

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

    def detector(self, labels: str | Stage, seed: int, name: str = "") -> Stage:
        """A detector, and how well it finds the true amodal masks of the test set.

        Args:
            labels: a registered data set, or converted labels of the training set.
            seed: of the training.
            name: of the training; "" for Detectron2's own detector.

        Returns:
            Its ``result["metrics"]`` are Detectron2's "segm/AP", "segm/AP50", "bbox/AP" and so on,
            percent.
        """
        return self.trainings.train(
            name or detector_training(),
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

    def detector_config(self, name: str, detector: Stage) -> CfgNode:
        """The config that uses a trained detector.

        Args:
            name: of its training.
        """
        opts = (*self._detector_opts(), "MODEL.WEIGHTS", weights_of(detector))
        return self.trainings.config(name, *opts)

    def _detector_opts(self) -> tuple[str, str]:
        return "MODEL.ROI_HEADS.NUM_CLASSES", str(num_classes(self.data.train))

    def _labels_name(self, labels: Stage) -> str:
        images = MetadataCatalog.get(self.data.train).image_root
        json_file = labels.folder / labels.result["file"]
        return str(DatasetName(PseudoAmodal.name, str(json_file), str(images)))


def row_options(row: Row, draws: bool) -> list[str]:
    """The overrides that a row brings.

    Args:
        draws: whether it draws samples.
    """
    options = dict(row.options)
    if row.samples is not None and draws:
        key, count = row.samples
        options[key] = str(count)
    return [text for key, value in options.items() for text in (f"DEOCCLUSION.{key}", value)]


def name_sources(cfg: CfgNode, row: Row, sources: Mapping[str, str]) -> None:
    """Tell a row's config where the networks of its steps come from, in place.

    Args:
        cfg: with the row's steps.
        sources: step -> "YAML@WEIGHTS".

    Raises:
        UserError: the row has no such step.
    """
    unused = set(sources)
    for kind, name in _steps_of(row):
        members = find_step(kind, name)[1].members
        if members:
            listed = tuple(option(cfg, members))
            unused -= set(listed)
            named = tuple(f"{m}={sources[m]}" if m in sources else m for m in listed)
            set_option(cfg, members, named)
        elif name in sources:
            unused.discard(name)
            set_option(cfg, f"{kind.upper()}_CONFIG", sources[name])
    if unused:
        raise UserError(f"row {row.name}: it has no step {min(unused)!r} to run a network")


def _keys_of_sources(row: Row) -> list[str]:
    """The keys of ``DEOCCLUSION`` by which a row's config names networks of others."""
    found = []
    for kind, name in _steps_of(row):
        members = find_step(kind, name)[1].members
        if members:
            found.append(members)
        elif name in row.networks:
            found.append(f"{kind.upper()}_CONFIG")
    return found


def _steps_of(row: Row) -> tuple[tuple[str, str], tuple[str, str]]:
    """(kind, name) of its two steps."""
    return ("ordering", row.ordering), ("completion", row.completion)


def chain_of(training: str) -> list[str]:
    """A training, and before it those that it starts from, the first one first."""
    before = trainings()[training][0].starts_from
    return [*(chain_of(before) if before else ()), training]


def mask_training() -> str:
    """The training whose network predicts modal masks from images."""
    return next(n for n, (_, s) in trainings().items() if s.network.masks is not None)


def detector_training() -> str:
    """The training of Detectron2's own detector."""
    return next(n for n, (_, s) in trainings().items() if s.network.serves_others)


def _trainings_of(row: str) -> tuple[str, ...]:
    """The trainings of a row; none of one that is no system's."""
    return rows()[row].trainings if row in rows() else ()


def _from_modal(name: str) -> bool:
    """Whether a training needs modal labels alone."""
    return trainings()[name][0].labels in ("modal", "appearance")

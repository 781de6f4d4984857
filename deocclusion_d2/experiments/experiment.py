"""What all experiments are made of: trained networks, evaluated methods, converted labels.

Every step is a stage (see ``stages.py``), so experiments that need the same network or the same
evaluation share it, and an interrupted experiment goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from ..data.datasets import DatasetName
from ..data.datasets.formats.pseudo_amodal import PseudoAmodal
from ..inference.ordering_prior import AUTO, PRIOR_FILE
from ..inference.prior_fitting import fit_ordering_prior
from ..inference.weights import file_sha256
from .commands import run_command
from .compare_methods import METHODS, Metrics, evaluate_method
from .data import ExperimentData, fingerprint, num_classes
from .label_quality import label_quality
from .stages import Stage, StageStore, hash_of
from .trainings import PCNETS, Trainings, weights_of

# Source of pseudo labels -> --method of the conversion.
CONVERSIONS = {
    "Raw": "raw",
    "Convex": "convex",
    "Convex^R": "convex_r",
    "NOG": "pcnet_nog",
    "OG": "pcnet",
    "OG+": "pcnet",
}
# Bins of the hidden share in evaluations: the supplement's figure needs finer ones than tables.
HIDDEN_BINS = 10


@dataclass(frozen=True)
class Experiment:
    """The steps of an experiment on one data set.

    Attributes:
        data: its data sets.
        trainings: its networks.
        store: its stages.
        project: the project's root.
    """

    data: ExperimentData
    trainings: Trainings
    store: StageStore
    project: Path

    # ---------------------------------------------------------------- networks

    def network(self, role: str, seed: int, opts: Sequence[str] = ()) -> Stage:
        """A trained network; see ``trainings.CONFIGS`` for the roles."""
        modal_only = role in (*PCNETS, "modal_unet")
        return self.trainings.train(
            role,
            self.data.train_modal if modal_only else self.data.supervised,
            seed,
            test=self.data.test if role == "modal_unet" else None,
            opts=opts,
        )

    def can_train(self, method: str) -> bool:
        """Whether the labels that a method's network learns from are there."""
        return METHODS[method].network in (None, *PCNETS) or self.data.supervised is not None

    def prior(self, network: Stage, cfg) -> Stage:
        """The ordering prior of a PCNet-M: ``result["file"]`` holds it.

        Args:
            network: the trained PCNet-M.
            cfg: how it is used.
        """
        options = cfg.DEOCCLUSION
        settings = [options.ORDER_THRESHOLD, options.DILATION, options.PRECISION]
        settings.append(cfg.INPUT.PARTIAL_COMPLETION.dump())
        inputs = {"network": network.key, "settings": hash_of(settings)}

        def work(folder: Path) -> dict:
            print(f"\n== ordering prior of {self.data.train_modal}", flush=True)
            fit_ordering_prior(cfg, [self.data.train_modal], folder / PRIOR_FILE)
            return {"file": PRIOR_FILE}

        return self.store.run("prior", inputs, work)

    def config_in_use(self, role: str, seed: int) -> CfgNode:
        """The config that uses a PCNet-M: with its weights, and its ordering prior if it has one.

        Both are made first where they are missing.
        """
        return self._in_use(role, self.network(role, seed))[0]

    def _in_use(
        self, role: str, network: Stage | None, opts: Sequence[str] = ()
    ) -> tuple[CfgNode, str]:
        """A network's config for using it, and the hash of what decides how it is used."""
        cfg = self.trainings.config(role, *opts)
        if network is not None:
            cfg.MODEL.WEIGHTS = weights_of(network)
        path = cfg.DEOCCLUSION.ORDERING_PRIOR
        if path == AUTO and network is not None:
            prior = self.prior(network, cfg)
            path = str(prior.folder / prior.result["file"])
        # What a prior says decides, not where it lies.
        content = file_sha256(Path(path)) if path and Path(path).is_file() else path
        cfg.DEOCCLUSION.ORDERING_PRIOR = content
        settings = hash_of(cfg.DEOCCLUSION.dump() + cfg.INPUT.PARTIAL_COMPLETION.dump())
        cfg.DEOCCLUSION.ORDERING_PRIOR = path
        return cfg, settings

    # ---------------------------------------------------------------- methods

    def evaluate(
        self,
        method: str,
        seed: int,
        predictions: Stage | None = None,
        train_opts: Sequence[str] = (),
        test_opts: Sequence[str] = (),
    ) -> Metrics:
        """Figures of a method on the test set.

        Args:
            method: key of ``METHODS``.
            seed: of its network; without effect for methods that have none.
            predictions: stage of predicted modal masks that are completed instead of the true ones.
            train_opts: overrides for the training of the network and for its use.
            test_opts: overrides for its use alone.
        """
        role = METHODS[method].network
        network = self.network(role, seed, train_opts) if role else None
        cfg, settings = self._in_use(role or "pcnet_m", network, (*train_opts, *test_opts))
        test = self.data.test
        if predictions:
            results = predictions.folder / predictions.result["file"]
            test = str(DatasetName.predicted(str(results), test))
        inputs = {
            "method": method,
            "settings": settings,
            "network": network.key if network else None,
            "test": fingerprint(self.data.test),
            "predictions": predictions.key if predictions else None,
        }

        def work(folder: Path) -> Metrics:
            print(f"\n== {method} on {test}", flush=True)
            return evaluate_method(cfg, method, test, hidden_bins=HIDDEN_BINS)

        return self.store.run("evaluate", inputs, work).result

    def predict_modal_masks(self, seed: int) -> Stage:
        """Modal masks predicted from image and box: ``result["file"]`` holds them."""
        network = self.network("modal_unet", seed)

        def work(folder: Path) -> dict:
            command = [
                str(self.project / "tools/predict_modal_masks.py"),
                "--dataset",
                self.data.test,
            ]
            command += ["--config-file", self.trainings.config_file("modal_unet")]
            command += ["--weights", weights_of(network)]
            command += ["--output", str(folder / "results.json")]
            command += self.trainings.opts("modal_unet")
            run_command("predicted modal masks", command, folder / "log.txt")
            return {"file": "results.json"}

        inputs = {"network": network.key, "test": fingerprint(self.data.test)}
        return self.store.run("predict", inputs, work)

    # ---------------------------------------------------------------- labels

    def convert(self, source: str, seed: int) -> Stage:
        """Pseudo-amodal labels of the training set: ``result["file"]`` holds them."""
        method = CONVERSIONS[source]
        role = METHODS[source].network
        network = self.network(role, seed) if role else None
        train = MetadataCatalog.get(self.data.train)
        command = [str(self.project / "tools/convert_modal_to_amodal.py"), "--method", method]
        command += ["--format", train.annotation_format, "--input", str(train.annotation_json)]
        inputs: dict = {"method": method, "train": fingerprint(self.data.train_modal)}
        overrides: list[str] = []
        if network:
            cfg, inputs["settings"] = self._in_use(role, network)
            inputs["network"] = network.key
            command += ["--config-file", self.trainings.config_file(role)]
            command += ["--weights", weights_of(network), "--image-root", str(train.image_root)]
            prior = ("DEOCCLUSION.ORDERING_PRIOR", cfg.DEOCCLUSION.ORDERING_PRIOR)
            overrides = self.trainings.opts(role, *prior)

        def work(folder: Path) -> dict:
            labels = ["--output", str(folder / "labels.json"), "--overwrite"]
            run_command(
                f"labels by {source}", [*command, *labels, *overrides], folder / "log.txt",
            )  # fmt: skip
            return {"file": "labels.json"}

        return self.store.run("convert", inputs, work)

    def judge_labels(self, labels: Stage) -> Metrics:
        """How well converted labels of the training set agree with the true ones."""
        inputs = {"labels": labels.key, "truth": fingerprint(self.data.train)}
        return self.store.run(
            "label_quality",
            inputs,
            lambda folder: label_quality(self._labels_name(labels), self.data.train),
        ).result

    def detector(self, labels: str | Stage, seed: int) -> dict[str, float]:
        """AP on the true amodal masks of the test set of a Mask R-CNN.

        Args:
            labels: a registered data set, or converted labels of the training set.
            seed: of the training.

        Returns:
            Detectron2's "segm/AP", "segm/AP50", "bbox/AP" and so on, percent.
        """
        stage = self.trainings.train(
            "mask_rcnn",
            labels if isinstance(labels, str) else self._labels_name(labels),
            seed,
            test=self.data.test,
            opts=("MODEL.ROI_HEADS.NUM_CLASSES", str(num_classes(self.data.train))),
            labels_key=labels.key if isinstance(labels, Stage) else None,
        )
        return stage.result["metrics"]

    def _labels_name(self, labels: Stage) -> str:
        images = MetadataCatalog.get(self.data.train).image_root
        json_file = labels.folder / labels.result["file"]
        return str(DatasetName(PseudoAmodal.name, str(json_file), str(images)))

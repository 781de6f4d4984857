"""Masks of photos by an instance-segmentation network of Detectron2: modal ones, or amodal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from detectron2.data import MetadataCatalog
from detectron2.data import transforms as T
from detectron2.utils.file_io import PathManager

from ..config import load_config
from ..data.datasets import ensure_registered, get_format, read_json, view_of
from ..data.datasets.formats import VIEWS
from ..errors import UserError
from ..inference.scene_input import scene_from_masks
from ..inference.weights import load_model
from ..systems import system_of
from .mask_sources import MaskedPhoto, MaskSource


class Detector(MaskSource):
    """Finds the objects of photos; prepares them as Detectron2's DefaultPredictor does.

    Category names and ids are those of the first data set of ``DATASETS.TEST``. Whether its masks
    are modal or amodal, ``DEOCCLUSION.DETECTED`` says, or the first data set of ``DATASETS.TRAIN``.

    Args:
        cfg: config of the network, with ``MODEL.WEIGHTS``.
        min_score: objects below it are left out; of the others, the one of the highest score gets
            the pixels on which they overlap.
        needs_category: refuse a data set whose category ids are not known.
        model: the network; without it the config's is built and its weights loaded.

    Raises:
        UserError: see ``load_model``.
    """

    def __init__(
        self, cfg, min_score: float, needs_category: bool, model: torch.nn.Module | None = None
    ) -> None:
        self.finds_amodal = detected_view(cfg) == "amodal"
        self._classes, self._ids = _categories(cfg.DATASETS.TEST)
        if needs_category and self._ids is None:
            raise UserError(
                "--detector: the category ids that the network wants are unknown, for the data set "
                f"of DATASETS.TEST = {tuple(cfg.DATASETS.TEST)} is not there: name one that the "
                "detector was trained for, such as DATASETS.TEST \"('coco:FILE.json',)\""
            )
        self.model = load_model(cfg) if model is None else model.eval()
        self.min_score = min_score
        self.needs_category = needs_category
        self._draw = system_of(cfg).network.regions
        self._bgr = cfg.INPUT.FORMAT == "BGR"
        sizes = [cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MIN_SIZE_TEST]
        self._resize = T.ResizeShortestEdge(sizes, cfg.INPUT.MAX_SIZE_TEST)

    @property
    def is_on_gpu(self) -> bool:
        return self.model.device.type != "cpu"

    @classmethod
    def from_files(
        cls,
        config_file: str,
        weights: str | None,
        opts: Sequence[str],
        min_score: float,
        needs_category: bool,
    ) -> Detector:
        """From a config file and trained weights; None for the config's ``MODEL.WEIGHTS``.

        Raises:
            UserError: also for a network of this package that finds no objects.
        """
        cfg = detector_config(config_file, weights, opts)
        if system_of(cfg).network.test_loader is None:
            raise UserError(
                f"--detector: {cfg.MODEL.META_ARCHITECTURE} finds no objects: name a config of "
                "instance segmentation"
            )
        return cls(cfg, min_score, needs_category)

    @torch.inference_mode()
    def __call__(self, path: Path, image: np.ndarray) -> MaskedPhoto:
        height, width = image.shape[:2]
        given = image[:, :, ::-1] if self._bgr else image
        given = self._resize.get_transform(given).apply_image(given)
        tensor = torch.as_tensor(given.astype(np.float32).transpose(2, 0, 1).copy())
        output = self.model([{"image": tensor, "height": height, "width": width}])[0]
        instances = output.get("instances")
        if instances is None or not instances.has("pred_masks"):
            raise UserError(
                "--detector: this network finds no masks: name a config of instance segmentation"
            )
        largest = max(instances.pred_classes.tolist(), default=-1)
        if self._classes is not None and largest >= len(self._classes):
            raise UserError(
                f"--detector: the network has found class {largest}, but the data set of "
                f"DATASETS.TEST has {len(self._classes)} categories: name there the one that the "
                "detector was trained for"
            )
        scene, rows = scene_from_masks(
            instances,
            None,
            image,
            min_score=self.min_score,
            contiguous_ids=self._ids,
            needs_category=self.needs_category,
            masks_are_amodal=self.finds_amodal,
        )
        numbers = [int(instances.pred_classes[row]) for row in rows]
        names = [self._classes[n] if self._classes else f"class{n}" for n in numbers]
        regions = None if self._draw is None else self._draw(image, instances[rows], names)
        return MaskedPhoto(replace(scene, file_name=str(path)), names, regions)


def detected_view(cfg) -> str:
    """What the masks of a detector are: "modal" or "amodal".

    Raises:
        UserError: ``DEOCCLUSION.DETECTED`` is neither of them, nor "auto".
    """
    wanted = cfg.DEOCCLUSION.DETECTED
    if wanted in VIEWS:
        return wanted
    if wanted != "auto":
        raise UserError(f"DEOCCLUSION.DETECTED = {wanted!r}: use auto, {' or '.join(VIEWS)}")
    return view_of(cfg.DATASETS.TRAIN[0]) if cfg.DATASETS.TRAIN else "modal"


def detector_config(config_file: str, weights: str | None, opts: Sequence[str]):
    """The config of a detector, with its weights in it."""
    return load_config(config_file, [*opts, *(["MODEL.WEIGHTS", weights] if weights else [])])


def _categories(names: Sequence[str]) -> tuple[Sequence[str] | None, dict[int, int] | None]:
    """Names by class number, and class numbers by category id, of the first data set.

    None where they are not known. Data sets of this package tell them from their file.
    """
    if not names:
        return None, None
    name = ensure_registered(names[0]) if ":" in names[0] else names[0]
    metadata = MetadataCatalog.get(name)
    if metadata.get("thing_classes") is None and PathManager.isfile(
        metadata.get("annotation_json", "")
    ):
        document = read_json(metadata.annotation_json)
        categories = get_format(metadata.annotation_format).categories(document)
        ids = {category["id"]: number for number, category in enumerate(categories)}
        return [category["name"] for category in categories], ids
    return metadata.get("thing_classes"), metadata.get("thing_dataset_id_to_contiguous_id")

"""Modal masks from images and boxes by ModalUNet: the input of the paper's Table 3 (Sec. 4.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from ...data.loaders import build_scene_test_loader
from ...errors import UserError
from ...files import whole_file
from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import require_image
from ...structures import Scene, SquareCrop, WindowMask

# Probability above which a pixel belongs to the instance.
MODAL_THRESHOLD = 0.5


@dataclass
class ModalPrediction:
    """Predicted modal masks of a scene of N instances.

    Attributes:
        masks: N masks; empty for an instance without a visible pixel, which has no box.
        scores: (N,) float64, mean probability of the predicted pixels of the patch, 0 without any.
    """

    masks: list[WindowMask]
    scores: np.ndarray


class ModalSegmenter:
    """Predicts the modal mask of every instance of a scene from its image and its modal box.

    The true masks of a scene are used for their boxes only. Results do not depend on how scenes
    are grouped into calls.

    Args:
        runner: runs ModalUNet.
        patch_size: S in pixels.
        enlarge: see ``SquareCrop.around``.
    """

    uses_rgb = True

    def __init__(
        self, runner: NetworkRunner, *, patch_size: int = 256, enlarge: float = 3.0
    ) -> None:
        self.runner = runner
        self.patch_size = patch_size
        self.enlarge = enlarge

    @classmethod
    def from_config(cls, cfg, model: torch.nn.Module | None = None) -> ModalSegmenter:
        """Build it from a config of ModalUNet.

        Args:
            model: a trained ModalUNet; without it one is built and ``cfg.MODEL.WEIGHTS`` loaded.

        Raises:
            UserError: missing weights, or a config of another network.
        """
        if cfg.MODEL.META_ARCHITECTURE != "ModalUNet":
            raise UserError(
                "modal masks are predicted by ModalUNet, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of ModalUNet"
            )
        # The paper's protocol is about what is done with its masks.
        runner = NetworkRunner.from_config(cfg, model, protocol=False)
        options = cfg.INPUT.INSTANCE_CROP
        return cls(runner, patch_size=options.SIZE, enlarge=options.ENLARGE)

    def __call__(self, scenes: Sequence[Scene | dict]) -> list[ModalPrediction]:
        """Predict the masks of scenes. All of them share the network's batches.

        Args:
            scenes: scenes with images, or the dicts of ``SceneMapper``, so that this can stand
                where Detectron2's evaluation loop expects a model.

        Raises:
            UserError: a scene has no image.
        """
        scenes = [s["scene"] if isinstance(s, dict) else s for s in scenes]
        probabilities = self.runner.outputs(self._samples(scenes), "probability")
        return [self._prediction(scene, probabilities) for scene in scenes]

    def _prediction(self, scene: Scene, probabilities: Iterator[np.ndarray]) -> ModalPrediction:
        prediction = ModalPrediction([], np.zeros(len(scene)))
        for i, modal in enumerate(scene.modal_masks):
            if modal.is_empty:
                prediction.masks.append(modal)
                continue
            probability = next(probabilities)
            inside = probability > MODAL_THRESHOLD
            square = SquareCrop.around(modal.box, self.enlarge)
            prediction.masks.append(square.paste(inside, scene.height, scene.width))
            if inside.any():
                prediction.scores[i] = probability[inside].mean(dtype=np.float64)
        return prediction

    def _samples(self, scenes: Sequence[Scene]) -> Iterator[Sample]:
        for scene in scenes:
            for modal in scene.modal_masks:
                if modal.is_empty:
                    continue
                square = SquareCrop.around(modal.box, self.enlarge)
                box = square.sample(WindowMask.filled(modal.box), self.patch_size)
                yield {
                    "image": square.resize_image(require_image(scene), self.patch_size),
                    "box": box.view(np.uint8),
                }


def write_predictions(
    cfg, dataset_name: str, output_json: str, model: torch.nn.Module | None = None
) -> int:
    """Predict the modal masks of a data set, image by image, into a COCO results JSON.

    The file is a list of ``{image_id, category_id (the data set's), segmentation (compressed RLE),
    bbox [x, y, w, h], score, annotation_id}``, one for every instance with a visible pixel, in the
    data set's order. ``annotation_id`` is the instance whose box was given, so that a prediction is
    matched to its truth exactly. The file appears when it is complete.

    Args:
        cfg: config of ModalUNet.
        dataset_name: registered, or ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``.
        output_json: file to write; its folder is made.
        model: see ``ModalSegmenter.from_config``.

    Returns:
        The number of predictions.

    Raises:
        UserError: see ``ModalSegmenter.from_config``.
    """
    segmenter = ModalSegmenter.from_config(cfg, model)
    loader = build_scene_test_loader(cfg, dataset_name, load_images=True)
    count = 0
    with (
        whole_file(output_json) as unfinished,
        unfinished.open("w", encoding="utf-8") as file,
    ):
        file.write("[")
        for batch in tqdm(loader, unit="batch"):
            scenes = [record["scene"] for record in batch]
            for scene, prediction in zip(scenes, segmenter(scenes), strict=True):
                for result in coco_results(scene, prediction):
                    file.write((",\n" if count else "\n") + json.dumps(result))
                    count += 1
        file.write("\n]\n")
    return count


def coco_results(scene: Scene, prediction: ModalPrediction) -> list[dict]:
    """The predictions of a scene as ``write_predictions`` writes them."""
    return [
        {
            "image_id": scene.image_id,
            "category_id": int(scene.category_ids[i]),
            "segmentation": mask.to_rle(scene.height, scene.width),
            "bbox": mask.xywh,
            "score": float(prediction.scores[i]),
            "annotation_id": scene.instance_ids[i],
        }
        for i, mask in enumerate(prediction.masks)
        if not scene.modal_masks[i].is_empty
    ]

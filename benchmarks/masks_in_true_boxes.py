#!/usr/bin/env python
"""How good detectors' amodal masks are where their boxes are not to blame: in the true ones.

Of every true object its mask head is given the true amodal box; whole masks and hidden parts are
compared with the true ones, by how much of the object is hidden. AP mixes both: a detector that
misses hidden objects has the AP of its boxes.

benchmarks/masks_in_true_boxes.py --dataset synthetic_kins_val --detectors \\
    output/mask_rcnn/config.yaml@output/mask_rcnn/model_final.pth \\
    output/bcnet/config.yaml@output/bcnet/model_final.pth
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from detectron2.data import MetadataCatalog
from detectron2.data import transforms as T
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances
from tabulate import tabulate

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import records_of
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.evaluation.completion import completion_areas
from deocclusion_d2.evaluation.hidden_objects import GROUPS, hidden_group
from deocclusion_d2.inference.weights import load_model
from deocclusion_d2.progress import counting
from deocclusion_d2.structures import Scene, SceneTruth, WindowMask

SceneOf = tuple[Scene, SceneTruth, list[str | None]]


def scenes_of(dataset: str, count: int | None) -> Iterator[SceneOf]:
    """Scenes with images and true amodal masks, and of each object its group of hidden share."""
    for record in records_of(dataset)[:count]:
        scene, truth = scene_from_record(record, load_image=True)
        if truth.amodal_masks is None:
            raise UserError(f"--dataset {dataset}: {scene.description} has no amodal masks")
        objects = [a for a in record["annotations"] if not a.get("iscrowd", 0)]
        yield scene, truth, [hidden_group(annotation) for annotation in objects]


class MasksInBoxes:
    """The masks that a detector makes of given boxes."""

    def __init__(self, source: str, dataset: str) -> None:
        config, _, weights = source.rpartition("@")
        if not config:
            raise UserError(f"--detectors {source}: write YAML@WEIGHTS")
        cfg = load_config(config, ["MODEL.WEIGHTS", weights])
        self.model = load_model(cfg)
        self._bgr = cfg.INPUT.FORMAT == "BGR"
        sizes = [cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MIN_SIZE_TEST]
        self._resize = T.ResizeShortestEdge(sizes, cfg.INPUT.MAX_SIZE_TEST)
        self._classes = MetadataCatalog.get(dataset).thing_dataset_id_to_contiguous_id

    @torch.inference_mode()
    def __call__(self, scene: Scene, rows: list[int], boxes: np.ndarray) -> list[WindowMask]:
        """
        Args:
            rows: N objects of the scene.
            boxes: (N, 4) of (x0, y0, x1, y1), theirs, inside the image.
        """
        image = scene.image[:, :, ::-1] if self._bgr else scene.image
        transform = self._resize.get_transform(image)
        given = transform.apply_image(image).astype(np.float32).transpose(2, 0, 1)
        tensor = torch.as_tensor(np.ascontiguousarray(given))
        regions = Instances(tensor.shape[1:])
        regions.pred_boxes = Boxes(torch.as_tensor(transform.apply_box(boxes)).float())
        categories = [int(scene.category_ids[row]) for row in rows]
        regions.pred_classes = torch.tensor([self._classes[c] for c in categories])
        (found,) = self.model.inference([{"image": tensor}], [regions], do_postprocess=False)
        found = detector_postprocess(found, scene.height, scene.width)
        return [WindowMask.from_array(mask) for mask in found.pred_masks.cpu().numpy()]


def measure(
    masks_in: MasksInBoxes, scenes: list[SceneOf]
) -> dict[str, list[tuple[float, float | None]]]:
    """Group -> of each object the IoU of its mask, and that of its hidden part; None without."""
    found = defaultdict(list)
    with counting(len(scenes), desc="images", unit="image") as done:
        for scene, truth, groups in scenes:
            rows = [row for row, group in enumerate(groups) if group is not None]
            boxes = np.array([truth.amodal_masks[row].box for row in rows], float)
            masks = masks_in(scene, rows, boxes) if rows else []
            for row, mask in zip(rows, masks, strict=True):
                modal, true = scene.modal_masks[row], truth.amodal_masks[row]
                both, together, hidden, hidden_union = completion_areas(mask, true, modal)
                part = hidden / hidden_union if groups[row] != GROUPS[0] else None
                found[groups[row]].append((both / together, part))
            done(1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, metavar="NAME", help="with amodal masks")
    parser.add_argument("--detectors", required=True, nargs="+", metavar="YAML@WEIGHTS")
    parser.add_argument("--max-images", type=int, metavar="N", help="default: all")
    args = parser.parse_args()
    rows = []
    with one_line_errors():
        dataset = ensure_registered(args.dataset)
        scenes = list(scenes_of(dataset, args.max_images))
        for source in args.detectors:
            found = measure(MasksInBoxes(source, dataset), scenes)
            for group in GROUPS:
                values = found[group]
                parts = [part for _, part in values if part is not None]
                rows.append(
                    [
                        source if group == GROUPS[0] else "",
                        group.removeprefix("hidden") + " %",
                        len(values),
                        100 * np.mean([iou for iou, _ in values]) if values else None,
                        100 * np.mean(parts) if parts else None,
                    ]
                )
    headers = ["detector", "hidden", "objects", "IoU", "IoU of the hidden part"]
    print(tabulate(rows, headers, "github", floatfmt=".1f", missingval="-"))


if __name__ == "__main__":
    main()

"""Hugging Face's transformers: https://huggingface.co/docs/transformers (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import UserError
from .predictions import Predictions, as_numpy


def is_transformers(results: Any) -> bool:
    return isinstance(results, Mapping) and {"segmentation", "segments_info"} <= set(results)


def from_transformers(result: Mapping[str, Any]) -> Predictions:
    """What ``post_process_instance_segmentation`` gives for an image: of MaskFormer, Mask2Former,
    RF-DETR, EoMT and others.

    Args:
        result: ``segmentation``, a map of segment ids, (H, W), or with ``return_binary_maps``
            masks, (N, H, W); ``segments_info``, N dicts of ``id``, ``label_id``, ``score``.

    Raises:
        UserError: run lengths (``return_coco_annotation``), which do not tell the image's size.
    """
    maps, segments = result["segmentation"], result["segments_info"]
    if maps is None or isinstance(maps, list):
        raise UserError(
            "this result's segmentation is no map of segments: leave out return_coco_annotation; "
            "return_binary_maps=True keeps masks that overlap"
        )
    maps = as_numpy(maps)
    if maps.ndim == 2:
        maps = maps[None] == np.array([s["id"] for s in segments])[:, None, None]
    if len(maps) != len(segments):
        raise UserError(f"this result has {len(maps)} masks and {len(segments)} segments_info")
    scores = [s.get("score") for s in segments]
    return Predictions.of(
        maps,
        None if None in scores else scores,
        [s["label_id"] for s in segments],
        "post-process with target_sizes=[(height, width)]",
    )

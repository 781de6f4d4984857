"""COCO's evaluation by hotcoco where it is installed, by pycocotools otherwise: the same numbers.

hotcoco (the extra ``fast``) is much faster. Its arrays are those of pycocotools
to the bit, where ids are numbers from 0 on (annotations: from 1 on) and no score is NaN. What is
given to either is therefore numbered anew here.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

logger = logging.getLogger(__name__)

# The oldest version whose numbers have been compared; the extra `fast` asks for it.
OLDEST_HOTCOCO = (1, 3)


def evaluate_coco(truth: Mapping[str, Any], predicted: Sequence[Mapping], kind: str) -> Any:
    """COCO's evaluation with its own thresholds, area ranges and limits (1, 10, 100 per image).

    Equal scores in several images are ranked by the order of ``truth["images"]``.

    Args:
        truth: a COCO document: ``images``, ``categories`` and ``annotations``, whose masks are
            compressed RLEs. Ids of images and categories may be anything; those of annotations
            are not looked at.
        predicted: at least one of COCO's results: ``image_id``, ``category_id``, ``score``, and
            ``bbox`` [x, y, w, h] or ``segmentation`` (RLE) or both. Where there is ``bbox``, it
            and not the mask says how large the object is.
        kind: ``bbox`` or ``segm``.

    Returns:
        The ``COCOeval`` of the library after ``summarize()``, which has printed: ``stats``, (12,)
        float64, and ``eval`` with ``precision``, (10, 101, K, 4, 3) float64, of the K categories in
        the order of ``truth["categories"]``; -1 where a number is not defined.
    """
    image_of = {image["id"]: number for number, image in enumerate(truth["images"])}
    category_of = {c["id"]: number for number, c in enumerate(truth["categories"])}

    def numbered(entry: Mapping) -> dict:
        image, category = image_of[entry["image_id"]], category_of[entry["category_id"]]
        return {**entry, "image_id": image, "category_id": category}

    # hotcoco refuses NaN; pycocotools ranks it somehow.
    odd = any(math.isnan(result["score"]) for result in predicted)
    forked = _first_process() != os.getpid()
    make_coco, make_evaluation = (COCO, COCOeval) if odd or forked else coco_classes()
    coco = make_coco()
    coco.dataset = {
        "info": {},
        "images": [{**image, "id": number} for number, image in enumerate(truth["images"])],
        "categories": [{"id": k, "name": str(k)} for k in range(len(category_of))],
        # COCOeval takes a matched annotation's id for a flag: 0 would be no match.
        "annotations": [{**numbered(a), "id": k} for k, a in enumerate(truth["annotations"], 1)],
    }
    coco.createIndex()
    evaluation = make_evaluation(coco, coco.loadRes([numbered(p) for p in predicted]), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


@cache
def _first_process() -> int:
    """Which process evaluated first: a fork of it would wait for ever for hotcoco's threads."""
    return os.getpid()


@cache
def coco_classes() -> tuple[type, type]:
    """``COCO`` and ``COCOeval`` of the library that is used; the log names it, once."""
    if find_spec("hotcoco") is None:
        logger.info("COCO's evaluation is by pycocotools (the extra `fast` brings a faster one)")
        return COCO, COCOeval
    import hotcoco

    version = hotcoco.__version__
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_HOTCOCO:
        oldest = ".".join(map(str, OLDEST_HOTCOCO))
        logger.info("COCO's evaluation is by pycocotools: hotcoco %s is below %s", version, oldest)
        return COCO, COCOeval
    logger.info("COCO's evaluation is by hotcoco %s", version)
    return hotcoco.COCO, hotcoco.COCOeval

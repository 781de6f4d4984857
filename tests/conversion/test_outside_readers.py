"""Converted files as pycocotools and hotcoco read them."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools.coco import COCO

from deocclusion_d2.conversion import ConversionJob, convert


@pytest.fixture(scope="module", params=["rle", "polygons"])
def converted(request, tiny_kins, tmp_path_factory):
    """Two conversions of a street by Convex^R: as RLE, and as the parameter says."""
    folder = tmp_path_factory.mktemp("converted")
    (source,) = tiny_kins.rglob("*val*.json")
    for segmentation in ("rle", request.param):
        output = folder / f"{segmentation}.json"
        if not output.exists():
            convert(ConversionJob(source, output, "convex_r", segmentation=segmentation))
    return folder / "rle.json", output


def test_pycocotools_reads_the_same_masks(converted):
    truth, found = map(COCO, map(str, converted))
    assert len(truth.anns) > 5
    for number, annotation in truth.anns.items():
        mask = found.annToMask(found.anns[number])
        assert np.array_equal(mask, truth.annToMask(annotation))
        assert mask.sum() == found.anns[number]["area"]


def test_hotcoco_finds_no_error(converted):
    hotcoco = pytest.importorskip("hotcoco")
    health = hotcoco.COCO(str(converted[1])).healthcheck()
    assert health["errors"] == [] and health["summary"]["num_annotations"] > 5

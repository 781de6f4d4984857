"""Small annotation files, and conversions of them in this process."""

import json
from pathlib import Path

import numpy as np
import pytest

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.structures import WindowMask

HEIGHT, WIDTH = 20, 30


def rectangle(x, y, w, h, height=HEIGHT, width=WIDTH):
    """Compressed RLE of a rectangle."""
    array = np.zeros((height, width), bool)
    array[y : y + h, x : x + w] = True
    return WindowMask.from_array(array).to_rle(height, width)


def coco(annotations, images=3):
    return {
        "info": {"description": "made by hand"},
        "licenses": [],
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH, "flavour": "plain"}
            for i in range(1, images + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 4, "name": "car"}, {"id": 2, "name": "person"}],
    }


def annotation(id, image_id=1, segmentation=None, **others):
    if segmentation is None:
        segmentation = rectangle(2, 3, 5, 4)
    box = {"bbox": [2, 3, 5, 4], "area": 20}
    result = {"id": id, "image_id": image_id, "category_id": 4, "segmentation": segmentation}
    return {**result, **box, "iscrowd": 0, **others}


def touching_pair(first_id, image_id, **others):
    """A bar in front of an L whose hull it hides in part: Convex orders them."""
    array = np.zeros((HEIGHT, WIDTH), bool)
    array[4:14, 5:8] = True
    array[11:14, 5:20] = True
    corner = WindowMask.from_array(array).to_rle(HEIGHT, WIDTH)
    return [
        annotation(first_id, image_id, corner, **others),
        annotation(first_id + 1, image_id, rectangle(8, 2, 6, 9), **others),
    ]


@pytest.fixture
def write(tmp_path):
    """Write a document as JSON; returns its path."""

    def write(document, name="in.json"):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


@pytest.fixture
def run(tmp_path):
    """Convert in this process; returns the parsed output."""

    def run(path: Path, output="out.json", deoccluder=None, method="convex_r", **settings):
        job = ConversionJob(path, tmp_path / output, method=method, **settings)
        convert(job, deoccluder)
        return json.loads((tmp_path / output).read_text())

    return run

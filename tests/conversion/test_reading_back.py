"""What conversion writes can be loaded, also where it had to leave annotations as they were."""

from __future__ import annotations

import json
import logging

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.data.datasets import load_dataset_dicts

SQUARE = [[1, 1, 5, 1, 5, 5, 1, 5]]


def test_annotations_left_as_they_were_are_left_out_and_counted(tmp_path, caplog):
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 8, "width": 8}],
        "categories": [{"id": 3, "name": "thing"}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": polygons}
            for k, polygons in enumerate((SQUARE, [[0, 0, 1, 1]], SQUARE))
        ],
    }
    source, output = tmp_path / "in.json", tmp_path / "out.json"
    source.write_text(json.dumps(document))
    convert(ConversionJob(source, output, "raw", skip_invalid=True))
    assert json.loads(output.read_text())["annotations"][1] == document["annotations"][1]
    with caplog.at_level(logging.WARNING):
        records = load_dataset_dicts(str(output), "", "pseudo_amodal")
    assert [a["id"] for a in records[0]["annotations"]] == [0, 2]
    assert "1 annotations that the conversion could not use are left out" in caplog.text

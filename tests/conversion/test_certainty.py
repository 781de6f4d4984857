"""What conversion says of its own certainty: confidences of occluders, and mutual occlusions."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.data.scenes import deocclusion_from_record, scene_from_record
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import (
    Deocclusion,
    MaskSample,
    OcclusionGraph,
    ProbabilityMap,
    WindowMask,
)

from .conftest import annotation, coco, rectangle, touching_pair


class Doubts:
    """Stands in for a Deoccluder: of each image the first hides all others, the second the third.

    Confidences are 1/3 for the first's edges, None or a number for the other; first and third are
    mutual.
    """

    uses_rgb = False
    needs_calibration = False

    def __init__(self, confidence=0.98765):
        self.confidence = confidence

    def serve(self, workers):
        return nullcontext()

    def describe(self):
        return {"stand_in": 1}

    def __call__(self, scenes):
        return [Deocclusion(self._graph(len(s)), s.modal_masks) for s in scenes]

    def _graph(self, count):
        graph = OcclusionGraph(count)
        for i in range(1, count):
            graph.add_occlusion(0, i, confidence=1 / 3)
        if count > 2:
            graph.add_occlusion(1, 2, confidence=self.confidence)
            graph.add_mutual(2, 0, (40, 50))
        return graph


def three_and_one():
    three = [annotation(i, 1, rectangle(5 * i, 3, 3, 4)) for i in (3, 1, 2)]
    return coco([*three, annotation(9, 2)])


def said(annotation):
    keys = ("occluder_ids", "occluder_confidences", "mutual_occlusion_ids")
    return {key: annotation[key] for key in keys if key in annotation}


def test_what_is_written_and_counted(write, run, tmp_path, capsys):
    out = run(write(three_and_one()), deoccluder=Doubts(), method="raw")
    assert [said(a) for a in out["annotations"]] == [
        {"occluder_ids": [], "mutual_occlusion_ids": [2]},
        {"occluder_ids": [3], "occluder_confidences": [0.3333]},
        {
            "occluder_ids": [3, 1],
            "occluder_confidences": [0.3333, 0.9877],
            "mutual_occlusion_ids": [3],
        },
        {"occluder_ids": []},
    ]
    table = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [row[-1].strip() for row in table if row[0] == "pairs that hide each other"] == ["1"]
    record, _, _ = load_dataset_dicts(str(tmp_path / "out.json"), "images", "pseudo_amodal")
    assert [said(a) for a in record["annotations"]] == [said(a) for a in out["annotations"][:3]]


def test_a_method_without_confidences_writes_none(write, run, capsys):
    out = run(write(coco(touching_pair(1, 1))), method="convex_r")
    assert [said(a) for a in out["annotations"]] == [{"occluder_ids": [2]}, {"occluder_ids": []}]
    assert "hide each other" not in capsys.readouterr().out
    # A list with a gap would not tell which occluder it speaks of.
    out = run(write(three_and_one()), "gap.json", deoccluder=Doubts(None), method="raw")
    assert "occluder_confidences" not in out["annotations"][2]
    assert out["annotations"][1]["occluder_confidences"] == [0.3333]


def test_probabilities_are_written_where_they_are_kept(write, run, tmp_path):
    kept = ProbabilityMap(4, 5, np.array([[0, 99], [255, 1]], np.uint8))

    class Kept(Doubts):
        def __call__(self, scenes):
            return [replace(r, probabilities=[None, kept]) for r in super().__call__(scenes)]

    out = run(write(coco(touching_pair(1, 1))), "kept.json", deoccluder=Kept(), method="raw")
    first, second = out["annotations"]
    assert "hidden_probability" not in first
    back = ProbabilityMap.from_json(second["hidden_probability"])
    assert back.xywh == [4, 5, 2, 2] and back.array.tolist() == [[0, 99], [255, 1]]
    # It is drawn again from the file.
    record, *_ = load_dataset_dicts(str(tmp_path / "kept.json"), "images", "pseudo_amodal")
    result = deocclusion_from_record(record, *scene_from_record(record))
    assert result.probabilities[0] is None and result.probabilities[1].xywh == [4, 5, 2, 2]
    record["annotations"][1]["hidden_probability"]["png"] = "nothing"
    with pytest.raises(UserError, match=r"annotation 2: 'hidden_probability'"):
        deocclusion_from_record(record, *scene_from_record(record))
    # What another conversion does not keep does not stay.
    again = run(tmp_path / "kept.json", "again.json", method="convex_r")
    assert not any("hidden_probability" in a for a in again["annotations"])


def test_samples_are_written_and_read(write, run, tmp_path):
    def grown(right: int) -> WindowMask:
        return WindowMask.filled((2, 2, right, 12))

    samples = [MaskSample(grown(14), 0.75), MaskSample(grown(16), 0.25)]

    class Drawn(Doubts):
        def __call__(self, scenes):
            return [replace(r, samples=[[], samples]) for r in super().__call__(scenes)]

    out = run(write(coco(touching_pair(1, 1))), "drawn.json", deoccluder=Drawn(), method="raw")
    first, second = out["annotations"]
    assert "samples" not in first and [s["weight"] for s in second["samples"]] == [0.75, 0.25]
    record, *_ = load_dataset_dicts(str(tmp_path / "drawn.json"), "images", "pseudo_amodal")
    result = deocclusion_from_record(record, *scene_from_record(record))
    assert result.samples == [[], samples]
    kept = record["annotations"][1]["samples"]
    heavy, without = {**kept[0], "weight": 2}, {**kept[0], "weight": None}
    for damaged in (7, [7], [heavy], [without], [{"weight": 1.0}], kept[:1], kept * 2):
        record["annotations"][1]["samples"] = damaged
        with pytest.raises(UserError, match=r"annotation 2: 'samples': ") as refusal:
            deocclusion_from_record(record, *scene_from_record(record))
        assert "\n" not in str(refusal.value)
    kept[0]["segmentation"]["size"] = [7, 9]
    record["annotations"][1]["samples"] = kept
    with pytest.raises(UserError, match=r"'samples': a mask of size \[7, 9\]"):
        deocclusion_from_record(record, *scene_from_record(record))
    again = run(tmp_path / "drawn.json", "again.json", method="convex_r")
    assert not any("samples" in a for a in again["annotations"])


def test_what_an_earlier_conversion_said_does_not_stay(write, run, tmp_path):
    run(write(three_and_one()), "first.json", deoccluder=Doubts(), method="raw")
    again = run(tmp_path / "first.json", "again.json", method="convex_r")
    assert all(said(a) == {"occluder_ids": a["occluder_ids"]} for a in again["annotations"])


def test_is_the_same_whatever_the_shards(write, run, tmp_path):
    document = coco([a for i in range(4) for a in touching_pair(10 * i, i + 1)], images=4)
    path = write(document)
    run(path, "one.json", deoccluder=Doubts(), method="raw")
    run(path, "other.json", deoccluder=Doubts(), method="raw", shard_size=2)
    written = (tmp_path / "one.json").read_bytes()
    assert written == (tmp_path / "other.json").read_bytes()
    assert written.count(b'"occluder_confidences": [0.3333]') == 4

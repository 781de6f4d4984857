"""What benchmarks measure with, on a few tiny masks; nothing about time."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from tests.helpers import box_mask, scene_of

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def program(name: str) -> dict:
    """The functions of a program."""
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def tiny_masks() -> list[WindowMask]:
    rng = np.random.default_rng(0)
    return [WindowMask.from_array(rng.random((5, 7)) < 0.5, 9 * k, 3) for k in range(5)]


def test_codec_compares_and_times_both_sides():
    compare = program("codec")["compare"]
    rows = compare(tiny_masks(), 20, 30, turns=1, seconds=0)
    assert [kind for kind, _, _ in rows] == ["decode", "encode"]
    assert all(ours > 0 and theirs > 0 for _, ours, theirs in rows)


@pytest.mark.parametrize("side", ["encode", "decode"])
def test_codec_refuses_results_that_differ(side, monkeypatch):
    compare = program("codec")["compare"]
    if side == "encode":
        monkeypatch.setattr(WindowMask, "to_rle", lambda self, h, w: {"size": [h, w]})
    else:
        monkeypatch.setattr(WindowMask, "from_rle", lambda rle: WindowMask.empty())
    with pytest.raises(UserError, match=f"ours {side}s to"):
        compare(tiny_masks(), 20, 30, turns=1, seconds=0)


def test_objects_are_moved_into_an_image_and_cut_when_too_large():
    placed = program("codec")["placed"]
    mask = WindowMask.from_array(np.ones((4, 6)), 50, -2)
    assert placed(mask, 10, 20).box == (14, 0, 20, 4)
    assert placed(mask, 3, 5).box == (0, 0, 5, 3)


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [0, 1]), (2, [0, 1, 2]), (4, [0, 1, 2, 4]), (6, [0, 1, 2, 4, 6])]
)
def test_worker_counts(cores, counts):
    assert program("conversion")["worker_counts"](cores) == counts


def test_files_of_both_sizes_hold_the_same_objects(tmp_path):
    write_scenes = program("conversion")["write_scenes"]
    masks = [box_mask(6, 8, 0, 1, 3, 5), box_mask(6, 8, 4, 0, 8, 6)]
    scenes = [scene_of(masks, [3, 7]), scene_of(masks[:1], [3])]
    assert write_scenes(tmp_path / "own.json", scenes, 4) == (5, pytest.approx(48e-6))
    assert write_scenes(tmp_path / "large.json", scenes, 4, (20, 7)) == (5, pytest.approx(160e-6))
    own, large = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("own", "large"))
    assert [(i["height"], i["width"]) for i in large["images"]] == [(20, 8)] * 3
    assert [a["image_id"] for a in large["annotations"]] == [1, 1, 2, 3, 3]
    assert [a["category_id"] for a in large["annotations"]] == [3, 7, 3, 3, 7]
    for a, b in zip(own["annotations"], large["annotations"], strict=True):
        small, big = (coco_mask.decode(x["segmentation"]) for x in (a, b))
        assert (big[7:13] == small).all() and big.sum() == small.sum() == b["area"]
        assert b["bbox"] == coco_mask.toBbox(b["segmentation"]).tolist()


def test_the_best_of_each_and_all_outputs_are_kept():
    names = program("conversion")
    timing, equal = names["Timing"], names["equal_outputs"]
    first, second = timing(10.0, 2.0, frozenset("a")), timing(8.0, 1.5, frozenset("a"))
    assert first.better(second) == timing(10.0, 1.5, frozenset("a"))
    assert equal([first, second]) == "equal"
    assert equal([first, first.better(timing(9.0, 3.0, frozenset("b")))]) == "DIFFERENT"


def test_made_scenes_are_modal(tmp_path):
    program("speed")["write_made"](tmp_path / "made.json", images=2)
    made = json.loads((tmp_path / "made.json").read_text())
    assert len(made["annotations"]) > 10
    for image in (1, 2):
        rles = [a["segmentation"] for a in made["annotations"] if a["image_id"] == image]
        arrays = np.stack([coco_mask.decode(rle) for rle in rles])
        assert arrays.sum(axis=0).max() == 1 and arrays.any(axis=(1, 2)).all()

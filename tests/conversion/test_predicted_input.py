"""COCO results as input: ids, scores, overlaps, resuming, and every entry that cannot be used."""

import json

import numpy as np
import pytest
from pycocotools import mask as mask_util

from deocclusion_d2.conversion import ConversionJob
from deocclusion_d2.conversion.launch import run_conversion
from deocclusion_d2.conversion.predicted_input import PredictedInput
from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError

from .conftest import annotation, coco, rectangle, touching_pair

NAN = float("nan")


def entry(image_id=1, segmentation=None, score=0.9, **others):
    segmentation = rectangle(2, 3, 5, 4) if segmentation is None else segmentation
    return {
        "image_id": image_id, "category_id": 4, "segmentation": segmentation, "score": score,
        **others,
    }  # fmt: skip


def entries_of(annotations):
    return [entry(a["image_id"], a["segmentation"], 0.9) for a in annotations]


def scattered(images=12, seed=0):
    """Overlapping entries of many images, in a random order, a third of them of low score."""
    rng = np.random.default_rng(seed)
    entries = []
    for image in range(1, images + 1):
        for place, (first, second) in enumerate(rng.integers(0, 12, (6, 2)).tolist()):
            score = 0.1 if place % 3 == 0 else float(rng.integers(5, 9)) / 10
            entries.append(entry(image, rectangle(first, second, 9, 7), score))
    return [entries[i] for i in rng.permutation(len(entries))]


@pytest.fixture
def images(write):
    """The JSON that the detector was run on; it has no annotations, as COCO's test sets."""
    document = coco([], 12)
    del document["annotations"]
    return write(document, "images.json")


def test_what_is_written(write, run, images, capsys):
    results = [
        entry(2, rectangle(2, 3, 6, 4), 0.7, bbox=[0, 0, 1, 1]),
        entry(1, rectangle(0, 0, 3, 3), 0.5, category_id=2, note="x"),
        entry(2, rectangle(5, 3, 9, 4), 0.8),
        entry(2, rectangle(0, 0, 30, 20), 0.49),
        entry(2, rectangle(3, 4, 2, 2), 0.6),
    ]
    path = write(results, "results.json")
    out = run(path, method="raw", images_from=images)
    document = json.loads(images.read_text())
    assert out["images"] == document["images"]
    assert out["categories"] == sorted(document["categories"], key=lambda c: c["id"])
    # By image, then as in the list; numbered as in the list, entry 4 is left out.
    assert [(a["id"], a["image_id"]) for a in out["annotations"]] == [
        (2, 1),
        (1, 2),
        (3, 2),
        (5, 2),
    ]
    by_id = {a["id"]: a for a in out["annotations"]}
    assert by_id[2] == {
        **results[1],
        "id": 2,
        "iscrowd": 0,
        "bbox": [0, 0, 3, 3],
        "area": 9,
        "modal_segmentation": rectangle(0, 0, 3, 3),
        "modal_bbox": [0, 0, 3, 3],
        "occluder_ids": [],
        "occlusion_rate": 0.0,
        "attributes": {"occluded": False, "occlusion_rate": 0.0, "z_order": 0},
    }
    # Columns 5 to 7 go to entry 3; entry 5 is wholly under entry 1.
    assert by_id[1]["modal_segmentation"] == by_id[1]["segmentation"] == rectangle(2, 3, 3, 4)
    assert by_id[3]["modal_segmentation"] == rectangle(5, 3, 9, 4)
    assert mask_util.area(by_id[5]["modal_segmentation"]) == 0
    assert [by_id[n]["score"] for n in (1, 2, 3, 5)] == [0.7, 0.5, 0.8, 0.6]
    info = out["info"]["deocclusion"]
    assert (info["input"], info["images_from"]) == ("results.json", "images.json")
    assert (info["format"], info["min_score"]) == ("coco_results", 0.5)
    printed = capsys.readouterr().out
    assert "5 predictions, 4 used (score 0.5 or more)" in printed
    assert "predictions of low score, left out  1\n" in printed
    assert not list(path.parent.glob("*.shards"))
    records = load_dataset_dicts(str(path.parent / "out.json"), "i", "pseudo_amodal")
    assert [len(r["annotations"]) for r in records[:3]] == [1, 3, 0]
    everything = run(path, "all.json", method="raw", images_from=images, min_score=0.0)
    assert len(everything["annotations"]) == 5


@pytest.mark.parametrize("key", ["id", "annotation_id"])
def test_own_ids(write, run, images, key):
    path = write([entry(1, **{key: 70}), entry(1, rectangle(20, 3, 5, 4), **{key: "b"})])
    out = run(path, images_from=images)["annotations"]
    assert [a["id"] for a in out] == [70, "b"]


def test_equals_the_same_masks_as_modal_coco(write, run, images):
    """Without overlaps, predictions are modal masks."""
    annotations = [a for i in range(3) for a in touching_pair(2 * i + 1, i + 1)]
    expected = run(write(coco(annotations, 12), "coco.json"), "one.json")["annotations"]
    out = run(write(entries_of(annotations), "results.json"), "two.json", images_from=images)
    keys = ("id", "image_id", "segmentation", "bbox", "area", "modal_segmentation", "occluder_ids")
    assert [[a[k] for k in keys] for a in out["annotations"]] == [
        [a[k] for k in keys] for a in expected
    ]
    assert any(a["occluder_ids"] for a in expected)


def test_same_bytes_whatever_the_shards_and_after_a_stop(write, run, images, tmp_path):
    path = write(scattered())
    out = run(path, "one.json", images_from=images)
    assert any(a["occluder_ids"] for a in out["annotations"])
    one = (tmp_path / "one.json").read_bytes()
    run(path, "small.json", images_from=images, shard_size=5)
    assert (tmp_path / "small.json").read_bytes() == one

    class Stops(Deoccluder):
        left = 3

        def __call__(self, scenes):
            Stops.left -= 1
            if Stops.left == 0:
                raise UserError("stop here")
            return super().__call__(scenes)

    stops = Deoccluder.baseline("convex_r")
    stops.__class__ = Stops
    # Workers would count on their own.
    again = {"images_from": images, "shard_size": 5, "deoccluder": stops, "num_workers": 0}
    with pytest.raises(UserError, match="stop here"):
        run(path, "stopped.json", **again)
    folder = tmp_path / "stopped.json.shards"
    assert len(list(folder.glob("shard-*"))) == 2
    prepared = (folder / "modal.json").stat().st_mtime_ns
    with pytest.raises(UserError, match=r"shards of another conversion \(other min score\)"):
        run(path, "stopped.json", **again, min_score=0.6)
    assert (folder / "modal.json").stat().st_mtime_ns == prepared
    run(path, "stopped.json", **again)
    assert (tmp_path / "stopped.json").read_bytes() == one
    assert not folder.exists()


@pytest.mark.slow
def test_two_processes(write, run, images, tmp_path, capfd):
    path = write(scattered())
    run(path, "one.json", images_from=images)
    job = ConversionJob(path, tmp_path / "two.json", "convex_r", images_from=images, shard_size=5)
    with pytest.raises(SystemExit) as end:
        run_conversion(job, num_gpus=2)
    assert end.value.code == 0, capfd.readouterr().err
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "one.json").read_bytes()


BAD = {
    "a number": (5, "entry 2: a int, not an object"),
    "unknown image": (entry(77), "entry 2: image id 77 is not among the images"),
    "unknown category": (
        entry(category_id=3),
        "entry 2: category id 3 is not among the categories",
    ),
    "no score": ({**entry(), "score": ...}, "entry 2: it has no key 'score'"),
    "no mask": ({**entry(), "segmentation": ...}, "entry 2: it has no key 'segmentation'"),
    "NaN score": (entry(score=NAN), "entry 2: 'score' is nan, not a number"),
    "NaN elsewhere": (entry(bbox=[NAN, 0, 1, 1]), "entry 2: it holds NaN or Infinity"),
    "size": (
        entry(1, rectangle(0, 0, 1, 1, 10, 10)),
        "entry 2: 'segmentation': the RLE's size [10, 10] is not the image's [20, 30] "
        "(height, width)",
    ),
    "twice": (entry(annotation_id=1), "entry 2: annotation_id 1 occurs twice"),
    "no such id": (entry(annotation_id=[1]), "entry 2: 'annotation_id' is [1], not an integer of "
        "64 bits or a text"),
}  # fmt: skip


class TestBadInput:
    @pytest.fixture(params=BAD)
    def bad(self, request):
        item, message = BAD[request.param]
        if isinstance(item, dict):
            item = {k: v for k, v in item.items() if v is not ...}
        good = {"annotation_id": 1} if "id 1 " in message else {}
        return [entry(1, **good), item], message

    def test_the_run_stops(self, write, run, images, bad, tmp_path):
        path = write(bad[0])
        with pytest.raises(UserError) as error:
            run(path, images_from=images)
        assert str(error.value) == f"{path}: {bad[1]}"
        assert not (tmp_path / "out.json").exists()

    def test_or_leaves_it_out(self, write, run, images, bad, capsys):
        out = run(write(bad[0]), images_from=images, skip_invalid=True)
        assert len(out["annotations"]) == 1
        printed = capsys.readouterr().out
        assert f"(first: {bad[1]}, left out)" in printed

    def test_ids_that_only_some_have(self, write, run, images):
        path = write([entry(id=3), entry()])
        with pytest.raises(UserError, match="entry 2: it has no key 'id', which others have"):
            run(path, images_from=images)

    def test_files(self, write, run, images, tmp_path):
        document = write(coco([annotation(1)]), "coco.json")
        with pytest.raises(UserError, match=r"coco\.json: not a list of predictions"):
            run(document, images_from=images)
        results = write([entry()], "results.json")
        with pytest.raises(UserError, match="COCO results need --images-from"):
            run(results)
        with pytest.raises(UserError, match=r"none\.json: there is no such file"):
            run(results, images_from=tmp_path / "none.json")
        with pytest.raises(UserError, match=r"results\.json: there is no list 'images'"):
            run(results, images_from=results)
        with pytest.raises(UserError, match="--min-score is for COCO results"):
            run(document, min_score=0.3)
        with pytest.raises(UserError, match="which have no --format"):
            run(results, images_from=images, format="coco")
        twice = json.loads(images.read_text())
        twice["images"].append(twice["images"][0])
        with pytest.raises(UserError, match=r"two\.json: image 1: this image id occurs twice"):
            run(results, images_from=write(twice, "two.json"))

    def test_no_predictions(self, write, run, images):
        out = run(write([]), images_from=images)
        assert out["annotations"] == [] and len(out["images"]) == 12


def test_masks_of_low_score_are_not_looked_at(write, images):
    path = write([entry(score=0.1, segmentation=[[1, 1]]), entry()])
    predicted = PredictedInput.read(path, images, 0.5, skip_invalid=False)
    assert predicted.entries == 2 and predicted.numbers.tolist() == [2]
    assert predicted.tally.low_scores == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_both_files_in_any_encoding(write, run, images, encoding):
    results = write(entries_of([annotation(1), annotation(2)]), "results.json")
    expected = run(results, method="raw", images_from=images)
    results.with_name("out.json").unlink(missing_ok=True)
    for path in (results, images):
        path.write_text(path.read_text(), encoding=encoding)
    out = run(results, "again.json", method="raw", images_from=images)
    assert [out[k] for k in ("images", "annotations")] == [
        expected[k] for k in ("images", "annotations")
    ]

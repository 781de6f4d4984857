"""Every annotation that cannot be used: one line that names it, or a counted skip."""

import json

import pytest

from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError

from .conftest import annotation, coco, rectangle

NAN = float("nan")
PLACE = "image 1 (1.png), annotation 2"
BAD = {
    "unknown image": (
        annotation(2, 77),
        "image 77, annotation 2: its image_id is not among the images",
    ),
    "duplicate id": (
        annotation(1),
        "image 1 (1.png), annotation 1: this annotation id occurs twice",
    ),
    "no id": ({**annotation(2), "id": ...}, "annotation number 2: it has no key 'id'"),
    "no image id": ({**annotation(2), "image_id": ...}, "annotation 2: it has no key 'image_id'"),
    "unknown category": (
        annotation(2, category_id=3),
        f"{PLACE}: 'category_id' 3 is not among the categories",
    ),
    "size": (
        annotation(2, 1, rectangle(0, 0, 1, 1, 10, 10)),
        f"{PLACE}: 'segmentation': the RLE's size [10, 10] is not the image's [20, 30] "
        "(height, width)",
    ),
    "two points": (
        annotation(2, 1, [[1, 1, 2, 2]]),
        f"{PLACE}: 'segmentation': a polygon of 4 numbers has fewer than 3 points (6 numbers)",
    ),
    "NaN": (
        annotation(2, 1, [[1, 1, 5, NAN, 5, 5]]),
        f"{PLACE}: 'segmentation': a polygon holds a coordinate that is NaN or infinite",
    ),
    "NaN elsewhere": (annotation(2, depth=NAN), f"{PLACE}: 'depth' holds NaN or Infinity"),
    "a number": (5, "annotation number 2: a int, not an object"),
}  # fmt: skip


class TestBadAnnotations:
    @pytest.fixture(params=BAD)
    def bad(self, request):
        item, message = BAD[request.param]
        if isinstance(item, dict):
            item = {k: v for k, v in item.items() if v is not ...}
        return item, message

    def test_the_run_stops(self, write, run, bad, tmp_path):
        path = write(coco([annotation(1), bad[0], annotation(3)]))
        with pytest.raises(UserError) as error:
            run(path)
        assert str(error.value) == f"{path}: {bad[1]}"
        assert not (tmp_path / "out.json").exists()

    def test_or_leaves_it_as_it_was(self, write, run, bad, capsys):
        document = coco([annotation(1), bad[0], annotation(3)])
        path = write(document)
        with pytest.raises(UserError):
            run(path, shard_size=1)
        out = run(path, shard_size=1, skip_invalid=True)["annotations"]
        # What JSON does not know is null.
        assert json.dumps(out[1]) == json.dumps(bad[0]).replace("NaN", "null")
        assert "occluder_ids" in out[0] and "occluder_ids" in out[2]
        summary = capsys.readouterr().out
        assert "skipped, untouched            1\n" in summary
        assert f"(first: {bad[1]})" in summary

    def test_what_was_skipped_is_an_error_again(self, write, run, tmp_path):
        """A shard of a run with skip_invalid does not slip into one without."""
        path = write(coco([annotation(1, 1), annotation(2, 1, [[1, 1]]), annotation(3, 2)]))

        class Fails(Deoccluder):
            calls = 0

            def __call__(self, scenes):
                Fails.calls += 1
                if Fails.calls == 2:
                    raise UserError("stop here")
                return super().__call__(scenes)

        stops = Deoccluder.baseline("raw")
        stops.__class__ = Fails
        with pytest.raises(UserError, match="stop here"):
            run(path, shard_size=1, skip_invalid=True, deoccluder=stops)
        assert (tmp_path / "out.json.shards" / "shard-000000.jsonl").exists()
        with pytest.raises(UserError, match="annotation 2: 'segmentation': a polygon of 2"):
            run(path, shard_size=1, deoccluder=stops)

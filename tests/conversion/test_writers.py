"""Output formats: COCO to the byte, and one of somebody else's."""

import json

import pytest

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.conversion.writers import WRITERS, CocoWriter, Writer, register_writer
from deocclusion_d2.errors import UserError

from .conftest import annotation, coco, touching_pair


class Parts:
    """A document made by hand."""

    def __init__(self, images, lines, top=None):
        self.info = {"deocclusion": {"method": "raw"}}
        self.top = top or {}
        self.categories = [{"id": 1, "name": "car"}]
        self._images, self._lines = images, lines

    def images(self):
        return iter(self._images)

    def lines(self):
        return iter(self._lines)

    def annotations(self):
        for line in self._lines:
            yield from json.loads(f"[{line}]")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (
            Parts([{"id": 1}, {"id": 2}], ['{"id": 8}', '{"id": 9}, {"id": 7}'], {"licenses": []}),
            '{"info": {"deocclusion": {"method": "raw"}},\n'
            '"licenses": [],\n'
            '"categories": [{"id": 1, "name": "car"}],\n'
            '"images": [\n{"id": 1},\n{"id": 2}\n],\n'
            '"annotations": [\n{"id": 8},\n{"id": 9}, {"id": 7}\n]}\n',
        ),
        (
            Parts([], []),
            '{"info": {"deocclusion": {"method": "raw"}},\n'
            '"categories": [{"id": 1, "name": "car"}],\n'
            '"images": [],\n'
            '"annotations": []}\n',
        ),
    ],
)
def test_coco_to_the_byte(tmp_path, parts, text):
    CocoWriter().write(parts, tmp_path / "out.json")
    assert (tmp_path / "out.json").read_bytes() == text.encode()


@pytest.fixture
def register(monkeypatch):
    """Class decorator: ``register_writer`` for one test."""
    monkeypatch.setattr(WRITERS, "_found", dict(WRITERS._found))
    return register_writer


@pytest.fixture
def lists(register):
    """A writer of lists by image; it reads the annotations twice, which a writer may."""

    @register
    class Lists(Writer):
        name = "lists"

        def write(self, document, path):
            count = sum(1 for _ in document.annotations())
            of_image = {image["id"]: [] for image in document.images()}
            for found in document.annotations():
                of_image[found["image_id"]].append(found)
            lines = [f"{document.info['deocclusion']['method']}, {count} annotations"]
            for image, group in of_image.items():
                for a in group:
                    lines.append(f"{image}: {a['id']} behind {a['occluder_ids']}, {a['area']} px")
            path.write_text("\n".join(lines))

    return "lists"


def test_another_format_is_one_class(write, tmp_path, lists):
    # The bar, 6 x 9 px, hides a part of the L's hull. Annotations of an image need not be together.
    alone = annotation(1, 2)
    corner, bar = touching_pair(7, 1)
    path = write(coco([corner, alone, bar], images=2))
    convert(ConversionJob(path, tmp_path / "out.txt", method="convex_r"), writer=lists)
    head, first, second, third = (tmp_path / "out.txt").read_text().split("\n")
    assert head == "convex_r, 3 annotations"
    assert first.startswith("1: 7 behind [8], ")
    assert (second, third) == ("1: 8 behind [], 54 px", "2: 1 behind [], 20 px")
    assert not (tmp_path / "out.txt.shards").exists()


def test_what_was_left_as_it_was_is_among_the_annotations(write, tmp_path, register):
    seen = []

    @register
    class Ids(Writer):
        name = "ids"

        def write(self, document, path):
            seen.extend((a["id"], "occluder_ids" in a) for a in document.annotations())

    bad = annotation(2, segmentation=[[1, 2]])
    path = write(coco([annotation(1), bad, annotation(3, image_id=99)]))
    job = ConversionJob(path, tmp_path / "out", method="raw", skip_invalid=True)
    convert(job, writer="ids")
    assert seen == [(1, True), (2, False), (3, False)]


def test_shards_serve_any_writer(write, tmp_path, register, lists):
    @register
    class Failing(Writer):
        name = "failing"

        def write(self, document, path):
            raise OSError(28, "No space left on device")

    job = ConversionJob(write(coco([annotation(1)])), tmp_path / "out", method="raw")
    with pytest.raises(UserError, match="out cannot be written: No space left"):
        convert(job, writer="failing")
    assert not (tmp_path / "out").exists()
    shard = tmp_path / "out.shards/shard-000000.jsonl"
    shard.write_text(shard.read_text().replace('"area": 20', '"area": 21'))
    convert(job, writer=lists)
    assert "1: 1 behind [], 21 px" in (tmp_path / "out").read_text(), "the shard was used again"


def test_an_unknown_writer_is_refused_before_anything_is_converted(write, tmp_path):
    job = ConversionJob(write(coco([annotation(1)])), tmp_path / "out.json", method="raw")
    with pytest.raises(UserError) as caught:
        convert(job, writer="cocco")
    assert str(caught.value) == "unknown output format 'cocco'; the known ones are coco"
    assert not (tmp_path / "out.json.shards").exists()

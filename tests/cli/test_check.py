"""The check as a user meets it: text, one JSON object, a picture, exit codes."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from deocclusion_d2.cli import check


def polygon(x, y, w, h):
    """A box without its top left corner."""
    return [[x + w, y, x + w, y + h, x, y + h, x, y + 2, x + 2, y]]


def document(*annotations, images=1):
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": 24, "width": 32}
            for i in range(1, images + 1)
        ],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, **a} for k, a in enumerate(annotations, 1)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }


PAIR = [{"segmentation": polygon(4, 4, 8, 8)}, {"segmentation": polygon(12, 4, 8, 8)}]


@pytest.fixture
def masks(tmp_path):
    path = tmp_path / "my masks.json"
    path.write_text(json.dumps(document(*PAIR)))
    return path


@pytest.fixture
def call(capsys):
    """Run the program in this process: (exit code, stdout, stderr without bars)."""

    def call(*arguments):
        code = 0
        try:
            check.main([*map(str, arguments), "--num-workers", "0"])
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        lines = printed.err.replace("\r", "\n").splitlines()
        return code, printed.out, [x for x in lines if x and not x.startswith("reading:")]

    return call


def test_help_teaches(call):
    code, out, _ = call("--help")
    assert code == 0
    for text in ("examples:", "amodal will equal modal", "--images-from", "exit codes: 0 read"):
        assert text in out


def test_text(call, masks):
    code, out, err = call(masks)
    lines = out.splitlines()
    assert code == 0 and err == []
    assert lines[0] == f"{masks}: 2 items, format coco (told from its keys)"
    assert "touching pairs                  1, 0 of them overlap" in lines
    assert lines[-4:] == [
        "",
        "odd: nothing",
        "",
        f"next: deocclusion-d2 convert --input '{masks}' --output "
        f"'{masks.with_name('my masks_amodal.json')}'",
    ]


def test_the_next_command_reads_the_same(call, masks):
    _, out, _ = call(masks, "--format", "coco", "--skip-invalid", "--image-root", masks.parent)
    _, _, options = out.splitlines()[-1].partition(" --output ")
    assert options.endswith(f" --format coco --image-root {masks.parent} --skip-invalid")


@pytest.mark.parametrize(
    ("gap", "images", "has_work"),
    [
        (0, 1, True),
        (2, 12, True),
        (2, 1, False),  # too few to tell a gap from chance
    ],
)
def test_the_next_command_can_complete_something(call, tmp_path, gap, images, has_work):
    path = tmp_path / "m.json"
    bars = [
        {
            "id": 2 * i + k,
            "image_id": i,
            "segmentation": [[x, 2, x + 1, 2, x + 1, 22, x, 22]],
        }
        for i in range(1, images + 1)
        for k, x in enumerate((4, 5 + gap))
    ]
    path.write_text(json.dumps(document(*bars, images=images)))
    _, out, _ = call(path, "--json")
    found = json.loads(out)["next"]
    assert (found is not None) == has_work


def test_json_is_all_of_stdout(call, masks, tmp_path):
    code, out, err = call(masks, "--json", "--picture", tmp_path / "p.png")
    found = json.loads(out)
    assert code == 0 and err == [f"wrote {tmp_path / 'p.png'}"]
    assert list(found) == [
        *("version", "input", "images", "instances", "categories", "unknown_category_ids"),
        *("pairs", "assumed", "skipped", "odd", "next"),
    ]
    assert found["input"].pop("sha256") and found["input"] == {"path": str(masks), "format": "coco"}
    assert found["pairs"]["touching"] == 1 and found["odd"] == []
    assert found["next"].startswith("deocclusion-d2 convert --input ")
    assert Image.open(tmp_path / "p.png").format == "PNG"


def test_results_name_both_files(call, masks, tmp_path):
    results = tmp_path / "results.json"
    entries = [{"image_id": 1, "category_id": 1, "score": 0.6, **mask} for mask in PAIR]
    results.write_text(json.dumps(entries))
    arguments = (results, "--images-from", masks, "--json", "--min-score")
    code, out, _ = call(*arguments, 0.55)
    found = json.loads(out)
    found["input"].pop("sha256")
    assert code == 0 and found["instances"]["count"] == 2
    assert found["input"] == {
        "path": str(results),
        "format": "coco_results",
        "images_from": str(masks),
        "min_score": 0.55,
    }
    assert f"--images-from '{masks}' --min-score 0.55" in found["next"]
    code, out, _ = call(*arguments, 0.7)
    found = json.loads(out)
    assert code == 3 and found["instances"]["low_scores"] == 2 and found["next"] is None


@pytest.mark.parametrize(
    ("annotations", "odd"),
    [
        ([], "it has no annotations"),
        ([{**PAIR[0], "iscrowd": 1}], "there is no instance to de-occlude: 1 annotations are "),
        ([{"segmentation": [], "bbox": [1, 1, 9, 9]}], "the masks of all 1 instances are empty"),
        ([{"segmentation": [[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]]}], "the polygons of 1 of 1 instances"),
    ],
)
def test_nothing_to_work_with(call, tmp_path, annotations, odd):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(document(*annotations)))
    code, out, err = call(path)
    assert code == 3 and f"\nodd:\n- {odd}" in out and "next:" not in out and err == []


def test_a_picture_of_nothing(call, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(document()))
    assert call(path, "--picture", tmp_path / "p.png")[0] == 3
    assert Image.open(tmp_path / "p.png").size[0] > 1000


@pytest.mark.parametrize(
    ("text", "arguments", "error"),
    [
        ("", (), "m.json: "),
        ("{", (), "m.json: "),
        ("[]", ("--image-root", "none"), "--image-root none: there is no such folder"),
        ("{}", (), "there is no list 'annotations'"),
        (json.dumps({"shapes": [], "imagePath": ""}), (), "m.json: a file of labelme"),
        (
            json.dumps(document({"segmentation": [[0, 0, 1, 1]]})),
            (),
            "image 1 (1.png), annotation 1: ",
        ),
        ("{}", ("--min-score", 0.5), "--min-score is for COCO results: pass --images-from too"),
        ("{}", ("--picture", "p.jpg"), "p.jpg: not a .png file"),
        ("{}", ("--picture", "m.json"), "m.json: not a .png file"),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, monkeypatch, text, arguments, error):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.json"
    path.write_text(text)
    code, out, (line,) = call(path, *arguments)
    assert code == 1 and out == "" and line.startswith("error: ") and error in line
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]


def test_missing_files_and_wrong_arguments(call, tmp_path):
    code, out, (line,) = call(tmp_path / "none.json")
    assert code == 1 and line.endswith("none.json: there is no such file") and out == ""
    code, out, (line,) = call(tmp_path)
    assert code == 1 and line.endswith("a folder: name the JSON file in it") and out == ""
    assert call("--format", "none")[0] == 2


def test_bad_annotations_are_left_out_where_asked_for(call, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(document(*PAIR, {"segmentation": [[0, 0, 1, 1]]})))
    code, out, _ = call(path, "--skip-invalid", "--json")
    found = json.loads(out)
    assert code == 0 and found["instances"]["skipped"] == 1 and found["instances"]["count"] == 2
    assert sum(found["skipped"].values()) == 1


def test_a_picture_is_replaced_when_asked_for_and_a_photo_never(call, masks, tmp_path):
    photo, picture = tmp_path / "1.png", tmp_path / "p.png"
    Image.new("RGB", (32, 24), (200, 0, 0)).save(photo)
    before = photo.read_bytes()
    picture.write_bytes(b"\x89PNG\r\n\x1a\nolder")
    code, _, (line,) = call(masks, "--picture", picture)
    assert code == 1 and "p.png exists: pass --overwrite" in line
    assert call(masks, "--picture", picture, "--overwrite")[0] == 0
    assert Image.open(picture).format == "PNG"
    code, out, (line,) = call(masks, "--picture", photo, "--overwrite")
    assert code == 1 and out == "" and "1.png is " in line and photo.read_bytes() == before

"""tools/deocclude.py in this process, on small photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition import job, load_layered_scene, open_masks
from deocclusion_d2.editing import SceneEditor
from deocclusion_d2.structures import WindowMask
from tests.helpers import leave_over, program_of

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 40, 60
CONFIG = str(ROOT / "configs" / "quick_schedules" / "pcnet_m_kitti_mots_quick.yaml")


@pytest.fixture(scope="module")
def deocclude():
    return program_of(ROOT / "tools" / "deocclude.py").main


@pytest.fixture
def photos(tmp_path) -> Path:
    """a, b, c.png: a box before an L-shaped object; their masks in masks.json; d.png has none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    front = np.zeros((HEIGHT, WIDTH), bool)
    front[10:24, 20:34] = True
    back = np.zeros_like(front)
    back[8:34, 10:40] = True
    back &= ~front
    back[24:, 20:] = False
    images, annotations = [], []
    for k, name in enumerate("abcd"):
        photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(photo).save(folder / f"{name}.png")
        images.append({"id": k, "height": HEIGHT, "width": WIDTH, "file_name": f"{name}.png"})
        for mask, category in ((front, 4), (back, 2)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": k,
                    "category_id": category,
                    "iscrowd": 0,
                    "segmentation": WindowMask.from_array(mask).to_rle(HEIGHT, WIDTH),
                }
            )
    document = {
        "images": images,
        "annotations": annotations[:-2],
        "categories": [{"id": 4, "name": "car"}, {"id": 2, "name": "pedestrian"}],
    }
    (tmp_path / "masks.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def without_overview(monkeypatch) -> None:
    """The overview takes most of the time."""
    monkeypatch.setattr(job, "layers_overview", lambda scene, photo: photo)


def arguments(photos: Path, image: str = "", output: str = "out") -> list[str]:
    parent = photos.parent
    return [
        *("--image", str(photos / image), "--masks", str(parent / "masks.json")),
        *("--output", str(parent / output)),
    ]


def failure(deocclude, capsys, given) -> str:
    with pytest.raises(SystemExit) as error:
        deocclude(given)
    assert error.value.code == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


def files_of(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_names_that_differ_in_capitals_block_no_other_photo(tmp_path):
    """a.png, A.PNG and b.png in one folder, with one JSON: each photo gets its own masks."""
    from deocclusion_d2.decomposition import open_masks

    names = ("a.png", "A.PNG", "b.png")
    square = [[4, 4, 8, 4, 8, 8, 4, 8]]
    document = {
        "images": [
            {"id": k, "height": 16, "width": 24, "file_name": n} for k, n in enumerate(names)
        ],
        "annotations": [
            {"id": 10 + k, "image_id": k, "category_id": 1, "iscrowd": 0, "area": 16.0,
             "bbox": [4, 4, 4, 4], "segmentation": square} for k in range(3)
        ],
        "categories": [{"id": 1, "name": "box"}],
    }  # fmt: skip
    (tmp_path / "m.json").write_text(json.dumps(document))
    masks = open_masks(str(tmp_path / "m.json"))
    image = np.zeros((16, 24, 3), np.uint8)
    found = [masks(tmp_path / n, image).scene.instance_ids for n in names]
    assert found == [[10], [11], [12]]


def test_json_is_alone_on_stdout(deocclude, photos, capsys, without_overview):
    pages = photos.parent / "pages"
    deocclude([*arguments(photos), "--skip-invalid", "--json", "--html", str(pages)])
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    out = photos.parent / "out"
    assert said["written"] == [str(out / name) for name in "abc"] and said["already_there"] == []
    assert said["pages"] == [str(pages / f"{name}.html") for name in "abc"]
    assert said["counts"] == {"written": 3, "already_there": 0, "skipped": 1}
    assert said["info"]["method"] == "pcnet" and said["info"]["content"] == "smooth"
    assert said["info"]["weights"] == "pcnet_m_general.safetensors"
    (warning,) = said["warnings"]
    assert "d.png" in warning and warning in printed.err
    assert "3 decomposed, 1 skipped" in printed.err


@pytest.mark.parametrize("workers", [0, 2])
def test_progress_is_told_and_may_stop_the_job(photos, without_overview, monkeypatch, workers):
    monkeypatch.setattr(job, "_PHOTOS_PER_STEP", 1)
    wanted = job.DecompositionJob(
        image=str(photos),
        masks=str(photos.parent / "masks.json"),
        output=str(photos.parent / "out"),
        skip_invalid=True,
        num_workers=workers,
    )

    def stop(done, total):
        assert total == 4
        if done == 2:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="^enough$"):
        job.decompose_photos(wanted, progress=stop)
    # Those that are there are complete.
    whole = sorted((photos.parent / "out").iterdir())
    assert len(whole) >= 2
    for folder in whole:
        load_layered_scene(folder)
    calls = []
    result = job.decompose_photos(wanted, progress=lambda *numbers: calls.append(numbers))
    total = 4 - len(whole)
    assert calls[0] == (0, total) and calls[-1] == (total, total)
    assert len(result.already_there) == len(whole)


def test_one_photo(deocclude, photos, capsys):
    hard = ["DEOCCLUSION.CONTENT_DILATION", "0", "DEOCCLUSION.CONTENT_INSET", "0"]
    deocclude([*arguments(photos, "a.png"), *hard])
    said = capsys.readouterr().out
    assert "by pcnet of the network 'general', which comes with this package" in said
    assert "a smooth fill" in said and "1 decomposed" in said
    folder = photos.parent / "out"
    assert files_of(folder) == [
        "README.txt",
        "background.png",
        "graph.json",
        "layers/car-0.png",
        "layers/pedestrian-1.png",
        "overview.png",
    ]
    document = json.loads((folder / "graph.json").read_text())
    assert document["edges"] == [["car-0", "pedestrian-1"]]
    back = document["objects"][1]
    # Convex^R: the hull of the L inside the box before it.
    assert back["modal_bbox"] == back["bbox"] == [10, 8, 30, 26] and back["occlusion_rate"] > 0.1
    assert back["category"] == "pedestrian" and back["category_id"] == 2
    modal = WindowMask.from_rle(back["modal_segmentation"])
    assert document["method"]["content"] == "smooth"
    layered = load_layered_scene(folder)
    photo = np.asarray(Image.open(photos / "a.png"))
    drawn = layered.background.copy()
    for layer in (layered.layers[1], layered.layers[0]):
        h, w = layer.rgba.shape[:2]
        window = drawn[layer.y0 : layer.y0 + h, layer.x0 : layer.x0 + w]
        window[layer.rgba[..., 3] == 255] = layer.rgba[layer.rgba[..., 3] == 255][:, :3]
    np.testing.assert_array_equal(drawn, photo)
    assert layered.layers[1].modal_mask == modal
    with Image.open(folder / "overview.png") as picture:
        assert picture.mode == "RGB" and min(picture.size) > 500


def test_soft_edges_keep_the_photo(deocclude, photos, without_overview):
    deocclude(arguments(photos, "a.png"))
    folder = photos.parent / "out"
    assert "photo.png" in files_of(folder)
    layered, photo = load_layered_scene(folder), np.asarray(Image.open(photos / "a.png"))
    np.testing.assert_array_equal(layered.photo, photo)
    np.testing.assert_array_equal(SceneEditor(layered).compose(), photo)
    alpha = layered.layers[1].rgba[..., 3]
    assert ((alpha > 0) == layered.layers[1].amodal_mask.array).all()
    assert ((alpha > 0) & (alpha < 255)).any()


def test_a_folder_goes_on_where_it_was(deocclude, photos, capsys, without_overview):
    output = photos.parent / "out"
    (photos / "b.png").write_text("broken")
    # With workers, photos after the broken one may be there too.
    line = failure(deocclude, capsys, [*arguments(photos), "--num-workers", "0"])
    assert "b.png: not a readable picture" in line
    assert sorted(p.name for p in output.iterdir()) == ["a"]
    written = (output / "a" / "graph.json").stat().st_mtime_ns
    deocclude([*arguments(photos), "--skip-invalid"])
    said = capsys.readouterr()
    assert "1 decomposed, 1 were there already" in said.out and "2 skipped" in said.out
    skipped = [line for line in said.err.splitlines() if line.startswith("skipped: ")]
    assert ["b.png" in skipped[0], "d.png: there is no object" in skipped[1]] == [True, True]
    assert sorted(p.name for p in output.iterdir()) == ["a", "c"]
    assert (output / "a" / "graph.json").stat().st_mtime_ns == written
    deocclude([*arguments(photos), "--skip-invalid", "--overwrite"])
    assert "2 decomposed, 2 skipped" in capsys.readouterr().out
    assert (output / "a" / "graph.json").stat().st_mtime_ns != written
    assert len(load_layered_scene(output / "c").layers) == 2


def test_any_number_of_workers_writes_the_same(deocclude, photos, capsys, without_overview):
    said, contents = set(), []
    for workers in ("0", "1", "3"):
        output = photos.parent / f"out{workers}"
        more = ["--skip-invalid", "--num-workers", workers]
        deocclude([*arguments(photos, output=output.name), *more])
        said.add(capsys.readouterr().out.replace(output.name, "out"))
        contents.append({name: (output / name).read_bytes() for name in files_of(output)})
    assert len(said) == 1 and "3 decomposed, 1 skipped" in said.pop()
    assert contents[0] == contents[1] == contents[2]


def test_nothing_but_invalid_photos_is_a_failure(deocclude, photos, capsys):
    with pytest.raises(SystemExit) as error:
        deocclude([*arguments(photos, "d.png"), "--skip-invalid"])
    assert error.value.code == 1 and "0 decomposed, 1 skipped" in capsys.readouterr().out
    assert not (photos.parent / "out").exists()


@pytest.mark.parametrize(
    ("image", "more", "message"),
    [
        ("d.png", [], "d.png: there is no object in it"),
        ("none.png", [], "none.png: there is no such file"),
        ("a.png", ["--weights", "w.pth"], "'w.pth': there is no such folder or file"),
        ("a.png", ["--method", "raw", "--weights", "w.pth"], "raw uses no network"),
        ("a.png", ["--content-weights", "w.pth"], "--content-weights needs --content-config"),
        ("a.png", ["--content-config", "none.yaml"], "none.yaml"),
        ("a.png", ["--content-config", CONFIG], "PCNetM fills in no colours"),
        ("a.png", ["--config-file", CONFIG], "MODEL.WEIGHTS"),
        ("a.png", ["--detector-weights", "w.pth"], "--detector-weights needs --detector"),
        ("a.png", ["NO.SUCH_KEY", "1"], "NO.SUCH_KEY"),
        ("a.png", ["DEOCCLUSION.CONTENT_DILATION"], "KEY VALUE pairs"),
        ("a.png", ["DEOCCLUSION.CONTENT_DILATION", "2"], "CONTENT_DILATION = 2"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(deocclude, photos, capsys, image, more, message):
    assert message in failure(deocclude, capsys, [*arguments(photos, image), *more])
    assert sorted(p.name for p in photos.parent.iterdir()) == ["masks.json", "photos"]


def test_other_folders_are_not_touched(deocclude, photos, capsys, without_overview):
    other = photos.parent / "out"
    other.mkdir()
    (other / "diary.txt").write_text("mine")
    assert "no layered scene" in failure(deocclude, capsys, arguments(photos, "a.png"))
    assert files_of(other) == ["diary.txt"]
    line = failure(deocclude, capsys, arguments(photos, "a.png", "out/diary.txt"))
    assert "no layered scene" in line and (other / "diary.txt").read_text() == "mine"
    (photos.parent / "single").mkdir()  # an empty one may be there
    deocclude(arguments(photos, "a.png", "single"))
    line = failure(deocclude, capsys, arguments(photos, "", "single"))
    assert "single: is a decomposition of one photo" in line


def test_a_finished_scene_of_another_request_is_refused(
    deocclude, photos, capsys, without_overview
):
    output = photos.parent / "out"
    one = arguments(photos, "a.png")
    page = ["--html", str(photos.parent / "page.html")]
    deocclude([*one, *page])
    before = {p: p.read_bytes() for p in photos.parent.rglob("*") if p.is_file()}
    other_masks = json.loads((photos.parent / "masks.json").read_text())
    for annotation in other_masks["annotations"]:
        annotation["category_id"] = 4
    (photos.parent / "other.json").write_text(json.dumps(other_masks))
    before[photos.parent / "other.json"] = (photos.parent / "other.json").read_bytes()
    for given, message in (
        (arguments(photos, "b.png"), "made with another photo: --overwrite decomposes again"),
        ([*arguments(photos, "b.png"), *page], "made with another photo"),
        ([*one[:3], str(photos.parent / "other.json"), *one[4:]], "made with other masks: "),
        ([*one, "--method", "raw"], "another method"),
        ([*one, "DEOCCLUSION.CONTENT_DILATION", "0"], "made with another content dilation: "),
    ):
        line = failure(deocclude, capsys, given)
        assert f"{output}: there is a scene already, " in line and message in line
        assert {p: p.read_bytes() for p in photos.parent.rglob("*") if p.is_file()} == before
    # More photos in the JSON and another spelling of the same are no other request.
    other_masks = json.loads((photos.parent / "masks.json").read_text())
    other_masks["images"].append({"id": 9, "height": 9, "width": 9, "file_name": "z.png"})
    (photos.parent / "masks.json").write_text(json.dumps(other_masks, indent=1))
    deocclude([*one, *page, "--method", "pcnet"])
    assert "0 decomposed, 1 were there already" in capsys.readouterr().out
    # A folder of an older version, or one that was edited.
    graph = json.loads((output / "graph.json").read_text())
    request = graph.pop("request")
    assert str(photos.parent) not in json.dumps([graph, request])
    (output / "graph.json").write_text(json.dumps(graph))
    assert "does not say which photo, masks" in failure(deocclude, capsys, one)
    with pytest.raises(SystemExit):
        deocclude([*one, "--skip-invalid"])
    assert "0 decomposed, 1 skipped" in capsys.readouterr().out
    deocclude([*one, "--overwrite"])
    assert json.loads((output / "graph.json").read_text())["request"] == request


def test_a_page_is_never_written_over_something_else(deocclude, photos, capsys, without_overview):
    parent = photos.parent
    (parent / "mine.html").write_text("<!DOCTYPE html>mine")
    (parent / "notes.html").write_text("mine")
    (parent / "link.html").symlink_to(photos / "a.png")
    (parent / "pages").mkdir()
    (parent / "pages" / "b.html").write_text("<!DOCTYPE html>mine")
    before = {p: p.read_bytes() for p in parent.rglob("*") if p.is_file()}
    for html, more, message in (
        ("photos/a.png", ["--overwrite"], "not a .html file"),
        ("link.html", ["--overwrite"], "link.html is one of the inputs"),
        ("mine.html", [], "mine.html exists: pass --overwrite"),
        ("notes.html", ["--overwrite"], "notes.html exists and is no HTML page"),
        ("out/page.html", [], "which holds the scene alone"),
        ("masks.json/page.html", [], "masks.json is no folder"),
    ):
        given = [*arguments(photos, "a.png"), "--html", str(parent / html), *more]
        assert message in failure(deocclude, capsys, given)
    given = [*arguments(photos), "--html", str(parent / "pages"), "--skip-invalid"]
    assert "b.html exists: pass --overwrite" in failure(deocclude, capsys, given)
    assert {p: p.read_bytes() for p in parent.rglob("*") if p.is_file()} == before
    (parent / "pages" / "b.html").unlink()
    deocclude(given)
    written = {p.name: p.stat().st_mtime_ns for p in (parent / "pages").iterdir()}
    assert sorted(written) == ["a.html", "b.html", "c.html"]
    deocclude(given)
    assert {p.name: p.stat().st_mtime_ns for p in (parent / "pages").iterdir()} == written


def test_no_input_lies_in_the_output(deocclude, photos, capsys, without_overview):
    out = photos.parent / "out"
    deocclude(arguments(photos, "a.png"))
    given = [*arguments(photos), "--overwrite"]
    given[1] = str(out / "overview.png")
    assert f"{out / 'overview.png'} lies in {out}, the output" in failure(deocclude, capsys, given)
    (out / "layers" / "mine.png").write_bytes((photos / "b.png").read_bytes())
    line = failure(deocclude, capsys, [*arguments(photos, "a.png"), "--overwrite"])
    assert "out: also holds layers/mine.png" in line
    assert (out / "layers" / "mine.png").read_bytes() == (photos / "b.png").read_bytes()


def test_photos_of_one_stem_have_a_scene_each(deocclude, photos, without_overview):
    for name in ("a.bmp", "a_bmp.png"):
        Image.open(photos / "a.png").save(photos / name)
    document = json.loads((photos.parent / "masks.json").read_text())
    for number, name in enumerate(("a.bmp", "a_bmp.png")):
        document["images"].append({**document["images"][0], "id": 50 + number, "file_name": name})
        document["annotations"] += [
            {**a, "id": 100 * (number + 1) + a["id"], "image_id": 50 + number}
            for a in document["annotations"][:2]
        ]
    (photos.parent / "masks.json").write_text(json.dumps(document))
    deocclude([*arguments(photos), "--skip-invalid"])
    names = {
        json.loads((p / "graph.json").read_text())["file_name"]: p.name
        for p in (photos.parent / "out").iterdir()
    }
    assert names == {
        "a.bmp": "a_bmp-2", "a.png": "a_png", "a_bmp.png": "a_bmp", "b.png": "b", "c.png": "c"
    }  # fmt: skip


def test_what_a_killed_run_left_is_cleaned(deocclude, photos, without_overview):
    left = [leave_over(photos.parent / "out"), leave_over(photos.parent / "out" / "b")]
    other = leave_over(photos.parent / "out" / "z")
    deocclude(arguments(photos, "a.png", "single"))
    assert all(path.exists() for path in (*left, other))
    deocclude([*arguments(photos), "--skip-invalid"])
    assert [path.exists() for path in (*left, other)] == [True, False, True]
    deocclude([*arguments(photos), "--skip-invalid"])
    assert sorted(p.name for p in (photos.parent / "out").iterdir()) == [other.name, *"abc"]


def test_scenes_of_a_detector_are_known_by_its_weights(
    deocclude, photos, capsys, without_overview, monkeypatch
):
    seen = []

    def found(path, image):
        seen.append(path.name)
        return open_masks(str(photos.parent / "masks.json"))(path, image)

    monkeypatch.setattr(job, "_mask_source", lambda *given: found)
    weights = photos.parent / "detector.pth"
    weights.write_bytes(b"first")
    given = ["--image", str(photos / "a.png"), "--output", str(photos.parent / "out")]
    given += ["--detector", "amodal_mask_rcnn_R_50_FPN_kins", "--detector-weights", str(weights)]
    deocclude(given)
    deocclude([*given, "MODEL.DEVICE", "cpu"])
    assert "1 were there already" in capsys.readouterr().out
    line = failure(deocclude, capsys, [*given, "INPUT.MIN_SIZE_TEST", "99"])
    assert "made with another detector: " in line
    weights.write_bytes(b"second")
    assert "made with other detector weights: " in failure(deocclude, capsys, given)
    assert seen == ["a.png"]  # a finished photo is not detected again


def test_category_names_of_any_length_and_script(deocclude, photos, without_overview):
    document = json.loads((photos.parent / "masks.json").read_text())
    long = "person wearing a red shirt who stands behind the white wooden table"
    for category, name in zip(document["categories"], ("猫", long), strict=True):
        category["name"] = name
    (photos.parent / "masks.json").write_text(json.dumps(document))
    deocclude(arguments(photos, "a.png"))
    out = photos.parent / "out"
    graph = json.loads((out / "graph.json").read_text())
    short = "person-wearing-a-red-shirt-who-stands-be-1"
    assert [o["name"] for o in graph["objects"]] == ["猫-0", short]
    assert [o["category"] for o in graph["objects"]] == ["猫", long]
    assert sorted(p.name for p in (out / "layers").iterdir()) == [f"{short}.png", "猫-0.png"]


def test_a_real_scene(deocclude, real_data, tmp_path, without_overview):
    scene = real_data / "cocoa_scenes" / "5"
    deocclude(
        ["--image", f"{scene}.jpg", "--masks", f"{scene}.json", "--output", str(tmp_path / "out")]
    )
    layered = load_layered_scene(tmp_path / "out")
    assert [layer.name for layer in layered.layers] == [
        *("tree-trunk-0", "elephant-1", "elephant-2", "elephant-3", "log-4", "tree-trunk-5")
    ]
    assert layered.background.shape == (480, 640, 3)

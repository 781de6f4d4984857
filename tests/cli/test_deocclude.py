"""tools/deocclude.py in this process, on small photos."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition import job, load_layered_scene
from deocclusion_d2.structures import WindowMask

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 40, 60
CONFIG = str(ROOT / "configs" / "quick_schedules" / "pcnet_m_kitti_mots_quick.yaml")


@pytest.fixture(scope="module")
def deocclude():
    spec = importlib.util.spec_from_file_location("deocclude", ROOT / "tools" / "deocclude.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


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


def test_one_photo(deocclude, photos, capsys):
    deocclude([*arguments(photos, "a.png"), "DEOCCLUSION.CONTENT_DILATION", "0"])
    said = capsys.readouterr().out
    assert "convex_r" in said and "OpenCV" in said and "1 decomposed" in said
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
    assert document["method"]["content"] == "opencv_telea"
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


def test_a_folder_goes_on_where_it_was(deocclude, photos, capsys, without_overview):
    output = photos.parent / "out"
    (photos / "b.png").write_text("broken")
    line = failure(deocclude, capsys, arguments(photos))
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
        ("a.png", ["--weights", "w.pth"], "--weights needs --config-file"),
        ("a.png", ["--method", "pcnet"], "--method pcnet needs --config-file"),
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

"""The two drawing tools, run in this process on a small data set."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.structures import WindowMask
from deocclusion_d2.visualization.scene import title_height
from tests.helpers import program_of

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 60, 160
SMALL = ("--scale", "2")


def load_tool(name: str):
    return program_of(ROOT / "tools" / f"{name}.py")


@pytest.fixture(scope="module")
def draw():
    return load_tool("visualize_deocclusion").main


@pytest.fixture(scope="module")
def draw_samples():
    return load_tool("visualize_training_samples").main


def rle(x0: int, y0: int, x1: int, y1: int) -> dict:
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool)).to_rle(HEIGHT, WIDTH)


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Three images of two instances, modal COCO; only the first image file exists."""
    (tmp_path / "0000").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), (10, 200, 30)).save(tmp_path / "0000" / "000000.png")
    images = [
        {"id": i, "height": HEIGHT, "width": WIDTH, "file_name": f"0000/{i:06d}.png"}
        for i in range(3)
    ]
    annotations = []
    for i in range(3):
        for x0, x1 in ((20, 70), (70, 110)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": 4,
                    "iscrowd": 0,
                    "segmentation": rle(x0, 20, x1, 50),
                    "bbox": [x0, 20, x1 - x0, 30],
                    "area": (x1 - x0) * 30,
                }
            )
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 4, "name": "car"}],
    }
    (tmp_path / "modal.json").write_text(json.dumps(document))
    return tmp_path / "modal.json"


def test_draws_a_data_set_without_a_model(draw, dataset, tmp_path, capsys):
    output = tmp_path / "pictures"
    draw(["--method", "convex_r", "--dataset", f"coco:{dataset}", "--output", str(output), *SMALL])
    names = sorted(p.name for p in output.iterdir())
    assert names == ["0000_000000.png", "0000_000001.png", "0000_000002.png"]
    assert "3 pictures" in capsys.readouterr().out
    with_file, without = (np.asarray(Image.open(output / n)) for n in names[:2])
    assert with_file.shape == without.shape
    assert (with_file == (10, 200, 30)).all(axis=-1).any()
    assert not (without == (10, 200, 30)).all(axis=-1).any()


def test_input_with_format_and_selection(draw, dataset, tmp_path):
    output = tmp_path / "pictures"
    options = ["--method", "raw", "--input", str(dataset), "--image-root", str(tmp_path)]
    draw([*options, "--output", str(output), "--filter", "0000/", "--frames", "1::2", *SMALL])
    assert [p.name for p in output.iterdir()] == ["0000_000001.png"]


def test_draws_converted_annotations(draw, dataset, tmp_path):
    document = json.loads(dataset.read_text())
    for annotation in document["annotations"]:
        behind = annotation["id"] % 2 == 0
        annotation["modal_segmentation"] = annotation["segmentation"]
        annotation["modal_bbox"] = annotation["bbox"]
        annotation["occluder_ids"] = [annotation["id"] - 1] if behind else []
        if behind:
            annotation["segmentation"] = rle(40, 20, 110, 50)
            annotation["bbox"], annotation["area"] = [40, 20, 70, 30], 2100
    converted = tmp_path / "amodal.json"
    converted.write_text(json.dumps(document))
    pictures = {}
    for source in (["--converted", str(converted)], ["--method", "raw", "--input", str(dataset)]):
        output = tmp_path / source[0].strip("-")
        draw([*source, "--output", str(output), "--image-ids", "1", *SMALL])
        pictures[source[0]] = np.asarray(Image.open(output / "0000_000001.png"))
    title = title_height(2 * HEIGHT, 2 * WIDTH)
    panels = 4 * (2 * HEIGHT + title + title // 4)  # the legend stands below
    first, second = (picture[:panels].astype(int) for picture in pictures.values())
    changed = np.abs(first - second).max(axis=-1) > 20
    third = panels // 4 * 3
    # The amodal panel, last of four: the hidden part of the second instance, x 40-70.
    assert changed[third:, 90:136].mean() > 0.2
    assert not changed[third + 20 :, 160:].any()


def test_sheets_of_drawn_completions(draw, dataset, tmp_path, capsys):
    document = json.loads(dataset.read_text())
    for annotation in document["annotations"]:
        annotation["modal_segmentation"] = annotation["segmentation"]
        annotation["modal_bbox"], annotation["occluder_ids"] = annotation["bbox"], []
    document["annotations"][2]["samples"] = [
        {"segmentation": rle(20, 20, 90, 50), "weight": 0.75},
        {"segmentation": rle(20, 20, 80, 50), "weight": 0.25},
    ]
    converted = tmp_path / "amodal.json"
    converted.write_text(json.dumps(document))
    arguments = ["--converted", str(converted), "--output", str(tmp_path / "out"), *SMALL]
    draw([*arguments, "--samples-sheet"])
    assert "3 pictures" in (said := capsys.readouterr().out) and "1 sheets" in said
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    pictures = [f"0000_00000{i}.png" for i in range(3)]
    assert names == sorted([*pictures, "0000_000001_samples.png"])
    # The picture of that image has one more panel.
    shapes = [np.asarray(Image.open(tmp_path / "out" / name)).shape for name in pictures]
    assert shapes[0] == shapes[2] != shapes[1]
    # Sheets are not replaced unasked either; where nothing was drawn, that is said.
    (tmp_path / "out" / pictures[1]).unlink()
    arguments += ["--image-ids", "1"]
    with pytest.raises(SystemExit):
        draw([*arguments, "--samples-sheet"])
    assert "0000_000001_samples.png exists" in capsys.readouterr().err
    raw = ["--method", "raw", "--input", str(dataset), "--output", str(tmp_path / "raw"), *SMALL]
    draw([*raw, "--samples-sheet"])
    assert "no sheets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "nowhere", "--method", "raw"], "nowhere"),
        (["--input", "missing.json", "--method", "raw"], "missing.json"),
        (["--dataset", "coco:{json}", "--weights", "w"], "'w': there is no such folder or file"),
        (["--dataset", "coco:{json}", "--method", "raw", "--image-ids", "9"], "no image 9"),
        (["--converted", "{json}"], "modal_segmentation"),
        (["--dataset", "coco:{json}", "--config-file", "no.yaml"], "no.yaml"),
    ],
)
def test_bad_input_is_one_line(draw, dataset, tmp_path, capsys, arguments, message):
    arguments = [a.format(json=dataset) for a in arguments]
    with pytest.raises(SystemExit) as error:
        draw(["--output", str(tmp_path / "pictures"), *arguments])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.value.code == 1 and last.startswith("error: ") and message in last


def test_draws_training_samples(draw_samples, dataset, tmp_path, capsys):
    config = str(ROOT / "configs" / "quick_schedules" / "pcnet_m_kitti_mots_quick.yaml")
    # In this small data set every instance touches another.
    overrides = ["DATASETS.TRAIN", f"('coco:{dataset}',)"]
    overrides += ["INPUT.PARTIAL_COMPLETION.ISOLATED_TARGETS", "False"]
    outputs = []
    for name, seed in (("a.png", "3"), ("b.png", "3"), ("c.png", "4")):
        outputs.append(tmp_path / name)
        options = ["--config-file", config, "--output", str(outputs[-1]), "--num-samples", "6"]
        draw_samples([*options, "--seed", seed, *overrides])
    assert "6 samples" in capsys.readouterr().out
    first, again, other = (np.asarray(Image.open(p)) for p in outputs)
    assert first.ndim == 3 and first.shape[1] > 4 * 3 * 128
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATASETS.TRAIN", "('nowhere',)"], "nowhere"),
        (["--num-samples", "0"], "--num-samples 0"),
        (["NO.SUCH_KEY", "1"], "NO.SUCH_KEY"),
    ],
)
def test_bad_settings_of_training_samples(draw_samples, tmp_path, capsys, arguments, message):
    config = str(ROOT / "configs" / "quick_schedules" / "pcnet_m_kitti_mots_quick.yaml")
    output = tmp_path / "a.png"
    with pytest.raises(SystemExit) as error:
        draw_samples(["--config-file", config, "--output", str(output), *arguments])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.value.code == 1 and last.startswith("error: ") and message in last
    assert not output.exists()

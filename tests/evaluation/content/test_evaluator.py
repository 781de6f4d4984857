"""L1, L2, PSNR and SSIM of filled holes, by hand and by slow implementations."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.data.scenes import SceneMapper
from deocclusion_d2.evaluation import base
from deocclusion_d2.evaluation.content import (
    ContentEvaluator,
    FilledRegion,
    FilledScene,
    HiddenRegion,
    HoleFiller,
    lpips,
)
from deocclusion_d2.evaluation.content import evaluator as content_evaluator
from deocclusion_d2.evaluation.content.evaluator import GROUPS, hole_group, hole_similarity
from deocclusion_d2.structures import SquareCrop, WindowMask
from tests.helpers import box_mask, scene_of

H, W = 40, 50


def rect(x0, y0, x1, y1):
    return WindowMask.filled((x0, y0, x1, y1))


def region(hole, visible):
    return HiddenRegion(0, SquareCrop(0, 0, W), visible, hole)


def record(image):
    scene = scene_of([box_mask(*image.shape[:2], 0, 0, 5, 5)])
    scene.image = image
    return {"scene": scene}


def evaluate(image, regions, left_out=(), **options):
    evaluator = ContentEvaluator(**options)
    evaluator.process([record(image)], [FilledScene(regions, Counter(left_out))])
    return evaluator.evaluate()["content"]


def noise(seed=0, height=H, width=W):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("erased", "total", "group"),
    [
        (1, 1000, "hole0-10"),
        (10, 100, "hole0-10"),
        (11, 100, "hole10-30"),
        (3, 10, "hole10-30"),
        (31, 100, "hole30-100"),
        (100, 100, "hole30-100"),
    ],
)
def test_groups_hold_their_upper_end(erased, total, group):
    assert hole_group(erased, total) == group


def test_two_holes_by_hand():
    image = np.full((H, W, 3), 100, np.uint8)
    # 4 px of 40: every pixel is wrong by 51 (0.2) in red. L1 = 0.2 / 3, L2 = 0.04 / 3.
    small = region(rect(10, 10, 12, 12), rect(20, 0, 26, 6))
    # 20 px of 50: half of the pixels are wrong by 102 (0.4) in all. L1 = 0.2, L2 = 0.08.
    large = region(rect(10, 20, 15, 24), rect(20, 20, 25, 26))
    fill = np.full((20, 3), 100, np.uint8)
    fill[::2] = 202
    black = np.zeros((4, 3), np.uint8), np.zeros((20, 3), np.uint8)  # 100 / 255 off everywhere
    results = evaluate(
        image,
        [
            FilledRegion(
                small, {"network": np.tile([151, 100, 100], (4, 1)), "mean_colour": black[0]}
            ),
            FilledRegion(large, {"network": fill, "mean_colour": black[1]}),
        ],
    )
    l2 = (4 * 0.04 / 3 + 20 * 0.08) / 24
    off = 100 / 255
    expected = {
        "L1": (4 * 0.2 / 3 + 20 * 0.2) / 24,
        "L2": l2,
        "PSNR": -10 * math.log10(l2),
        "PSNR_mean": (-10 * math.log10(0.04 / 3) - 10 * math.log10(0.08)) / 2,
        "L1-mean_colour": off,
        "L2-mean_colour": off**2,
        "PSNR-mean_colour": -20 * math.log10(off),
        "PSNR_mean-mean_colour": -20 * math.log10(off),
        "holes": 2,
        "hole_pixels": 24,
        "L1-hole0-10": 0.2 / 3,
        "L2-hole0-10": 0.04 / 3,
        "PSNR-hole0-10": -10 * math.log10(0.04 / 3),
        "PSNR_mean-hole0-10": -10 * math.log10(0.04 / 3),
        "L1-mean_colour-hole0-10": off,
        "holes-hole0-10": 1,
        "hole_pixels-hole0-10": 4,
        "L1-hole30-100": 0.2,
        "L2-hole30-100": 0.08,
        "PSNR-hole30-100": -10 * math.log10(0.08),
        "holes-hole30-100": 1,
        "hole_pixels-hole30-100": 20,
    }
    assert {key: results[key] for key in expected} == pytest.approx(expected)
    assert not any("hole10-30" in key for key in results)
    # SSIM weighs by pixels, like L1.
    for suffix in ("", "-mean_colour"):
        by_group = (results[f"SSIM{suffix}-hole0-10"], results[f"SSIM{suffix}-hole30-100"])
        assert results[f"SSIM{suffix}"] == pytest.approx((4 * by_group[0] + 20 * by_group[1]) / 24)
    assert list(results)[:6] == ["L1", "L2", "PSNR", "PSNR_mean", "SSIM", "L1-mean_colour"]


def slow_similarity(true, filled, mask):
    """Wang et al. (2004), eq. 13, in every 7 x 7 window, mirrored at the border, by loops."""
    pad = ((3, 3), (3, 3), (0, 0))
    x, y = (np.pad(a.astype(np.float64), pad, mode="symmetric") for a in (true, filled))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for row, column in zip(*np.nonzero(mask), strict=True):
        for channel in range(3):
            a = x[row : row + 7, column : column + 7, channel].ravel()
            b = y[row : row + 7, column : column + 7, channel].ravel()
            covariance = np.cov(a, b)  # over n - 1
            values.append(
                (2 * a.mean() * b.mean() + c1)
                * (2 * covariance[0, 1] + c2)
                / (a.mean() ** 2 + b.mean() ** 2 + c1)
                / (covariance[0, 0] + covariance[1, 1] + c2)
            )
    return np.mean(values)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((20, 15, 24, 18), (H, W)),  # inside
        ((0, 0, 1, 1), (H, W)),  # one pixel in a corner
        ((46, 30, 50, 40), (H, W)),  # in the opposite one
        ((2, 1, 6, 3), (7, 9)),  # an image of hardly more than a window
    ],
)
def test_similarity_is_that_of_the_whole_image(box, size):
    image = noise(0, *size)
    hole = rect(*box)
    fill = noise(1, *size)[hole.to_array(*size)] // 2
    filled = image.copy()
    filled[hole.to_array(*size)] = fill
    expected = slow_similarity(image, filled, hole.to_array(*size))
    assert expected < 0.99
    assert hole_similarity(image, hole, fill) == pytest.approx(expected, abs=1e-9)


def test_colours_belong_to_the_pixels_of_a_hole_row_by_row():
    image = noise()
    hole = WindowMask(5, 6, np.array([[0, 1, 1], [1, 0, 1]], bool))
    true = np.array([image[6, 6], image[6, 7], image[7, 5], image[7, 7]])
    results = evaluate(image, [FilledRegion(region(hole, rect(0, 0, 3, 3)), {"network": true})])
    assert results["L1"] == results["L2"] == 0
    assert results["SSIM"] == pytest.approx(1)
    # A perfect fill: infinite, so it has no PSNR, and counts 60 dB among the others.
    assert "PSNR" not in results and results["PSNR_mean"] == 60
    swapped = FilledRegion(region(hole, rect(0, 0, 3, 3)), {"network": true[::-1]})
    assert evaluate(image, [swapped])["L1"] > 0.01


@pytest.fixture(autouse=True)
def no_lpips(monkeypatch):
    """Whatever is installed."""
    monkeypatch.setattr(content_evaluator, "find_lpips", lambda: None)


def test_lpips_is_a_mean_over_holes_of_squares(monkeypatch):
    """Of each hole the part of its square that lies in the image is compared, true and filled."""
    seen = []

    def distance(true, filled):
        seen.append((true.copy(), filled.copy()))
        return len(seen) / 10

    monkeypatch.setattr(content_evaluator, "find_lpips", lambda: distance)
    image = noise()
    hole = rect(1, 1, 3, 2)
    one = FilledRegion(region(hole, rect(3, 1, 4, 2)), {"network": np.full((2, 3), 9, np.uint8)})
    results = evaluate(image, [one, one])
    assert results["LPIPS"] == pytest.approx(0.15)
    # It goes beyond the image, of which it holds all.
    assert one.region.square.side == W > H
    np.testing.assert_array_equal(seen[0][0], image)
    changed = (seen[0][1] != image).any(axis=2)
    assert changed.sum() == 2 and (seen[0][1][changed] == 9).all()


@pytest.mark.parametrize("there", [False, True])  # the library; the weights are not
def test_lpips_needs_its_library_and_weights(there, monkeypatch, tmp_path):
    """Nothing is fetched, and no figure is made up."""
    pytest.importorskip("torchvision")
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    library = SimpleNamespace(LearnedPerceptualImagePatchSimilarity=None) if there else None
    for name in ("torchmetrics", "torchmetrics.image", "torchmetrics.image.lpip"):
        monkeypatch.setitem(sys.modules, name, library)
    lpips.find_lpips.cache_clear()
    assert lpips.find_lpips() is None
    lpips.find_lpips.cache_clear()


def test_images_smaller_than_a_window_have_no_similarity():
    image = noise(0, 6, 30)
    one = FilledRegion(region(rect(3, 2, 5, 4), rect(0, 0, 2, 2)), {"telea": np.zeros((4, 3))})
    results = evaluate(image, [one])
    assert "L1-telea" in results and "SSIM-telea" not in results


def filled_scenes(count=4):
    inputs, outputs = [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        boxes = rng.integers(2, 20, size=(3, 4))
        scene = scene_of([box_mask(H, W, x, y, x + w, y + h) for x, y, w, h in boxes])
        scene.image = noise(seed)
        inputs.append({"scene": scene})
    outputs = HoleFiller(None, ErasingSettings(), min_square=12.0)(inputs)
    return inputs, outputs


def test_processes_and_batches_add_up(tmp_path, monkeypatch):
    inputs, outputs = filled_scenes()
    whole = ContentEvaluator()
    whole.process(inputs, outputs)
    expected = whole.evaluate()
    assert expected["content"]["holes"] >= 6
    assert whole.evaluate() == expected

    first, second = ContentEvaluator(str(tmp_path)), ContentEvaluator(str(tmp_path))
    first.process(inputs[:1], outputs[:1])
    for one, output in zip(inputs[:0:-1], outputs[:0:-1], strict=True):
        second.process([one], [output])
    sent = []
    monkeypatch.setattr(base.comm, "is_main_process", lambda: False)
    monkeypatch.setattr(base.comm, "gather", lambda data, dst: sent.append(data) or [])
    assert second.evaluate() == {}
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(base.comm, "is_main_process", lambda: True)
    monkeypatch.setattr(base.comm, "gather", lambda data, dst: [data, *sent])
    results = first.evaluate()["content"]
    assert results == pytest.approx(expected["content"], rel=1e-12)
    assert list(results) == list(expected["content"])
    written = json.loads((tmp_path / "content_results.json").read_text())
    assert written["results"] == results
    small = sum(output.left_out["instances with a square under the minimum"] for output in outputs)
    assert written["left_out"].get("instances with a square under the minimum", 0) == small > 0
    first.reset()
    monkeypatch.setattr(base.comm, "gather", lambda data, dst: [data])
    assert first.evaluate()["content"] == {"holes": 0, "hole_pixels": 0}


def test_results_are_logged(caplog):
    inputs, outputs = filled_scenes(1)
    evaluator = ContentEvaluator()
    evaluator.process(inputs, outputs)
    with caplog.at_level(logging.INFO):
        results = evaluator.evaluate()["content"]
    assert all(type(v) in (int, float) and math.isfinite(v) for v in results.values())
    row = next(line for line in caplog.text.splitlines() if line.startswith("| all "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["all", str(results["holes"]), "smooth"]
    assert cells[3] == f"{results['L1-smooth']:.4f}"
    caplog.clear()
    assert evaluate(noise(), [], {"tiny ones": 2}) == {"holes": 0, "hole_pixels": 0}
    assert "content: no holes to measure" in caplog.text


def test_real_photos_are_filled_in_their_colours(real_data, tmp_path):
    folder = real_data / "kitti_mots"
    data = json.loads((folder / "dev.json").read_text())
    data["images"] = [i for i in data["images"] if i["file_name"].startswith("0000/")][-4:]
    kept = {image["id"] for image in data["images"]}
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] in kept]
    (tmp_path / "some.json").write_text(json.dumps(data))
    records = load_dataset_dicts(
        str(tmp_path / "some.json"), str(folder / "images"), "coco", "modal"
    )
    inputs = [SceneMapper(load_image=True)(one) for one in records]
    outputs = HoleFiller(None, ErasingSettings())(inputs)
    for filled in (one for output in outputs for one in output.regions):
        # The same colours at other pixels.
        filled.fills["reversed"] = filled.fills["telea"][::-1]
    evaluator = ContentEvaluator()
    evaluator.process(inputs, outputs)
    results = evaluator.evaluate()["content"]
    left_out = sum(sum(output.left_out.values()) for output in outputs)
    assert results["holes"] + left_out == sum(len(one["scene"]) for one in inputs) > 10
    assert sum(results.get(f"holes-{group}", 0) for group in GROUPS) == results["holes"]
    for method in ("smooth", "telea", "navier_stokes"):
        assert results[f"L1-{method}"] < results["L1-reversed"]
        assert results[f"SSIM-{method}"] > results["SSIM-reversed"]

"""Masks with free pixels between them, in every place where gaps are closed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.cli.convert_modal_to_amodal import main as convert_tool
from deocclusion_d2.cli.deocclude import main as deocclude
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.decomposition import load_layered_scene
from deocclusion_d2.engine.evaluate import evaluate_deocclusion
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.calibration import RequestCalibration
from deocclusion_d2.structures import Scene, WindowMask
from tests.helpers import box_mask, rule_model, scene_of

H, W = 40, 60
# No network: "convex" says who hides whom, "convex_r" completes.
RULES = ("DEOCCLUSION.ORDERING", "convex", "MODEL.DEVICE", "cpu")


def pair(gap: int, shift: int = 0) -> list[np.ndarray]:
    """An L, and a bar in its bay that is so many pixels from its back and its foot."""
    corner = box_mask(H, W, 5, 6, 9, 30) | box_mask(H, W, 5, 26, 40, 30)
    bar = box_mask(H, W, 9 + gap, 4, 20 + gap, 26 - gap)
    return [np.roll(mask, shift, axis=1) for mask in (corner, bar)]


def pairs(gap: int, count: int = 12) -> list[Scene]:
    return [scene_of(pair(gap, k)) for k in range(count)]


def config(*opts):
    small = ("MODEL.DEVICE", "cpu", "INPUT.INSTANCE_CROP.SIZE", "32")
    return load_config("pcnet_m_kins", [*small, *opts])


def rules(*opts) -> Deoccluder:
    return Deoccluder.from_config(config(*RULES, "DEOCCLUSION.COMPLETION", "convex_r", *opts))


def inside_eraser(visible, eraser):
    """A network that says that all of the eraser is the target's."""
    return visible + eraser


def document(scenes: list[Scene]) -> dict:
    annotations = [
        {
            "id": 10 * k + n,
            "image_id": k,
            "category_id": 1,
            "segmentation": mask.to_rle(H, W),
            "bbox": mask.xywh,
            "area": mask.area,
            "iscrowd": 0,
        }
        for k, scene in enumerate(scenes, 1)
        for n, mask in enumerate(scene.modal_masks)
    ]
    images = [
        {"id": k, "file_name": f"{k}.png", "height": H, "width": W}
        for k in range(1, len(scenes) + 1)
    ]
    categories = [{"id": 1, "name": "thing"}]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def shrunk(tmp_path) -> Path:
    """A file of pairs with 2 free pixels between them."""
    path = tmp_path / "in.json"
    path.write_text(json.dumps(document(pairs(2))))
    return path


# -------------------------------------------------------------------- configs


def test_what_configs_say():
    assert load_config("pcnet_m_kins").DEOCCLUSION.GAP == ""
    assert load_config("pcnet_m_plus_kins").DEOCCLUSION.GAP == "auto"
    assert load_config("pcnet_m_plus_kins_quick").DEOCCLUSION.GAP == "auto"


@pytest.mark.parametrize("written", ["3", '"3"'])
def test_numbers_and_texts(written, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(f"DEOCCLUSION: {{GAP: {written}}}\n")
    assert load_config(str(file)).DEOCCLUSION.GAP == "3"
    assert config("DEOCCLUSION.GAP", written).DEOCCLUSION.GAP == "3"
    assert config("DEOCCLUSION.GAP", 3).DEOCCLUSION.GAP == "3"
    derived = tmp_path / "d.yaml"
    derived.write_text("_BASE_: c.yaml\nSEED: 5\n")
    assert load_config(str(derived)).DEOCCLUSION.GAP == "3"


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["GAP", "wide"], "DEOCCLUSION.GAP = 'wide': use 'auto', or a number of pixels from 0 to"),
        (["GAP", "-1"], "DEOCCLUSION.GAP = '-1': use 'auto'"),
        (["GAP", "2.5"], "DEOCCLUSION.GAP = '2.5': use 'auto'"),
        (["GAP", "900"], "DEOCCLUSION.GAP = '900': use 'auto'"),
        (["GAP", "auto", "DILATION", "5"], "both close gaps; leave out DILATION, or set GAP 0"),
        (["GAP", "2", "DILATION", "3"], "GAP = '2' and DEOCCLUSION.DILATION = 3: both close"),
    ],
)
def test_bad_values_are_one_line(opts, message):
    keys = [f"DEOCCLUSION.{o}" if k % 2 == 0 else o for k, o in enumerate(opts)]
    with pytest.raises(UserError) as error:
        rules(*keys)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("gap", ["auto", "3"])
def test_the_papers_protocol_closes_nothing(gap):
    paper = ("DEOCCLUSION.PAPER_PROTOCOL", "True", "DEOCCLUSION.DILATION", "3")
    deoccluder = rules(*paper, "DEOCCLUSION.GAP", gap)
    assert "gap" not in deoccluder.describe() and not deoccluder.needs_calibration
    assert not deoccluder(pairs(1, 1))[0].graph.edges


# -------------------------------------------------------------------- steps


@pytest.mark.parametrize("ordering", ["convex", "area", "y_axis", "dual_completion"])
def test_neighbours_follow_the_gap(ordering):
    for gap, neighbours in (("0", 0), ("1", 0), ("2", 1), ("5", 1)):
        cfg = config("DEOCCLUSION.ORDERING", ordering, "DEOCCLUSION.GAP", gap)
        result = Deoccluder.from_config(cfg, rule_model(inside_eraser))(pairs(2, 1))[0]
        assert len(result.graph.neighbour_pairs) == neighbours


def test_a_gap_of_0_is_what_was_before():
    scenes = pairs(0, 3) + pairs(2, 3)
    before = Deoccluder.from_config(config(), rule_model(inside_eraser))
    after = Deoccluder.from_config(config("DEOCCLUSION.GAP", "0"), rule_model(inside_eraser))
    assert before.describe() == after.describe() and "gap" not in after.describe()
    for a, b in zip(before(scenes), after(scenes), strict=True):
        assert a.amodal_masks == b.amodal_masks and a.graph.edges == b.graph.edges


@pytest.mark.parametrize("completion", ["og", "nog", "convex_r"])
def test_seams_are_completed_and_visible_pixels_stay(completion):
    """The L gains the bar, as far as its hull reaches or all of it, and what lies between."""
    scene = scene_of([*pair(2), box_mask(H, W, 9, 8, 10, 12)])  # a third mask lies in the seam
    corner, bar, third = scene.modal_masks
    opts = ("DEOCCLUSION.COMPLETION", completion, "DEOCCLUSION.ORDERING", "convex")
    cfg = config(*opts, "DEOCCLUSION.GAP", "2")
    result = Deoccluder.from_config(cfg, rule_model(inside_eraser))([scene])[0]
    assert (1, 0) in result.graph.edges
    amodal = result.amodal_masks[0]
    assert (corner - amodal).is_empty
    gained = amodal - corner
    of_bar, of_third = gained.intersection_area(bar), gained.intersection_area(third)
    seam = scene_of(pair(2))
    seam.gap = 2
    between = seam.seams.between(0, 1) - third
    of_seam = gained.intersection_area(between)
    assert of_bar and of_seam and of_bar + of_seam + of_third == gained.area
    assert of_seam > 0.4 * between.area


# -------------------------------------------------------------------- calibration


def grid(gap: int, rows: int) -> Scene:
    """One scene of so many pairs below each other."""
    masks = []
    for row in range(rows):
        for mask in pair(gap):
            canvas = np.zeros((2 * H * rows, W), bool)  # far from each other
            canvas[2 * row * H : (2 * row + 1) * H] = mask
            masks.append(canvas)
    return scene_of(masks)


@pytest.mark.parametrize(("rows", "gap", "closed"), [(8, 3, 3), (7, 3, 0), (8, 0, 0)])
def test_a_scene_is_measured_by_itself(rows, gap, closed):
    """Enough pairs, too few, and none that are apart."""
    scene = grid(gap, rows)
    assert closed <= RequestCalibration.of_scenes([scene]).gap <= (4 if closed else 0)
    found = rules("DEOCCLUSION.GAP", "auto")([scene])[0].graph
    assert len(found.neighbour_pairs) == (rows if closed or not gap else 0)


def test_results_do_not_depend_on_the_company():
    """Without a calibration every scene is on its own, of whatever others it stands among."""
    deoccluder = rules("DEOCCLUSION.GAP", "auto")
    scenes = pairs(2, 20)
    assert not any(r.graph.edges for r in deoccluder(scenes)), "one pair says nothing"
    calibration = RequestCalibration.of_scenes(scenes)
    assert calibration.gap in (2, 3)
    calibrated = deoccluder.calibrated(calibration)
    assert calibrated.describe()["gap"] == {
        "closed": calibration.gap,
        "measured_on": {"images": 20, "near_pairs": 20},
    }
    together = calibrated(scenes)
    assert all(r.graph.edges == [(1, 0)] for r in together)
    for result, scene in zip(together, scenes, strict=True):
        assert calibrated([scene])[0].amodal_masks == result.amodal_masks
    assert deoccluder.needs_calibration and not calibrated.needs_calibration
    # What a config has settled stays.
    fixed = rules("DEOCCLUSION.GAP", "1")
    assert fixed.calibrated(calibration) is fixed


def test_a_calibration_survives_json():
    found = RequestCalibration.of_scenes(pairs(2))
    assert RequestCalibration.from_json(json.loads(json.dumps(found.to_json()))) == found
    given = RequestCalibration(3)
    assert RequestCalibration.from_json(given.to_json()) == given
    assert given.describe() == {"gap": {"closed": 3}}


# -------------------------------------------------------------------- tools


def converted(source: Path, name: str, gap: str = "auto", **settings) -> dict:
    opts = (*RULES, "DEOCCLUSION.GAP", gap)
    output = source.with_name(name)
    job = ConversionJob(
        source, output, "convex_r", config_file="pcnet_m_kins", opts=opts, **settings
    )
    convert(job)
    return json.loads(output.read_text())


def test_conversion_finds_occluders_across_gaps(shrunk):
    alone = converted(shrunk, "0.json", "0")
    assert not any(a["occluder_ids"] for a in alone["annotations"])
    assert "gap" not in alone["info"]["deocclusion"]
    found = converted(shrunk, "auto.json")
    assert sum(bool(a["occluder_ids"]) for a in found["annotations"]) == 12
    closed = found["info"]["deocclusion"]["gap"]
    assert closed["closed"] in (2, 3)
    assert closed["measured_on"] == {"images": 12, "near_pairs": 12}
    for given, written in zip(alone["annotations"], found["annotations"], strict=True):
        modal = WindowMask.from_rle(given["modal_segmentation"])
        assert (modal - WindowMask.from_rle(written["segmentation"])).is_empty
    fixed = converted(shrunk, "fixed.json", str(closed["closed"]))
    assert fixed["annotations"] == found["annotations"]
    assert fixed["info"]["deocclusion"]["gap"] == {"closed": closed["closed"]}


def test_same_bytes_for_any_shards_and_workers(shrunk, monkeypatch):
    converted(shrunk, "whole.json", num_workers=0)
    monkeypatch.setattr(sys.modules["deocclusion_d2.conversion.convert"], "INSTANCES_AT_ONCE", 4)
    converted(shrunk, "parts.json", num_workers=2, shard_size=6)
    assert shrunk.with_name("parts.json").read_bytes() == (
        shrunk.with_name("whole.json").read_bytes()
    )


def test_who_goes_on_finds_what_was_measured(shrunk, monkeypatch):
    """A run stops after two shards; the next one measures nothing."""
    converted(shrunk, "whole.json")
    whole = Deoccluder.__call__

    def stops(self, scenes, calls=[0]):  # noqa: B006
        calls[0] += 1
        if calls[0] == 3:
            raise UserError("stop")
        return whole(self, scenes)

    monkeypatch.setattr(Deoccluder, "__call__", stops)
    with pytest.raises(UserError, match="^stop$"):
        converted(shrunk, "out.json", shard_size=4, num_workers=0)
    folder = shrunk.with_name("out.json.shards")
    kept = RequestCalibration.from_json(json.loads((folder / "calibration.json").read_text()))
    assert kept.gap in (2, 3) and kept.census.scenes == 12
    monkeypatch.setattr(Deoccluder, "__call__", whole)
    monkeypatch.setattr(RequestCalibration, "of_scenes", None)
    converted(shrunk, "out.json", shard_size=4)
    assert shrunk.with_name("out.json").read_bytes() == shrunk.with_name("whole.json").read_bytes()


def test_what_cannot_be_used_is_said_when_its_turn_comes(shrunk):
    given = json.loads(shrunk.read_text())
    given["annotations"][5]["segmentation"] = {"size": [3, 3], "counts": "9"}
    shrunk.write_text(json.dumps(given))
    with pytest.raises(UserError, match="annotation 31"):
        converted(shrunk, "out.json", shard_size=4)
    assert list(shrunk.with_name("out.json.shards").glob("shard-*"))
    out = converted(shrunk, "out.json", shard_size=4, skip_invalid=True)
    assert out["info"]["deocclusion"]["gap"]["measured_on"] == {"images": 12, "near_pairs": 11}


@pytest.mark.slow
def test_two_processes(shrunk, tmp_path, capfd):
    converted(shrunk, "whole.json")
    output = tmp_path / "two.json"
    with pytest.raises(SystemExit) as end:
        convert_tool(
            [
                *("--input", str(shrunk), "--output", str(output), "--method", "convex_r"),
                *("--config-file", "pcnet_m_kins", "--num-gpus", "2", "--shard-size", "4"),
                *RULES,
                *("DEOCCLUSION.GAP", "auto"),
            ]
        )
    assert end.value.code == 0
    assert output.read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_folder_of_photos_shares_a_gap(shrunk, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in range(1, 13):
        Image.fromarray(np.full((H, W, 3), k, np.uint8)).save(photos / f"{k}.png")
    given = ("--masks", str(shrunk), "DEOCCLUSION.GAP", "auto")
    deocclude(["--image", str(photos), "--output", str(tmp_path / "all"), *given])
    deocclude(["--image", str(photos / "3.png"), "--output", str(tmp_path / "one"), *given])
    scenes = [load_layered_scene(tmp_path / "all" / str(k)) for k in range(1, 13)]
    assert all(scene.graph.edges for scene in scenes)
    assert scenes[0].description["gap"]["measured_on"] == {"images": 12, "near_pairs": 12}
    # A single pair says nothing about gaps.
    one = load_layered_scene(tmp_path / "one")
    assert not one.graph.edges and one.description["gap"]["closed"] == 0
    # What is there is what was asked for.
    deocclude(["--image", str(photos), "--output", str(tmp_path / "all"), *given])


def test_a_test_set_shares_a_gap(shrunk):
    """Truth: the L goes on below the bar, up to its back."""
    given = json.loads(shrunk.read_text())
    for a in given["annotations"]:
        mask = WindowMask.from_rle(a["segmentation"])
        whole = WindowMask.filled(mask.box) if a["id"] % 10 == 0 else mask
        a["visible_mask"], a["segmentation"] = a["segmentation"], whole.to_rle(H, W)
    shrunk.write_text(json.dumps(given))
    figures = {}
    for gap in ("0", "auto"):
        cfg = config(*RULES, "DEOCCLUSION.COMPLETION", "convex_r", "DEOCCLUSION.GAP", gap)
        cfg.DATALOADER.NUM_WORKERS = 0
        found = evaluate_deocclusion(cfg, f"cocoa_cls:{shrunk}")
        figures[gap] = {k: v for values in found.values() for k, v in values.items()}
    assert figures["0"] != figures["auto"]

"""A table whose mask covers the cup on it: order, masks, layers, and what the tools write."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.cli.deocclude import main as deocclude
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.decomposition import decompose, load_layered_scene
from deocclusion_d2.decomposition.decompose import layer_masks
from deocclusion_d2.editing import SceneEditor
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import Deocclusion, Scene, WindowMask, own_pixels
from tests.helpers import box_mask, random_model, rule_model, scene_of

H, W = 48, 64
TABLE, CUP = (4, 20, 60, 44), (26, 24, 36, 38)
COLOURS = {"floor": (40, 90, 40), "table": (200, 180, 150), "cup": (220, 20, 20)}


def scene() -> Scene:
    made = scene_of([box_mask(H, W, *TABLE), box_mask(H, W, *CUP)])
    made.image = np.full((H, W, 3), COLOURS["floor"], np.uint8)
    for name, mask in zip(("table", "cup"), made.modal_masks, strict=True):
        made.image[mask.to_array(H, W)] = COLOURS[name]
    return made


def crowded(seed: int, count: int = 8) -> Scene:
    """Boxes all over each other, some inside others, some the same; colours at random."""
    rng = np.random.default_rng(seed)
    boxes = [(*rng.integers(0, 40, 2), *rng.integers(4, 24, 2)) for _ in range(count)]
    boxes += [boxes[0]]
    made = scene_of([box_mask(H, W, x, y, x + w, y + h) for x, y, w, h in boxes])
    made.image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
    return made


def config(*opts):
    """Of a small PCNet-M; network and weights are given beside it."""
    small = ["MODEL.DEVICE", "cpu", "INPUT.INSTANCE_CROP.SIZE", 32]
    return load_config("pcnet_m_kins", [*small, *opts])


def silent(visible, eraser):
    """A network that completes nothing."""
    return visible * 0


# -------------------------------------------------------------------- order and masks


@pytest.mark.parametrize("method", ["raw", "convex", "convex_r"])
def test_the_cup_is_in_front_and_the_table_keeps_what_was_given(method):
    given = scene()
    result = Deoccluder.baseline(method)([given])[0]
    assert result.graph.edges == [(1, 0)]
    assert result.amodal_masks == given.modal_masks
    assert result.visible_masks(given) == [
        given.modal_masks[0] - given.modal_masks[1],
        given.modal_masks[1],
    ]
    assert given.modal_masks[0].area == 56 * 24, "the scene is left as it was"


@pytest.mark.parametrize("ordering", ["dual_completion", "area", "y_axis"])
def test_such_a_pair_has_an_order_whatever_the_method_says(ordering):
    """A network that gains nothing; Area says the table, Y-axis says the one below."""
    cfg = config("DEOCCLUSION.ORDERING", ordering)
    deoccluder = Deoccluder.from_config(cfg, rule_model(silent))
    result = deoccluder([scene()])[0]
    assert result.graph.edges == [(1, 0)]
    assert result.amodal_masks == scene().modal_masks


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", [False, True])
def test_amodal_masks_hold_what_was_given(seed, keep):
    cfg = config("DEOCCLUSION.KEEP_PROBABILITY", keep)
    given = crowded(seed)
    for deoccluder in (Deoccluder.from_config(cfg, random_model()), Deoccluder.baseline("convex")):
        result = deoccluder([given])[0]
        shared = own_pixels(given.modal_masks).overlaps
        assert len(shared) > 3
        for owner, other, *_ in shared:
            assert result.graph.order(owner, other) != 0
        for row, (modal, amodal) in enumerate(
            zip(given.modal_masks, result.amodal_masks, strict=True)
        ):
            assert (modal - amodal).is_empty
            lost = modal - result.visible_masks(given)[row]
            kept = result.probabilities and result.probabilities[row]
            if kept and not lost.is_empty:
                assert (kept.crop(lost.box)[lost.array] == 1).all()


def test_the_rule_sees_nothing_where_no_masks_overlap():
    """The same objects go in and come out."""
    apart = scene_of([box_mask(H, W, 0, 0, 9, 9), box_mask(H, W, 9, 0, 20, 9)])

    class Steps:
        uses_rgb = uses_category = False

    class Sees(Steps):
        def __call__(self, scenes):
            assert scenes[0] is apart
            return ["graph"]

    class Gives(Steps):
        def __call__(self, scenes, graphs):
            assert scenes[0] is apart and graphs == ["graph"]
            return [Deocclusion("graph", ["masks"])]

    (result,) = Deoccluder(Sees(), Gives(), {})([apart])
    assert result == Deocclusion("graph", ["masks"]) and result.scene is apart


@pytest.mark.parametrize(
    "opts",
    [("DEOCCLUSION.PAPER_PROTOCOL", True), ("DEOCCLUSION.OVERLAPS", "as_given")],
)
def test_the_papers_protocol_knows_no_owner(opts):
    """It is the two steps on the masks as they are."""
    given = crowded(1)
    deoccluder = Deoccluder.from_config(config(*opts), random_model())
    result = deoccluder([given])[0]
    expected = deoccluder._completion([given], deoccluder._ordering([given]))[0]
    assert result.ownership is None and result.visible_masks(given) is given.modal_masks
    assert result.graph.edges == expected.graph.edges
    assert result.amodal_masks == expected.amodal_masks
    owned = Deoccluder.from_config(config(), random_model())([given])[0]
    assert owned.amodal_masks != result.amodal_masks
    assert ("overlaps" in deoccluder.describe()) == (opts[1] == "as_given")


def test_a_rule_that_there_is_not():
    with pytest.raises(UserError) as error:
        Deoccluder.from_config(config("DEOCCLUSION.OVERLAPS", "larger"), random_model())
    assert str(error.value) == "DEOCCLUSION.OVERLAPS = 'larger': use owner or as_given"
    with pytest.raises(UserError, match="use owner or as_given$"):
        Deoccluder.baseline("raw", "larger")


def test_scores_decide_where_there_are_some():
    given = replace(scene(), scores=[0.9, 0.6])
    result = Deoccluder.baseline("raw")([given])[0]
    assert result.graph.edges == [(0, 1)]
    assert [m.area for m in result.visible_masks(given)] == [56 * 24, 0]
    assert result.amodal_masks == given.modal_masks


def test_an_object_annotated_twice_is_completed_twice():
    """A box hides a part of the hull of an L, which is there twice."""
    corner = box_mask(H, W, 5, 5, 10, 30) | box_mask(H, W, 5, 25, 40, 30)
    masks = [corner, corner.copy(), box_mask(H, W, 10, 5, 30, 25)]
    once = Deoccluder.baseline("convex_r")([scene_of([masks[0], masks[2]])])[0]
    twice = Deoccluder.baseline("convex_r")([scene_of(masks)])[0]
    assert once.amodal_masks[0].area > corner.sum() + 50
    assert twice.amodal_masks[:2] == [once.amodal_masks[0]] * 2
    assert twice.graph.edges == [(0, 1), (2, 0), (2, 1)]


# -------------------------------------------------------------------- layers


def test_the_cups_pixels_are_the_cups_layer():
    given = scene()
    layered = decompose(given, Deoccluder.baseline("convex_r")([given])[0], dilation=0)
    table, cup = layered.layers
    assert cup.modal_mask == cup.amodal_mask == given.modal_masks[1]
    assert table.amodal_mask == given.modal_masks[0]
    assert cup.occlusion_rate == 0 and table.occlusion_rate == pytest.approx(140 / 1344)
    assert layered.description["overlaps"]["shared_pixels"] == 140
    editor = SceneEditor(layered)
    np.testing.assert_array_equal(editor.compose(), given.image)
    editor.delete("object-1")
    without = given.image.copy()
    without[CUP[1] : CUP[3], CUP[0] : CUP[2]] = COLOURS["table"]
    # Telea's inpainting of one colour is within rounding of it.
    assert np.abs(editor.compose().astype(int) - without).max() <= 4


@pytest.mark.parametrize("dilation", [0, 3])
@pytest.mark.parametrize("seed", range(8))
def test_unedited_layers_are_the_photo(seed, dilation):
    given = crowded(seed)
    result = Deoccluder.baseline("convex_r")([given])[0]
    layered = decompose(given, result, dilation=dilation)
    visible = layer_masks(given, result)[0]
    claimed = np.sum([m.to_array(H, W) for m in visible], axis=0)
    assert claimed.max() == 1
    if not layered.graph.cycles():
        np.testing.assert_array_equal(SceneEditor(layered).compose(), given.image)
    assert len(layered.layers) == sum(not m.is_empty for m in result.visible_masks(given))


# -------------------------------------------------------------------- tools


def document(**cup) -> dict:
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [corners(TABLE)]},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": [corners(CUP)]},
    ]
    annotations[0].update(dict.fromkeys(cup, 0.5))
    annotations[1].update(cup)
    return {
        "images": [{"id": 1, "file_name": "table.png", "height": H, "width": W}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "table"}, {"id": 2, "name": "cup"}],
    }


def corners(box: tuple[int, int, int, int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def converted(tmp_path, given: dict, **settings) -> dict:
    (tmp_path / "in.json").write_text(json.dumps(given))
    output = tmp_path / "out.json"
    settings = {"method": "convex_r", "overwrite": True, **settings}
    convert(ConversionJob(tmp_path / "in.json", output, **settings))
    return json.loads(output.read_text())


def test_conversion_says_it_and_leaves_modal_masks_as_given(tmp_path, capsys):
    given = document()
    out = converted(tmp_path, given)
    table, cup = out["annotations"]
    assert table["modal_segmentation"] == given["annotations"][0]["segmentation"]
    assert WindowMask.from_rle(table["segmentation"]).area == table["area"] == 56 * 24
    assert (table["occluder_ids"], cup["occluder_ids"]) == ([2], [])
    assert out["info"]["deocclusion"]["overlaps"] == {
        "rule": "owner",
        "pairs": 1,
        "shared_pixels": 140,
        "pixels": 1484,
        "covered": 1,
        "hidden": 0,
        "shared_share": 0.09434,
    }
    said = "140 px (9.43 % of the masks) in 1 pair, 1 mask covered by more than half\n"
    assert f"pixels of several masks       {said}" in capsys.readouterr().out


def test_conversion_says_nothing_where_none_overlap(tmp_path, capsys):
    given = document()
    del given["annotations"][0]
    out = converted(tmp_path, given)
    assert "overlaps" not in out["info"]["deocclusion"]
    assert "several masks" not in capsys.readouterr().out


def test_scores_of_annotations_decide_in_every_tool(tmp_path, capsys):
    out = converted(tmp_path, document(score=0.4))
    assert [a["occluder_ids"] for a in out["annotations"]] == [[], [1]]
    Image.fromarray(scene().image).save(tmp_path / "table.png")
    decomposed(tmp_path)
    assert [o.name for o in load_layered_scene(tmp_path / "scene").layers] == ["table-0"]
    assert "1 mask without a pixel of its own" in capsys.readouterr().out


def decomposed(tmp_path, *opts: str) -> None:
    deocclude(
        [
            *("--image", str(tmp_path / "table.png"), "--masks", str(tmp_path / "in.json")),
            *("--output", str(tmp_path / "scene"), "--method", "convex_r", *opts),
        ]
    )


@pytest.mark.parametrize("rule", ["owner", "as_given"])
def test_deocclude_says_it_and_can_be_told_otherwise(tmp_path, capsys, rule):
    (tmp_path / "in.json").write_text(json.dumps(document()))
    Image.fromarray(scene().image).save(tmp_path / "table.png")
    decomposed(tmp_path, "DEOCCLUSION.OVERLAPS", rule)
    layered = load_layered_scene(tmp_path / "scene")
    line = (
        "masks overlap: 140 px (9.43 % of the masks) in 1 pair, 1 mask covered by more than half; "
        "each pixel got one owner\n"
    )
    owned = rule == "owner"
    assert (line in capsys.readouterr().out) == owned
    assert layered.graph.edges == ([(1, 0)] if owned else [])
    noted = layered.description["overlaps"]
    assert noted["shared_share"] == 0.09434 if owned else noted == "as_given"


class Stops(Deoccluder):
    """Fails at its third call."""

    calls = 0

    def __call__(self, scenes):
        self.calls += 1
        if self.calls == 3:
            raise UserError("stop")
        return super().__call__(scenes)


def test_shards_of_a_version_without_owners_are_made_anew(tmp_path):
    """Of three images the first two were finished then; their annotations have no attributes."""
    given = document()
    given["images"] = [{**given["images"][0], "id": k} for k in (1, 2, 3)]
    table, cup = given["annotations"]
    given["annotations"] = [table] + [
        {**a, "id": 2 * k + n, "image_id": k} for k in (2, 3) for n, a in enumerate((table, cup))
    ]
    settings = {"method": "convex_r", "shard_size": 1}
    (tmp_path / "in.json").write_text(json.dumps(given))
    job = ConversionJob(tmp_path / "in.json", tmp_path / "out.json", **settings)
    deoccluder = Deoccluder.baseline("convex_r")
    deoccluder.__class__ = Stops
    with pytest.raises(UserError, match="^stop$"):
        convert(job, deoccluder)
    shards = sorted((tmp_path / "out.json.shards").glob("shard-*.jsonl"))
    assert len(shards) == 2
    for shard in shards:
        header, *lines = shard.read_text().splitlines()
        header = json.loads(header)
        for key in [k for k in header["tally"] if k not in OLD_TALLY]:
            del header["tally"][key]
        changed = [
            line.replace('"occluder_ids": [', '"mark": 1, "occluder_ids": [') for line in lines
        ]
        shard.write_text("\n".join([json.dumps(header), *changed, ""]))
    convert(job, Deoccluder.baseline("convex_r"))
    out = json.loads((tmp_path / "out.json").read_text())
    assert not any("mark" in a for a in out["annotations"])
    assert out["info"]["deocclusion"]["overlaps"]["pairs"] == 2


OLD_TALLY = (
    *("images", "instances", "crowds", "hidden", "occluded", "grown", "added_pixels"),
    *("grown_modal_pixels", "cycles", "mutual", "low_scores", "skipped", "examples"),
)

"""Objects that the border of the image cuts, completed outside as if hidden there."""

from __future__ import annotations

import json

import pytest

from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import OcclusionGraph, WindowMask
from deocclusion_d2.systems.pcnet_m.completion import PCNetCompletion, region_beyond
from deocclusion_d2.systems.pcnet_m.patch_completer import PatchCompleter
from tests.helpers import box_mask, random_model, rule_model, scene_of, step_config

H, W = 80, 100
NOTHING = WindowMask.empty()


def box(x0: int, y0: int, x1: int, y1: int) -> WindowMask:
    return WindowMask.filled((x0, y0, x1, y1))


def completion(share: float, **options) -> PCNetCompletion:
    """Its network takes all of the eraser for the target, and nothing else."""
    completer = PatchCompleter(rule_model(lambda visible, eraser: eraser))
    return PCNetCompletion(completer, patch_size=64, beyond_image=share, **options)


class TestRegion:
    def test_beside_one_border(self):
        # 10 x 20 px: a margin of half the longer side is 10 px.
        region = region_beyond(box(0, 20, 10, 40), NOTHING, (H, W), 0.5)
        assert region == box(-10, 10, 0, 50)

    def test_around_a_corner(self):
        region = region_beyond(box(90, 60, 100, 80), NOTHING, (H, W), 0.5)
        assert region == box(80, 50, 110, 90) - box(0, 0, W, H)
        assert region.area == 30 * 10 + 10 * 30

    def test_only_where_the_border_is_reached(self):
        near = box(1, 20, 11, 40)
        assert region_beyond(near, NOTHING, (H, W), 0.5).is_empty
        # A kernel of 3 px bridges a gap of one.
        assert region_beyond(near, NOTHING, (H, W), 0.5, dilation=3) == box(-9, 10, 0, 50)
        # What hides the object may hide it outside too: the object reaches the border behind it.
        assert region_beyond(near, box(0, 30, 1, 35), (H, W), 0.5) == box(-9, 10, 0, 50)
        assert region_beyond(box(40, 30, 50, 40), box(0, 0, 40, 80), (H, W), 1.0).is_empty

    def test_a_whole_image(self):
        assert region_beyond(box(0, 0, W, H), NOTHING, (H, W), 0.1).area == 120 * 100 - W * H


def two_scenes():
    """A cut object alone; and one that is behind another and cut by the border."""
    alone = scene_of([box_mask(H, W, 0, 20, 20, 60), box_mask(H, W, 60, 30, 70, 40)])
    behind = scene_of([box_mask(H, W, 0, 20, 20, 60), box_mask(H, W, 20, 20, 40, 60)])
    graph = OcclusionGraph(2)
    graph.add_occlusion(1, 0)
    return [alone, behind], [OcclusionGraph(2), graph]


def test_masks_stay_inside_and_boxes_go_on():
    scenes, graphs = two_scenes()
    alone, behind = completion(0.25)(scenes, graphs)
    # 20 x 40 px at (0, 20): a margin of 10 px; the view is the square from (-14, 15) to (34, 63).
    assert alone.amodal_masks == scenes[0].modal_masks
    assert alone.unclipped_boxes == [(-10, 15, 20, 63), (60, 30, 70, 40)]
    # Of the occluder the view shows 14 columns.
    assert behind.amodal_masks[0] == box(0, 20, 34, 60)
    assert behind.unclipped_boxes[0] == (-10, 15, 34, 63)
    assert behind.amodal_masks[1] == scenes[1].modal_masks[1]
    for k, result in enumerate((alone, behind)):  # whatever other scenes there are
        (one,) = completion(0.25)(scenes[k : k + 1], graphs[k : k + 1])
        assert one.amodal_masks == result.amodal_masks
        assert one.unclipped_boxes == result.unclipped_boxes


def test_views_follow_the_whole_object():
    scenes, graphs = two_scenes()
    (alone,) = completion(1.0)(scenes[:1], graphs[:1])
    assert alone.unclipped_boxes[0][0] == -14
    (alone,) = completion(1.0, recentre=8)(scenes[:1], graphs[:1])
    assert alone.unclipped_boxes[0][0] < -25 and alone.amodal_masks == scenes[0].modal_masks


def test_a_raw_paste_stays_within_the_margin():
    """Also without visible pixels kept: the rule gives back the eraser alone."""
    scenes, graphs = two_scenes()
    (alone,) = completion(0.25, constrain=False)(scenes[:1], graphs[:1])
    assert alone.amodal_masks[0].is_empty
    assert alone.unclipped_boxes[0] == (-10, 15, 0, 63)


def test_probabilities_stay_inside():
    scenes, graphs = two_scenes()
    alone, behind = completion(0.25, keep_probability=True)(scenes, graphs)
    assert alone.probabilities == [None, None]  # nothing in the image hides them
    assert behind.probabilities[0].xywh == [20, 20, 14, 40]


def test_off():
    """No box is told, and objects that nothing hides are not even looked at."""
    scenes, graphs = two_scenes()
    seen = []

    class Counting(PatchCompleter):
        def run(self, patches, reduce, under_eraser_only=False):
            patches = list(patches)
            seen.append(len(patches))
            return super().run(patches, reduce, under_eraser_only)

    completer = Counting(rule_model(lambda visible, eraser: eraser))
    results = PCNetCompletion(completer, patch_size=64)(scenes, graphs)
    assert seen == [1]
    assert [r.unclipped_boxes for r in results] == [None, None]


def configured(tmp_path, model, completion="og", **options):
    cfg = step_config(tmp_path, f"PCNetM dual_completion {completion}")
    cfg.INPUT.INSTANCE_CROP.SIZE = 64
    for key, value in options.items():
        cfg.DEOCCLUSION[key] = value
    return Deoccluder.from_config(cfg, model)


def test_the_graph_is_the_same(tmp_path):
    scenes, _ = two_scenes()
    model = random_model()
    on, off = (configured(tmp_path, model, BEYOND_IMAGE=share)(scenes) for share in (0.5, 0.0))
    assert [r.graph.edges for r in on] == [r.graph.edges for r in off]
    assert all(r.unclipped_boxes is not None for r in on)


def test_boxes_hold_pixels_that_others_own(tmp_path):
    """A small mask on a larger one owns the corner of it that reaches farthest."""
    model = rule_model(lambda visible, eraser: eraser * 0)
    large, small = box_mask(H, W, 0, 10, 50, 60), box_mask(H, W, 0, 10, 50, 14)
    result = configured(tmp_path, model, BEYOND_IMAGE=0.5)([scene_of([large, small])])[0]
    assert result.amodal_masks[0] == box(0, 10, 50, 60)
    assert result.unclipped_boxes[0] == (0, 10, 50, 60)


def test_the_papers_protocol_has_none(tmp_path):
    model = random_model()
    paper = configured(tmp_path, model, BEYOND_IMAGE=0.5, PAPER_PROTOCOL=True)
    assert "beyond_image" not in paper.describe()
    assert paper(two_scenes()[0])[0].unclipped_boxes is None
    assert configured(tmp_path, model, BEYOND_IMAGE=0.5).describe()["beyond_image"] == 0.5


@pytest.mark.parametrize("share", [-0.1, 2.1, float("nan")])
def test_what_is_no_share(tmp_path, share):
    with pytest.raises(UserError, match=r"^DEOCCLUSION\.BEYOND_IMAGE = .*: use 0, or a share"):
        configured(tmp_path, random_model(), "nog", BEYOND_IMAGE=share)


def test_steps_that_cannot(tmp_path):
    with pytest.raises(UserError, match=r"^DEOCCLUSION\.BEYOND_IMAGE = 0\.5: neither"):
        configured(tmp_path, random_model(), "raw", BEYOND_IMAGE=0.5)


def test_conversion_writes_whole_boxes(tmp_path):
    def annotation(number, x0, y0, x1, y1, **more):
        mask = WindowMask.filled((x0, y0, x1, y1))
        return {
            "id": number, "image_id": 1, "category_id": 1, "iscrowd": 0,
            "segmentation": mask.to_rle(H, W), "bbox": mask.xywh, "area": mask.area, **more,
        }  # fmt: skip

    document = {
        "images": [{"id": 1, "file_name": "1.png", "height": H, "width": W}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            annotation(1, 0, 20, 20, 60),
            annotation(2, 60, 30, 70, 40, amodal_bbox_unclipped=[1, 2, 3, 4]),
            annotation(3, 50, 50, 50, 50),
        ],
    }
    path = tmp_path / "in.json"
    path.write_text(json.dumps(document))
    model = rule_model(lambda visible, eraser: eraser)
    written = {}
    for share in (0.0, 0.25):
        job = ConversionJob(path, tmp_path / f"{share}.json", method="raw")
        convert(job, configured(tmp_path, model, BEYOND_IMAGE=share))
        written[share] = json.loads((tmp_path / f"{share}.json").read_text())["annotations"]
    boxes = [a.pop("amodal_bbox_unclipped", None) for a in written[0.25]]
    assert boxes == [[-10, 15, 30, 48], [60, 30, 10, 10], None]
    assert not any("amodal_bbox_unclipped" in a for a in written[0.0])
    assert written[0.25] == written[0.0]
    assert written[0.25][0]["bbox"] == [0, 20, 20, 40]

"""What annotation tools read: ``attributes``, merged into the input's own."""

from __future__ import annotations

import re

import numpy as np
import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask

from .conftest import HEIGHT, WIDTH, annotation, coco, rectangle, touching_pair
from .test_convert import GrowsRight, by_id


def test_of_a_pair_by_convex_r(write, run):
    out = by_id(run(write(coco([*touching_pair(1, 1), annotation(7, 2)]))))
    rate = out[1]["occlusion_rate"]
    assert rate > 0
    assert out[1]["attributes"] == {"occluded": True, "occlusion_rate": rate, "z_order": 0}
    assert out[2]["attributes"] == {"occluded": False, "occlusion_rate": 0.0, "z_order": 1}
    assert out[7]["attributes"] == {"occluded": False, "occlusion_rate": 0.0, "z_order": 0}


def test_members_of_a_cycle_share_a_rank_and_say_so(write, run):
    """GrowsRight lets each of three hide the next, and of two the first the second."""
    three = [annotation(k, 1, rectangle(3 * k, 2, 3, 4)) for k in (1, 2, 3)]
    two = [annotation(k, 2, rectangle(3 * k, 2, 3, 4)) for k in (4, 5)]
    out = by_id(run(write(coco([*three, *two])), deoccluder=GrowsRight(), method="raw"))
    for k in (1, 2, 3):
        found = out[k]["attributes"]
        assert (found["z_order"], found["occlusion_cycle"], found["occluded"]) == (0, True, True)
    assert [out[k]["attributes"]["z_order"] for k in (4, 5)] == [1, 0]
    assert "occlusion_cycle" not in out[4]["attributes"]


def test_the_inputs_own_are_kept(write, run, capsys):
    pair = touching_pair(1, 1)
    pair[0]["attributes"] = {"colour": "red", "occluded": False, "z_order": 0}
    pair[1]["attributes"] = {"occlusion_cycle": True}
    out = by_id(run(write(coco(pair))))
    assert out[1]["attributes"] == {
        "colour": "red",
        "occluded": True,
        "z_order": 0,
        "occlusion_rate": out[1]["occlusion_rate"],
    }
    # What an earlier conversion said of a cycle is not true any more.
    assert set(out[2]["attributes"]) == {"occluded", "occlusion_rate", "z_order"}
    # "occluded" of the first said otherwise.
    assert "'attributes' that said otherwise  1\n" in capsys.readouterr().out


@pytest.mark.parametrize("given", [[], "night", 3, [{"name": "colour"}]])
def test_attributes_that_are_no_object_stay_and_are_counted(write, run, capsys, given):
    out = run(write(coco([annotation(1, attributes=given), annotation(2, 2, attributes=None)])))
    assert by_id(out)[1]["attributes"] == given
    assert by_id(out)[2]["attributes"]["z_order"] == 0
    assert "'attributes' no object, left  1\n" in capsys.readouterr().out


def test_crowds_get_none(write, run):
    crowd = annotation(3, 1, rectangle(0, 0, 9, 9), iscrowd=1)
    out = by_id(run(write(coco([*touching_pair(1, 1), crowd]))))
    assert "attributes" not in out[3]


@pytest.mark.parametrize("segmentation", ["rle", "polygons"])
def test_a_converted_file_converts_to_itself(write, run, tmp_path, segmentation):
    pair = touching_pair(1, 1, attributes={"colour": "red"})
    first = run(write(coco(pair)), "first.json", segmentation=segmentation)
    again = run(tmp_path / "first.json", "again.json", segmentation=segmentation)
    assert again["annotations"] == first["annotations"]


class TestPolygons:
    def test_only_the_segmentation_differs(self, write, run, capsys):
        ring = [[2, 2, 9, 2, 9, 9, 2, 9]]
        path = write(coco([*touching_pair(1, 1), annotation(3, 2, ring), annotation(4, 3, [])]))
        rle = by_id(run(path, "rle.json"))
        polygons = by_id(run(path, "polygons.json", segmentation="polygons"))
        for k, annotated in polygons.items():
            assert {**annotated, "segmentation": 0} == {**rle[k], "segmentation": 0}
        # The bar, whose mask is a rectangle; what nothing was added to; no pixel, no polygon.
        assert polygons[2]["segmentation"] == [[8, 2, 14, 2, 14, 11, 8, 11]]
        assert polygons[3]["segmentation"] == ring
        assert polygons[4]["segmentation"] == rle[4]["segmentation"]

    def test_info_says_it_and_shards_are_not_mixed(self, write, run):
        path = write(coco(touching_pair(1, 1)))
        assert "segmentation" not in run(path, "rle.json")["info"]["deocclusion"]
        out = run(path, "polygons.json", segmentation="polygons")
        assert out["info"]["deocclusion"]["segmentation"] == "polygons"

    def test_holes_are_counted(self, write, run, capsys):
        array = np.ones((9, 9), bool)
        array[3:6, 3:6] = False
        frame = WindowMask.from_array(array, 2, 2).to_rle(HEIGHT, WIDTH)
        out = run(write(coco([annotation(1, 1, frame)])), segmentation="polygons")
        (points,) = out["annotations"][0]["segmentation"]
        # Four corners of each square, and the cut: its end on the outline and on the hole, twice.
        assert len(points) == 2 * (4 + 4 + 3)
        assert re.search(r"holes, cut open in polygons +1\n", capsys.readouterr().out)

    def test_another_name_is_one_line(self, write, run):
        with pytest.raises(UserError, match="^unknown --segmentation 'png': use rle, polygons$"):
            run(write(coco([])), segmentation="png")

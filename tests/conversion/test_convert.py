import json
from contextlib import nullcontext

import pytest
from PIL import Image
from pycocotools import mask as mask_util
from pycocotools.coco import COCO

from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, WindowMask

from .conftest import HEIGHT, WIDTH, annotation, coco, rectangle, touching_pair

EMPTY = WindowMask.empty().to_rle(HEIGHT, WIDTH)


class GrowsRight:
    """Stands in for a Deoccluder: every instance but the first of an image grows by a column.

    The first occludes the others, and each of three or more also the next (a cycle).
    """

    uses_rgb = False
    needs_calibration = False

    def serve(self, workers):
        return nullcontext()

    def describe(self):
        return {"stand_in": 1}

    def __call__(self, scenes):
        return [self._one(s) for s in scenes]

    def _one(self, scene):
        graph = OcclusionGraph(len(scene))
        for i in range(1, len(scene)):
            graph.add_occlusion(i - 1, i)
        if len(scene) > 2:
            graph.add_occlusion(len(scene) - 1, 0)
        grown = []
        for mask in scene.modal_masks:
            array = mask.to_array(scene.height, scene.width)
            array[:, 1:] |= array[:, :-1].copy()
            grown.append(WindowMask.from_array(array))
        return Deocclusion(graph, [*scene.modal_masks[:1], *grown[1:]])


def by_id(document):
    return {a["id"]: a for a in document["annotations"]}


def test_what_is_written(write, run):
    document = coco(
        [
            annotation(11, 2, rectangle(2, 3, 5, 4), track=[1, {"a": None}], score=0.25),
            annotation(10, 2, [[10.0, 5.0, 14.0, 5.0, 14.0, 9.0, 10.0, 9.0]], category_id=2),
            annotation(12, 1, rectangle(0, 0, 3, 3)),
        ]
    )
    out = run(write(document), deoccluder=GrowsRight(), method="raw")
    assert {k: out[k] for k in ("licenses", "images")} == {
        k: document[k] for k in ("licenses", "images")
    }
    assert out["categories"] == sorted(document["categories"], key=lambda c: c["id"])
    assert [a["id"] for a in out["annotations"]] == [11, 10, 12]  # as in the input
    first, second, third = out["annotations"]
    assert first == {
        **document["annotations"][0],
        "bbox": [2, 3, 5, 4],
        "area": 20,
        "modal_segmentation": document["annotations"][0]["segmentation"],
        "modal_bbox": [2, 3, 5, 4],
        "occluder_ids": [],
        "occlusion_rate": 0.0,
        "attributes": {"occluded": False, "occlusion_rate": 0.0, "z_order": 1},
    }
    assert second == {
        **document["annotations"][1],
        "segmentation": rectangle(10, 5, 5, 4),
        "bbox": [10, 5, 5, 4],
        "area": 20,
        "modal_segmentation": document["annotations"][1]["segmentation"],
        "modal_bbox": [10, 5, 4, 4],
        "occluder_ids": [11],
        "occlusion_rate": 0.2,
        "attributes": {"occluded": True, "occlusion_rate": 0.2, "z_order": 0},
    }
    assert third["occluder_ids"] == []
    assert out["info"]["description"] == "made by hand"
    info = out["info"]["deocclusion"]
    assert info.pop("version") and len(info.pop("input_sha256")) == 64
    assert info == {"input": "in.json", "format": "coco", "method": "raw", "stand_in": 1}


def test_real_baselines(write, run):
    path = write(coco(touching_pair(1, 1)))
    raw, convex_r = (by_id(run(path, f"{m}.json", method=m)) for m in ("raw", "convex_r"))
    assert raw[1]["area"] == mask_util.area(raw[1]["modal_segmentation"])
    assert convex_r[1]["area"] > raw[1]["area"]
    assert convex_r[1]["occluder_ids"] == [2] and convex_r[2]["occluder_ids"] == []
    hidden = mask_util.merge([convex_r[1]["segmentation"], raw[2]["segmentation"]], intersect=True)
    assert convex_r[1]["occlusion_rate"] == pytest.approx(
        mask_util.area(hidden) / convex_r[1]["area"], abs=1e-4
    )


def test_legal_oddities(write, run):
    """Empty and hidden masks, borders, one pixel, images without annotations, crossing polygons."""
    crossing = [[2.0, 2.0, 12.0, 12.0, 12.0, 2.0, 2.0, 12.0]]
    document = coco(
        [
            annotation(1, 1, []),
            annotation(2, 1, EMPTY),
            annotation(3, 1, rectangle(0, 0, 1, 1)),
            annotation(4, 1, rectangle(WIDTH - 4, HEIGHT - 4, 4, 4)),
            annotation(5, 1, rectangle(0, 0, WIDTH, HEIGHT)),
            annotation(6, 3, crossing),
            annotation(7, 3, {"size": [HEIGHT, WIDTH], "counts": [5, 3, HEIGHT * WIDTH - 8]}),
            annotation(8, 3, [[-9.0, -9.0, 99.0, -9.0, 99.0, 99.0, -9.0, 99.0]]),
        ],
        images=4,
    )
    for method in ("raw", "convex", "convex_r"):
        out = by_id(run(write(document), f"{method}.json", method=method))
        assert len(out) == 8
        for i in (1, 2):
            assert out[i]["segmentation"] == EMPTY
            # Without a mask, the given box and area are all that is known.
            assert (out[i]["bbox"], out[i]["area"]) == ([2, 3, 5, 4], 20)
            assert (out[i]["modal_bbox"], out[i]["occlusion_rate"]) == ([2, 3, 5, 4], 0.0)
        assert out[3]["bbox"] == [0, 0, 1, 1] and out[4]["bbox"] == [26, 16, 4, 4]
        assert out[5]["area"] == out[8]["area"] == HEIGHT * WIDTH
        # The hourglass is two triangles of 25 px each, not the even-odd leftovers of a square.
        assert mask_util.area(out[6]["segmentation"]) >= 40
        assert out[7]["modal_bbox"] == [0, 5, 1, 3]
    assert run(write(coco([])), "none.json")["annotations"] == []
    assert run(write(coco([], images=0)), "nothing.json")["images"] == []


def test_crowds_pass_through_and_occlude_nobody(write, run):
    pair = touching_pair(1, 1)
    crowd = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
    pair[1] = annotation(2, 1, crowd, iscrowd=1, category_id=2)
    out = by_id(run(write(coco(pair)), method="convex"))
    assert out[2] == pair[1]
    assert out[1]["occluder_ids"] == []


def test_is_read_back(write, run, tmp_path):
    crowd = annotation(3, 2, rectangle(0, 0, 9, 9), iscrowd=1)
    out = run(write(coco([*touching_pair(1, 1), crowd])))
    path = str(tmp_path / "out.json")
    first, second, _ = load_dataset_dicts(path, "images", "pseudo_amodal")
    occluded = first["annotations"][0]
    assert occluded["amodal_segmentation"] == out["annotations"][0]["segmentation"]
    assert occluded["modal_segmentation"] == touching_pair(1, 1)[0]["segmentation"]
    assert occluded["occluder_ids"] == [2]
    assert second["annotations"][0]["iscrowd"] == 1
    tool = COCO(path)
    assert tool.annToMask(tool.anns[1]).sum() == out["annotations"][0]["area"]


@pytest.mark.parametrize("scene", range(1, 6))
def test_cocoa_scenes(real_data, run, scene):
    path = real_data / "cocoa_scenes" / f"{scene}.json"
    regions = json.loads(path.read_text())["regions"]
    out = run(path, method="convex_r")
    assert len(out["annotations"]) == len(regions)
    for region, written in zip(regions, out["annotations"], strict=True):
        assert written["name"] == region["name"] and written["order"] == region["order"]
        if "visible_mask" in region:
            assert written["modal_segmentation"] == region["visible_mask"]
        assert 0 <= written["occlusion_rate"] < 1


class TestImages:
    """Images are read for methods that look at colours, and only for them."""

    class Sees(GrowsRight):
        uses_rgb = True

        def __call__(self, scenes):
            assert all(s.image[2, 3].tolist() == [10, 20, 30] for s in scenes if len(s))
            return super().__call__(scenes)

    def save(self, path, width=WIDTH):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (width, HEIGHT), (10, 20, 30)).save(path)

    def test_are_read(self, write, run, tmp_path):
        self.save(tmp_path / "images" / "1.png")
        path = write(coco([annotation(1)]))
        out = run(path, deoccluder=self.Sees(), method="raw", image_root=tmp_path / "images")
        assert len(out["annotations"]) == 1

    def test_missing_or_of_another_size(self, write, run, tmp_path):
        path = write(coco([annotation(1)]))
        with pytest.raises(UserError) as error:
            run(path, deoccluder=self.Sees(), method="raw")
        assert str(error.value) == (
            f"{path}: image 1: {tmp_path}/1.png: there is no such file: check --image-root"
        )
        self.save(tmp_path / "1.png", width=31)
        with pytest.raises(
            UserError, match="is 31 x 20 pixels, its masks in the annotations are 30"
        ):
            run(path, deoccluder=self.Sees(), method="raw")


class TestFormats:
    def test_kins(self, write, run):
        modal = rectangle(8, 2, 6, 9)
        source = annotation(1, 1, rectangle(0, 0, 20, 20), inmodal_seg=modal, inmodal_bbox=[1] * 4)
        out = by_id(run(write(coco([source]))))[1]
        assert out["segmentation"] == out["modal_segmentation"] == modal
        assert out["inmodal_seg"] == modal and out["inmodal_bbox"] == [1] * 4

    def test_kins2020_keeps_no_true_amodal_mask(self, write, run):
        source = {
            "id": 1, "image_id": 1, "category_id": 2, "oco_id": 5, "ico_id": 2,
            "a_segm": rectangle(0, 0, 20, 20), "a_bbox": [0, 0, 20, 20], "a_area": 400,
            "i_segm": rectangle(8, 2, 6, 9), "i_bbox": [8, 2, 6, 9], "i_area": 54,
        }  # fmt: skip
        out = by_id(run(write(coco([source]))))[1]
        assert out["a_segm"] == out["segmentation"] == out["i_segm"] == source["i_segm"]
        assert out["a_bbox"] == out["bbox"] == [8, 2, 6, 9]
        assert out["a_area"] == out["area"] == 54
        assert (out["oco_id"], out["ico_id"]) == (5, 2)

    def test_cocoa_cls(self, write, run):
        visible, invisible = rectangle(2, 3, 5, 4), rectangle(7, 3, 2, 4)
        hidden = annotation(
            2, 1, rectangle(2, 3, 7, 4), visible_mask=visible, invisible_mask=invisible,
            occlude_rate=0.3,
        )  # fmt: skip
        front = annotation(1, 1, rectangle(20, 3, 5, 4), occlude_rate=0.0)
        out = run(write(coco([front, hidden])), deoccluder=GrowsRight(), method="raw")
        first, second = out["annotations"]
        assert first["modal_segmentation"] == front["segmentation"]
        assert "invisible_mask" not in first
        assert second["segmentation"] == rectangle(2, 3, 6, 4)
        assert second["modal_segmentation"] == second["visible_mask"] == visible
        assert second["invisible_mask"] == rectangle(7, 3, 1, 4)
        assert second["occlude_rate"] == second["occlusion_rate"] == round(4 / 24, 4)

    def test_cocoa_becomes_coco(self, write, run):
        regions = [
            {"segmentation": [2, 3, 7, 3, 7, 7, 2, 7], "order": 1, "name": "box"},
            {"segmentation": [1, 1], "order": 2},
            {
                "segmentation": rectangle(7, 3, 9, 4),
                "visible_mask": rectangle(9, 3, 7, 4),
                "invisible_mask": rectangle(7, 3, 2, 4),
                "order": 3,
            },
        ]
        document = {
            "id": 8, "image_id": 3, "url": "http://x/3.jpg", "depth_constraint": "1-3",
            "regions": regions,
        }  # fmt: skip
        path = write(document)
        with pytest.raises(UserError) as error:
            run(path)
        assert str(error.value) == (
            f"{path}: image 3 (3.jpg), annotation 8002: 'segmentation': a polygon of 2 numbers has "
            "fewer than 3 points (6 numbers)"
        )
        out = run(path, skip_invalid=True, deoccluder=GrowsRight(), overwrite=True)
        assert [a["id"] for a in out["annotations"]] == [8001, 8002, 8003]
        assert all(a["category_id"] == 1 and a["image_id"] == 3 for a in out["annotations"])
        assert out["annotations"][1] == {
            **regions[1], "id": 8002, "image_id": 3, "category_id": 1, "iscrowd": 0,
        }  # fmt: skip
        assert out["annotations"][2]["segmentation"] == rectangle(9, 3, 8, 4)
        assert out["annotations"][2]["occluder_ids"] == [8001]
        assert out["annotations"][0]["name"] == "box"
        assert out["categories"][0]["id"] == 1
        assert out["images"] == [
            {
                "id": 3, "height": HEIGHT, "width": WIDTH, "file_name": "3.jpg",
                "cocoa": {k: v for k, v in document.items() if k != "regions"},
            }
        ]  # fmt: skip

    def test_own_output_again(self, write, run):
        path = write(coco(touching_pair(1, 1)))
        first = run(path, "first.json")
        again = run(path.with_name("first.json"), "again.json")
        assert again["annotations"] == first["annotations"]


def test_summary(write, run, capsys):
    document = coco(
        [
            *(annotation(i, 1, rectangle(5 * i, 3, 3, 4)) for i in range(1, 4)),
            annotation(4, 2),
            annotation(5, 2, EMPTY),
            annotation(6, 2, rectangle(0, 0, 9, 9), iscrowd=1),
        ]
    )
    run(write(document), deoccluder=GrowsRight(), method="raw")
    _, *lines, _ = capsys.readouterr().out.splitlines()
    lines = {k: v.strip() for k, v in (line.split("  ", 1) for line in lines)}
    assert list(lines)[:3] == ["to convert", "neighbours", "odd"]
    for name in ("to convert", "neighbours", "odd"):
        lines.pop(name)  # tests/conversion/test_survey.py
    assert lines.pop("time").endswith("instances/s")
    # Two of the cycle of three grow by a column of 4 px each, over 24 px of modal masks.
    assert lines == {
        "images with instances": "2",
        "instances": "5",
        "occluded by another instance": "4 (80.0 %)",
        "completed (amodal > modal)": "2 (40.0 %)",
        "mean added area of these": "4.0 px, 33.3 % of the modal area",
        "occlusion cycles": "1",
        "entirely hidden": "1",
        "crowd regions, untouched": "1",
        "skipped, untouched": "0",
        "without a mask, box kept": "1",
    }

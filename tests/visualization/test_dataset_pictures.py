"""Choosing images, reading back what conversion wrote, and the PNG files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.deoccluder import build_deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.visualization import as_converted, by_deoccluder, render_records, select_records
from deocclusion_d2.visualization.render import _png_names
from deocclusion_d2.visualization.scene import title_height

HEIGHT, WIDTH = 40, 100


def rle(x0: int, y0: int, x1: int, y1: int) -> dict:
    return WindowMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool)).to_rle(HEIGHT, WIDTH)


def make_record(image_id: int, file_name: str, occluders: tuple = ((), (11,), (12, 11))) -> dict:
    annotations = [
        {
            "id": 11 + row,
            "dataset_category_id": 4,
            "iscrowd": 0,
            "modal_segmentation": rle(10 + 25 * row, 10, 35 + 25 * row, 30),
            "amodal_segmentation": rle(5 + 25 * row, 10, 35 + 25 * row, 30),
            "occluder_ids": list(ids),
        }
        for row, ids in enumerate(occluders)
    ]
    crowd = {**annotations[0], "id": 99, "iscrowd": 1}
    return {
        "file_name": file_name,
        "image_id": image_id,
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": [crowd, *annotations],
    }


@pytest.fixture
def records() -> list[dict]:
    names = [f"root/{s}/{f:06d}.png" for s in ("0000", "0001") for f in (0, 1, 2, 3)]
    return [make_record(number, name) for number, name in enumerate(names)][::-1]


class TestSelection:
    def ids(self, *args, **kwargs) -> list[int]:
        return [r["image_id"] for r in select_records(*args, **kwargs)]

    def test_everything_in_the_order_of_names(self, records):
        assert self.ids(records) == list(range(8))

    def test_each_way_and_all_together(self, records):
        assert self.ids(records, image_ids=["6", "2"]) == [2, 6]
        assert self.ids(records, name_part="0001/") == [4, 5, 6, 7]
        assert self.ids(records, frames="1:6:2") == [1, 3, 5]
        assert self.ids(records, frames="-1") == [7]
        assert self.ids(records, frames="3") == [3]
        assert self.ids(records, max_images=3) == [0, 1, 2]
        assert self.ids(records, name_part="0001/", frames="::2", max_images=1) == [4]

    @pytest.mark.parametrize("frames", ["a", "1:2:3:4", "::0", ""])
    def test_bad_frames(self, records, frames):
        if not frames:
            assert len(self.ids(records, frames=frames)) == 8
            return
        with pytest.raises(UserError, match="--frames"):
            select_records(records, frames=frames)

    def test_unknown_id_and_nothing_left(self, records):
        with pytest.raises(UserError, match="no image 77"):
            select_records(records, image_ids=["1", "77"])
        with pytest.raises(UserError, match="no image is left of 8"):
            select_records(records, name_part="0009/")
        with pytest.raises(UserError, match="--max-images -1"):
            select_records(records, max_images=-1)


def test_converted_graph_and_masks(tmp_path):
    seen = []

    def spy(record, scene, truth):
        seen.append(as_converted(record, scene, truth))
        return seen[-1]

    list(render_records([make_record(1, "none/a.png")], spy, tmp_path, "Pseudo-amodal", scale=1.0))
    deocclusion, truth = seen[0]
    assert truth is None
    assert deocclusion.graph.edges == [(0, 1), (0, 2), (1, 2)]
    assert [m.box for m in deocclusion.amodal_masks] == [
        (5, 10, 35, 30),
        (30, 10, 60, 30),
        (55, 10, 85, 30),
    ]


def test_a_track_keeps_its_colour_through_a_sequence(tmp_path):
    """Though its row and its annotation id change from frame to frame."""
    first, second = (make_record(number, f"none/{number}.png") for number in (1, 2))
    for record, tracks in ((first, (2002, 1003, 1)), (second, (1003, 1, 2002))):
        for annotation, track in zip(record["annotations"][1:], tracks, strict=True):
            annotation |= {"track_id": track, "category_id": 0}
    seen = {}
    method = by_deoccluder(build_deoccluder("raw"))
    for path in render_records(
        [first, second], method, tmp_path, "Raw", scale=1.0, classes=["car"]
    ):
        with Image.open(path) as picture:
            pixels = np.array(picture)
        top = title_height(HEIGHT, WIDTH)
        start = top // 4 + top + (HEIGHT + top + top // 4)  # of the modal masks
        seen[path.stem] = [tuple(pixels[start + 20, top // 4 + x]) for x in (22, 47, 72)]
    one, two = seen["none_1"], seen["none_2"]
    assert (one[0], one[1], one[2]) == (two[2], two[0], two[1]) and len(set(one)) == 3


def test_confidences_of_a_conversion_are_read(tmp_path):
    record = make_record(7, "none/a.png")
    record["annotations"][2]["occluder_confidences"] = [0.25]
    found = []

    def spy(*given):
        found.append(as_converted(*given)[0].graph)
        return as_converted(*given)

    list(render_records([record], spy, tmp_path, "Amodal", scale=1.0))
    assert found[0].confidence(0, 1) == 0.25 and found[0].confidence(1, 2) is None
    for wrong in ([2], [0.5, 0.5], "1", [True]):
        record["annotations"][2]["occluder_confidences"] = wrong
        with pytest.raises(UserError, match="annotation 12: 'occluder_confidences' is not one"):
            list(render_records([record], as_converted, tmp_path / "wrong", "Amodal"))


@pytest.mark.parametrize(
    ("occluders", "message"),
    [
        (((), (55,)), "image 7 .*annotation 12: its occluder 55 is not in this image"),
        (((), (99,)), "annotation 12: its occluder 99"),
        (((12,), (11,)), "annotation 12: it and 11 occlude each other"),
        (((), (12,)), "annotation 12: it occludes itself"),
    ],
)
def test_converted_with_bad_occluders(tmp_path, occluders, message):
    record = make_record(7, "none/a.png", occluders)
    with pytest.raises(UserError, match=message):
        list(render_records([record], as_converted, tmp_path, "Pseudo-amodal"))


def test_files_are_named_after_images_and_never_share_a_name(tmp_path, records):
    records = [*records[:2], {**records[0], "image_id": 70, "file_name": "else/0001/000003.jpg"}]
    paths = list(
        render_records(
            records,
            by_deoccluder(build_deoccluder("convex_r")),
            tmp_path / "new",
            "Amodal",
            scale=2.0,
        )
    )
    assert [p.name for p in paths] == ["0001_000003.png", "0001_000002.png", "0001_000003_70.png"]
    for path in paths:
        with Image.open(path) as picture:
            # Amodal masks known: five panels, one below the other.
            assert picture.mode == "RGB" and picture.width >= 2 * WIDTH
            assert picture.height > 5 * 2 * HEIGHT


def test_missing_image_matters_only_to_models_with_colors(tmp_path, records):
    method = by_deoccluder(build_deoccluder("raw"))
    assert len(list(render_records(records[:1], method, tmp_path, "Raw", scale=1.0))) == 1
    with pytest.raises(UserError, match=r"image 7.*000003.png"):
        list(render_records(records[:1], method, tmp_path / "new", "Raw", needs_image=True))
    for scale in (0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"--scale {scale}"):
            list(render_records(records[:1], method, tmp_path / "new", "Raw", scale=scale))


def test_pictures_and_images_that_are_there_are_kept(tmp_path, records):
    method = by_deoccluder(build_deoccluder("raw"))
    older = tmp_path / "0001_000002.png"
    Image.new("RGB", (3, 2)).save(older)
    before = older.read_bytes()
    with pytest.raises(UserError, match=r"0001_000002\.png exists: pass --overwrite"):
        render_records(records[:2], method, tmp_path, "Raw", scale=1.0)
    assert [p.name for p in tmp_path.iterdir()] == [older.name]  # nothing is drawn before
    # An image of the data set that lies where a picture would.
    record = {**records[0], "file_name": str(tmp_path / older.name)}
    folder = tmp_path.name
    older.rename(tmp_path / f"{folder}_{older.name}")
    record["file_name"] = str(tmp_path / f"{folder}_{older.name}")
    (tmp_path / f"{folder}_{folder}_{older.name}").symlink_to(record["file_name"])
    with pytest.raises(UserError, match="is the input: name another"):
        render_records([record], method, tmp_path, "Raw", scale=1.0, overwrite=True)
    assert Path(record["file_name"]).read_bytes() == before


def test_ids_and_names_stay_in_the_folder_and_apart(tmp_path):
    records = [
        make_record(1, "x/a.png"),
        make_record("../../1", "y/x/a.jpg"),
        make_record(3, "z/X/A.png"),
        make_record(4, "w/x/a_3.png"),
        make_record(5, ""),
        make_record(6, "x/" + "猫" * 80 + ".png"),
    ]
    assert _png_names(records) == [
        *("x_a.png", "x_a_.._.._1.png", "X_A_3.png", "x_a_3_4.png", "image_5.png"),
        f"x_{'猫' * 32}.png",
    ]


def test_a_size_that_cannot_be_drawn_is_refused(tmp_path):
    record = {**make_record(1, "x/a.png"), "height": 10**9, "width": 10**9}
    with pytest.raises(UserError, match=r"image 1 \(x/a.png\): its size is 1000000000 x "):
        list(render_records([record], by_deoccluder(build_deoccluder("raw")), tmp_path, "Raw"))
    record = make_record(1, "x/a.png")  # 100 x 40 pixels
    with pytest.raises(UserError, match=r"--scale 121: image 1 of 100 x 40 pixels would be"):
        list(render_records([record], as_converted, tmp_path, "Raw", scale=121.0))
    assert not list(tmp_path.iterdir())

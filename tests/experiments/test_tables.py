"""Tables and figures, from figures made by hand."""

from __future__ import annotations

import csv

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments.data import folder_name, short_name
from deocclusion_d2.experiments.paper_tables import published_figures
from deocclusion_d2.experiments.plots import draw_occlusion_curve, draw_rows, draw_sweeps
from deocclusion_d2.experiments.sweep import parse_sweeps
from deocclusion_d2.experiments.tables import Column, Table
from deocclusion_d2.experiments.trainings import split_opts
from deocclusion_d2.systems import default_sweeps, published, rows
from deocclusion_d2.systems.base import KINDS


def table() -> Table:
    columns = [Column("accuracy", "ordering", "Acc"), Column("level 1", "ordering", "Acc-level1")]
    return Table(
        "ordering",
        "Order:",
        columns,
        {"OG": 92.5},
        {
            "Area": [{"ordering": {"Acc": 77.0}}],
            "OG": [{"ordering": {"Acc": 90.0}}, {"ordering": {"Acc": 93.0}}],
        },
        ["A note."],
    )


def cells(line: str) -> list[str]:
    return [c.strip() for c in line.strip("|").split("|")]


def test_markdown_has_means_deviations_and_the_papers_figures():
    lines = table().markdown().splitlines()
    assert cells(lines[2]) == ["ordering", "accuracy", "paper"]  # no row has a level 1
    assert cells(lines[4]) == ["Area", "77.0", ""]
    # 90 and 93: mean 91.5, sample deviation 3 / sqrt(2) = 2.12.
    assert cells(lines[5]) == ["OG", "91.5 ± 2.1", "92.5"]
    assert (lines[0], lines[-1]) == ("Order:", "A note.")


def test_rules_stand_first_and_supervised_rows_last():
    """In the tables, and the papers' figures in the order of the rows."""
    for experiment in ("ordering", "completion"):
        found = rows(experiment)
        kinds = [row.kind for row in found.values()]
        assert kinds == sorted(kinds, key=KINDS.index) and set(kinds) == set(KINDS)
        figures = published(experiment, "KINS")
        assert list(figures) == [name for name in found if name in figures]


def test_only_the_papers_data_has_its_figures():
    assert published_figures("ordering", "kins_val")["OrderNet^{M+I}"] == 94.1
    assert published_figures("completion", "cocoa_val")["OG"] == 81.35
    assert published_figures("completion", "synthetic_kins_val") == {}
    assert published_figures("predicted_modal", "cocoa_val") == {}


def test_rows_are_drawn_where_there_is_something(tmp_path):
    assert draw_rows(table(), tmp_path / "rows.png")
    assert (tmp_path / "rows.png").read_bytes()[:4] == b"\x89PNG"
    empty = Table("x", "X:", [Column("y", "y", "y")])
    assert not draw_rows(empty, tmp_path / "empty.png") and not (tmp_path / "empty.png").exists()


def test_occlusion_curve_and_its_numbers(tmp_path):
    def metrics(mean: float) -> dict:
        group = {"mIoU_mean-hidden20-30": mean, "mIoU_sum-hidden20-30": 80.0}
        return {"completion": {**group, "instances-hidden20-30": 7, "mIoU_mean-hidden0": 100.0}}

    columns = [Column("mIoU", "completion", "mIoU_sum")]
    curve = Table("completion", "Completion:", columns, rows={"OG": [metrics(60.0), metrics(70.0)]})
    png, numbers = tmp_path / "curve.png", tmp_path / "curve.csv"
    assert draw_occlusion_curve(curve, png, numbers)
    rows = list(csv.DictReader(numbers.open()))
    assert rows == [
        {
            "method": "OG",
            "hidden_from": "20",
            "hidden_to": "30",
            "mIoU_mean": "65.000",
            "deviation": "7.071",
            "mIoU_sum": "80.000",
            "instances": "7",
        }
    ]
    assert png.stat().st_size > 5000
    curve.columns = [Column("accuracy", "ordering", "Acc")]  # order says nothing of masks
    assert not draw_occlusion_curve(curve, png, numbers)


def test_sweeps_of_different_width_share_a_picture(tmp_path):
    column = [Column("accuracy", "ordering", "Acc"), Column("box", "amodal_box", "IoU")]
    one = Table("a", "A:", column, rows={"0.1": [{"ordering": {"Acc": 1.0}}]})
    both = {"ordering": {"Acc": 1.0}, "amodal_box": {"IoU": 2.0}}
    two = Table("b", "B:", column, rows={"1": [both, both], "2": [both]})
    draw_sweeps([("X.A", one), ("X.B", two)], tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 5000


def test_sweeps_of_the_command_line():
    assert parse_sweeps(["A.B=0.1, 0.2", "C=1,2,3"]) == {
        "A.B": ("0.1", "0.2"),
        "C": ("1", "2", "3"),
    }
    assert parse_sweeps([]) == default_sweeps()
    for text in ("A.B", "A.B=", "A.B=1", "A.B=1,x"):
        with pytest.raises(UserError, match=f"--sweep {text}: "):
            parse_sweeps([text])


def test_overrides_go_to_the_network_they_name():
    split = split_opts(["SEED", "1", "pcnet_m.SOLVER.MAX_ITER", "5", "mask_rcnn.SEED", "2"])
    assert split[""] == ["SEED", "1"]
    assert split["pcnet_m"] == ["SOLVER.MAX_ITER", "5"]
    assert split["mask_rcnn"] == ["SEED", "2"] and split["modal_unet"] == []
    with pytest.raises(UserError, match="override pcnet.SEED: 'pcnet' is no network"):
        split_opts(["pcnet.SEED", "1"])
    with pytest.raises(UserError, match="KEY VALUE pairs"):
        split_opts(["SEED"])


def test_names_of_data_sets_made_up_on_the_fly():
    name = "kins.modal:/a/b/instances_val.json@/a/images"
    assert short_name(name) == "kins.modal:instances_val.json"
    assert short_name("coco:x/my.json") == "coco:my.json" and short_name("kins_val") == "kins_val"
    other = name.replace("/a/b", "/a/c")
    assert folder_name(name).startswith("kins.modal_instances_val.json-")
    assert folder_name(name) != folder_name(other) and folder_name("kins_val") == "kins_val"

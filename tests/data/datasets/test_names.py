"""Names that say which JSON a data set is."""

import pytest

from deocclusion_d2.data.datasets.names import DatasetName
from deocclusion_d2.errors import UserError


@pytest.mark.parametrize(
    ("text", "name", "folder", "short"),
    [
        ("coco:my.json", DatasetName("coco", "my.json"), ".", "coco:my.json"),
        (
            "kins.modal:/d/a.json@/d/images",
            DatasetName("kins", "/d/a.json", "/d/images", modal=True),
            "/d/images",
            "kins.modal:a.json",
        ),
        ("cocoa:d/a.json", DatasetName("cocoa", "d/a.json"), "d", "cocoa:a.json"),
        ("coco:a@b/x.json@im", DatasetName("coco", "a@b/x.json", "im"), "im", "coco:x.json"),
        ("coco:a@b/x.json@", DatasetName("coco", "a@b/x.json"), "a@b", "coco:x.json"),
        (
            "predicted:r/res.json@kins:/d/a.json@/d/images",
            DatasetName.predicted("r/res.json", "kins:/d/a.json@/d/images"),
            "r",
            "predicted:res.json",
        ),
    ],
)
def test_what_is_written_is_read_again(text, name, folder, short) -> None:
    assert DatasetName.parse(text) == name
    assert str(name) == text
    assert (name.image_folder, name.short) == (folder, short)


def test_parts() -> None:
    name = DatasetName.parse("predicted:r.json@kins_val")
    assert name.is_predicted and (name.json_file, name.truth) == ("r.json", "kins_val")
    name = DatasetName.parse("kins.modal:a.json")
    assert not name.is_predicted and (name.format, name.kind) == ("kins", "kins.modal")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kins_trian",
            "data set 'kins_trian' is not registered; register it, or name a JSON as "
            "FORMAT[.modal]:JSON[@IMAGE_ROOT] or predicted:RESULTS_JSON@DATASET",
        ),
        (
            "kins:",
            "data set 'kins:' is not registered; register it, or name a JSON as "
            "FORMAT[.modal]:JSON[@IMAGE_ROOT] or predicted:RESULTS_JSON@DATASET",
        ),
        (
            "kins.visible:a.json",
            "data set 'kins.visible:a.json': after the format only '.modal' may stand",
        ),
        (
            "predicted:r.json",
            "data set 'predicted:r.json': name the data set with the truth, "
            "predicted:RESULTS_JSON@DATASET",
        ),
    ],
)
def test_what_is_no_name(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        DatasetName.parse(text)
    assert str(caught.value) == message


def test_an_at_in_a_path(tmp_path, monkeypatch) -> None:
    """What exists tells which one separates."""
    monkeypatch.chdir(tmp_path)
    for folder in ("me@home/im@ges", "photos"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("me@home/a.json", "me@home/plain"):
        (tmp_path / file).write_text("{}")
    for text, json_file, root in (
        ("coco:me@home/a.json", "me@home/a.json", ""),
        ("coco:me@home/a.json@me@home/im@ges", "me@home/a.json", "me@home/im@ges"),
        ("coco:me@home/plain@photos", "me@home/plain", "photos"),
        ("coco:me@home/plain", "me@home/plain", ""),
        # Nothing of this is there: the ending tells, else the last one separates.
        ("coco:x.json@im@ges", "x.json", "im@ges"),
        ("coco:x@y", "x", "y"),
    ):
        name = DatasetName.parse(text)
        assert (name.json_file, name.image_root) == (json_file, root), text
        assert DatasetName.parse(str(name)) == name
    name = DatasetName.parse("predicted:me@home/a.json@coco:me@home/a.json@photos")
    assert (name.json_file, name.truth) == ("me@home/a.json", "coco:me@home/a.json@photos")
    assert DatasetName.parse("predicted:gone@home/r.json@kins_val").truth == "kins_val"

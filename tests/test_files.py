"""Files that appear complete or not at all."""

import json
import os

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.files import base_name, readable_json, whole_text_file


def test_whole_text_file(tmp_path):
    path = tmp_path / "a"
    with whole_text_file(path) as file:
        file.write("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), whole_text_file(path) as file:
        file.write("two")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
    # Its own folder is made; one to grow in is not.
    with whole_text_file(tmp_path / "new" / "b") as file:
        file.write("three")
    assert (tmp_path / "new" / "b").read_text() == "three"
    with (
        pytest.raises(UserError, match="b cannot be written: No such"),
        whole_text_file(tmp_path / "b", tmp_path / "none"),
    ):
        pass
    # A file where a folder would have to be.
    with (
        pytest.raises(UserError, match="a/c cannot be written: Not a directory"),
        whole_text_file(path / "c", path),
    ):
        pass


def test_json_to_be_read_by_people():
    value = {
        "name": "猫\u0928\u093f \x1b[31m",
        "text": ["\u202egnp\n", "\ud800", 1.5, "\U000e0001"],
    }
    text = readable_json(value)
    assert "猫नि" in text and json.loads(text) == value
    assert text.encode("utf-8").decode() == text  # no halves of pairs
    assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/a.jpg", "a.jpg"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("a.jpg", "a.jpg"),
        ("", ""),
        (os.fsdecode(b"x/caf\xe9.jpg"), "caf\ufffd.jpg"),
    ],
)
def test_names_without_folders(path, name):
    assert base_name(path) == name

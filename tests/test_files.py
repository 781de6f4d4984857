"""Files that appear complete or not at all."""

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.files import require_writable, whole_text_file


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


def test_what_cannot_be_written_is_found_before_the_work(tmp_path):
    require_writable(tmp_path / "new" / "a.json")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(UserError, match="new is a folder: name a file"):
        require_writable(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="folder .*file cannot be made: File exists"):
        require_writable(tmp_path / "file" / "a.json")

"""Files that appear complete or not at all."""

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.files import whole_text_file


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

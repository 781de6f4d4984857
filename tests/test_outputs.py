"""What may be written, and what is never written over."""

from __future__ import annotations

import os

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.outputs import (
    Inputs,
    check_folder_can_be_made,
    check_output_file,
    files_in_name,
    is_inside,
    same_place,
)


def refusal(*args, **options) -> str:
    with pytest.raises(UserError) as error:
        check_output_file(*args, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_output_is_never_an_input_by_whatever_way(tmp_path):
    (tmp_path / "data").mkdir()
    source = tmp_path / "data" / "in.json"
    source.write_text("{}")
    (tmp_path / "link.json").symlink_to(source)
    os.link(source, tmp_path / "hard.json")
    (tmp_path / "folder").symlink_to(tmp_path / "data")
    inputs = Inputs([None, "", tmp_path / "missing.json", source])
    for path in ("data/in.json", "link.json", "hard.json", "folder/in.json", "data/../link.json"):
        message = refusal(tmp_path / path, inputs, overwrite=True, option="--html")
        assert "is the input: name another file as --html" in message
    assert source.read_text() == "{}"
    check_output_file(tmp_path / "data" / "other.json", inputs)
    assert inputs.inside(tmp_path / "folder") == str(source)
    assert inputs.inside(tmp_path / "dat") is None


def test_nothing_is_replaced_unasked_and_only_by_its_kind(tmp_path):
    for name, content, fits in (
        ("a.json", b'\xef\xbb\xbf {"a": 1}', True),
        ("b.json", b"[]", True),
        ("c.json", b"", True),
        ("d.json", b"\xff\xd8\xff photo", False),
        ("a.png", b"\x89PNG\r\n\x1a\n...", True),
        ("b.png", b"my notes", False),
        ("a.html", b"\n<!DOCTYPE html>", True),
        ("b.HTML", b"\x89PNG\r\n\x1a\n...", False),
        ("a.txt", b"whatever", True),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert f"{path} exists: pass --overwrite to replace it" in refusal(path)
        if fits:
            check_output_file(path, overwrite=True)
        else:
            assert f"{path} exists and is no " in refusal(path, overwrite=True)
        assert path.read_bytes() == content


def test_the_kind_is_that_of_what_is_written(tmp_path):
    """JSON over a photo, whatever either is called; weights over notes; anything over a scene."""
    for name, content in (("a.png", b"\x89PNG\r\n\x1a\n."), ("b.jpg", b"\xff\xd8."), ("c", b"no")):
        (tmp_path / name).write_bytes(content)
        for kind in ("JSON file", "checkpoint"):
            assert f"exists and is no {kind}" in refusal(tmp_path / name, None, True, kind=kind)
    for content in (b"PK\x03\x04..", b"\x80\x02..", b"\x40" + bytes(7) + b'{"a"', b""):
        (tmp_path / "w.pth").write_bytes(content)
        check_output_file(tmp_path / "w.pth", overwrite=True, kind="checkpoint")
    (tmp_path / "scene" / "layers").mkdir(parents=True)
    (tmp_path / "scene" / "graph.json").write_text("{}")
    for name in ("graph.json", "new.json", "layers/new.png"):
        message = refusal(tmp_path / "scene" / name, overwrite=True)
        assert f"inside of {tmp_path / 'scene'}, which holds the scene alone" in message
    check_output_file(tmp_path / "scene" / "folder" / "new.json")


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no such devices")
def test_devices_are_not_replaced(tmp_path):
    # With a file as the output, they look like that file.
    for path in ("/dev/stdout", "/dev/fd/1", "/dev/null", "/dev/none.json"):
        assert "name another as" in refusal(path, overwrite=True)


def test_what_cannot_be_a_file(tmp_path, monkeypatch):
    check_output_file(tmp_path / "new" / "er" / "a.json")
    assert list(tmp_path.iterdir()) == []  # nothing is made before there is something to write
    (tmp_path / "new").mkdir()
    assert "new is a folder: name a file as --output" in refusal(tmp_path / "new")
    (tmp_path / "file").touch()
    message = refusal(tmp_path / "file" / "x" / "a.json")
    assert f"{tmp_path / 'file' / 'x'} cannot be made: {tmp_path / 'file'} is no folder" in message
    os.mkfifo(tmp_path / "pipe.json")
    assert "pipe.json is no ordinary file" in refusal(tmp_path / "pipe.json", overwrite=True)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    assert "nowhere exists" in refusal(tmp_path / "nowhere")
    assert "is a link that leads nowhere" in refusal(tmp_path / "nowhere" / "a.json")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "loop" in refusal(tmp_path / "loop" / "a.json")
    assert "File name too long" in refusal(tmp_path / ("x" * 300))
    assert "null" in refusal(tmp_path / "a\0b")
    assert "ends in .png" in refusal(tmp_path / "a.jpg", endings=(".png",))
    check_output_file(tmp_path / "a@b" / "c@d.json")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"{tmp_path} is not writable" in refusal(tmp_path / "a.json")
    with pytest.raises(UserError, match="is not writable"):
        check_folder_can_be_made(tmp_path / "deep" / "er")


def test_files_in_names_of_data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me@home").mkdir()
    for name in ("a.json", "me@home/b.json", "c:d.json"):
        (tmp_path / name).touch()
    assert list(files_in_name("coco:a.json@images")) == ["a.json"]
    assert list(files_in_name("kins.modal:me@home/b.json@x")) == ["me@home/b.json"]
    assert list(files_in_name("predicted:a.json@coco:c:d.json")) == ["a.json", "c:d.json"]
    assert list(files_in_name("a.json")) == ["a.json"]
    assert list(files_in_name("kins_val")) == list(files_in_name(None)) == []


def test_places(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert same_place(tmp_path / "real", tmp_path / "link")
    assert same_place(tmp_path / "new" / "..", tmp_path)
    assert not same_place(tmp_path / "a", tmp_path / "b")
    assert is_inside(tmp_path / "link" / "a" / "b", tmp_path / "real")
    assert not is_inside(tmp_path / "real", tmp_path / "link")
    assert not is_inside(tmp_path / "realm" / "a", tmp_path / "real")

"""The image file that a file name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from deocclusion_d2.data.datasets.image_files import (
    BACKSLASHES,
    OTHER_CASE,
    OTHER_FOLDER,
    ImageFinder,
    last_part,
    parts_of,
)


@pytest.fixture
def finder(tmp_path: Path):
    """Finds among files that are made below a folder; returns paths below it."""

    def find(files: list[str], names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        found = ImageFinder(str(tmp_path), lambda: names)
        return [(path.removeprefix(f"{tmp_path}/"), said) for path, said in found.find_all(names)]

    return find


def test_names_as_written_come_first(finder) -> None:
    names = ["a/b.png", "a\\b.png", "gone.png"]
    assert finder(["a/b.png", "a\\b.png"], names) == [(name, ()) for name in names]


def test_backslashes_case_and_folders(finder) -> None:
    names = ["images\\b.png", "C:\\me\\x.png", "a/B.PNG", "d/e/only.png", "d/é.png"]
    files = ["images/b.png", "x.png", "a/b.png", "Only.png", "e\u0301.png"]
    assert finder(files, names) == [
        ("images/b.png", (BACKSLASHES,)),
        ("x.png", (OTHER_FOLDER,)),
        ("a/b.png", (OTHER_CASE,)),
        ("Only.png", (OTHER_FOLDER,)),
        ("e\u0301.png", (OTHER_FOLDER,)),
    ]


def test_frames_of_videos_are_not_taken_for_each_other(finder) -> None:
    """The same name in two folders: the folders have to be there."""
    names = ["0009/1.png", "0000/1.png"]
    assert finder(["1.png"], names) == [(name, ()) for name in names]


def test_two_files_that_differ_in_case_are_not_guessed_between(finder) -> None:
    assert finder(["a.png", "A.PNG"], ["A.png"]) == [("A.png", ())]


def test_parts_stay_below_the_root() -> None:
    assert parts_of("..\\..\\etc/./a.png") == ["etc", "a.png"]
    assert last_part("C:\\a.png") == "a.png" and last_part("/") == ""

"""How a kind of things is found: in a folder, among entry points, and by hand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.registry import Registry

GROUP = "registry_test.fruits"
HEAD = "from registry_test_kit import Fruit, FRUITS\n"
KIT = f"""
from deocclusion_d2.registry import Registry

class Fruit:
    name = ""

FRUITS = Registry("fruit", Fruit, "{GROUP}", "registry_test_folder")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Write modules, and entry points of an installed package; returns the registry of fruits."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(modules: dict[str, str], entries: str = "") -> Registry:
        files = {"registry_test_kit.py": KIT, "registry_test_folder/__init__.py": "", **modules}
        if entries:
            files["fruits-1.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: fruits\nVersion: 1"
            files["fruits-1.dist-info/entry_points.txt"] = f"[{GROUP}]\n{entries}\n"
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("registry_test_kit").FRUITS

    yield write
    for name in [name for name in sys.modules if name.startswith("registry_test_")]:
        del sys.modules[name]


def fruit(name: str, label: str) -> str:
    return f"class {name}(Fruit):\n    name = {label!r}\n"


def test_folder_entry_points_and_decorator(site) -> None:
    fruits = site(
        {
            "registry_test_folder/pear.py": HEAD + "@FRUITS.register\n" + fruit("Pear", "pear"),
            "registry_test_other.py": HEAD + fruit("Fig", "fig"),
        },
        "anything = registry_test_other:Fig",
    )

    @fruits.register
    class Apple(fruits.base):
        name = "apple"

    assert list(fruits) == ["apple", "fig", "pear"] and len(fruits) == 3
    assert "fig" in fruits and "plum" not in fruits
    assert type(fruits["apple"]) is Apple and fruits["apple"] is fruits.find("apple")
    assert type(fruits["pear"]).__module__ == "registry_test_folder.pear"
    with pytest.raises(UserError) as caught:
        fruits.find("plum")
    assert str(caught.value) == "unknown fruit 'plum'; the known ones are apple, fig, pear"


def test_nothing_is_imported_before_something_is_asked_for(site) -> None:
    fruits = site({"registry_test_folder/pear.py": "raise AssertionError('imported')"})

    @fruits.register
    class Apple(fruits.base):
        name = "apple"

    for _ in range(2):
        with pytest.raises(AssertionError, match="imported"):
            list(fruits)


def test_a_name_that_is_there_twice(site) -> None:
    fruits = site(
        {
            "registry_test_folder/pear.py": HEAD + "@FRUITS.register\n" + fruit("Pear", "pear"),
            "registry_test_other.py": HEAD + fruit("Conference", "pear"),
        },
        "conference = registry_test_other:Conference",
    )
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            fruits.find("pear")
        assert str(caught.value) == (
            "two fruits are named 'pear': registry_test_folder.pear.Pear and "
            "registry_test_other.Conference"
        )


def test_the_same_class_twice(site) -> None:
    text = HEAD + "@FRUITS.register\n" + fruit("Fig", "fig")
    entries = "a = registry_test_other:Fig\nb = registry_test_other:Fig"
    fruits = site({"registry_test_other.py": text}, entries)
    assert list(fruits) == ["fig"]
    assert fruits.register(type(fruits["fig"])) is type(fruits["fig"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("gone:Fig", "cannot be loaded: No module named 'gone'"),
        ("registry_test_other:Gone", "cannot be loaded: "),
        ("registry_test_other:FRUITS", "is no class derived from Fruit"),
        ("registry_test_other:Stone", "is no class derived from Fruit"),
    ],
)
def test_entry_points_that_name_nothing_usable(site, entry: str, message: str) -> None:
    fruits = site({"registry_test_other.py": HEAD + "class Stone: name = 'stone'"}, f"x = {entry}")
    with pytest.raises(UserError) as caught:
        len(fruits)
    text = str(caught.value)
    assert text.startswith(f"entry point 'x' ({entry}) of {GROUP} {message}") and "\n" not in text


@pytest.mark.parametrize("name", ["", "a.modal", "a:b", None, 7])
def test_names_that_cannot_stand_before_a_colon(site, name: object) -> None:
    fruits = site({})
    with pytest.raises(UserError, match="is no identifier"):
        fruits.register(type("Odd", (fruits.base,), {"name": name}))
    assert list(fruits) == []

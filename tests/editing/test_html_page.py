"""The page of a scene as a file: what is in it, that it needs nothing else, how it is written."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.decomposition import load_layered_scene, save_layered_scene
from deocclusion_d2.editing import html_page
from deocclusion_d2.editing.fingerprint import scene_fingerprint
from deocclusion_d2.editing.html_page import scene_document, scene_page, write_scene_page
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import LayeredScene, ObjectLayer, OcclusionGraph, WindowMask
from tests.editing.scenes import row_of_cars, with_completions

ROOT = Path(__file__).resolve().parents[2]


def two_objects(name: str = "car-0", file_name: str = "folder/street.jpg") -> LayeredScene:
    """A red car of 2 x 3 pixels, its left column not visible, that hides a van without pixels."""
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[:] = (200, 10, 20, 255)
    rgba[0, 0] = (250, 240, 230, 7)
    mask = WindowMask(4, 1, np.ones((2, 3), bool))
    modal = WindowMask(5, 1, np.ones((2, 2), bool))
    empty = WindowMask.empty()
    layers = [
        ObjectLayer(name, 4, 1, rgba, modal, mask, 4, "car", np.int64(7)),
        ObjectLayer("van-0", 0, 0, np.zeros((0, 0, 4), np.uint8), empty, empty, 7, "van"),
    ]
    graph = OcclusionGraph(2)
    graph.add_occlusion(0, 1)
    background = np.arange(5 * 9 * 3, dtype=np.uint8).reshape(5, 9, 3)
    return LayeredScene(background, layers, graph, file_name)


def decode(uri: str) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))))


class Elements(HTMLParser):
    """Start tags with their attributes, and the text of each <script> and of the title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "title") and data.strip():
            self.texts.append((self.tags[-1][0], data))


def test_the_document_holds_every_pixel() -> None:
    scene = two_objects()
    document = scene_document(scene)
    assert json.loads(json.dumps(document)) == document
    np.testing.assert_array_equal(decode(document["background"]), scene.background)
    car, van = document["objects"]
    pixels = decode(car["pixels"])
    assert pixels.shape == (4, 3, 3)  # no alpha channel that a canvas would multiply in
    np.testing.assert_array_equal(pixels[:2], scene.layers[0].rgba[..., :3])
    np.testing.assert_array_equal(pixels[2:, :, 0], [[7, 255, 255], [255, 255, 255]])
    np.testing.assert_array_equal(pixels[2:, :, 1], [[0, 255, 255], [0, 255, 255]])
    assert (car["name"], car["x"], car["y"], car["width"], car["height"]) == ("car-0", 4, 1, 3, 2)
    assert (van["pixels"], van["width"], van["height"]) == (None, 0, 0)
    assert document["edges"] == [["car-0", "van-0"]]
    assert (document["width"], document["height"]) == (9, 5)
    assert document["save_as"] == "street"


def test_one_file_that_names_no_other(tmp_path: Path) -> None:
    write_scene_page(two_objects(), tmp_path / "scene.html")
    elements = Elements((tmp_path / "scene.html").read_text("utf-8"))
    links = [
        value
        for _, attributes in elements.tags
        for key, value in attributes.items()
        if key in ("src", "href", "action", "data", "srcset", "poster")
    ]
    assert links and all(link.startswith(("#", "data:")) for link in links)
    style = (html_page.ASSETS / "page.css").read_text("utf-8")
    assert "url(" not in style and "@import" not in style
    policy = next(a["content"] for _, a in elements.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data: blob:;")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.html"]


def test_names_cannot_leave_their_place_in_the_page(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script><!-- {{script}} \\1 & \u2028"
    scene = two_objects(name, file_name="a<b>&{{scene}}.png")
    write_scene_page(scene, tmp_path / "scene.html")
    elements = Elements((tmp_path / "scene.html").read_text("utf-8"))
    scripts = [text for tag, text in elements.texts if tag == "script"]
    assert len(scripts) == sum(tag == "script" for tag, _ in elements.tags) == 2
    assert json.loads(scripts[0])["objects"][0]["name"] == name
    assert "class Editor" in scripts[1]
    assert elements.texts[0] == ("title", "a<b>&{{scene}}.png: scene editor")


def test_a_name_of_any_kind_makes_a_page(tmp_path: Path) -> None:
    """Of a file whose name is not UTF-8, too: Python reads half surrogates there."""
    name = "a\u202egpj.exe\x1b[31m\n\udce9\u2028.jpg"
    write_scene_page(two_objects(name, f"/home/me/{name}"), tmp_path / "scene.html")
    text = (tmp_path / "scene.html").read_bytes().decode("utf-8")
    for character in "\u202e\x1b\u2028":
        assert character not in text
    elements = Elements(text)
    written = "a\\u202egpj.exe\\x1b[31m\\n\ufffd\\u2028"  # no half surrogate can be written
    assert elements.texts[0] == ("title", f"{written}.jpg: scene editor")
    document = json.loads(next(text for tag, text in elements.texts if tag == "script"))
    assert document["objects"][0]["name"] == name
    assert document["save_as"] == written.replace("\\", "_")


@pytest.mark.parametrize("folder", ["/home/me/photos/", "C:\\Users\\me\\photos\\", "../me/"])
def test_the_page_tells_no_folder_of_the_photo(tmp_path: Path, folder: str) -> None:
    scene = two_objects(file_name=folder + "street.jpg")
    scene.description = {"weights": folder + "w.pth"}
    write_scene_page(scene, tmp_path / "scene.html")
    text = (tmp_path / "scene.html").read_text("utf-8")
    assert "street.jpg: scene editor" in text
    assert not re.search(r"\bme\b[/\\]|Users|/home", text)


def test_the_fingerprint_is_of_what_edits_work_on(tmp_path: Path) -> None:
    first = scene_fingerprint(two_objects())
    assert first == scene_fingerprint(two_objects(file_name="other.jpg"))
    changed = [two_objects("car-1"), *(two_objects() for _ in range(5))]
    changed[1].layers[0].rgba[1, 1, 2] ^= 1
    changed[2].background[4, 8, 0] ^= 1
    changed[3].layers[0].modal_mask = WindowMask(5, 1, np.ones((1, 2), bool))
    changed[4].graph = OcclusionGraph(2)
    changed[5].layers[0].x0 += 1
    assert len({first, *map(scene_fingerprint, changed)}) == 7
    # It survives the disk.
    scene, _ = row_of_cars()
    save_layered_scene(scene, tmp_path / "scene")
    assert scene_fingerprint(load_layered_scene(tmp_path / "scene")) == scene_fingerprint(scene)


def outlined(rings: list[list[int]], height: int, width: int) -> np.ndarray:
    """The pixels that rings of a page surround, from the window's top left corner on."""
    inside = np.zeros((height, width), bool)
    for x, y, *steps in rings:
        for number, step in enumerate(steps):
            if number % 2 == 0:
                # Each step along x turns all that lies below it.
                inside[y:, min(x, x + step) : max(x, x + step)] ^= True
                x += step
            else:
                y += step
    return inside


def test_the_document_holds_outlines_of_other_completions() -> None:
    scene = with_completions(row_of_cars()[0], "car-1", (6, 5, 10, 12), (9, 3, 12, 7))
    entry, *rest = sorted(
        scene_document(scene)["objects"], key=lambda entry: "completions" not in entry
    )
    assert entry["name"] == "car-1" and not any("completions" in other for other in rest)
    assert [c["weight"] for c in entry["completions"]] == [0.5, 0.25]
    layer = scene.layers[1]
    for sample, completion in zip(layer.samples[1:], entry["completions"], strict=True):
        x0, y0, x1, y1 = sample.mask.box
        moved = [
            [x + layer.x0 - x0, y + layer.y0 - y0, *steps] for x, y, *steps in completion["rings"]
        ]
        drawn = outlined(moved, y1 - y0, x1 - x0)
        # The last step, along y, is left out.
        np.testing.assert_array_equal(drawn, sample.mask.array)


def test_a_page_holds_so_many_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_page, "MOST_COMPLETIONS", 1)
    scene = with_completions(row_of_cars()[0], "car-1", (6, 5, 10, 12), (9, 3, 12, 7))
    entry = scene_document(scene)["objects"][1]
    assert [c["weight"] for c in entry["completions"]] == [0.5]
    assert entry["more_completions"] == 1


def test_pages_without_completions_have_no_trace_of_them() -> None:
    scene, _ = row_of_cars()
    plain = scene_page(scene)
    fingerprint = scene_fingerprint(scene)
    # One that is equal to the chosen shape says nothing new.
    assert scene_page(with_completions(scene, "car-1")) == plain
    head = plain[: plain.rindex("<script>")]
    assert "completion" not in head
    page = scene_page(with_completions(scene, "car-1", (6, 5, 10, 12)))
    assert "#completions" in page and page != plain
    assert scene_fingerprint(scene) == fingerprint


def test_scripts_do_not_end_their_element() -> None:
    files = sorted(path.name for path in html_page.ASSETS.glob("*.js"))
    assert files == sorted(html_page.SCRIPTS)
    for name in files:
        text = (html_page.ASSETS / name).read_text("utf-8")
        assert not re.search(r"</script|<!--|<script", text, re.IGNORECASE)


def test_every_button_has_a_name() -> None:
    """Text, or aria-label; also that each is known to the script that listens to it."""
    page = (html_page.ASSETS / "page.html").read_text("utf-8")
    buttons = re.findall(r"<button([^>]*)>(.*?)</button>", page)
    assert len(buttons) > 10
    script = (html_page.ASSETS / "controls.js").read_text("utf-8")
    for attributes, content in buttons:
        assert "aria-label=" in attributes or re.sub(r"<[^>]+>", "", content).strip()
        action = re.search(r'data-action="(\w+)"', attributes)
        assert action is None or f'case "{action[1]}":' in script


def test_a_page_replaces_an_older_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "scene.html"
    write_scene_page(two_objects(), path)
    first = path.read_text("utf-8")
    assert path.stat().st_mode & 0o777 == 0o644

    def full_disk(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        with pytest.raises(UserError, match=r"scene\.html cannot be written: No space left"):
            write_scene_page(two_objects("van-9"), path, overwrite=True)
    assert path.read_text("utf-8") == first
    assert [p.name for p in path.parent.iterdir()] == ["scene.html"]
    # The same page may be asked for again; another one replaces it only when that is asked for.
    written = path.stat().st_mtime_ns
    write_scene_page(two_objects(), path)
    assert path.stat().st_mtime_ns == written
    with pytest.raises(UserError, match=r"scene\.html exists: pass --overwrite"):
        write_scene_page(two_objects("van-9"), path)
    write_scene_page(two_objects("van-9"), path, overwrite=True)
    assert "van-9" in path.read_text("utf-8")


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file cannot be made: .*file is no folder"):
        write_scene_page(two_objects(), tmp_path / "file" / "scene.html")


def test_an_installed_package_has_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(tmp_path)]
    command += ["build_py", "--build-lib", str(tmp_path / "lib")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    built = tmp_path / "lib" / "deocclusion_d2" / "editing" / "page"
    assert {p.name for p in built.iterdir()} == {p.name for p in html_page.ASSETS.iterdir()}
    assert {"page.html", "page.css", *html_page.SCRIPTS} <= {p.name for p in built.iterdir()}

"""The HTML page in a real Chromium: what the user does, and the pixels and files that come of it.

Every picture is compared with the slow drawing, which applies the edits of the page's script; at
the end of each test the page saves it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.editing import write_scene_page
from tests.editing.page_editor import PageEditor
from tests.editing.scenes import boxes_and_beams, with_completions
from tests.editing.slow_composition import EditedScene

VIEWPORT = {"width": 1200, "height": 800}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "scene.html"
    write_scene_page(boxes_and_beams(), path)
    return path


class Editor(PageEditor):
    def check(self, edits: list[dict]) -> None:
        """The canvas, the order and the script are those of the edits."""
        expected = EditedScene(boxes_and_beams()).apply(edits)
        np.testing.assert_array_equal(self.pixels(), expected.draw())
        assert self.stack() == expected.stack
        assert self.script() == edits


@pytest.fixture
def editor(chromium: Any, page_file: Path) -> Iterator[Editor]:
    editor = Editor(chromium, page_file, 160, viewport=VIEWPORT)
    yield editor
    editor.close()


def test_the_page_starts_with_the_scene(editor: Editor) -> None:
    editor.check([])
    # The slow drawing knows of the circle: each beam is seen where it meets the one it hides.
    scene = boxes_and_beams()
    beams = {layer.name: layer for layer in scene.layers}
    image = editor.pixels()
    for name, (x, y) in {"beam-0": (142, 35), "beam-1": (141, 72), "beam-2": (110, 34)}.items():
        layer = beams[name]
        expected = layer.rgba[y - layer.y0, x - layer.x0]
        assert expected[3] == 255
        assert image[y, x].tolist() == expected[:3].tolist(), name


def test_drag_changes_pixels_and_keeps_the_order(editor: Editor) -> None:
    before = editor.pixels()
    editor.drag((35, 50), (52, 39))
    after = editor.pixels()
    assert (before != after).any(axis=2).sum() > 500
    assert editor.status() == "box-0 moved to 47, 29"
    edits = [{"op": "move", "object": "box-0", "dx": 17, "dy": -11}]
    editor.check(edits)
    # box-2 passes under box-0 and halfway out of the picture; its visible part is drawn on.
    editor.drag((88, 26), (20, 26))
    edits.append({"op": "move", "object": "box-2", "dx": -68, "dy": 0})
    editor.check(edits)
    editor.drag((8, 40), (2, 93))
    edits[1] = {**edits[1], "dx": -74, "dy": 53}
    editor.check(edits)


def test_a_drag_is_seen_while_it_lasts_and_can_be_dropped(editor: Editor) -> None:
    before = editor.pixels()
    editor.drag((35, 50), (60, 20), drop=False)
    move = {"op": "move", "object": "box-0", "dx": 25, "dy": -30}
    editor.page.evaluate("() => new Promise(requestAnimationFrame)")
    expected = EditedScene(boxes_and_beams()).apply([move]).draw()
    np.testing.assert_array_equal(editor.pixels(), expected)
    editor.press("Escape")
    editor.page.mouse.up()
    np.testing.assert_array_equal(editor.pixels(), before)
    editor.check([])


def test_order_by_keys(editor: Editor) -> None:
    editor.choose("box-2")
    editor.press("]")
    first = [{"op": "in_front", "object": "box-2", "of": "box-1"}]
    editor.check(first)
    editor.press("]")  # box-0 stands before it but does not overlap it
    assert editor.status() == "Nothing hides box-2"
    editor.check(first)
    editor.press("Shift+BracketRight")
    second = [*first, {"op": "in_front", "object": "box-2"}]
    editor.check(second)
    editor.press("[", "Shift+BracketLeft")
    third = [
        {"op": "behind", "object": "box-2", "of": "box-1"},
        {"op": "behind", "object": "box-2"},
    ]
    editor.check([*second, *third])
    assert editor.stack()[-1] == "box-2"


def test_order_by_buttons(editor: Editor) -> None:
    editor.choose("box-1")
    editor.click("Backward")
    editor.click("To front")
    editor.click("Forward")
    editor.click("Put box-1 behind box-0")
    editor.click("To back")
    editor.check(
        [
            {"op": "behind", "object": "box-1", "of": "box-2"},
            {"op": "in_front", "object": "box-1"},
            {"op": "behind", "object": "box-1", "of": "box-0"},
            {"op": "behind", "object": "box-1"},
        ]
    )


def test_a_circle_that_edits_open_and_close(editor: Editor) -> None:
    edits = [{"op": "in_front", "object": "beam-0", "of": "beam-2"}]
    editor.choose("beam-0")
    editor.click("Put beam-0 in front of beam-2")
    editor.check(edits)
    assert [n for n in editor.stack() if "beam" in n] == ["beam-0", "beam-1", "beam-2"]
    editor.click("Put beam-0 behind beam-2")
    edits.append({"op": "behind", "object": "beam-0", "of": "beam-2"})
    editor.check(edits)
    # Hidden, a beam cuts no other.
    editor.choose("beam-2")
    editor.press("h")
    editor.check([*edits, {"op": "hide", "object": "beam-2"}])


def test_move_hide_and_delete_by_keys(editor: Editor) -> None:
    page = editor.page
    page.locator("#objects .object").first.focus()
    assert editor.stack()[0] == page.locator("#selected-name").inner_text()
    editor.press("ArrowDown")
    second = editor.stack()[1]
    assert page.locator("#selected-name").inner_text() == second
    editor.press("Enter", "ArrowRight", "Shift+ArrowUp", "ArrowRight", "ArrowLeft")
    edits = [{"op": "move", "object": second, "dx": 1, "dy": -10}]
    editor.check(edits)
    editor.press("h")
    edits.append({"op": "hide", "object": second})
    editor.check(edits)
    editor.press("h", "n", "Delete")
    third = EditedScene(boxes_and_beams()).stack[2]
    edits += [{"op": "show", "object": second}, {"op": "delete", "object": third}]
    editor.check(edits)


def test_undo_redo_reset(editor: Editor) -> None:
    start = editor.pixels()
    editor.choose("box-0")
    editor.press("ArrowRight", "Delete")
    edits = editor.script()
    assert [e["op"] for e in edits] == ["move", "delete"]
    end = editor.pixels()
    editor.press("Control+z")
    editor.check(edits[:1])
    editor.click("Undo")
    assert editor.status() == "Undone: box-0 moved"
    np.testing.assert_array_equal(editor.pixels(), start)
    assert editor.page.get_by_role("button", name="Undo").get_attribute("aria-disabled") == "true"
    editor.press("Control+Shift+z")
    editor.click("Redo")
    np.testing.assert_array_equal(editor.pixels(), end)
    editor.press("r")
    editor.check([])
    editor.press("Control+z")  # a reset can be undone
    editor.check(edits)
    editor.press("Control+z")
    editor.choose("box-1")
    editor.press("h")  # a new edit forgets what was undone
    editor.press("Control+y")
    editor.check([edits[0], {"op": "hide", "object": "box-1"}])


def test_a_key_held_down_is_one_step(editor: Editor) -> None:
    editor.choose("box-0")
    editor.press("ArrowUp")
    for _ in range(4):
        editor.page.keyboard.down("ArrowRight")  # from the second on it repeats
    editor.page.keyboard.up("ArrowRight")
    up = {"op": "move", "object": "box-0", "dx": 0, "dy": -1}
    editor.check([{**up, "dx": 4}])
    editor.press("Control+z")
    editor.check([up])


def test_the_saved_picture_is_the_drawing(editor: Editor) -> None:
    editor.choose("box-0")
    editor.press("Shift+ArrowRight", "Shift+ArrowUp")
    path = editor.saved("Save PNG")
    assert editor.status() == "Picture saved as street_edited.png"
    assert path.name == "street_edited.png"
    edits = [{"op": "move", "object": "box-0", "dx": 10, "dy": -10}]
    with Image.open(path) as image:
        saved = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(saved, EditedScene(boxes_and_beams()).apply(edits).draw())


def test_a_picture_that_cannot_be_saved_is_not_called_saved(editor: Editor) -> None:
    """A browser that is short of memory makes no file of a canvas, and gives null."""
    editor.page.evaluate("() => { HTMLCanvasElement.prototype.toBlob = done => done(null); }")
    editor.click("Save PNG")
    assert editor.status() == "The picture cannot be saved"


def test_a_save_key_held_down_saves_once(editor: Editor) -> None:
    """Else the next save is lost: Chromium drops downloads beyond ten a second."""
    downloads = []
    editor.page.on("download", lambda download: downloads.append(download))
    for button, key in (("Save script", "e"), ("Save PNG", "s")):
        for held in (key, "Enter"):
            downloads.clear()
            editor.page.get_by_role("button", name=button, exact=True).focus()
            with editor.page.expect_download():
                for _ in range(12):
                    editor.page.keyboard.down(held)  # from the second on it repeats
            editor.page.keyboard.up(held)
            editor.choose("box-0")
            editor.press("ArrowRight")
            path = editor.saved(button)
            assert path.name == f"street_{'edits.json' if key == 'e' else 'edited.png'}"
            assert len(downloads) == 2, held


def outline_box(editor: PageEditor, kind: str) -> list[int]:
    """[x, y, width, height] in image pixels of an outline in the picture."""
    return editor.page.evaluate(
        """kind => {
            const path = document.querySelector(`#outlines path.${kind}:not(.halo)`);
            const box = path.getBBox();
            const move = path.transform.baseVal.consolidate().matrix;
            return [box.x + move.e, box.y + move.f, box.width, box.height];
        }""",
        kind,
    )


def test_hover_shows_outlines_and_who_hides_whom(editor: Editor) -> None:
    page = editor.page
    page.mouse.move(*editor.at(72, 60))  # box-1: 44..74 x 30..64, box-0 hides 44..57 x 40..64
    assert outline_box(editor, "complete") == [44, 30, 30, 34]
    assert outline_box(editor, "visible") == [44, 30, 30, 34]
    assert outline_box(editor, "occluder") == [30, 40, 27, 36]
    # box-2: 58..90 x 22..52; box-1 hides 58..74 x 30..52
    assert outline_box(editor, "occludee") == [58, 22, 32, 30]
    for kind, name in (("active", "box-1"), ("occluder", "box-0"), ("occludee", "box-2")):
        rows = page.locator(f"#objects li.{kind}").all()
        assert [row.get_attribute("data-name") for row in rows] == [name]
    page.mouse.move(*editor.at(5, 5))
    assert page.locator("#outlines path").count() == 0
    # Focus by keyboard does the same. box-0, now 39..66 x 28..64, hides box-1 but for its right.
    editor.choose("box-0")
    editor.press("Shift+ArrowUp", "ArrowUp", "ArrowUp", *["ArrowRight"] * 9)
    editor.press("n")
    while page.locator("#selected-name").inner_text() != "box-1":
        editor.press("n")
    page.mouse.move(*editor.at(5, 5))
    assert outline_box(editor, "visible") == [66, 30, 8, 34]
    assert outline_box(editor, "complete") == [44, 30, 30, 34]


@pytest.fixture
def editor_with_completions(chromium: Any, tmp_path: Path) -> Iterator[PageEditor]:
    """box-2, whose window begins at 58, 22, may be 8 px wider, or 10 px higher."""
    scene = with_completions(boxes_and_beams(), "box-2", (90, 22, 98, 52), (58, 12, 90, 22))
    write_scene_page(scene, tmp_path / "scene.html")
    editor = PageEditor(chromium, tmp_path / "scene.html", 160, viewport=VIEWPORT)
    yield editor
    editor.close()


def test_other_completions_of_an_object(editor_with_completions: PageEditor) -> None:
    editor, page = editor_with_completions, editor_with_completions.page
    lines = page.locator("#outlines path.completion:not(.halo)")
    text = page.locator("#completions-text")
    place = page.locator("#objects").bounding_box()
    editor.choose("box-0")
    assert text.inner_text() == "Other completions: none" and lines.count() == 0
    assert page.locator("#completions [aria-disabled='true']").count() == 3
    editor.choose("box-2")
    assert text.inner_text() == "Other completions: 2"
    assert page.locator("#objects").bounding_box() == place  # nothing moves under the pointer
    # The heavier one lies above.
    opacities = [float(line.get_attribute("stroke-opacity")) for line in lines.all()]
    assert len(opacities) == 2 and 0.2 < opacities[0] < opacities[1] < 1
    editor.click("Next")
    assert outline_box(editor, "completion") == [58, 22, 40, 30] and lines.count() == 1
    assert editor.status() == text.inner_text() == "Completion 1 of 2: 50 % of draws"
    # It goes where its object goes.
    page.locator("#picture").focus()
    editor.press("c", "Shift+ArrowRight")
    assert outline_box(editor, "completion") == [68, 12, 32, 40]
    editor.press("Shift+C")
    assert outline_box(editor, "completion") == [68, 22, 40, 30]
    toggle = page.get_by_role("button", name="Outlines", exact=True)
    assert toggle.get_attribute("aria-pressed") == "true"
    editor.press("o")
    assert lines.count() == 0 and toggle.get_attribute("aria-pressed") == "false"
    editor.click("Outlines")
    assert lines.count() == 1
    # Another object begins with all of its own; keys do nothing where there are none.
    editor.choose("box-0")
    editor.press("c", "o")
    assert lines.count() == 0
    editor.choose("box-2")
    assert lines.count() == 2
    assert [e["op"] for e in editor.script()] == ["move"]


def test_names_and_states_that_assistive_technology_reads(editor: Editor) -> None:
    editor.choose("box-0")
    nameless = editor.page.evaluate(
        """() => [...document.querySelectorAll("button, canvas[tabindex]")].filter(
            e => !(e.getAttribute("aria-label") ?? e.textContent).trim()).length"""
    )
    assert nameless == 0
    picture = editor.page.get_by_role("application")
    assert picture.get_attribute("aria-label").startswith("Picture of street: box-0 at 30, 40")
    row = editor.page.locator("[data-name='box-0']")
    assert row.locator(".object").get_attribute("aria-current") == "true"
    assert row.get_by_role("button", name="Hide box-0").count() == 1
    editor.press("?")
    help_ = editor.page.get_by_role("dialog", name="Editing the scene")
    assert help_.is_visible()
    editor.press("h")  # keys edit nothing while the help is open
    editor.click("Close")
    assert not help_.is_visible()
    editor.check([])


# ------------------------------------------------------------------ nothing is lost


def reload(editor: Editor) -> list[str]:
    """Reload the page, and leave it where the browser asks.

    Returns:
        The kinds of dialogs that were shown.
    """
    asked: list[str] = []

    def accept(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    editor.page.once("dialog", accept)
    editor.page.reload()
    editor.page.wait_for_selector("#objects li")
    editor.page.remove_listener("dialog", accept) if not asked else None
    return asked


def notice(editor: Editor) -> str:
    return editor.page.locator("#notice").inner_text()


def test_a_reload_asks_first_and_loses_nothing(editor: Editor) -> None:
    editor.choose("box-0")
    editor.press("Shift+ArrowRight", "h")
    edits = [
        {"op": "move", "object": "box-0", "dx": 10, "dy": 0},
        {"op": "hide", "object": "box-0"},
    ]
    editor.check(edits)
    assert reload(editor) == ["beforeunload"]
    editor.check(edits)
    assert "2 edits of your last visit are back" in notice(editor)
    editor.press("Control+z")
    editor.check(edits[:1])
    editor.press("Control+Shift+z")
    editor.saved("Save script")  # safe in a file: nothing to ask
    assert reload(editor) == []
    editor.check(edits)
    editor.click("Start over")
    editor.check([])
    assert not editor.page.locator("#notice").is_visible()
    editor.press("Control+z")
    editor.check(edits)
    editor.click("Reset")
    assert reload(editor) == []
    editor.check([])
    assert not editor.page.locator("#notice").is_visible()


def test_a_page_that_is_not_edited_is_left_without_a_word(editor: Editor) -> None:
    editor.choose("box-0")
    assert reload(editor) == []
    editor.press("ArrowRight", "ArrowLeft")
    editor.check([])


def test_a_page_of_another_scene_gets_none_of_the_edits(editor: Editor, tmp_path: Path) -> None:
    """Its objects have the same names, and the browser gives both files one storage."""
    editor.choose("box-0")
    editor.press("h")
    scene = boxes_and_beams()
    scene.background = scene.background ^ 1
    write_scene_page(scene, tmp_path / "other.html")
    first = editor.page.url
    editor.page.on("dialog", lambda dialog: dialog.accept())
    for url, edits in (((tmp_path / "other.html").as_uri(), []), (first, ["hide"])):
        editor.page.goto(url)
        editor.page.wait_for_selector("#objects li")
        assert [edit["op"] for edit in editor.script()] == edits


REFUSALS = {
    "refused": """Object.defineProperty(window, "localStorage", {
        get() { throw new DOMException("denied", "SecurityError"); } });""",
    "full": """Storage.prototype.setItem = function () {
        throw new DOMException("full", "QuotaExceededError"); };""",
    "missing": 'Object.defineProperty(window, "localStorage", { value: null });',
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_browser_that_keeps_nothing_is_named(editor: Editor, refusal: str) -> None:
    editor.page.add_init_script(REFUSALS[refusal])
    reload(editor)
    assert "This browser keeps no edits" in notice(editor)
    editor.choose("box-0")
    editor.press("h")
    editor.check([{"op": "hide", "object": "box-0"}])
    assert reload(editor) == ["beforeunload"]
    editor.check([])


def test_a_browser_that_runs_out_of_room_is_named(editor: Editor) -> None:
    editor.page.evaluate(f"() => {{ {REFUSALS['full']} }}")
    assert not editor.page.locator("#notice").is_visible()
    editor.choose("box-0")
    editor.press("h")
    editor.page.wait_for_selector("#notice:not([hidden])")
    assert "no room to keep the edits" in notice(editor)


def test_damaged_memories_do_not_stop_the_page(editor: Editor) -> None:
    editor.page.evaluate("opened.then(e => localStorage.setItem(e.kept.key, '{\"version\": 1}'))")
    reload(editor)
    assert "cannot be read" in notice(editor)
    editor.choose("box-0")
    editor.press("h")
    reload(editor)
    editor.check([{"op": "hide", "object": "box-0"}])


def script_file(tmp_path: Path, edits: list, **more: object) -> Path:
    path = tmp_path / "some_edits.json"
    path.write_text(json.dumps({"version": 1, "edits": edits, **more}), "utf-8")
    return path


def test_a_script_is_loaded_by_the_file_chooser(editor: Editor, tmp_path: Path) -> None:
    editor.choose("box-0")
    editor.press("ArrowRight")
    loaded = [{"op": "delete", "object": "box-0"}, {"op": "hide", "object": "box-1"}]
    path = script_file(tmp_path, loaded)
    # The system's window is not waited for: whether it opens in time is the machine's affair.
    editor.page.evaluate(
        "() => { asked = 0; document.getElementById('script-file').click = () => { asked += 1; }; }"
    )
    loads = (lambda: editor.click("Load script"), lambda: editor.press("l"))
    for count, load in enumerate(loads, 1):
        load()
        assert editor.page.evaluate("asked") == count
        editor.page.set_input_files("#script-file", path)
        editor.wait_for_objects(5)
        assert editor.status() == "some_edits.json loaded: 2 edits in place of those before"
        editor.check(loaded)
        editor.click("Undo")
        assert editor.status() == "Undone: some_edits.json loaded"
        editor.check([{"op": "move", "object": "box-0", "dx": 1, "dy": 0}])


def drop(editor: Editor, *files: tuple[str, str]) -> None:
    """Drop files (name, text) on the picture."""
    editor.page.evaluate(
        """files => {
            const dropped = new DataTransfer();
            for (const [name, text] of files) dropped.items.add(new File([text], name));
            const init = { dataTransfer: dropped, bubbles: true, cancelable: true };
            for (const kind of ["dragover", "drop"]) {
                const event = new DragEvent(kind, init);
                byId("picture").dispatchEvent(event);
                if (!event.defaultPrevented) throw new Error(`${kind} opens the file`);
            }
        }""",
        [list(file) for file in files],
    )
    editor.wait_for_status("loaded")


def test_a_script_is_dropped_on_the_page_or_refused_in_a_line(editor: Editor) -> None:
    hide = {"op": "hide", "object": "beam-0"}
    drop(editor, ("a.json", json.dumps({"version": 1, "edits": [hide]})))
    editor.check([hide])
    unknown = json.dumps({"version": 1, "edits": [hide, {"op": "hide", "object": "cow"}]})
    other = json.dumps({"version": 1, "scene": "0" * 64, "edits": []})
    for files, message in (
        ([("b.json", unknown)], 'b.json not loaded: edit 2 (hide): there is no object "cow"'),
        ([("c.json", other)], "c.json not loaded: made for another scene"),
        ([("\u202ephoto.jpg", "\xff\xd8")], "\\u202ephoto.jpg not loaded: not a JSON file"),
        ([("d.json", other), ("e.json", other)], "d.json not loaded: one of 2 files"),
    ):
        drop(editor, *files)
        editor.wait_for_status(message)
        editor.check([hide])


def test_delete_with_the_focus_elsewhere_deletes_nothing(editor: Editor) -> None:
    editor.choose("box-0")
    page = editor.page
    buttons = [
        page.get_by_role("button", name=n, exact=True) for n in ("Undo", "Hide", "Move left")
    ]
    for button in (*buttons, page.locator("[data-name='box-0'] .object")):
        button.focus()
        editor.press("Backspace", "Delete")
    editor.check([])
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    editor.press("h", "r", "Delete", "Backspace")
    editor.check([])
    page.locator("[data-name='box-0'] .object").focus()
    editor.press("Enter", "Backspace")
    editor.check([{"op": "delete", "object": "box-0"}])


def test_an_object_out_of_the_picture_is_brought_back(editor: Editor) -> None:
    row = editor.page.locator("[data-name='box-0']")
    editor.choose("box-0")
    bring = editor.page.get_by_role("button", name="Bring back into the picture", exact=True)
    assert bring.get_attribute("aria-disabled") == "true"
    editor.drag((35, 50), (2, 50))
    editor.press(*["Shift+ArrowLeft"] * 4)
    assert "out of the picture: B brings it back" in editor.status()
    assert row.locator(".detail").inner_text() == "out of the picture"
    assert bring.get_attribute("aria-disabled") == "false"
    away = {"op": "move", "object": "box-0", "dx": -73, "dy": 0}
    editor.check([away])
    editor.press("b")  # to x = 0, from 30
    editor.check([{**away, "dx": -30}])
    assert row.locator(".detail").inner_text() != "out of the picture"
    editor.press("Control+z")
    editor.check([away])
    editor.choose("box-1")
    editor.click("Bring box-0 back into the picture")
    editor.check([{**away, "dx": -30}])
    assert editor.page.locator("#selected-name").inner_text() == "box-0"


def test_names_from_files_are_text(chromium: Any, tmp_path: Path) -> None:
    scene = boxes_and_beams()
    names = ["<img src=x onerror=alert(1)>", "\u202egnp.0", "a'\"]&amp;", "\u732b" * 60, "\u05d0-0"]
    for layer, name in zip(scene.layers, names, strict=False):
        layer.name = name
    scene.file_name = "/home/me/<title><b>\u202e.jpg"
    write_scene_page(scene, tmp_path / "scene.html")
    view = {"width": 1200, "height": 800}
    page = PageEditor(chromium, tmp_path / "scene.html", scene.width, viewport=view)
    labels = set(page.page.locator("#objects .label bdi").all_inner_texts())
    assert {names[0], "\\u202egnp.0", *names[2:]} <= labels
    assert page.page.locator("#objects img").count() == 0
    assert page.page.title() == "<title><b>\\u202e.jpg: scene editor"
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 1200
    page.page.locator("#objects .object", has_text="gnp.0").click()
    page.press("h")
    assert page.status() == "\\u202egnp.0 hidden"
    assert page.script() == [{"op": "hide", "object": names[1]}]
    page.close()


@pytest.fixture
def phone(chromium: Any, page_file: Path) -> Iterator[Editor]:
    editor = Editor(
        chromium,
        page_file,
        160,
        viewport={"width": 390, "height": 800},
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
    )
    yield editor
    editor.close()


def test_drag_by_a_finger(phone: Editor) -> None:
    page = phone.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    touch = phone.context.new_cdp_session(page)

    def send(kind: str, *point: float) -> None:
        x, y = phone.at(*point) if point else (0, 0)
        points = [{"x": x, "y": y}] if point else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", 35, 50)
    send("touchMove", 40, 55)
    send("touchMove", 65, 41)
    send("touchEnd")
    move = {"op": "move", "object": "box-0", "dx": 30, "dy": -9}
    phone.check([move])
    assert page.evaluate("scrollY") == 0
    for name in ("Move left", "Hide"):
        tap_until_it_shows(phone, name)
    phone.check([{**move, "dx": 29}, {"op": "hide", "object": "box-0"}])


def tap_until_it_shows(phone: Editor, name: str) -> None:
    """Tap a button; once more if the picture stays: Chromium swallows a tap that ends a fling."""
    before = phone.pixels()
    for _ in range(2):
        phone.page.get_by_role("button", name=name, exact=True).tap()
        for _ in range(20):
            if not np.array_equal(phone.pixels(), before):
                return
            phone.page.wait_for_timeout(100)
    raise AssertionError(f"{name}: two taps change nothing")

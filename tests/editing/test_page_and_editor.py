"""The HTML page and ``SceneEditor``: the same edits give the same picture, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deocclusion_d2.editing import SceneEditor, apply_edits, write_scene_page
from deocclusion_d2.structures import LayeredScene
from tests.editing.page_editor import PageEditor
from tests.editing.scenes import circle, tangle

SCENES = {"circle": circle, "tangle": lambda: tangle(3)}


@pytest.fixture(params=SCENES)
def opened(
    request: pytest.FixtureRequest, chromium: Any, tmp_path: Path
) -> Iterator[tuple[PageEditor, LayeredScene, np.ndarray]]:
    """The page of a scene with objects that hide each other in a circle, the scene, its photo."""
    scene, photo = SCENES[request.param]()
    assert any(len(cycle) >= 3 for cycle in scene.graph.cycles())
    write_scene_page(scene, tmp_path / "scene.html")
    view = {"width": 1200, "height": 800}
    page = PageEditor(chromium, tmp_path / "scene.html", scene.width, viewport=view)
    yield page, scene, photo
    page.close()


def do_something(page: PageEditor, scene: LayeredScene, random: np.random.Generator) -> None:
    """One thing that a user can do; most of them are edits."""

    def point() -> tuple[int, int]:
        return int(random.integers(scene.width)), int(random.integers(scene.height))

    names = page.stack()
    action = random.choice(
        ["drag", "nudge", "pair", "all", "hide", "delete", "undo", "redo", "reset"],
        p=[0.2, 0.16, 0.2, 0.1, 0.1, 0.04, 0.1, 0.08, 0.02],
    )
    if action == "drag":
        page.drag(point(), point())
    elif action in ("undo", "redo", "reset"):
        page.press({"undo": "Control+z", "redo": "Control+Shift+z", "reset": "r"}[action])
    elif names:
        page.choose(str(random.choice(names)))
        page.press(
            {
                "nudge": str(random.choice(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"])),
                "pair": str(random.choice(["]", "["])),
                "all": str(random.choice(["Shift+BracketRight", "Shift+BracketLeft"])),
                "hide": "h",
                "delete": "Delete",
            }[str(action)]
        )


def test_random_edits(opened: tuple[PageEditor, LayeredScene, np.ndarray]) -> None:
    page, scene, photo = opened
    np.testing.assert_array_equal(page.pixels(), photo)
    random = np.random.default_rng(1)
    done = []
    for _ in range(20):
        do_something(page, scene, random)
        edits = page.script()
        editor = SceneEditor(scene)
        apply_edits(editor, edits)
        np.testing.assert_array_equal(page.pixels(), editor.compose(), str(edits))
        assert page.stack() == editor.names
        done += [edit["op"] for edit in edits[-1:]]
    assert {"move", "in_front", "behind", "hide", "delete"} <= set(done)


@pytest.mark.parametrize("opened", ["circle"], indirect=True)
def test_an_order_set_by_hand_counts_for_more_than_the_photo(
    opened: tuple[PageEditor, LayeredScene, np.ndarray],
) -> None:
    """a hides b already; set by hand, it does so also where the photo shows b."""
    page, scene, photo = opened
    page.choose("a")
    page.press("Shift+BracketRight", "Delete", "Control+z")
    a, b = (layer.amodal_mask.to_array(24, 40) for layer in scene.layers[:2])
    hidden = a & b & ~scene.layers[0].modal_mask.to_array(24, 40)
    assert hidden.sum() > 20
    layer = scene.layers[0]
    whole = np.zeros((24, 40, 3), np.uint8)
    h, w = layer.rgba.shape[:2]
    whole[layer.y0 : layer.y0 + h, layer.x0 : layer.x0 + w] = layer.rgba[..., :3]
    np.testing.assert_array_equal(page.pixels(), np.where(a[..., None], whole, photo))
    page.press("Control+z")
    np.testing.assert_array_equal(page.pixels(), photo)
    # Without c no edge changes and no object moves, but the photo is not asked any more.
    page.choose("c")
    page.press("Delete")
    page.choose("a")
    before = page.pixels()
    page.press("Shift+BracketRight")
    after = page.pixels()
    np.testing.assert_array_equal(after[a], whole[a])
    assert (before[hidden & b] != after[hidden & b]).any(axis=1).sum() > 20

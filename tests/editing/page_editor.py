"""Drives the HTML page in a browser, by what a user can do."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from deocclusion_d2.editing import read_edit_script
from deocclusion_d2.editing.scene_editor import SCRIPT_VERSION


class PageEditor:
    """A page opened from disk, as a user sees it.

    Args:
        browser: of playwright.
        path: what ``write_scene_page`` wrote.
        width: the scene's, in pixels.
        device: how large the window is, and so on; for ``Browser.new_context``.
    """

    def __init__(self, browser: Any, path: Path, width: int, **device: Any) -> None:
        self.width = width
        self.context = browser.new_context(accept_downloads=True, offline=True, **device)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("#objects li")

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8, the canvas."""
        uri = self.page.evaluate("document.getElementById('picture').toDataURL('image/png')")
        with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
            return np.array(image.convert("RGB"))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen the middle of an image pixel is."""
        box = self.page.locator("#picture").bounding_box()
        scale = box["width"] / self.width
        return box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale

    def drag(self, start: tuple[int, int], end: tuple[int, int], drop: bool = True) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down()
        mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        mouse.move(*self.at(*end))
        if drop:
            mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def choose(self, name: str) -> None:
        self.page.locator(f"[data-name='{name}'] .object").click()

    def stack(self) -> list[str]:
        """The list of objects, front to back."""
        return self.page.eval_on_selector_all(
            "#objects li", "rows => rows.map(r => r.dataset.name)"
        )

    def status(self) -> str:
        return self.page.get_by_role("status").inner_text()

    # Not by expressions: their text is evaluated again and again, which the page's policy forbids.
    def wait_for_status(self, part: str) -> None:
        expect(self.page.get_by_role("status")).to_contain_text(part)

    def wait_for_objects(self, count: int) -> None:
        expect(self.page.locator("#objects li")).to_have_count(count)

    def saved(self, button: str) -> Path:
        with self.page.expect_download() as download:
            self.click(button)
        path = Path(download.value.path())
        return path.rename(path.with_name(download.value.suggested_filename))

    def script(self) -> list[dict]:
        """The edits of the script that the page would save now.

        Not by saving it: a test may ask more often than the ten times a second after which
        Chromium drops downloads.
        """
        document = json.loads(self.page.evaluate("opened.then(editor => editor.script())"))
        assert document["version"] == SCRIPT_VERSION
        return document["edits"]

    def close(self) -> None:
        """It saves the script that it tells, nothing went wrong in it, and it asked for nothing
        from outside.
        """
        try:
            assert read_edit_script(self.saved("Save script")) == self.script()
        finally:
            self.context.close()
        assert self.errors == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in self.requests)

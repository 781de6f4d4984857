"""Whatever a file holds, a tool gives a result or one line; no input changes, nothing is half-made.

A longer search: ``FUZZ_EXAMPLES=20000 python -m pytest tests/fuzz``; it draws other examples each
time, where the suite's are the same always.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from unicodedata import category

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from deocclusion_d2.cli.convert_modal_to_amodal import main as convert
from deocclusion_d2.cli.deocclude import main as deocclude
from deocclusion_d2.cli.edit_scene import main as edit_scene
from deocclusion_d2.cli.visualize_deocclusion import main as visualize
from deocclusion_d2.data.datasets import load_dataset_dicts
from deocclusion_d2.errors import UserError
from tests.fuzz import strange

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
# Conversion says by 3 that there was nothing to do.
RESULT = (0, 3)


def fuzz(examples: int) -> settings:
    """Settings of a test: so many examples in the suite."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        # Finding the smallest failing input takes long; a longer search asks for it.
        phases=tuple(Phase) if EXAMPLES else (Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    """Gives an empty folder at every call: hypothesis calls a test many times."""
    made = iter(range(10**9))

    def new() -> Path:
        path = tmp_path / f"{next(made)}"
        path.mkdir()
        return path

    return new


def picture(number: int = 0) -> Image.Image:
    pixels = np.random.default_rng(number).integers(
        0, 256, (strange.HEIGHT, strange.WIDTH, 3), dtype=np.uint8
    )
    return Image.fromarray(pixels)


def outcome(
    tool: Callable[[list[str]], object], capsys, inputs: list[Path], *arguments: object
) -> int:
    """Run a tool; check that it ends well or in one line, and that its inputs are as they were.

    Returns:
        Its exit code.
    """
    before = {p: p.read_bytes() for path in inputs for p in _files(path)}
    capsys.readouterr()
    try:
        tool([str(a) for a in arguments])
        code = 0
    except SystemExit as stopped:
        code = stopped.code or 0
    assert {p: p.read_bytes() for path in inputs for p in _files(path)} == before
    said = capsys.readouterr().err.replace("\r", "\n").splitlines()
    errors = [line for line in said if line.startswith("error: ")]
    assert "Traceback" not in "\n".join(said)
    if code in RESULT:
        assert not errors
    else:
        assert code == 1 and len(errors) == 1 and said[-1] == errors[0], (code, said)
        # Nothing that moves the cursor, ends the line or turns what stands beside it.
        assert not [c for c in errors[0] if category(c) in ("Cc", "Cs", "Zl", "Zp")]
        assert not set(errors[0]) & set(
            "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        )
    return code


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def no_leftovers(folder: Path) -> None:
    assert [p for p in folder.rglob("*") if p.name.startswith(".")] == []


def _no_constants(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


@pytest.mark.parametrize("kind", strange.DOCUMENTS)
@fuzz(40)
@given(data=st.data())
def test_annotation_files(kind, folder, capsys, data):
    content = data.draw(strange.json_files(strange.DOCUMENTS[kind]()))
    here = folder()
    source, output = here / "in.json", here / "out" / "out.json"
    source.write_bytes(content)
    code = outcome(
        convert, capsys, [source], "--method", "convex_r", "--input", source, "--output", output
    )
    assert output.exists() == (code in RESULT)
    if code in RESULT:
        written = json.loads(output.read_text(), parse_constant=_no_constants)
        assert written["annotations"] is not None
        # What has been written can be read again, by everything.
        load_dataset_dicts(str(output), str(here), "pseudo_amodal")
        no_leftovers(output.parent)


@fuzz(40)
@given(data=st.data())
def test_readers_agree(folder, data):
    """What trains, converts, takes apart and draws reads a file alike, or refuses it."""
    kind = data.draw(st.sampled_from(sorted(strange.DOCUMENTS)))
    source = folder() / "in.json"
    source.write_bytes(data.draw(strange.json_files(strange.DOCUMENTS[kind]())))
    try:
        records = load_dataset_dicts(str(source), str(source.parent), kind)
    except UserError as error:
        assert "\n" not in str(error)
        return
    for record in records:
        assert record["height"] > 0 and record["width"] > 0
        for annotation in record["annotations"]:
            assert annotation["segmentation"]["size"] == [record["height"], record["width"]]


@fuzz(12)
@given(data=st.data())
def test_photos_and_masks_taken_apart(folder, capsys, data):
    here = folder()
    masks, photo = here / "masks.json", here / strange.PHOTO
    picture().save(photo)
    masks.write_text(json.dumps(strange.coco()))
    if data.draw(st.booleans()):
        masks.write_bytes(data.draw(strange.json_files(strange.coco())))
    else:
        photo.write_bytes(data.draw(strange.spoiled_bytes(photo.read_bytes())))
    output = here / "scene"
    code = outcome(
        deocclude, capsys, [masks, photo],
        "--image", photo, "--masks", masks, "--output", output, "--html", here / "page.html",
    )  # fmt: skip
    assert (output / "graph.json").is_file() == (code == 0)
    no_leftovers(here)


@fuzz(12)
@given(content=strange.json_files(strange.coco()))
def test_pictures_of_annotations(folder, capsys, content):
    here = folder()
    source = here / "in.json"
    source.write_bytes(content)
    picture().save(here / strange.PHOTO)
    outcome(
        visualize, capsys, [source, here / strange.PHOTO],
        "--method", "convex_r", "--input", source, "--image-root", here, "--output", here / "out",
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A decomposition."""
    here = tmp_path_factory.mktemp("scene")
    picture().save(here / strange.PHOTO)
    (here / "masks.json").write_text(json.dumps(strange.coco()))
    deocclude(
        ["--image", str(here / strange.PHOTO), "--masks", str(here / "masks.json"),
         "--output", str(here / "layers")]
    )  # fmt: skip
    return here / "layers"


@fuzz(25)
@given(content=strange.json_files(strange.edit_script()))
def test_edit_scripts(scene, folder, capsys, content):
    here = folder()
    script, output = here / "edits.json", here / "edited.png"
    script.write_bytes(content)
    code = outcome(
        edit_scene, capsys, [scene, script],
        "--scene", scene, "--script", script, "--output", output, "--save-scene", here / "saved",
    )  # fmt: skip
    assert output.exists() == (here / "saved").exists() == (code == 0)
    no_leftovers(here)


@fuzz(25)
@given(data=st.data())
def test_scene_folders(scene, folder, capsys, data):
    here = folder()
    files = {path.relative_to(scene): path.read_bytes() for path in _files(scene)}
    spoilt = data.draw(st.sampled_from(sorted(files)))
    if spoilt.suffix == ".json":
        files[spoilt] = data.draw(strange.json_files(json.loads(files[spoilt])))
    else:
        other = BytesIO()
        picture(1).convert(data.draw(st.sampled_from(["RGB", "RGBA", "L", "1"]))).save(other, "PNG")
        files[spoilt] = data.draw(
            st.one_of(strange.spoiled_bytes(files[spoilt]), st.just(other.getvalue()))
        )
    for path, content in files.items():
        (here / "scene" / path).parent.mkdir(parents=True, exist_ok=True)
        (here / "scene" / path).write_bytes(content)
    code = outcome(
        edit_scene, capsys, [here / "scene"],
        "--scene", here / "scene", "--output", here / "edited.png", "--html", here / "page.html",
    )  # fmt: skip
    assert (here / "edited.png").exists() == (here / "page.html").exists() == (code == 0)
    no_leftovers(here)

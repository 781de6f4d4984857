"""The examples of docs/EXTENDING.md, done as they stand: files written, code and commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "EXTENDING.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w/]+\.(?:py|toml|yaml))\n")

# Section -> what it prints, or leaves.
SHOWN = {
    "A baseline": ["|   Lower edge |", "written: by_lower_edge.json"],
    "A system": ["written: by_cut_net.json", "| Cut "],
    "An evaluator": ["{'hidden_area': {'found': "],
    "A data format": ["format seen (told from its keys)", "completion mIoU_sum"],
    "An output format": ["occluder,occludee,hidden share of the occludee\n"],
}
START = """\
import shlex
from deocclusion_d2.cli import main

def run(line):
    program, *arguments = shlex.split(line)
    assert program == "deocclusion-d2", line
    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise
"""


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    write_splits(folder, {"train": 2, "val": 2}, SyntheticKinsConfig(96, 320, 0), 1)
    return folder


def blocks(section: str) -> list[tuple[str, str]]:
    """(language, text) of the code blocks of a section."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (found,) = [part for part in text if part.startswith(f"{section}\n")]
    return BLOCK.findall(found)


def install(site: Path, project: str) -> None:
    """What installing a project does for its entry points."""
    metadata = tomllib.loads(project)["project"]
    folder = site / f"{metadata['name'].replace('-', '_')}-{metadata['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {metadata['name']}\nVersion: {metadata['version']}\n"
    )
    lines = []
    for group, entries in metadata["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


SLOW = [pytest.param(s, marks=pytest.mark.slow) if s == "A system" else s for s in SHOWN]


@pytest.mark.parametrize("section", SLOW)
def test_example(section: str, street: Path, tmp_path: Path) -> None:
    (tmp_path / "street").symlink_to(street)
    program = [START]
    for language, text in blocks(section):
        named = FILE.match(text)
        if named is None and language == "python":
            program.append(text)
        elif named is None:
            program += [f"run({line!r})" for line in text.replace("\\\n", " ").splitlines()]
        else:
            path = tmp_path / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            if path.name == "pyproject.toml":
                install(tmp_path, text)
    paths = [str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(program)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for expected in SHOWN[section]:
        assert expected in done.stdout

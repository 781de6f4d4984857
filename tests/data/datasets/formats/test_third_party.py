"""A format of somebody else's package, found by its entry point: no file of ours changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
MODULE = '''
from deocclusion_d2.data.datasets import CocoStyleFormat

class Streets(CocoStyleFormat):
    """Modal masks under "seen", amodal ones under "all"."""

    name = "streets"
    telling_keys = frozenset({"seen"})
    modal_key = "seen"
    amodal_key = "all"
    replaced_keys = {"all": "segmentation"}
    extra_keys = ("street",)
'''
# Of 4 x 6 pixels, column by column: the first column; the first two.
SEEN = {"size": [4, 6], "counts": [0, 4, 20]}
ALL = {"size": [4, 6], "counts": [0, 8, 16]}
DOCUMENT = {
    "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
    "categories": [{"id": 3, "name": "car"}],
    "annotations": [
        {"id": 8, "image_id": 1, "category_id": 3, "seen": SEEN, "all": ALL, "street": "High St"}
    ],
}
USE = """
import json, sys
from pathlib import Path
from detectron2.data import DatasetCatalog, MetadataCatalog
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.data.datasets import ensure_registered

folder = Path(sys.argv[1])
# Told from its keys, and named.
for format in (None, "streets"):
    job = ConversionJob(folder / "in.json", folder / "out.json", "raw", format, overwrite=True)
    convert(job)
name = ensure_registered(f"streets:{folder}/in.json")
(record,) = DatasetCatalog.get(name)
(annotation,) = record["annotations"]
kept = {k: annotation[k] for k in ("bbox", "street", "modal_segmentation")}
print(json.dumps([kept, MetadataCatalog.get(name).evaluator_type]))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder on the path with an installed package of a format."""
    site = tmp_path / "site"
    (site / "streets-1.dist-info").mkdir(parents=True)
    (site / "streets.py").write_text(MODULE)
    metadata = "Metadata-Version: 2.1\nName: streets\nVersion: 1\n"
    (site / "streets-1.dist-info/METADATA").write_text(metadata)
    entry_points = "[deocclusion_d2.formats]\nstreets = streets:Streets\n"
    (site / "streets-1.dist-info/entry_points.txt").write_text(entry_points)
    (tmp_path / "in.json").write_text(json.dumps(DOCUMENT))
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_it_is_converted_and_loaded(installed: Path, tmp_path: Path) -> None:
    done = run(installed, USE, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "format streets (told from its keys)" in done.stdout
    kept, evaluator_type = json.loads(done.stdout.splitlines()[-1])
    # Compressed, the runs 0 4 20 are "0", "4" and, as 20 takes two groups of 5 bits, "d0".
    assert kept == {
        "bbox": [0, 0, 2, 4],
        "street": "High St",
        "modal_segmentation": {"size": [4, 6], "counts": "04d0"},
    }
    assert evaluator_type == "amodal"
    (converted,) = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert converted["modal_segmentation"] == SEEN, "as it was given"
    # Method raw: the amodal mask is the modal one, also under the key of the true one.
    assert converted["segmentation"] == converted["all"] == {"size": [4, 6], "counts": "04d0"}
    assert (converted["id"], converted["street"]) == (8, "High St")


def test_a_name_of_ours_is_refused(installed: Path) -> None:
    (installed / "streets.py").write_text(MODULE.replace('"streets"', '"kins"'))
    code = (
        "from deocclusion_d2.data.datasets import get_format\n"
        "from deocclusion_d2.errors import one_line_errors\n"
        "with one_line_errors(): get_format('kins')\n"
    )
    done = run(installed, code)
    assert done.returncode == 1
    assert done.stderr == (
        "error: two annotation formats are named 'kins': "
        "deocclusion_d2.data.datasets.formats.kins.Kins and streets.Streets\n"
    )

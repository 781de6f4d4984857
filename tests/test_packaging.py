"""The packaging: metadata of setup.py, and the backend that builds Detectron2; no network."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import deocclusion_d2

ROOT = Path(__file__).resolve().parents[1]
BACKEND_DIR = ROOT / "third_party" / "detectron2"

# What the smallest source that every edit finds its place in holds.
OLD_NAMES = "a = np.bool, np.float, np.int, np.str\nb = Image.LINEAR\n"
OLD_EVALUATOR = (
    "from detectron2.evaluation.fast_eval_api import COCOeval_opt\n"
    "        self._use_fast_impl = use_fast_impl\n"
)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The backend module, cut off from the configuration of this machine's pip."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    spec = importlib.util.spec_from_file_location("d2_backend", BACKEND_DIR / "backend.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(backend: types.ModuleType, tmp_path: Path) -> Path:
    """A tiny source that looks like Detectron2's: it has all that the edits look for."""
    root = tmp_path / "pb1-detectron2-0.6"
    files = dict.fromkeys(backend.EDITS, OLD_NAMES + OLD_EVALUATOR)
    files |= {f"{folder}/__init__.py": "" for folder in backend.PROJECTS.values()}
    files |= {
        "LICENSE": "Apache License\n",
        "setup.py": "raise RuntimeError('upstream build file')\n",
        "detectron2/__init__.py": "",
        "detectron2/projects/__init__.py": "",
        "detectron2/model_zoo/__init__.py": "",
        "detectron2/model_zoo/configs/COCO/base.yaml": "VERSION: 2\n",
        "detectron2/model_zoo/configs/common/optim.py": "lr = 0.1\n",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return root


@pytest.fixture
def index(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index on disk, set as pip's, that serves ``source``; yields the archive."""
    folder = tmp_path / "simple" / "pb1-detectron2"
    folder.mkdir(parents=True)
    archive = folder / "pb1-detectron2-0.6.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, arcname=source.name)
    (folder / "index.html").write_text(f'<a href="{archive.name}">{archive.name}</a>', "utf-8")
    monkeypatch.setenv("PIP_INDEX_URL", folder.parent.as_uri())
    yield archive


def test_numpy_aliases_become_builtins(backend: types.ModuleType) -> None:
    text = "x.astype(np.bool), np.int, np.float, np.str\n"
    edited = backend.apply_edits("detectron2/data/build.py", text)
    assert edited == backend.NOTICE + "x.astype(bool), int, float, str\n"


def test_other_numpy_names_stay(backend: types.ModuleType) -> None:
    names = "np.bool_ np.int64 np.int_ np.float32 np.str_ np.interp xnp.bool np.floating"
    edited = backend.apply_edits("detectron2/data/build.py", f"np.bool {names}")
    assert edited == f"{backend.NOTICE}bool {names}"


def test_image_linear_becomes_bilinear(backend: types.ModuleType) -> None:
    path = "detectron2/data/transforms/transform.py"
    edited = backend.apply_edits(path, "interp=Image.LINEAR, Image.BILINEAR")
    assert edited == f"{backend.NOTICE}interp=Image.BILINEAR, Image.BILINEAR"


def test_edit_that_matches_nothing_is_an_error(backend: types.ModuleType) -> None:
    with pytest.raises(backend.BuildError, match=r"masks\.py: nothing matches") as error:
        backend.apply_edits("detectron2/structures/masks.py", "np.bool_ only")
    assert "\n" not in str(error.value)


def test_second_edit_of_a_file_that_matches_nothing_is_an_error(backend: types.ModuleType) -> None:
    first_only = OLD_EVALUATOR.splitlines(keepends=True)[0]
    with pytest.raises(backend.BuildError, match="_use_fast_impl"):
        backend.apply_edits("detectron2/evaluation/coco_evaluation.py", first_only)


def test_edit_source(backend: types.ModuleType, source: Path) -> None:
    backend.edit_source(source)
    for path in backend.EDITS:
        text = (source / path).read_text("utf-8")
        assert text.startswith(backend.NOTICE)
    evaluator = (source / "detectron2/evaluation/coco_evaluation.py").read_text("utf-8")
    assert "COCOeval_opt = COCOeval " in evaluator
    assert "fast_eval_api" not in evaluator
    assert "self._use_fast_impl = False" in evaluator
    assert "np.bool" not in (source / "detectron2/structures/masks.py").read_text("utf-8")
    assert (source / "detectron2/projects/point_rend/__init__.py").is_file()
    assert not (source / "setup.py").exists()


@pytest.mark.parametrize("missing", ["detectron2/data/build.py", "projects/DeepLab/deeplab"])
def test_missing_file_is_an_error(backend: types.ModuleType, source: Path, missing: str) -> None:
    (source / missing).rename(source / "elsewhere")
    with pytest.raises(backend.BuildError, match=f"^{missing}: no such"):
        backend.edit_source(source)


def test_stub_answers_the_environment_report_and_names_what_is_missing(
    backend: types.ModuleType,
) -> None:
    stub = types.ModuleType("detectron2._C")
    exec(backend.C_EXTENSION_STUB, stub.__dict__)
    assert "pure-Python" in stub.get_compiler_version()
    assert "pure-Python" in stub.get_cuda_version()
    assert stub.has_cuda() is False
    with pytest.raises(AttributeError, match=r"_C\.box_iou_rotated is a compiled operator"):
        stub.box_iou_rotated  # noqa: B018


def test_checksum(backend: types.ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(b"not Detectron2")
    backend.check_sha256(archive, hashlib.sha256(b"not Detectron2").hexdigest())
    with pytest.raises(backend.BuildError, match=rf"a\.tar\.gz: .* expected {backend.SHA256}"):
        backend.check_sha256(archive, backend.SHA256)


def test_unpack_refuses_two_top_folders(backend: types.ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "two.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("one/a.py", "two/b.py"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    (tmp_path / "out").mkdir()
    with pytest.raises(backend.BuildError, match="2 top folders"):
        backend.unpack(archive, tmp_path / "out")


def test_pip_config_precedence(backend: types.ModuleType) -> None:
    listing = (
        ":env:.index-url='https://env.example/simple'\n"
        "global.extra-index-url='https://one.example/simple https://two.example/simple'\n"
        "global.index-url='https://global.example/simple'\n"
        "global.timeout='5'\n"
        "global.proxy=''\n"
        "install.timeout='7'\n"
        "download.cert='/not/for/us.pem'\n"
        "a line that is no option\n"
    )
    assert backend.parse_pip_config(listing) == {
        "index-url": "https://env.example/simple",
        "extra-index-url": "https://one.example/simple https://two.example/simple",
        "timeout": "7",
    }


def test_index_settings(backend: types.ModuleType) -> None:
    assert backend.index_settings({}) == backend.IndexSettings(index_urls=(backend.DEFAULT_INDEX,))
    settings = backend.index_settings(
        {"index-url": "https://a/simple", "extra-index-url": "https://b https://c", "timeout": "3"}
    )
    assert settings.index_urls == ("https://a/simple", "https://b", "https://c")
    assert settings.timeout_s == 3.0
    offline = backend.index_settings({"no-index": "true", "find-links": "/wheels"})
    assert (offline.index_urls, offline.find_links) == ((), ("/wheels",))
    with pytest.raises(backend.BuildError, match="without find-links"):
        backend.index_settings({"no-index": "1"})
    with pytest.raises(backend.BuildError, match="'soon'"):
        backend.index_settings({"timeout": "soon"})


def test_pip_environment_is_read(
    backend: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://extra.example/simple")
    assert backend.read_pip_options()["extra-index-url"] == "https://extra.example/simple"


def test_pip_environment_is_read_without_pip(
    backend: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://only.example/simple")
    failed = subprocess.CompletedProcess([], returncode=1, stdout="", stderr="No module named pip")
    monkeypatch.setattr(backend.subprocess, "run", lambda *args, **kwargs: failed)
    assert backend.read_pip_options()["index-url"] == "https://only.example/simple"


def test_credentials_are_redacted(backend: types.ModuleType) -> None:
    assert backend.redact("at https://me:secret@host/x@y") == "at https://****@host/x@y"


@pytest.mark.filterwarnings("ignore:(?s).*detectron2.model_zoo.configs")  # data, not packages
def test_wheel_from_an_index(
    backend: types.ModuleType, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "SHA256", hashlib.sha256(index.read_bytes()).hexdigest())
    before = Path.cwd()
    name = backend.build_wheel(str(tmp_path))
    assert Path.cwd() == before
    assert name == "detectron2-0.6-py3-none-any.whl"
    with zipfile.ZipFile(tmp_path / name) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read("detectron2-0.6.dist-info/METADATA").decode()
    assert {
        "detectron2/_C.py",
        "detectron2/model_zoo/configs/COCO/base.yaml",
        "detectron2/model_zoo/configs/common/optim.py",
        "detectron2/projects/panoptic_deeplab/__init__.py",
        "detectron2-0.6.dist-info/licenses/LICENSE",
    } <= names
    assert not any(name.startswith("projects/") for name in names)
    required = set(re.findall(r"^Requires-Dist: ([\w-]+)", metadata, re.MULTILINE))
    assert {"fvcore", "iopath", "pycocotools", "setuptools", "torch", "torchvision"} <= required
    assert required.isdisjoint({"black", "future", "pydot", "opencv-python"})


def test_wheel_from_another_archive_is_refused(
    backend: types.ModuleType, index: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=rf"^detectron2: {index.name}: SHA-256 is "):
        backend.build_wheel(str(tmp_path))
    assert not list(tmp_path.glob("*.whl"))


def test_index_without_the_source_is_an_error(
    backend: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", tmp_path.as_uri())
    with pytest.raises(SystemExit, match="^detectron2: no source distribution of pb1-detectron2"):
        backend.build_wheel(str(tmp_path))


def test_source_distribution_is_not_built(backend: types.ModuleType, tmp_path: Path) -> None:
    with pytest.raises(backend.BuildError, match="only wheels"):
        backend.build_sdist(str(tmp_path))


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> importlib.metadata.PackageMetadata:
    """What setup.py says, as an installer would see it."""
    folder = tmp_path_factory.mktemp("egg")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return importlib.metadata.PathDistribution(folder / "deocclusion_d2.egg-info").metadata


def test_metadata(metadata: importlib.metadata.PackageMetadata) -> None:
    assert metadata["Name"].replace("-", "_") == "deocclusion_d2"
    assert metadata["Version"] == deocclusion_d2.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"


def test_requirements_leave_the_users_builds_alone(
    metadata: importlib.metadata.PackageMetadata,
) -> None:
    requirements = metadata.get_all("Requires-Dist")
    always = {re.split(r"[^\w-]", line)[0] for line in requirements if "extra ==" not in line}
    assert {"torch", "numpy", "fvcore", "pycocotools", "shapely", "networkx"} <= always
    assert always.isdisjoint({"detectron2", "torchvision", "opencv-python-headless"})
    assert not any(line.startswith("torch==") for line in requirements)


def test_constraints_pin_every_requirement(metadata: importlib.metadata.PackageMetadata) -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[\w.-]+==[\w.]+( ; .+)?$", line) for line in pins)
    pinned = {line.split("==")[0].lower() for line in pins}
    required = {re.split(r"[^\w-]", line)[0].lower() for line in metadata.get_all("Requires-Dist")}
    assert required <= pinned
    assert {"torch==2.14.1", "torchvision==0.29.1"} <= set(pins)

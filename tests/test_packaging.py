"""The packaging: metadata of setup.py, and the backend that builds Detectron2; no network."""

from __future__ import annotations

import configparser
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import deocclusion_d2
from deocclusion_d2.evaluation.coco_api import OLDEST_HOTCOCO

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
    assert metadata["Requires-Python"] == ">=3.11"
    versions = metadata["Requires-Python"].removeprefix(">=")
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'target-version = "py{versions.replace(".", "")}"' in settings


def test_requirements_leave_the_users_builds_alone(
    metadata: importlib.metadata.PackageMetadata,
) -> None:
    requirements = metadata.get_all("Requires-Dist")
    always = {re.split(r"[^\w-]", line)[0] for line in requirements if "extra ==" not in line}
    assert {"torch", "numpy", "fvcore", "pycocotools", "shapely", "networkx"} <= always
    assert always.isdisjoint({"detectron2", "torchvision", "opencv-python-headless"})
    assert not any(line.startswith("torch==") for line in requirements)


def test_constraints_pin_every_requirement(metadata: importlib.metadata.PackageMetadata) -> None:
    pins = read_pins("constraints.txt")
    assert set(lower_bounds(metadata)) <= {name for name, _ in pins}
    assert {("torch", "2.14.1"), ("torchvision", "0.29.1")} <= pins


def test_floors_are_those_of_setup(metadata: importlib.metadata.PackageMetadata) -> None:
    tools = lower_bounds(metadata, extra="dev")
    bounds = {name: b for name, b in lower_bounds(metadata).items() if name not in tools}
    floors = dict(read_pins("floors.txt"))
    assert floors.pop("torchvision") == "0.19"  # not in setup.py; the release that goes with torch
    assert floors == bounds
    assert (bounds["torch"], bounds["numpy"]) == ("2.4", "1.26")


def test_the_oldest_hotcoco_is_that_of_setup(metadata: importlib.metadata.PackageMetadata) -> None:
    """What is installed may be older than what the extra asks for."""
    oldest = ".".join(map(str, OLDEST_HOTCOCO))
    for extra in ("fast", "dev"):
        assert lower_bounds(metadata, extra)["hotcoco"] == oldest


def read_pins(file: str) -> set[tuple[str, str]]:
    """(name in lower case, version) of all lines of a file of pins."""
    lines = (ROOT / file).read_text("utf-8").splitlines()
    found = [re.match(r"([\w.-]+)==([\w.]+)( ; .+)?$", x) for x in lines if x and x[0] != "#"]
    assert found and None not in found
    return {(pin[1].lower(), pin[2]) for pin in found if pin is not None}


def lower_bounds(
    metadata: importlib.metadata.PackageMetadata, extra: str | None = None
) -> dict[str, str]:
    """Name in lower case -> the oldest version allowed, of all requirements or of one extra's."""
    lines = metadata.get_all("Requires-Dist") or []
    if extra is not None:
        lines = [line for line in lines if line.endswith(f'extra == "{extra}"')]
    names = [re.match(r"[\w.-]+", line) for line in lines]
    bounds = [re.search(r">=([\w.]+)", line) for line in lines]
    assert None not in bounds
    return {name[0].lower(): b[1] for name, b in zip(names, bounds, strict=True) if name and b}


# -------------------------------------------------------------------- the wheel of this package


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from, so that building leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder)
    for name in ("deocclusion_d2", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--quiet", "--wheel-dir", str(folder), str(project)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what an installation of the wheel puts beside other packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_from_wheel(unpacked: Path, empty: Path, *arguments: str) -> str:
    """What a Python prints that is run in an empty folder and sees the wheel, not the checkout."""
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=empty, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_wheel_holds_the_package_and_its_configs(project: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    read = {path.relative_to(project) for path in project.glob("deocclusion_d2/**/*.*")}
    read |= {"deocclusion_d2" / p.relative_to(project) for p in project.glob("configs/**/*.yaml")}
    assert names == {path.as_posix() for path in read}
    assert {
        "deocclusion_d2/configs/pcnet_m_kins.yaml",
        "deocclusion_d2/configs/quick_schedules/pcnet_m_kins_quick.yaml",
        "deocclusion_d2/editing/page/page.html",
    } <= names


def test_source_distribution_holds_the_configs(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(tmp_path)]
    command += ["sdist", "--dist-dir", str(tmp_path)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    configs = {path.relative_to(project).as_posix() for path in project.glob("configs/**/*.yaml")}
    assert configs | {"setup.py", "pyproject.toml", "deocclusion_d2/version.py"} <= names


def test_console_script(unpacked: Path, tmp_path: Path) -> None:
    (file,) = unpacked.glob("*.dist-info/entry_points.txt")
    entries = configparser.ConfigParser()
    entries.read(file, "utf-8")
    assert dict(entries["console_scripts"]) == {"deocclusion-d2": "deocclusion_d2.cli:main"}
    code = "from deocclusion_d2.cli import main; main(['--version'])"
    printed = run_from_wheel(unpacked, tmp_path, "-c", code)
    assert printed == f"deocclusion_d2 {deocclusion_d2.__version__}\n"


def test_configs_are_found_in_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    code = """
import deocclusion_d2 as d2o
names = "pcnet_m_kins", "configs/quick_schedules/pcnet_m_kins_quick.yaml", "pcnet_c_coco.yaml"
for name in names:
    print(d2o.find_config(name))
# From the config that its _BASE_ names, in the folder above.
print(d2o.load_config("pcnet_m_plus_kins_quick").MODEL.META_ARCHITECTURE)
"""
    *found, meta_architecture = run_from_wheel(unpacked, tmp_path, "-c", code).splitlines()
    folder = unpacked / "deocclusion_d2" / "configs"
    files = ["pcnet_m_kins.yaml", "quick_schedules/pcnet_m_kins_quick.yaml", "pcnet_c_coco.yaml"]
    assert found == [str(folder / file) for file in files]
    assert meta_architecture == "PCNetM"


def test_a_rule_of_the_wheel_converts_without_torch(unpacked: Path, tmp_path: Path) -> None:
    square = [[2, 2, 9, 2, 9, 9, 2, 9]]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": square}
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 12, "width": 16}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [annotation | {"bbox": [2, 2, 7, 7], "area": 49, "iscrowd": 0}],
    }
    (tmp_path / "modal.json").write_text(json.dumps(document), "utf-8")
    code = """
import atexit, sys
from deocclusion_d2.cli import main
heavy = {"torch", "torchvision", "detectron2"}
atexit.register(lambda: print("loaded:", sorted(heavy & set(sys.modules))))
main("convert --method convex_r --input modal.json --output amodal.json".split())
"""
    printed = run_from_wheel(unpacked, tmp_path, "-c", code)
    assert printed.splitlines()[-1] == "loaded: []"
    converted = json.loads((tmp_path / "amodal.json").read_text("utf-8"))
    assert [entry["id"] for entry in converted["annotations"]] == [1]

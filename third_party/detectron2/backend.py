"""PEP 517 backend that builds a pure-Python ``detectron2`` wheel from the package index.

Detectron2 is not on the package index under its own name. The source distribution named by
:data:`REQUIREMENT` holds the Python files of release v0.6, without the C++ sources, so its own
``setup.py`` cannot build. This backend finds and downloads that file through the index configured
for pip, refuses it unless its SHA-256 is :data:`SHA256`, applies :data:`EDITS`, adds ``_C.py`` and
lets setuptools build the result with the metadata of the ``pyproject.toml`` beside this file.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REQUIREMENT = "pb1-detectron2==0.6"
SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"
DEFAULT_INDEX = "https://pypi.org/simple/"
TIMEOUT_S = 60.0

# Where the projects that upstream's wheel installs as detectron2.projects.<name> lie in the source.
PROJECTS = {
    "point_rend": "projects/PointRend/point_rend",
    "deeplab": "projects/DeepLab/deeplab",
    "panoptic_deeplab": "projects/Panoptic-DeepLab/panoptic_deeplab",
}


class BuildError(RuntimeError):
    """The wheel cannot be built; the message is one line that says why."""


@dataclass(frozen=True)
class Edit:
    """One substitution, made everywhere in a file.

    Attributes:
        pattern: Regular expression; it must match at least once.
        replacement: What :func:`re.sub` puts in its place.
    """

    pattern: str
    replacement: str


# Aliases of builtins that NumPy 1.24 removed; np.bool_, np.int64, np.float32... keep their names.
NUMPY_ALIASES = Edit(r"\bnp\.(bool|float|int|str)\b", r"\1")

# File, relative to the root of the source -> what to change in it.
EDITS: dict[str, tuple[Edit, ...]] = {
    "detectron2/data/build.py": (NUMPY_ALIASES,),
    "detectron2/data/datasets/pascal_voc.py": (NUMPY_ALIASES,),
    # Pillow 10 removed Image.LINEAR, which had been another name of BILINEAR.
    "detectron2/data/transforms/transform.py": (Edit(r"\bImage\.LINEAR\b", "Image.BILINEAR"),),
    # The fast COCO evaluator is compiled code: use pycocotools' instead, as later versions of
    # Detectron2 do where it is not built, and let the evaluator's log say so.
    "detectron2/evaluation/coco_evaluation.py": (
        Edit(
            r"from detectron2\.evaluation\.fast_eval_api import COCOeval_opt\n",
            "COCOeval_opt = COCOeval  # the fast evaluator is not built\n",
        ),
        Edit(
            r"self\._use_fast_impl = use_fast_impl\b",
            "self._use_fast_impl = False  # the fast evaluator is not built",
        ),
    ),
    "detectron2/evaluation/pascal_voc_evaluation.py": (NUMPY_ALIASES,),
    "detectron2/evaluation/sem_seg_evaluation.py": (NUMPY_ALIASES,),
    "detectron2/structures/masks.py": (NUMPY_ALIASES,),
    "detectron2/utils/video_visualizer.py": (NUMPY_ALIASES,),
    "detectron2/utils/visualizer.py": (NUMPY_ALIASES,),
}

# Detectron2's licence asks that changed files say so.
NOTICE = "# Modified from Detectron2 v0.6 by deocclusion_d2's third_party/detectron2/backend.py.\n"

# Several modules import detectron2._C on import, and default_setup()'s report on the environment
# calls its first three functions, so an entirely empty module would not do.
C_EXTENSION_STUB = '''\
"""Stands in for Detectron2's compiled operators, which this pure-Python build leaves out."""


def get_compiler_version() -> str:
    return "none (pure-Python build)"


def get_cuda_version() -> str:
    return "none (pure-Python build)"


def has_cuda() -> bool:
    return False


def __getattr__(name: str):
    raise AttributeError(
        f"detectron2._C.{name} is a compiled operator, which this pure-Python build of Detectron2 "
        "leaves out (rotated boxes, deformable convolutions, the fast COCO evaluator)"
    )
'''


def apply_edits(path: str, text: str) -> str:
    """Make the edits that :data:`EDITS` lists for one file.

    Args:
        path: Key into :data:`EDITS`.
        text: The whole file.

    Returns:
        The edited text, headed by a notice that it was changed.

    Raises:
        BuildError: The pattern of an edit does not occur in the text.
    """
    for edit in EDITS[path]:
        text, count = re.subn(edit.pattern, edit.replacement, text)
        if not count:
            raise BuildError(f"{path}: nothing matches {edit.pattern!r}; is this Detectron2 0.6?")
    return NOTICE + text


def edit_source(root: Path) -> None:
    """Turn the unpacked source into one that builds and runs without C++ code.

    Args:
        root: Directory that holds the ``detectron2`` and ``projects`` folders; changed in place.

    Raises:
        BuildError: A file or a text that an edit needs is not there.
    """
    for path in EDITS:
        file = root / path
        if not file.is_file():
            raise BuildError(f"{path}: no such file in the source; is this Detectron2 0.6?")
        file.write_text(apply_edits(path, file.read_text("utf-8")), "utf-8")
    (root / "detectron2" / "_C.py").write_text(C_EXTENSION_STUB, "utf-8")
    for name, folder in PROJECTS.items():
        if not (root / folder).is_dir():
            raise BuildError(f"{folder}: no such package in the source; is this Detectron2 0.6?")
        shutil.move(root / folder, root / "detectron2" / "projects" / name)
    for upstream_build_file in ("setup.py", "setup.cfg"):
        (root / upstream_build_file).unlink(missing_ok=True)


def check_sha256(archive: Path, expected: str) -> None:
    """Refuse a file that is not the expected one.

    Args:
        archive: The downloaded file.
        expected: Its SHA-256, in hexadecimal.

    Raises:
        BuildError: The checksum differs.
    """
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != expected:
        raise BuildError(f"{archive.name}: SHA-256 is {actual}, expected {expected}; not used")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a source distribution.

    Args:
        archive: A ``.tar.gz`` that holds one top folder, already checked to be the expected file.
        folder: Existing directory to unpack into.

    Returns:
        The top folder.

    Raises:
        BuildError: The archive does not hold exactly one top folder.
    """
    with tarfile.open(archive, "r:gz") as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:  # Python 3.11.0 to 3.11.3
            tar.extractall(folder)
    tops = list(folder.iterdir())
    if len(tops) != 1:
        raise BuildError(f"{archive.name}: holds {len(tops)} top folders, expected 1")
    return tops[0]


@dataclass(frozen=True)
class IndexSettings:
    """Where and how to look for packages; the fields are pip's options of the same names."""

    index_urls: tuple[str, ...] = (DEFAULT_INDEX,)
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None
    timeout_s: float = TIMEOUT_S


def parse_pip_config(listing: str) -> dict[str, str]:
    """Read the output of ``pip config list``.

    Args:
        listing: Lines such as ``global.index-url='https://...'`` and ``:env:.cert='...'``.

    Returns:
        Value of every option, without its section: environment variables win over the ``install``
        section, which wins over the ``global`` one. Empty values are left out.
    """
    options: dict[str, str] = {}
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        name, equals, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if equals and section in sections:
            with contextlib.suppress(SyntaxError, ValueError):
                sections[section][option] = str(ast.literal_eval(value))
    for section in sections.values():
        options |= {option: value for option, value in section.items() if value.strip()}
    return options


def index_settings(options: Mapping[str, str]) -> IndexSettings:
    """Pick what concerns the search for packages out of pip's options.

    Args:
        options: As :func:`parse_pip_config` returns.

    Returns:
        The settings, with PyPI as the index if none is configured.

    Raises:
        BuildError: pip is told to use no index and no other place to look, or its timeout is not a
            number.
    """
    index_urls = (
        options.get("index-url", DEFAULT_INDEX),
        *options.get("extra-index-url", "").split(),
    )
    find_links = tuple(options.get("find-links", "").split())
    if options.get("no-index", "").lower() in {"1", "true", "yes", "on", "y", "t"}:
        if not find_links:
            raise BuildError("pip is configured with no-index and without find-links")
        index_urls = ()
    timeout = options.get("default-timeout", options.get("timeout", str(TIMEOUT_S)))
    try:
        timeout_s = float(timeout)
    except ValueError:
        raise BuildError(f"pip's timeout is {timeout!r}, not a number of seconds") from None
    return IndexSettings(
        index_urls=index_urls,
        find_links=find_links,
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
        cert=options.get("cert"),
        proxy=options.get("proxy"),
        timeout_s=timeout_s,
    )


def read_pip_options() -> dict[str, str]:
    """Ask pip for its configuration: its files and its ``PIP_*`` environment variables.

    Where pip cannot be asked (another installer runs this build), the variables alone count.
    Options on pip's command line are unknown here.

    Returns:
        Options without the leading dashes, and their values.
    """
    # -I: within a build, PYTHONPATH hides the pip of this interpreter.
    command = [sys.executable, "-I", "-m", "pip", "config", "list"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return parse_pip_config(result.stdout)
    prefix = "PIP_"
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value.strip()
    }


def redact(text: object) -> str:
    """Hide the user name and password of URLs, as an index's URL may hold them."""
    return re.sub(r"(?<=://)[^/@\s]+@", "****@", str(text))


def download(settings: IndexSettings, folder: Path) -> Path:
    """Find the source distribution by name and download it.

    Args:
        settings: Where to look.
        folder: Existing directory to put the file into.

    Returns:
        The downloaded file. Its checksum is not checked yet.

    Raises:
        BuildError: No index has it, or it cannot be downloaded.
    """
    # Imported here because only the isolated build environment is sure to have it.
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    options: dict[str, Any] = {"timeout": settings.timeout_s, "follow_redirects": True}
    try:
        if settings.cert:
            options["verify"] = ssl.create_default_context(cafile=settings.cert)
        if settings.proxy:
            options["proxy"] = settings.proxy
        with PyPIClient(trusted_hosts=settings.trusted_hosts, **options) as session:
            session.auth = MultiDomainBasicAuth(prompting=False, index_urls=settings.index_urls)
            finder = PackageFinder(
                session=session,
                index_urls=settings.index_urls,
                find_links=settings.find_links,
                trusted_hosts=settings.trusted_hosts,
                no_binary=[":all:"],
            )
            best = finder.find_best_match(REQUIREMENT).best
            if best is None:
                places = " ".join(settings.index_urls + settings.find_links)
                raise BuildError(redact(f"no source distribution of {REQUIREMENT} at {places}"))
            archive = folder / best.link.filename
            with session.get_stream(best.link.normalized) as response, archive.open("wb") as file:
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    file.write(chunk)
            return archive
    except BuildError:
        raise
    except Exception as error:  # the HTTP client and its errors differ between versions of unearth
        raise BuildError(redact(f"cannot download {REQUIREMENT}: {error}")) from error


def prepare_source(work: Path) -> Path:
    """Download, check, unpack and edit the source.

    Args:
        work: Empty directory to work in.

    Returns:
        Directory that setuptools can build.

    Raises:
        BuildError: Any of these steps failed.
    """
    (work / "download").mkdir()
    (work / "source").mkdir()
    archive = download(index_settings(read_pip_options()), work / "download")
    check_sha256(archive, SHA256)
    root = unpack(archive, work / "source")
    edit_source(root)
    shutil.copy(HERE / "pyproject.toml", root)
    return root


# The hooks that build front ends call: https://peps.python.org/pep-0517/


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the wheel (PEP 517 hook).

    Args:
        wheel_directory: Where to put it.
        config_settings: Passed on to setuptools.
        metadata_directory: Not used.

    Returns:
        The wheel's file name.

    Raises:
        SystemExit: The wheel cannot be built; the message is one line.
    """
    from setuptools import build_meta

    target = str(Path(wheel_directory).resolve())
    with tempfile.TemporaryDirectory(prefix="detectron2-") as work:
        try:
            root = prepare_source(Path(work))
        except BuildError as error:
            sys.exit(f"detectron2: {error}")
        back = Path.cwd()
        os.chdir(root)
        try:
            return build_meta.build_wheel(target, config_settings)
        finally:
            os.chdir(back)


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Refuse to build a source distribution: it is on the package index already (PEP 517 hook).

    Args:
        sdist_directory: Not used.
        config_settings: Not used.

    Raises:
        BuildError: Always.
    """
    raise BuildError(f"only wheels are built here; {REQUIREMENT} is the source distribution")

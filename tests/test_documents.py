"""The documents: figures made of their files, lines, links, paths, options, keys, code."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from deocclusion_d2 import load_config
from deocclusion_d2.cli import COMMANDS
from deocclusion_d2.config import flatten
from deocclusion_d2.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (".", "benchmarks", "datasets", "docs", "third_party/*")
    for path in ROOT.glob(f"{folder}/*.md")
)
LONGEST_LINE = 120
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Words in capitals that are no config keys.
NO_KEYS = re.compile(
    r"RESULTS_JSON|IMAGE_ROOT|DETECTRON2_DATASETS|CONFIG_C|W_C|PIP_\w+|G?OMP_\w+|MASTER_\w+|RAY_\w+"
)
# Examples bring their own; tests/test_extending.py runs them.
EXAMPLES = "docs/EXTENDING.md"

documents = pytest.mark.parametrize("name", DOCUMENTS)


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def prose_of(name: str) -> str:
    return FENCE.sub("", text_of(name))


def inline_code(name: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose_of(name))


def code_of(name: str) -> Iterator[str]:
    """Code blocks and code in lines."""
    yield from (text for _, text in FENCE.findall(text_of(name)))
    yield from inline_code(name)


def commands(name: str) -> Iterator[list[str]]:
    """The words of every command in code blocks."""
    for _, block in FENCE.findall(text_of(name)):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith(("python ", "deocclusion-d2 ", "make ", "pip ")):
                yield shlex.split(line, comments=True)


def test_documents_are_found():
    assert {"README.md", "docs/RESULTS.md", "datasets/README.md"} <= set(DOCUMENTS)
    assert sum(1 for name in DOCUMENTS for _ in commands(name)) > 60


# -------------------------------------------------------------------- figures


def test_tables_are_those_of_the_figures():
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs/make_results.py")
    make_results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_results)
    page = text_of("docs/RESULTS.md")
    assert make_results.regenerated(page) == page, "run docs/make_results.py"
    shown = [part[2] for part in make_results.PART.finditer(page)]
    assert sorted(shown) == sorted(path.stem for path in (ROOT / "docs/results").glob("*.json"))


# -------------------------------------------------------------------- text


@documents
def test_lines_are_short(name):
    lines = enumerate(text_of(name).splitlines(), 1)
    assert [(n, len(line)) for n, line in lines if len(line) > LONGEST_LINE] == []


@documents
def test_links_lead_somewhere(name):
    text = prose_of(name)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    targets += re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    for target in targets:
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text("utf-8")), target
    used = re.findall(r"\]\[([^\]]+)\]", text)
    assert set(used) <= set(re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


FOLDERS = "configs|datasets|deocclusion_d2|tools|docs|benchmarks|tests|third_party"


@documents
def test_paths_exist(name):
    for code in code_of(name):
        for path in re.findall(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*{{}},<>-]+", code):
            # Data lie below datasets/ where no folder is named.
            if path.startswith("datasets/") and not path.endswith((".py", ".md")):
                continue
            pattern = re.sub(r"NAME|PROGRAM|<name>", "*", path.rstrip(".,"))
            for found in braces_of(pattern):
                assert list(ROOT.glob(found)), path


def braces_of(pattern: str) -> list[str]:
    """ "a{b,c}" -> "ab", "ac"."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if k % 2 else [part] for k, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


@documents
def test_python_compiles(name):
    for language, block in FENCE.findall(text_of(name)):
        if language == "python":
            compile(block, name, "exec")


# -------------------------------------------------------------------- commands


def program_of(words: list[str]) -> Path:
    """The program of a command."""
    if words[0] == "deocclusion-d2":
        return ROOT / "tools" / f"{COMMANDS[words[1]][0]}.py"
    return ROOT / words[1]


@cache
def options_of(program: Path) -> set[str]:
    """Those of its usage."""
    printed = io.StringIO()
    argv, sys.argv = sys.argv, [str(program), "--help"]
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            runpy.run_path(str(program), run_name="__main__")
    finally:
        sys.argv = argv
    usage = printed.getvalue().partition("\n\n")[0]
    return {"--help", *re.findall(r"--[a-z][\w-]*", usage)}


@documents
def test_commands_and_their_options_exist(name):
    for words in commands(name):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif words[0] != "pip":
            options = {word for word in words if word.startswith("--")}
            assert options <= options_of(program_of(words)), " ".join(words)


@documents
def test_options_in_the_text_exist(name):
    programs = [
        path
        for folder in ("tools", "datasets", "benchmarks")
        for path in (ROOT / folder).glob("*.py")
    ]
    known = {option for program in programs for option in options_of(program)}
    for code in inline_code(name):
        assert set(re.findall(r"(?<!\S)--[a-z][\w-]*", code)) <= known, code


@documents
def test_settings_of_commands_load(name):
    for words in commands(name):
        config = words[words.index("--config-file") + 1] if "--config-file" in words else ""
        if config in ("", "CONFIG") or name == EXAMPLES:
            continue
        keys = [k for k, word in enumerate(words) if re.fullmatch(r"[A-Z]+(\.\w+)+", word)]
        opts = [word for k in keys for word in words[k : k + 2]]
        try:
            load_config(config, opts)
        except UserError as error:
            pytest.fail(f"{' '.join(words)}: {error}")


# -------------------------------------------------------------------- config keys


@cache
def keys_and_nodes() -> set[str]:
    parts = [key.split(".") for key, _ in flatten(load_config(None))]
    return {".".join(p[:k]) for p in parts for k in range(1, len(p) + 1)}


@documents
def test_config_keys_exist(name):
    deprecated = load_config(None).key_is_deprecated
    last = {key.rpartition(".")[2] for key in keys_and_nodes()}
    for code in code_of(name):
        for key in re.findall(r"\b[A-Z][A-Z0-9_]+(?:\.[A-Z][A-Z0-9_]+)+\b(?![.*/])", code):
            assert key in keys_and_nodes() or deprecated(key) or name == EXAMPLES, key
    for code in inline_code(name):
        for key in re.findall(r"(?<![\w./$*])[A-Z]+(?:_[A-Z]+)+\b(?![*.])", code):
            assert key in last or NO_KEYS.fullmatch(key), key

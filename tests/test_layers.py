"""Imports go down the layers, and what belongs to one system is named in its folder alone.

The sources are read, not run: a violation is named by file and line. The names that a package's
face hands on (``attach``) are no imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from deocclusion_d2.config import flatten, load_config, own_keys
from deocclusion_d2.systems import STEP_KINDS, systems

PACKAGE = "deocclusion_d2"
ROOT = Path(__file__).resolve().parents[1] / PACKAGE

# Every layer may import those before it, and what lies below them all.
BELOW_ALL = (
    "errors",
    "faces",
    "files",
    "json_files",
    "launch",
    "launchers",
    "outputs",
    "progress",
    "registry",
    "unfinished",
    "version",
    "workers",
)
LAYERS = (
    "structures",
    "modeling",
    "data",
    "synthesis",
    "adapters",
    "inference",
    "evaluation",
    "visualization",
    "systems",
    "config",
    "pretrained",
    "chosen_steps",
    "methods",
    "deoccluder",
    "engine",
    "conversion",
    "decomposition",
    "experiments",
    "editing",
    "cli",
)


@dataclass(frozen=True)
class Source:
    """A module of the package.

    Attributes:
        module: its name.
        file: its path in the package.
        code: its text.
    """

    module: str
    file: str
    code: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.code)

    @property
    def layer(self) -> str:
        return layer_of(self.module)

    @property
    def system(self) -> str:
        return system_of_module(self.module)

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, module) of what it imports of the package, in functions too.

        Imports for annotations alone count: they too say what one has to know to read a module.
        """
        package = (
            self.module if self.file.endswith("__init__.py") else self.module.rpartition(".")[0]
        )
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")
                above = above[: len(above) + 1 - node.level] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                # What is no module is something in one.
                full = [f"{base}.{alias.name}" for alias in node.names]
                names = [name if name in sources() else base for name in full]
            else:
                continue
            for name in names:
                if name.split(".")[0] == PACKAGE:
                    yield node.lineno, name

    def wrong_imports(self) -> Iterator[str]:
        """One line for each that goes up, or into the folder of another system."""
        for line, module in self.imports():
            reason = wrong(self, module)
            if reason:
                yield f"{self.file}:{line} imports {module}: {reason}"


@cache
def sources() -> dict[str, Source]:
    """All modules of the package by name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT)
        parts = [PACKAGE, *file.with_suffix("").parts]
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[module] = Source(module, file.as_posix(), path.read_text("utf-8"))
    return found


def layer_of(module: str) -> str:
    """The layer, or what lies below all, that a module is in; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def system_of_module(module: str) -> str:
    """The system whose folder a module is in; "" for none."""
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["systems"] and len(parts) > 2 and parts[2] != "base" else ""


def wrong(source: Source, module: str) -> str:
    """Why a source may not import a module; "" if it may."""
    here, there = source.layer, layer_of(module)
    if system_of_module(module) not in ("", source.system):
        return f"only the system {system_of_module(module)!r} may"
    if not there:
        # The tools stand before it, as users do.
        return "" if here in ("", "cli") else "the front door stands for every layer"
    if here in BELOW_ALL:
        return "" if there in BELOW_ALL else f"{here} lies below all layers"
    if here and there not in BELOW_ALL and LAYERS.index(there) > LAYERS.index(here):
        return f"{there} lies above {here}"
    return ""


def test_every_module_is_in_a_layer():
    assert {source.layer for source in sources().values()} == {"", *BELOW_ALL, *LAYERS}


def test_imports_go_down_and_into_no_other_system():
    found = [line for source in sources().values() for line in source.wrong_imports()]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        ("data.new", "from ..engine.trainer import Trainer", "engine lies above data"),
        ("data.new", "from .. import deoccluder", "deoccluder lies above data"),
        ("data.new", "import deocclusion_d2.config", "config lies above data"),
        ("data.new", "from deocclusion_d2 import load_config", "the front door"),
        ("data.new", "def f():\n    from ..config import load_config", "new.py:2 imports"),
        ("data.new", "if TYPE_CHECKING:\n    from ..systems import System", "lies above data"),
        ("engine.new", "from ..systems.pcnet_m.steps import describe", "'pcnet_m' may"),
        ("engine.new", "from ..systems import pcnet_m", "'pcnet_m' may"),
        ("systems.order_net.new", "from ..pcnet_m import steps", "'pcnet_m' may"),
        ("systems.base", "from . import pcnet_m", "'pcnet_m' may"),
        ("files", "from .structures import Scene", "files lies below all"),
        # These are allowed.
        ("engine.new", "from ..systems import system_of\nfrom ..systems.base import Row", ""),
        ("systems.pcnet_m.new", "from . import steps\nfrom ..base import Row", ""),
        ("data.new", "from ..errors import UserError\nfrom . import loaders\nimport numpy", ""),
    ],
)
def test_wrong_imports_are_seen(module, code, message):
    file = module.replace(".", "/") + ".py"
    found = list(Source(f"{PACKAGE}.{module}", file, code).wrong_imports())
    assert len(found) == bool(message) and message in "".join(found)


# -------------------------------------------------------------------- names of systems

# Names that are words of their own: in English, in COCO's annotations.
WORDS = {
    "area",
    "baselines",
    "convex",
    "general",
    "raw",
    "smooth",
    "supervised",
    "Area",
    "Convex",
    "Raw",
    "Supervised",
}

# Programs of one system, or of one demonstration.
OF_ONE_SYSTEM = {
    "cli/demo.py",
    "cli/evaluate_erasures.py",
    "cli/fit_ordering_prior.py",
    "experiments/demo.py",
    "experiments/general_model.py",
}
# File -> names that it may say.
NAMED = {
    "cli/__init__.py": {"evaluate_erasures", "fit_ordering_prior"},  # programs, see above
    # What is used where nothing is named.
    "cli/sweep.py": {"OG"},
    "config.py": {"dual_completion", "og"},
    "data/detection.py": {"GeneralizedRCNN"},  # Detectron2's architectures
    "decomposition/job.py": {"pcnet_c"},  # a config that an error offers
    "experiments/sweep.py": {"OG"},
    "methods.py": {"y_axis"},
    # How Detectron2 calls the scalars of its heads.
    "experiments/trainings.py": {"mask_rcnn"},
    # OpenCV's method; the filler that an evaluation compares with, too.
    "inference/content/opencv.py": {"telea"},
    "inference/content/telea.py": {"telea"},
    # A painted polygon.
    "synthesis/street/masks.py": {"Patch"},
    "synthesis/street/render.py": {"Patch"},
    "synthesis/street/solids.py": {"Patch"},
    "synthesis/street/street_scene.py": {"Patch"},
}


@cache
def names_of_systems() -> dict[str, str]:
    """Name -> system that it belongs to: what the registry says, and the classes of its folder."""
    defaults = [key for key, _ in flatten(load_config(None))]
    found: dict[str, str] = {}
    for name, system in systems().items():
        own = {name, *system.exports, *(row.name for row in system.rows)}
        own |= {training.name for training in system.trainings}
        for kind in STEP_KINDS:
            for step_name, step in system.steps(kind).items():
                own |= {step_name, step.method, *step.aliases}
        if system.network is not None:
            own.add(system.network.meta_architecture)
        # Of its config keys the node that it adds, or the key where it adds no node.
        shared = {node for key in set(defaults) - own_keys(system) for node in key.split(".")}
        for key in own_keys(system):
            own.add(next((part for part in key.split(".") if part not in shared), ""))
        for source in sources().values():
            if source.system == name:
                own |= {n.name for n in source.tree.body if isinstance(n, ast.ClassDef)}
        found |= dict.fromkeys(own, name)
    return {name: s for name, s in found.items() if name and name not in WORDS}


def words_of(source: Source) -> Iterator[tuple[int, str]]:
    """(line, text) of the names and strings of a module's code.

    Docstrings are no code; nor are sentences of the programs, whose help gives examples.
    """
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    told = {
        id(node.body[0].value)
        for node in ast.walk(source.tree)
        if isinstance(node, documented) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in told and not (source.layer == "cli" and " " in node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias):
            yield node.lineno, node.name


def named_systems(source: Source) -> Iterator[tuple[int, str]]:
    """(line, name) of everything in a module that a system is called by.

    Names of several words are found in longer ones too: pcnet_m in "pcnet_m_kins".
    """
    ordered = sorted(names_of_systems(), key=len, reverse=True)  # the longest one counts
    several, single = (
        "|".join(re.escape(name) for name in ordered if ("_" in name) == long)
        for long in (True, False)
    )
    edge = "[A-Za-z0-9]"
    pattern = re.compile(rf"(?<!{edge})(?:{several})(?!{edge})|(?<!\w)(?:{single})(?!\w)")
    for line, text in words_of(source):
        for match in pattern.finditer(text):
            yield line, match[0]


def test_layers_name_no_system():
    found: dict[str, set[str]] = {}
    lines = []
    for source in sources().values():
        if source.system or source.file in OF_ONE_SYSTEM:
            continue
        for line, name in named_systems(source):
            found.setdefault(source.file, set()).add(name)
            if name not in NAMED.get(source.file, ()):
                lines.append(f"{source.file}:{line} names {name}, of {names_of_systems()[name]}")
    assert not lines, "\n".join(lines)
    # What is no longer named needs no exemption: take it out.
    assert found == NAMED and {source.file for source in sources().values()} >= OF_ONE_SYSTEM


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("cfg.MODEL.PCNET_C.WIDTH", ["PCNET_C"]),
        ("cfg.DEOCCLUSION.RECENTRE", ["RECENTRE"]),
        ("if kind == 'dual_completion':\n    pass", ["dual_completion"]),
        ("path = f'configs/order_net_m_{family}.yaml'", ["order_net_m"]),
        ("raise UserError('train PCNetM first')", ["PCNetM"]),
        ("from .x import PatchCompleter", ["PatchCompleter"]),
        ("def f():\n    'As PCNetM does.'", []),
        ("og_size = 3  # of PCNetM", []),
    ],
)
def test_names_are_seen(code, names):
    source = Source(f"{PACKAGE}.data.new", "data/new.py", code)
    assert [name for _, name in named_systems(source)] == names

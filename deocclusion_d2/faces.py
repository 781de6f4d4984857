"""What a package offers at its face, imported when it is first asked for.

Names that were at another face before 0.2, or that belong to a published system, are found there
too, so that imports of them go on working.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lazy_loader

_ROOT = __name__.rpartition(".")[0]


def attach(
    package: str, modules: Mapping[str, Sequence[str]], moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: its ``__name__``.
        modules: module in the package -> public names in it.
        moved: name -> module of ``deocclusion_d2`` that it is in now.
    """
    get, listed, names = lazy_loader.attach(
        package, submod_attrs={module: list(found) for module, found in modules.items()}
    )

    def find(name: str) -> Any:
        try:
            return get(name)
        except AttributeError:
            if moved and name in moved:
                return getattr(importlib.import_module(f"{_ROOT}.{moved[name]}"), name)
            if name.startswith("_"):
                raise
            of_systems = importlib.import_module(f"{_ROOT}.systems").exported()
            if name not in of_systems:
                raise
            return of_systems[name].resolve()

    return find, listed, names

"""Kinds of things of which others may add one: found by looking, never listed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from .errors import UserError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things of one kind by name, in the order of their names.

    There are three ways in, and none edits a file that is there already:

    - a module in the folder of ``package`` whose class has the decorator ``register``;
    - an entry point of ``group`` that names a class, in an installed package of somebody else;
    - the decorator ``register`` anywhere else, for this process.

    Folder and entry points are looked through when the registry is first asked for something.

    Args:
        kind: what messages call the things, such as "annotation format".
        base: the class that theirs derive from. They are made without arguments and have a
            ``name``, which may stand before the colon in the name of a data set.
        group: of entry points.
        package: whose modules are imported; None for no folder.
    """

    def __init__(self, kind: str, base: type[T], group: str, package: str | None = None) -> None:
        self.kind = kind
        self.base = base
        self.group = group
        self.package = package
        self._found: dict[str, T] = {}
        self._looked = False

    def register(self, new: type[T]) -> type[T]:
        """Class decorator: add a class, once however often.

        Raises:
            UserError: another class has its name, or the name cannot be one.
        """
        name = getattr(new, "name", None)
        if not isinstance(name, str) or not name.isidentifier():
            raise UserError(f"{self.kind} {_path(new)}: its name {name!r} is no identifier")
        known = self._found.get(name)
        if known is None:
            self._found[name] = new()
        elif type(known) is not new:
            raise UserError(
                f"two {self.kind}s are named {name!r}: {_path(type(known))} and {_path(new)}"
            )
        return new

    def find(self, name: str) -> T:
        """The thing of a name.

        Raises:
            UserError: there is none; the message names those that there are.
        """
        if name not in self:
            known = ", ".join(self)
            raise UserError(f"unknown {self.kind} {name!r}; the known ones are {known}")
        return self[name]

    def __getitem__(self, name: str) -> T:
        self._look()
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        self._look()
        return iter(sorted(self._found))

    def __len__(self) -> int:
        self._look()
        return len(self._found)

    def _look(self) -> None:
        if self._looked:
            return
        # Before looking: what is imported may itself ask for what is there so far.
        self._looked = True
        try:
            if self.package is not None:
                folder = importlib.import_module(self.package).__path__
                for module in pkgutil.iter_modules(folder):
                    importlib.import_module(f"{self.package}.{module.name}")
            for entry in sorted(entry_points(group=self.group), key=lambda entry: entry.name):
                self.register(self._load(entry))
        except BaseException:
            self._looked = False
            raise

    def _load(self, entry: EntryPoint) -> type[T]:
        where = f"entry point {entry.name!r} ({entry.value}) of {self.group}"
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{where} cannot be loaded: {error}") from error
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise UserError(f"{where} is no class derived from {self.base.__name__}")
        return found


def _path(some_class: type) -> str:
    return f"{some_class.__module__}.{some_class.__qualname__}"

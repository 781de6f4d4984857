"""far://PATH, an address of files that are not taken for local ones."""

from __future__ import annotations

import fsspec
from fsspec.implementations.local import LocalFileSystem

from deocclusion_d2.conversion.ray_data import reading


class FarStore(LocalFileSystem):
    """The local files under another name."""

    protocol = "far"

    @classmethod
    def _strip_protocol(cls, path):
        return str(path).removeprefix("far://").rstrip("/")

    def unstrip_protocol(self, name):
        return f"far://{name}"


def register() -> None:
    """Let fsspec know it in this process."""
    fsspec.register_implementation("far", FarStore, clobber=True)


def rows_of_files(*args, **kwargs):
    """What reads files in workers, where fsspec has to be told first."""
    register()
    yield from reading._rows_of_files(*args, **kwargs)

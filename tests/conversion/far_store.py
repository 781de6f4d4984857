"""far://PATH, an address of files that are not taken for local ones, in every process of a Ray."""

from __future__ import annotations

import fsspec
from fsspec.implementations.local import LocalFileSystem


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

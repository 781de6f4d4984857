r"""The image file that a file name of an annotation file means.

It is the path below the image root, as written. Where there is no such file, backslashes of Windows
are taken for slashes; then letters may be small or capital; then the folders are left out, as long
as no two images of the annotation file have the same last part.
"""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

_SEPARATORS = re.compile(r"[\\/]+")
BACKSLASHES = "'file_name' is found with slashes for its backslashes"
OTHER_CASE = "'file_name' is found with other small and capital letters"
OTHER_FOLDER = "'file_name' is found by its last part: the image root has not its folders"


def parts_of(file_name: str) -> list[str]:
    r"""The folders and the last part of a file name, by / or \\; no drive, no "." and ".."."""
    parts = [part for part in _SEPARATORS.split(file_name) if part not in ("", ".", "..")]
    return parts[1:] if len(parts) > 1 and re.fullmatch(r"[A-Za-z]:", parts[0]) else parts


def plain(name: str) -> str:
    """A name by which two that differ in case or in how accents are composed are one."""
    return unicodedata.normalize("NFC", name).casefold()


def last_part(file_name: str) -> str:
    """The last part of a file name, as written; "" when there is none."""
    return (parts_of(file_name) or [""])[-1]


class ImageFinder:
    """Finds the files of an annotation file's images.

    Args:
        image_root: folder that the names start from.
        file_names: gives the names of all images, when it has to be known which are unique.
    """

    def __init__(self, image_root: str, file_names: Callable[[], Iterable[str]]) -> None:
        self.image_root = image_root
        self._file_names = file_names

    def find(self, file_name: str) -> tuple[str, tuple[str, ...]]:
        """The path of a file, and what was assumed; where there is none, the path as written."""
        path = os.path.join(self.image_root, file_name)
        parts = parts_of(file_name)
        if os.path.exists(path) or not parts:
            return path, ()
        slashed = os.path.join(self.image_root, *parts)
        if "\\" in file_name and os.path.exists(slashed):
            return slashed, (BACKSLASHES,)
        folder, name = os.path.split(slashed)
        entry = self._entries(folder).get(plain(name))
        if entry is not None:
            return os.path.join(folder, entry), (OTHER_CASE,)
        entry = self._entries(self.image_root).get(plain(name))
        if entry is not None and self._times[plain(name)] == 1:
            return os.path.join(self.image_root, entry), (OTHER_FOLDER,)
        return path, ()

    def find_all(self, file_names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        """``find`` of all names. Where the first one is found as written, so are those like it:
        a million files are not asked for one by one.
        """
        fit = not os.path.isdir(self.image_root) or (
            bool(file_names) and os.path.exists(os.path.join(self.image_root, file_names[0]))
        )
        return [
            (os.path.join(self.image_root, name), ())
            if fit and "\\" not in name
            else self.find(name)
            for name in file_names
        ]

    @functools.cached_property
    def _times(self) -> Counter[str]:
        return Counter(plain(last_part(name)) for name in self._file_names())

    @functools.lru_cache(maxsize=64)  # noqa: B019  (a finder lives as long as the reading)
    def _entries(self, folder: str) -> dict[str, str]:
        """Names of a folder's entries by their plain form; those that share one are left out."""
        try:
            names = os.listdir(folder)
        except OSError:
            return {}
        times = Counter(map(plain, names))
        return {plain(name): name for name in names if times[plain(name)] == 1}

"""Trained networks with all that their use needs: by name, folder, file, or from a model hub.

``general/`` is the one that comes with the package. Its ``manifest.json`` says what it was trained
on and how, under which licence, and what was measured with it.
"""

from .find import DEFAULT, Pretrained, find_pretrained, names, packaged_folder

__all__ = ["DEFAULT", "Pretrained", "find_pretrained", "names", "packaged_folder"]

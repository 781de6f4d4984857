"""Finds the config and the weights of a trained network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import load_config
from ..errors import UserError
from ..files import file_sha256
from ..json_files import read_json_file

if TYPE_CHECKING:
    from detectron2.config import CfgNode

# What is used where nothing else is named.
DEFAULT = "general"

_PACKAGED = Path(__file__).resolve().parent
MANIFEST = "manifest.json"
# What training writes into OUTPUT_DIR.
_CONFIG = "config.yaml"
_FINAL = "model_final.pth"
_HUB = re.compile(r"hf://(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>.+))?")


@dataclass(frozen=True)
class Pretrained:
    """A trained network.

    Attributes:
        name: as it was asked for.
        config: of its system: a YAML file, or the name of one of this package's configs.
        weights: file with its weights.
    """

    name: str
    config: str
    weights: Path

    def load_config(self, opts: Sequence[str] = ()) -> CfgNode:
        """Its config, with its weights in it.

        Args:
            opts: alternating config keys and values.

        Raises:
            UserError: see ``load_config``.
        """
        return load_config(self.config, ["MODEL.WEIGHTS", str(self.weights), *opts])


def names() -> list[str]:
    """The networks that come with the package."""
    return sorted(path.parent.name for path in _PACKAGED.glob(f"*/{MANIFEST}"))


def find_pretrained(name: str | Path = DEFAULT, config_file: str | None = None) -> Pretrained:
    """Find a trained network.

    Args:
        name: one of ``names``; a folder with ``manifest.json`` (which names its config and weights)
            or with ``config.yaml`` and ``model_final.pth``, as training writes it; a file of
            weights; or ``hf://USER/REPOSITORY[@REVISION]``, such a folder on the Hugging Face Hub,
            which is downloaded (this needs ``huggingface_hub``).
        config_file: the config, for weights that have none beside them.

    Raises:
        UserError: there is no such network, its config is unknown, or a file is damaged.
    """
    name = str(name)
    path = Path(name)
    if name in names():
        found = _from_manifest(name, _PACKAGED / name)
    elif name.startswith("hf://"):
        found = _from_folder(name, _downloaded(name))
    elif path.is_dir():
        found = _from_folder(name, path)
    elif path.is_file():
        beside = path.with_name(_CONFIG)
        if config_file is None and not beside.is_file():
            raise UserError(f"{name}: there is no {_CONFIG} beside it; name its config file")
        found = Pretrained(name, str(beside), path)
    else:
        hub = f", or hf://{name} of the Hugging Face Hub" if name.count("/") == 1 else ""
        raise UserError(
            f"pretrained network {name!r}: there is no such folder or file; use {_known()}{hub}"
        )
    return found if config_file is None else Pretrained(name, config_file, found.weights)


def packaged_folder(name: str) -> Path:
    """Where a network of the package lies, or would."""
    return _PACKAGED / name


def _known() -> str:
    return " or ".join(repr(name) for name in names())


def _from_folder(name: str, folder: Path) -> Pretrained:
    if (folder / MANIFEST).is_file():
        return _from_manifest(name, folder)
    for needed in (_CONFIG, _FINAL):
        if not (folder / needed).is_file():
            raise UserError(
                f"{name}: it holds neither {MANIFEST} nor {needed}; name a folder of a finished "
                "training, or a file of weights"
            )
    return Pretrained(name, str(folder / _CONFIG), folder / _FINAL)


def _from_manifest(name: str, folder: Path) -> Pretrained:
    manifest = read_json_file(folder / MANIFEST)
    where = folder / MANIFEST
    said = {}
    for key in ("config", "weights", "sha256"):
        said[key] = manifest.get(key) if isinstance(manifest, dict) else None
        if not isinstance(said[key], str) or not said[key]:
            raise UserError(f"{where}: it names no {key!r}; download or install it anew")
    weights = folder / said["weights"]
    if Path(said["weights"]).name != said["weights"] or not weights.is_file():
        raise UserError(f"{where}: there is no file {said['weights']!r} beside it")
    if file_sha256(weights) != said["sha256"]:
        raise UserError(
            f"{weights}: it is not the file of its manifest, or damaged; download or install it "
            "anew"
        )
    config = folder / said["config"]
    return Pretrained(name, str(config) if config.is_file() else said["config"], weights)


def _downloaded(name: str) -> Path:
    match = _HUB.fullmatch(name)
    if match is None:
        raise UserError(f"pretrained network {name!r}: write hf://USER/REPOSITORY[@REVISION]")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise UserError(
            f"pretrained network {name!r}: downloading needs huggingface_hub; install it "
            "(pip install huggingface_hub), or download the files and name their folder"
        ) from None
    print(f"downloading {name}")
    try:
        # Nothing else of a repository is needed; weights that are pickles are read without them.
        folder = snapshot_download(
            match["repository"],
            revision=match["revision"],
            allow_patterns=[MANIFEST, "*.yaml", "*.safetensors", "*.pth", "*.json"],
        )
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        reason = " ".join(str(error).split()[:40])
        raise UserError(f"pretrained network {name!r}: {reason}") from error
    return Path(folder)

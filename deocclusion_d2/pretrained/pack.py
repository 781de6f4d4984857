"""Packs a trained network for others: small, without a pickle, and with what is known about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import file_sha256, whole_text_file
from ..modeling.tensor_files import TensorFileError, read_tensor_file, write_safetensors
from .find import MANIFEST

# Bytes of a network that comes with the package: everyone downloads it, used or not.
LARGEST = 4_000_000


def pack(
    checkpoint: Path, folder: Path, config: str, facts: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """Write a network and its manifest, as ``find_pretrained`` reads them.

    Weights of more than one dimension are stored in float16 and used in float32; what normalises
    (biases, statistics of batch norm) stays as it is.

    Args:
        checkpoint: of a training of this package.
        folder: to write into; other files of it stay.
        config: name of the network's config, or a YAML file in the folder.
        facts: what the manifest says besides config, file, checksum and sizes, JSON-able.
        name: of the file of weights, without ending.

    Returns:
        The manifest.

    Raises:
        UserError: the checkpoint cannot be read, or is too large for a package.
    """
    try:
        content = read_tensor_file(checkpoint)
    except (OSError, TensorFileError) as error:
        raise UserError(f"{checkpoint}: {error}") from error
    model = {
        key: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for key, value in content["model"].items()
    }
    if any(not torch.isfinite(value).all() for value in model.values()):
        raise UserError(f"{checkpoint}: it holds numbers that are not finite in float16")
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{name}.safetensors"
    write_safetensors(weights, model, int(content.get("iteration", -1)) + 1)
    size = weights.stat().st_size
    if size > LARGEST:
        weights.unlink()
        raise UserError(f"{checkpoint}: {size:,} bytes packed, at most {LARGEST:,} are allowed")
    manifest = {
        "config": config,
        "weights": weights.name,
        "sha256": file_sha256(weights),
        "bytes": size,
        # Statistics that no training step learns are none.
        "parameters": sum(
            value.numel() for key, value in model.items() if "running_" not in key and value.ndim
        ),
        **facts,
    }
    with whole_text_file(folder / MANIFEST) as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest

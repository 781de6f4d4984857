"""How messages name what a dataset dict holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def place_of(record: Mapping[str, Any], annotation: Mapping[str, Any]) -> str:
    """The place of an annotation of a dataset dict."""
    return f"image {record['image_id']!r} ({record['file_name']}), annotation {annotation['id']!r}"

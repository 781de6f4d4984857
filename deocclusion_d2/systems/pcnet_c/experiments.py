"""PCNet-C's training, and its row of tables."""

from __future__ import annotations

from ..base import Row, Training

TRAININGS = (Training("pcnet_c", config="pcnet_c_{family}", labels="appearance"),)
ROWS = (
    Row("PCNet-C", training="pcnet_c", kind="self-supervised", tables=("content",),
        content="pcnet_c"),
)  # fmt: skip

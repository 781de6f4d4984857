"""What the arguments of a tool say about its inputs."""

from __future__ import annotations

from collections.abc import Sequence


def weights_in(opts: Sequence[str]) -> str | None:
    """What config overrides say about MODEL.WEIGHTS."""
    return dict(zip(opts[::2], opts[1::2], strict=False)).get("MODEL.WEIGHTS")

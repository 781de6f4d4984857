"""Networks with what a library has made of them for this process."""

from __future__ import annotations

import os
from typing import Any

from torch import nn


class Prepared(nn.Module):
    """A network with what an engine has made of it, which copies for other processes lack."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._made: dict[Any, Any] = {}
        self._process = os.getpid()

    def peak_activations(self, size: int) -> int:
        return self.network.peak_activations(size)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}

    def made(self) -> dict[Any, Any]:
        """What was made in this process; a forked one makes its own."""
        if self._process != os.getpid():
            self._made, self._process = {}, os.getpid()
        return self._made

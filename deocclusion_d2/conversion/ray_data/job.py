"""What to convert over Ray Data, and how."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from ...errors import UserError
from ...workers import worker_count
from ..job import AnyJob


@dataclass(frozen=True)
class RayJob(AnyJob):
    """What to convert over Ray Data, and how. All machines must have the files that it names.

    Attributes:
        input: a file, folder or glob of annotations, local or at an fsspec address.
        output: ``NAME.json`` for one COCO JSON; a folder (or ``NAME.parquet``) of Parquet files,
            local or at an fsspec address.
        num_workers: actors at most; None for as many as the cluster has room for.
        on_gpus: whether each has a GPU, where the cluster has some and the method runs a network;
            else each has a core.
        address: of the cluster; None for the environment's RAY_ADDRESS, or for one of this
            machine alone, which ends with the conversion.
    """

    input: str
    output: str
    on_gpus: bool = True
    address: str | None = None

    @property
    def writes_json(self) -> bool:
        """Whether the output is one COCO JSON."""
        return self.output.lower().endswith(".json")

    def check(self) -> None:
        """Find what would stop the conversion later, as far as it can be told without reading.

        Raises:
            UserError: saying what to do.
        """
        self.check_names()
        worker_count(self.num_workers)
        if self.num_workers == 0:
            raise UserError("--num-workers is 0: with --engine ray use 1 or more")
        if self.image_root is not None and not self.image_root.is_dir():
            raise UserError(f"--image-root {self.image_root}: there is no such folder")
        self.check_network()

    def with_full_paths(self) -> RayJob:
        """The job as processes see it that were started elsewhere."""
        named = {key: getattr(self, key) for key in ("config_file", "weights")}
        full = {k: os.path.abspath(v) for k, v in named.items() if v and os.path.exists(v)}
        root = None if self.image_root is None else self.image_root.absolute()
        return replace(self, image_root=root, **full)

"""The options of tools whose work goes to worker processes."""

from __future__ import annotations

import argparse


def add_num_workers(parser: argparse.ArgumentParser, parts: str) -> None:
    """Add ``--num-workers``; see ``workers.worker_count``.

    Args:
        parts: what the workers share, such as "shards".
    """
    parser.add_argument(
        "--num-workers",
        type=int,
        metavar="N",
        help=f"processes that share the {parts}: they read, crop, paste and write, and without a "
        "GPU run the network too, each on one core; any number gives the same results (default: "
        "one per core; 0: none, the first process does all)",
    )


def add_loader_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--num-workers``, of a data loader; ``loader_workers`` makes a config override of it."""
    parser.add_argument(
        "--num-workers",
        type=int,
        metavar="N",
        help="processes that load and de-occlude images; without a GPU 2 or more run the network "
        "too, each on one core; any number gives the same results (default: the config's "
        "DATALOADER.NUM_WORKERS)",
    )


def loader_workers(args: argparse.Namespace) -> list[str]:
    """The config override that the option of ``add_loader_workers`` stands for."""
    return [] if args.num_workers is None else ["DATALOADER.NUM_WORKERS", str(args.num_workers)]

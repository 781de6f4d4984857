"""The two steps of the method, by the names that ``cfg.DEOCCLUSION`` gives them.

To add a method: an entry in ``ORDERINGS`` or ``COMPLETIONS``, and one in ``NETWORKS`` if it runs a
network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ..errors import UserError
from ..structures import Deocclusion, OcclusionGraph, Scene
from .amodal_completion import PCNetCompletion
from .baselines import ConvexCompletion, HeuristicOrdering, RawCompletion
from .network_runner import NetworkRunner
from .ordering import DualCompletion
from .ordering_prior import OrderingPrior, configured_prior, warn_of_other_weights
from .patch_completer import PatchCompleter
from .supervised import AMODAL_THRESHOLD, OrderNetOrdering, PairRunner, SupervisedCompletion
from .weights import load_model

Ordering = Callable[[Sequence[Scene]], list[OcclusionGraph]]
Completion = Callable[[Sequence[Scene], Sequence[OcclusionGraph]], list[Deocclusion]]

# Method -> the meta-architecture that it runs; those that are not named need none.
NETWORKS = {
    "dual_completion": "PCNetM",
    "og": "PCNetM",
    "nog": "PCNetM",
    "order_net": "OrderNet",
    "supervised": "AmodalUNet",
}
_RUNNERS: dict[str, type[NetworkRunner]] = {
    "PCNetM": PatchCompleter,
    "AmodalUNet": PatchCompleter,
    "OrderNet": PairRunner,
}
# The completions without a network.
BASELINES: dict[str, Callable[[], Completion]] = {
    "raw": RawCompletion,
    "convex": partial(ConvexCompletion, refined=False),
    "convex_r": partial(ConvexCompletion, refined=True),
}


def needed_network(cfg) -> str | None:
    """The meta-architecture that the config's methods run, None for methods without a network.

    Raises:
        UserError: it is not the config's.
    """
    needed = None
    for key in ("ORDERING", "COMPLETION"):
        method = cfg.DEOCCLUSION[key]
        if method not in NETWORKS:
            continue
        needed = NETWORKS[method]
        if needed != cfg.MODEL.META_ARCHITECTURE:
            raise UserError(
                f"DEOCCLUSION.{key} = {method!r} runs {needed}, but MODEL.META_ARCHITECTURE is "
                f"{cfg.MODEL.META_ARCHITECTURE!r}; use a config of {needed}, or another {key}"
            )
    return needed


def build_runner(cfg, model: torch.nn.Module | None = None) -> NetworkRunner:
    """What runs the config's network; see ``Deoccluder.from_config`` for ``model``."""
    paper = cfg.DEOCCLUSION.PAPER_PROTOCOL
    return _RUNNERS[cfg.MODEL.META_ARCHITECTURE](
        load_model(cfg) if model is None else model,
        batch_size=cfg.DEOCCLUSION.PATCHES_PER_BATCH,
        precision="float32" if paper else cfg.DEOCCLUSION.PRECISION,
        optimize=not paper,
    )


def describe_network(cfg, runner: NetworkRunner) -> dict[str, Any]:
    """What decides the result of a method with a network: names and numbers, for JSON."""
    thresholds = {
        "PCNetM": {
            "order_threshold": cfg.DEOCCLUSION.ORDER_THRESHOLD,
            "amodal_threshold": cfg.DEOCCLUSION.AMODAL_THRESHOLD,
            "recentre": recentre(cfg),
            "mutual_share": cfg.DEOCCLUSION.MUTUAL_SHARE,
            "mutual_difference": cfg.DEOCCLUSION.MUTUAL_DIFFERENCE,
            **_describe_prior(cfg),
        },
        "AmodalUNet": {"amodal_threshold": AMODAL_THRESHOLD},
        "OrderNet": {},
    }
    return {
        **thresholds[cfg.MODEL.META_ARCHITECTURE],
        "patch_size": cfg.INPUT.PARTIAL_COMPLETION.PATCH_SIZE,
        "enlarge_box": cfg.INPUT.PARTIAL_COMPLETION.ENLARGE_BOX,
        "constrain": _constrain(cfg),
        "paper_protocol": cfg.DEOCCLUSION.PAPER_PROTOCOL,
        "precision": runner.precision,
    }


def dilation(cfg) -> int:
    """The kernel that closes gaps between masks; the paper's protocol has none."""
    return 0 if cfg.DEOCCLUSION.PAPER_PROTOCOL else cfg.DEOCCLUSION.DILATION


def recentre(cfg) -> int:
    """Further views of an object; the paper's protocol has one view."""
    return 0 if cfg.DEOCCLUSION.PAPER_PROTOCOL else cfg.DEOCCLUSION.RECENTRE


def ordering_prior(cfg) -> OrderingPrior | None:
    """What decides the order together with dual completion; the paper's protocol has none.

    Raises:
        UserError: DEOCCLUSION.ORDERING_PRIOR names a file that is none.
    """
    options = cfg.DEOCCLUSION
    off = options.PAPER_PROTOCOL or options.ORDERING != "dual_completion"
    return None if off else configured_prior(cfg)


def _describe_prior(cfg) -> dict[str, Any]:
    """Nothing without a prior: a result without is described as before there were any."""
    prior = ordering_prior(cfg)
    return {} if prior is None else {"ordering_prior": prior.describe()}


def _constrain(cfg) -> bool:
    return cfg.DEOCCLUSION.CONSTRAIN and not cfg.DEOCCLUSION.PAPER_PROTOCOL


def _patch(cfg) -> dict[str, Any]:
    return {
        "patch_size": cfg.INPUT.PARTIAL_COMPLETION.PATCH_SIZE,
        "enlarge": cfg.INPUT.PARTIAL_COMPLETION.ENLARGE_BOX,
    }


def _dual_completion(cfg, runner: NetworkRunner | None) -> Ordering:
    prior = ordering_prior(cfg)
    if prior is not None:
        warn_of_other_weights(cfg, prior)
    return DualCompletion(
        runner,
        threshold=cfg.DEOCCLUSION.ORDER_THRESHOLD,
        dilation=dilation(cfg),
        prior=prior,
        mutual_share=cfg.DEOCCLUSION.MUTUAL_SHARE,
        mutual_difference=cfg.DEOCCLUSION.MUTUAL_DIFFERENCE,
        **_patch(cfg),
    )


def _order_net(cfg, runner: NetworkRunner | None) -> Ordering:
    return OrderNetOrdering(runner, dilation=dilation(cfg), **_patch(cfg))


def _heuristic(cfg, runner: NetworkRunner | None) -> Ordering:
    return HeuristicOrdering(
        cfg.DEOCCLUSION.ORDERING,
        larger_in_front=cfg.DEOCCLUSION.LARGER_IN_FRONT,
        dilation=dilation(cfg),
    )


def _pcnet(cfg, runner: NetworkRunner | None) -> Completion:
    return PCNetCompletion(
        runner,
        grounded=cfg.DEOCCLUSION.COMPLETION == "og",
        threshold=cfg.DEOCCLUSION.AMODAL_THRESHOLD,
        dilation=dilation(cfg),
        constrain=_constrain(cfg),
        recentre=recentre(cfg),
        keep_probability=cfg.DEOCCLUSION.KEEP_PROBABILITY,
        **_patch(cfg),
    )


def _supervised(cfg, runner: NetworkRunner | None) -> Completion:
    return SupervisedCompletion(runner, constrain=_constrain(cfg), **_patch(cfg))


def _baseline(cfg, runner: NetworkRunner | None) -> Completion:
    return BASELINES[cfg.DEOCCLUSION.COMPLETION]()


# DEOCCLUSION.ORDERING -> builder of (config, what runs the network, None without one).
ORDERINGS: dict[str, Callable[[Any, NetworkRunner | None], Ordering]] = {
    "dual_completion": _dual_completion,
    "order_net": _order_net,
    "area": _heuristic,
    "y_axis": _heuristic,
    "convex": _heuristic,
}
# DEOCCLUSION.COMPLETION -> likewise.
COMPLETIONS: dict[str, Callable[[Any, NetworkRunner | None], Completion]] = {
    "og": _pcnet,
    "nog": _pcnet,
    "supervised": _supervised,
    **dict.fromkeys(BASELINES, _baseline),
}

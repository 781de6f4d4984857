"""PCNet-M's steps, from configs: dual completion (eq. 3), ordering-grounded completion (eq. 4)."""

from __future__ import annotations

from typing import Any

from ...errors import UserError
from ...inference.steps import constrains, describe_network, dilation, patch_arguments
from ..base import AUTO
from .completion import PCNetCompletion
from .ordering import DualCompletion
from .ordering_prior import OrderingPrior, configured_prior, warn_of_other_weights
from .patch_completer import PatchCompleter

# Farther out the view of an object shows nothing of it.
_LARGEST_MARGIN = 2.0
# ``DEOCCLUSION.VIEWS``.
_LAST, _MEAN = "last", "mean"


def build_dual_completion(cfg, runner: PatchCompleter) -> DualCompletion:
    """The ordering "dual_completion".

    Raises:
        UserError: a key out of its range, or an ordering prior that cannot be read.
    """
    for key in ("MUTUAL_SHARE", "MUTUAL_DIFFERENCE"):
        if not 0 <= cfg.DEOCCLUSION[key] <= 1:
            raise UserError(f"DEOCCLUSION.{key} = {cfg.DEOCCLUSION[key]}: use a number from 0 to 1")
    prior = ordering_prior(cfg)
    if prior is not None:
        warn_of_other_weights(cfg, prior)
    return DualCompletion(
        runner,
        threshold=cfg.DEOCCLUSION.ORDER_THRESHOLD,
        dilation=dilation(cfg),
        prior=prior,
        fits_prior=fits_prior(cfg),
        mutual_share=cfg.DEOCCLUSION.MUTUAL_SHARE,
        mutual_difference=cfg.DEOCCLUSION.MUTUAL_DIFFERENCE,
        description=describe(cfg, runner),
        **patch_arguments(cfg),
    )


def build_grounded(cfg, runner: PatchCompleter) -> PCNetCompletion:
    """The completion "og"."""
    return _completion(cfg, runner, grounded=True)


def build_not_grounded(cfg, runner: PatchCompleter) -> PCNetCompletion:
    """The completion "nog"."""
    return _completion(cfg, runner, grounded=False)


def _completion(cfg, runner: PatchCompleter, grounded: bool) -> PCNetCompletion:
    return PCNetCompletion(
        runner,
        grounded=grounded,
        threshold=cfg.DEOCCLUSION.AMODAL_THRESHOLD,
        dilation=dilation(cfg),
        constrain=constrains(cfg),
        recentre=recentre(cfg),
        average_views=averages_views(cfg),
        keep_probability=cfg.DEOCCLUSION.KEEP_PROBABILITY,
        beyond_image=beyond_image(cfg),
        description=describe(cfg, runner),
        **patch_arguments(cfg),
    )


def describe(cfg, runner: PatchCompleter) -> dict[str, Any]:
    """What decides the result of either step; one description, as they share the network.

    Without a prior, averaged views or growth beyond the image, it is as before there were any.
    """
    beyond = beyond_image(cfg)
    prior = ordering_prior(cfg)
    described = {} if prior is None else prior.describe()
    if fits_prior(cfg):
        described = {"fitted": AUTO, **({"otherwise": described} if described else {})}
    return {
        "order_threshold": cfg.DEOCCLUSION.ORDER_THRESHOLD,
        "amodal_threshold": cfg.DEOCCLUSION.AMODAL_THRESHOLD,
        "recentre": recentre(cfg),
        **({"views": _MEAN} if averages_views(cfg) else {}),
        "mutual_share": cfg.DEOCCLUSION.MUTUAL_SHARE,
        "mutual_difference": cfg.DEOCCLUSION.MUTUAL_DIFFERENCE,
        **({"ordering_prior": described} if described else {}),
        **({"beyond_image": beyond} if beyond else {}),
        **describe_network(cfg, runner),
    }


def recentre(cfg) -> int:
    """Further views of an object; the paper's protocol has one view."""
    return 0 if cfg.DEOCCLUSION.PAPER_PROTOCOL else cfg.DEOCCLUSION.RECENTRE


def averages_views(cfg) -> bool:
    """Whether several views of an object are averaged.

    Raises:
        UserError: DEOCCLUSION.VIEWS is neither "last" nor "mean".
    """
    if cfg.DEOCCLUSION.VIEWS not in (_LAST, _MEAN):
        raise UserError(f"DEOCCLUSION.VIEWS = {cfg.DEOCCLUSION.VIEWS!r}: use {_LAST} or {_MEAN}")
    return cfg.DEOCCLUSION.VIEWS == _MEAN and recentre(cfg) > 0


def beyond_image(cfg) -> float:
    """The margin outside the image; the paper's protocol has none.

    Raises:
        UserError: DEOCCLUSION.BEYOND_IMAGE is no share.
    """
    share = cfg.DEOCCLUSION.BEYOND_IMAGE
    if not 0 <= share <= _LARGEST_MARGIN:
        raise UserError(
            f"DEOCCLUSION.BEYOND_IMAGE = {share}: use 0, or a share of the object's box up to "
            f"{_LARGEST_MARGIN:g}"
        )
    return 0.0 if cfg.DEOCCLUSION.PAPER_PROTOCOL else share


def ordering_prior(cfg) -> OrderingPrior | None:
    """What decides the order together with dual completion; the paper's protocol has none.

    Raises:
        UserError: DEOCCLUSION.ORDERING_PRIOR names a file that is none.
    """
    return configured_prior(cfg) if _has_prior(cfg) else None


def fits_prior(cfg) -> bool:
    """Whether the prior is fitted to what is ordered."""
    return _has_prior(cfg) and cfg.DEOCCLUSION.ORDERING_PRIOR == AUTO


def _has_prior(cfg) -> bool:
    options = cfg.DEOCCLUSION
    return not options.PAPER_PROTOCOL and options.ORDERING == "dual_completion"

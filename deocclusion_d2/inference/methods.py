"""The methods that programs offer by name: PCNet-M grounded or not, and the baselines."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import load_config
from ..errors import UserError
from .deoccluder import Deoccluder
from .steps import BASELINES

# Method -> DEOCCLUSION.COMPLETION of those that use PCNet-M.
NETWORK_METHODS = {"pcnet": "og", "pcnet_nog": "nog"}
METHODS = (*NETWORK_METHODS, *BASELINES)


def method_config(method: str, config_file: str | None, weights: str | None, opts: Sequence[str]):
    """The config of a method that uses PCNet-M, with method and weights in it.

    Args:
        method: key of ``NETWORK_METHODS``.
        config_file: YAML file.
        weights: checkpoint; None or "" for the config's ``MODEL.WEIGHTS``.
        opts: alternating config keys and values.

    Raises:
        UserError: naming the option or key.
    """
    if not config_file:
        *others, last = BASELINES
        raise UserError(
            f"--method {method} needs --config-file and --weights; without them use --method "
            f"{', '.join(others)} or {last}"
        )
    if len(opts) % 2:
        raise UserError(f"config overrides are KEY VALUE pairs, {' '.join(opts)!r} is not")
    chosen = ["DEOCCLUSION.COMPLETION", NETWORK_METHODS[method]]
    if weights:
        chosen += ["MODEL.WEIGHTS", weights]
    return load_config(config_file, [*opts, *chosen])


def build_deoccluder(
    method: str,
    config_file: str | None = None,
    weights: str | None = None,
    opts: Sequence[str] = (),
) -> Deoccluder:
    """The deoccluder of a method's name; see ``method_config`` for the arguments.

    Raises:
        UserError: naming the option or key.
    """
    if method in BASELINES:
        return Deoccluder.baseline(method)
    return Deoccluder.from_config(method_config(method, config_file, weights, opts))

"""Methods as tools name them: a completion by its name, a config, weights, or none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .chosen_steps import honoured_keys, set_option, step_keys
from .config import default_of, load_config
from .errors import UserError
from .pretrained import DEFAULT, find_pretrained
from .systems import find_step, known_steps, step_names

if TYPE_CHECKING:
    from detectron2.config import CfgNode


# The completion that leaves masks as they are.
NO_COMPLETION = "raw"
# The ordering of masks of whole objects where nobody names another: as their shapes are complete,
# completing them tells nothing.
WHOLE_OBJECTS_ORDERING = "y_axis"


def method_names() -> list[str]:
    """The completions by their names as methods of the tools, those with a network first."""
    found = sorted(known_steps("completion"), key=lambda found: found[1].is_rule)
    return [step.method or name for name, step, _ in found]


def accepted_methods() -> list[str]:
    """Every name that tools take as a method: ``method_names``, and the names of the steps."""
    return list(dict.fromkeys([*method_names(), *step_names("completion")]))


def rule_methods() -> list[str]:
    """The completions without a network."""
    return [name for name, step, _ in known_steps("completion") if step.is_rule]


def method_name(completion: str) -> str:
    """A completion's name as a method; see ``method_names``."""
    name, step, _ = find_step("completion", completion)
    return step.method or name


def uses_network(method: str) -> bool:
    """Whether a method runs a network.

    Raises:
        UserError: there is no such method.
    """
    if method not in accepted_methods():
        raise UserError(f"unknown method {method!r}: use {', '.join(method_names())}")
    return not find_step("completion", method)[1].is_rule


def uses_default_network(method: str | None, config_file: str | None, weights: str | None) -> bool:
    """Whether ``method_config`` takes the network that comes with the package.

    Raises:
        UserError: there is no such method.
    """
    if config_file or weights not in (None, "", DEFAULT):
        return False
    return method is None or uses_network(method)


def method_config(
    method: str | None, config_file: str | None, weights: str | None, opts: Sequence[str] = ()
) -> CfgNode:
    """The config of a method, with method and weights in it.

    Args:
        method: see ``accepted_methods``; None for the config's own completion.
        config_file: YAML file, or a config's name; None for that of the weights.
        weights: checkpoint; None or "" for the config's ``MODEL.WEIGHTS``. Without ``config_file``
            what ``find_pretrained`` takes, and None for the network that comes along.
        opts: alternating config keys and values.

    Raises:
        UserError: naming the option or key.
    """
    if len(opts) % 2:
        raise UserError(f"config overrides are KEY VALUE pairs, {' '.join(opts)!r} is not")
    if config_file:
        chosen = ["MODEL.WEIGHTS", weights] if weights else []
        cfg = load_config(config_file, [*opts, *chosen])
    else:
        cfg = find_pretrained(weights or DEFAULT).load_config(opts)
    if method is not None:
        name = find_step("completion", method, "--method")[0]
        return with_steps(cfg, completion=name, keep=opts[::2])
    if {"DEOCCLUSION.ORDERING", "DEOCCLUSION.COMPLETION"} & set(opts[::2]):
        # What the config says for the steps that it had is not for these.
        return with_steps(cfg, keep=opts[::2])
    return cfg


def with_steps(
    cfg: CfgNode,
    ordering: str | None = None,
    completion: str | None = None,
    keep: Sequence[str] = (),
) -> CfgNode:
    """A config with other steps, without what it says for the steps that it had.

    Args:
        ordering, completion: names of steps; None for the config's.
        keep: full names of keys that stay as they are, whether a step honours them or not.
    """
    cfg = cfg.clone()
    cfg.defrost()
    options = cfg.DEOCCLUSION
    honoured: set[str] = set()
    for key, name in (("ORDERING", ordering), ("COMPLETION", completion)):
        _, before, owner_before = find_step(key.lower(), options[key])
        options[key] = name or options[key]
        _, step, owner = find_step(key.lower(), options[key])
        honoured |= honoured_keys(cfg, key.lower())
        # The network of a step that it had, or of none.
        gone = not step.uses_network or (before.uses_network and owner is not owner_before)
        if gone and f"DEOCCLUSION.{key}_CONFIG" not in keep:
            options[f"{key}_CONFIG"] = ""
    for key in step_keys() - honoured:
        if f"DEOCCLUSION.{key}" not in keep:
            set_option(cfg, key, default_of(f"DEOCCLUSION.{key}"))
    return cfg

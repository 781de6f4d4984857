"""The optimizer of a config, for Detectron2's models and for those that group their parameters."""

from __future__ import annotations

import torch
from detectron2.solver import build_optimizer as build_sgd
from detectron2.solver.build import maybe_add_gradient_clipping
from torch import nn

from ..errors import UserError


def build_optimizer(cfg, model: nn.Module) -> torch.optim.Optimizer:
    """Detectron2's SGD, or Adam, as ``SOLVER.OPTIMIZER`` says.

    A model may have ``optimizer_groups()``: dicts of ``params`` and what differs for them (see
    ``InstanceNetwork``); Adam takes them. All groups belong to one optimizer, so that learning rate
    schedules, mixed precision and resuming work as for any other.

    Raises:
        UserError: another ``SOLVER.OPTIMIZER``, or SGD for a model with groups.
    """
    groups = getattr(model, "optimizer_groups", list)()
    if cfg.SOLVER.OPTIMIZER == "SGD":
        if groups:
            raise UserError(
                f"SOLVER.OPTIMIZER = 'SGD': {cfg.MODEL.META_ARCHITECTURE} is trained by Adam"
            )
        return build_sgd(cfg, model)
    if cfg.SOLVER.OPTIMIZER != "Adam":
        raise UserError(f"SOLVER.OPTIMIZER = {cfg.SOLVER.OPTIMIZER!r}: use SGD or Adam")
    groups = groups or [{"params": list(model.parameters())}]
    for group in groups:
        group["params"] = [p for p in group["params"] if p.requires_grad]
        group["lr"] = cfg.SOLVER.BASE_LR * group.pop("lr_factor", 1.0)
    adam = maybe_add_gradient_clipping(cfg, torch.optim.Adam)
    return adam(
        groups,
        lr=cfg.SOLVER.BASE_LR,
        betas=tuple(cfg.SOLVER.BETAS),
        weight_decay=cfg.SOLVER.WEIGHT_DECAY,
    )

"""In which precision a model computes on a CPU."""

from __future__ import annotations

import copy

import torch
from torch import nn

from ..errors import UserError


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        # oneDNN emulates bfloat16 on processors without these instructions, slowly. Releases of
        # torch that cannot be asked get float32.
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def chosen_precision(precision: str, device: torch.device) -> str:
    """What ``DEOCCLUSION.PRECISION`` means on a device: "float32" or "bfloat16".

    Args:
        precision: one of these, or "auto": bfloat16 where the hardware computes it.

    Raises:
        UserError: something else.
    """
    if precision == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    if precision not in ("float32", "bfloat16"):
        raise UserError(f"DEOCCLUSION.PRECISION = {precision!r}: use auto, float32 or bfloat16")
    return precision


def run_in_bfloat16(model: nn.Module) -> None:
    """Make a model compute under CPU bfloat16 autocast with channels-last weights, in place.

    Its parameters stay float32, and neither its class nor its checkpoints change.
    """
    model.to(memory_format=torch.channels_last)
    model.forward = torch.autocast("cpu", dtype=torch.bfloat16)(model.forward)


def plain_copy(model: nn.Module) -> nn.Module:
    """A copy for inference that computes in the precision of its own weights."""
    copied = copy.deepcopy(model).eval()
    # What run_in_bfloat16 put there is bound to the original.
    vars(copied).pop("forward", None)
    return copied

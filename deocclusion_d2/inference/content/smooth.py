"""Content without a network: holes filled smoothly, see ``smooth_fill``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .filler import content_sample
from .holes import Hole
from .rule_filler import RuleFiller

# Side of the patches. What is filled in has no detail that would need more, and the seam is
# corrected at the photo's resolution.
_SIDE = 128
# Colour of what nothing is known of.
_UNKNOWN = 127


class SmoothFiller(RuleFiller):
    """Fills holes without a network and without streaks: smoothly from what is around them."""

    def describe(self) -> dict[str, Any]:
        return {"content": "smooth", "content_inset": self.inset}

    def _patch(self, hole: Hole) -> np.ndarray:
        """(S, S, 3) float32."""
        # Scenes are read and edited without torch.
        import torch

        from .smooth_fill import smooth_fill

        sample = content_sample(hole, _SIDE, self.inset)
        known = (sample["hole"] | sample["outside"]) == 0
        if not known.any():
            return np.full(sample["image"].shape, _UNKNOWN, np.float32)
        image = torch.from_numpy(sample["image"]).permute(2, 0, 1)[None]
        masks = (torch.from_numpy(m)[None, None] for m in (known, sample["modal_mask"]))
        return smooth_fill(image, *masks)[0].permute(1, 2, 0).numpy()

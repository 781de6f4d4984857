"""The groups by which results are split: how strongly an instance is hidden.

Two scales exist. Where true amodal masks are known, the hidden share of the amodal area, in bins;
where only an annotator's level is known (KITTI: 0 visible, 1 partly, 2 largely hidden, 3 unknown),
that level.
"""

from __future__ import annotations

from ..structures import Scene, SceneTruth


def hidden_share_group(hidden: int, total: int, bins: int = 4) -> str:
    """Bin of an instance's hidden share.

    Args:
        hidden: pixels of the true amodal mask that are not visible.
        total: pixels of the true amodal mask, > 0.
        bins: number of bins of equal width; a divisor of 100.

    Returns:
        Of 4 bins: ``hidden0`` (share 0), ``hidden0-25`` (0, 0.25], ``hidden25-50`` (0.25, 0.5],
        ``hidden50-75`` (0.5, 0.75], ``hidden75-100`` (0.75, 1), or ``hidden100`` (share 1).
    """
    if hidden == 0 or hidden == total:
        return "hidden0" if hidden == 0 else "hidden100"
    upper = -(-bins * hidden // total)  # rounded up, in integers: a bin's upper end is exact
    width = 100 // bins
    return f"hidden{width * (upper - 1)}-{width * upper}"


def pair_group(scene: Scene, truth: SceneTruth, occluder: int, occludee: int) -> str | None:
    """Group of an ordered pair: how strongly its occludee is hidden.

    Returns:
        ``level{n}``, the annotator's level of the occludee or, where that is unknown, of the
        occluder (the pair's highest known level); else the occludee's :func:`hidden_share_group`;
        None where neither scale is known.
    """
    if truth.occlusion_levels is not None:
        for instance in (occludee, occluder):
            if truth.occlusion_levels[instance] >= 0:
                return f"level{int(truth.occlusion_levels[instance])}"
    if truth.amodal_masks is not None:
        amodal = truth.amodal_masks[occludee]
        total = amodal.area
        if total:
            hidden = total - amodal.intersection_area(truth.true_modal_masks(scene)[occludee])
            return hidden_share_group(hidden, total)
    return None

"""Held-out erased regions: where content completion can be measured against true pixels.

What an occluder really hides nobody has seen. So a part of every instance is erased by laying
another instance over it, as in training (Fig. 3b), and what is filled in is compared with the
image. The same regions are drawn every time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...data.samplers import ErasingSettings
from ...data.samplers.erasing import place_eraser
from ...structures import Scene, SquareCrop, WindowMask
from ...structures.square_crop import adaptive_side
from .regions import HiddenRegion


def draw_erased_regions(
    scene: Scene, settings: ErasingSettings, *, min_square: float = 5.0, seed: int = 0
) -> tuple[list[HiddenRegion], Counter[str]]:
    """Erase a part of every usable instance of an image.

    An instance B of the same image, A itself included, is laid over A: B is scaled and mirrored as
    in training, resized to the side of A's square, and placed by ``place_eraser``. The hole is what
    A and B share. Random numbers follow from ``seed`` and A's instance id alone, so a region does
    not depend on the other images, nor on the order in which images are visited.

    Args:
        scene: its masks and instance ids are used, not its image.
        settings: the placement's numbers; SHIFT and GAMMA are not used.
        min_square: instances whose square is smaller, in pixels, are not used.
        seed: another seed draws other regions.

    Returns:
        One region for every instance that has one, in the scene's order, and how many have none,
        by reason.
    """
    left_out: Counter[str] = Counter()
    usable = []
    for row, mask in enumerate(scene.modal_masks):
        if mask.is_empty:
            left_out["instances without a visible pixel"] += 1
        elif adaptive_side(mask.box, settings.enlarge) < min_square:
            left_out["instances with a square under the minimum"] += 1
        else:
            usable.append(row)
    masks = [scene.modal_masks[row] for row in usable]
    regions = []
    for row, mask in zip(usable, masks, strict=True):
        rng = _generator(seed, scene.instance_ids[row])
        hole = draw_hole(mask, masks, settings, rng)
        low, high = settings.erased_share
        if hole.is_empty or not low <= hole.area / mask.area < high:
            left_out["instances that no placement erases as wanted"] += 1
            continue
        square = SquareCrop.around(mask.box, settings.enlarge)
        regions.append(HiddenRegion(row, square, mask - hole, hole))
    return regions, left_out


def draw_hole(
    target: WindowMask,
    others: Sequence[WindowMask],
    settings: ErasingSettings,
    rng: np.random.Generator,
) -> WindowMask:
    """Lay one of ``others`` over ``target`` and return the pixels that both hold.

    The pixels of the image are used, not those of a patch: the hole's true colours are known to the
    pixel.

    Args:
        target: A, not empty.
        others: what B is drawn from; at least one, none empty.
    """
    square = SquareCrop.around(target.box, settings.enlarge)
    other = others[int(rng.integers(len(others)))]
    scale = rng.uniform(*settings.scale)
    other_square = SquareCrop.around(other.box, settings.enlarge, scale=scale)
    if other_square.side < square.side:
        # Grown by nearest neighbour, its border would be made of steps.
        other_patch = other_square.resize_bilinear(other, square.side)
    else:
        other_patch = other_square.sample(other, square.side)
    if rng.random() < settings.flip_prob:
        other_patch = other_patch[:, ::-1]
    eraser = place_eraser(target.crop(square.box), other_patch, settings, rng)
    return target & WindowMask.from_array(eraser, square.x0, square.y0)


def _generator(seed: int, instance_id: object) -> np.random.Generator:
    """Random numbers of one instance; ids may be numbers or text."""
    digest = hashlib.sha256(f"{seed} {instance_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))

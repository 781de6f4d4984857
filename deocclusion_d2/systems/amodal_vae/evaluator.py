"""How wide Amodal-VAE's posterior is: the supplement's Fig. 4, and how many latents are in use.

What its samples are worth ("best in samples"), ``evaluation/completion.py`` measures: any method
may have samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...data.loaders import build_scene_test_loader
from ...evaluation.base import nothing_visible
from ...inference.network_runner import NetworkRunner, Sample
from ...structures import Scene, SceneTruth
from .network import ACTIVE_BELOW
from .steps import sample_of

# Of the supplement's Fig. 4, by the share of the true amodal mask that is hidden.
GROUPS = ("nothing hidden", "up to 50 % hidden", "over 50 % hidden")
# Of a visible part with shorter sides little can be seen in a picture; in pixels.
_LEAST_SIDE = 12


@dataclass(frozen=True)
class _Posterior:
    """Standard deviations of the posterior, and the share of the mode's mask that is not visible.

    (P, L + 1) float32. The share is roughly that, from areas: up to 1, below 0 where the mode's
    mask is smaller than the visible one.

    Attributes:
        threshold: above it a pixel belongs to the mode's mask.
    """

    threshold: float

    def __call__(self, runner: NetworkRunner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        _, log_variance = runner.model.encode(batch)
        mode = runner.model(batch)
        sides = mode["box"][:, 2:].exp()
        above = (mode["probability"] > self.threshold).float().mean(dim=(1, 2))
        visible = batch["partial"].float().mean(dim=(1, 2)) / 255
        added = 1 - visible / (above * sides.prod(dim=1)).clamp(min=1e-6)
        return torch.cat([(0.5 * log_variance).exp(), added[:, None]], dim=1)


@dataclass(frozen=True)
class _Object:
    """An instance whose posterior is measured.

    Attributes:
        image: number of its record.
        row: of the scene.
        hidden: share of its true amodal mask; None where nobody knows it.
        is_small: whether it is too small for a picture.
    """

    image: int
    row: int
    hidden: float | None
    is_small: bool


def measure_posterior(cfg, dataset_name: str, count: int) -> dict[str, Any]:
    """Measure the posteriors of all visible instances of a data set.

    Args:
        cfg: of Amodal-VAE, with ``MODEL.WEIGHTS``.
        dataset_name: with or without true amodal masks.
        count: of objects to choose for pictures.

    Returns:
        For JSON. ``active``, ``latents``: numbers of the code in use (mean standard deviation below
        0.9), and all. ``groups``: group of ``GROUPS`` that holds some -> ``instances``, and
        ``deviations``, the mean standard deviation of every latent. ``objects``: ``image`` (number
        of the record), ``row`` and ``hidden`` (share, or None) of the chosen ones: the most hidden
        ones first, or those to which the mode adds most where nobody knows what is hidden; one of
        an image as long as there are others, and small ones last.

    Raises:
        UserError: weights or data that cannot be used.
    """
    runner = NetworkRunner.from_config(cfg)
    found: list[_Object] = []
    loader = build_scene_test_loader(cfg, dataset_name)
    samples = _samples(loader, runner.model.size, found)
    of_each = list(runner.results(samples, _Posterior(cfg.DEOCCLUSION.AMODAL_THRESHOLD)))
    latents = runner.model.latent
    rows = np.array(of_each, dtype=np.float64).reshape(len(of_each), latents + 1)
    widths, added = rows[:, :latents], rows[:, latents]
    groups = np.array([_group(one.hidden) for one in found], dtype=int)
    by_group = {
        name: {
            "instances": int((groups == k).sum()),
            "deviations": widths[groups == k].mean(axis=0).round(6).tolist(),
        }
        for k, name in enumerate(GROUPS)
        if (groups == k).any()
    }
    active = int((widths.mean(axis=0) < ACTIVE_BELOW).sum()) if len(widths) else 0
    return {
        "active": active,
        "latents": latents,
        "groups": by_group,
        "objects": _chosen(found, added, count),
    }


def mean_widths(group: Mapping[str, Any]) -> tuple[float, float]:
    """Mean standard deviation of a group of ``measure_posterior``: all latents, active ones.

    Active are here those of the group. Without any, the second is that of the prior, 1.
    """
    deviations = np.array(group["deviations"])
    active = deviations[deviations < ACTIVE_BELOW]
    return float(deviations.mean()), float(active.mean()) if len(active) else 1.0


def _samples(loader, size: int, found: list[_Object]) -> Iterator[Sample]:
    """Visible instances as the encoder takes them; what they are goes into ``found``."""
    image = 0
    for batch in loader:
        for record in batch:
            given, truth = record["scene"], record["truth"]
            scene = given.owned()[0]
            for row, mask in enumerate(scene.modal_masks):
                if mask.is_empty:
                    continue
                x0, y0, x1, y1 = mask.box
                is_small = min(x1 - x0, y1 - y0) < _LEAST_SIDE
                found.append(_Object(image, row, hidden_share(given, truth, row), is_small))
                yield sample_of(mask, size)
            image += 1


def hidden_share(scene: Scene, truth: SceneTruth, row: int) -> float | None:
    """Share of an instance's true amodal mask that is hidden; None where nobody knows it."""
    if not truth.knows_whole(row):
        return None
    true, true_modal = truth.amodal_masks[row], truth.true_modal_masks(scene)[row]
    if true.is_empty or nothing_visible(scene.modal_masks[row], true_modal):
        return None
    return 1 - true.intersection_area(true_modal) / true.area


def _group(hidden: float | None) -> int:
    if hidden is None:
        return -1
    return 0 if hidden == 0 else 1 if hidden <= 0.5 else 2


def _chosen(found: list[_Object], added: np.ndarray, count: int) -> list[dict[str, Any]]:
    """See ``measure_posterior``."""
    if any(one.hidden is not None for one in found):
        ranks = [one.hidden for one in found]
    else:
        ranks = [float(share) for share in added]
    numbers = [k for k, rank in enumerate(ranks) if rank is not None]
    numbers.sort(key=lambda k: (found[k].is_small, -ranks[k], found[k].image, found[k].row))
    first, others, images = [], [], set()
    for k in numbers:
        (others if found[k].image in images or found[k].is_small else first).append(k)
        images.add(found[k].image)
    return [
        {"image": found[k].image, "row": found[k].row, "hidden": found[k].hidden}
        for k in [*first, *others][:count]
    ]

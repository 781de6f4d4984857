"""Held-out erasures: how well PCNet-M completes what it hides itself, where no truth is known."""

from __future__ import annotations

from collections import Counter

import torch
from detectron2.data import MapDataset
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from ...data.draws import Draws
from ...data.loaders import stack_samples
from ...errors import UserError
from ...inference.weights import load_model
from .mapper import PartialCompletionMapper, training_instances

# The same samples for every network with the same sampler.
_SEED = 0


def evaluate_erasures(
    cfg, dataset_name: str, draws: int, model: torch.nn.Module | None = None, sampler=None
) -> dict[str, float]:
    """Let a network complete samples drawn as in training, of a data set that it has not seen.

    Needs modal masks alone. Real occlusions hide more than erasers do, so figures are higher than
    on amodal truth; networks can be compared by them where the same sampler draws.

    Args:
        cfg: config of a PCNet-M, with ``MODEL.WEIGHTS``.
        dataset_name: registered, or ``FORMAT[.modal]:JSON[@IMAGE_ROOT]``.
        draws: how many samples. The first are the same, however many follow.
        model: the loaded network; None to load it.
        sampler: config whose sampler draws, in patches of the network's own size; None for ``cfg``.

    Returns:
        Percent, in the pixels of the patches:

        - ``erased_IoU_sum``, ``erased_IoU_mean``: what is completed under the eraser against what
          it hides; sum of intersections / sum of unions, and the mean over samples (case 1);
        - ``grown``: what is added to targets of which the eraser hides nothing, a share of their
          area (case 2);

        and the counts ``erased`` and ``intact`` of these samples. A figure without samples has no
        key.

    Raises:
        UserError: another meta-architecture, no usable instance, or weights that don't fit.
    """
    if cfg.MODEL.META_ARCHITECTURE != "PCNetM":
        raise UserError(
            f"MODEL.META_ARCHITECTURE = {cfg.MODEL.META_ARCHITECTURE!r}: erasures are PCNetM's"
        )
    if draws < 1:
        raise UserError(f"{draws} draws: take 1 or more")
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TRAIN = (dataset_name,)
    if sampler is not None:
        size = cfg.INPUT.INSTANCE_CROP.SIZE
        for node in ("PARTIAL_COMPLETION", "INSTANCE_CROP"):
            cfg.INPUT[node] = sampler.INPUT[node].clone()
        cfg.INPUT.INSTANCE_CROP.SIZE = size
    mapper = PartialCompletionMapper(cfg, training_instances(cfg), _SEED)
    samples = Subset(MapDataset(Draws(len(mapper), _SEED), mapper), range(draws))
    loader = DataLoader(
        samples,
        cfg.SOLVER.IMS_PER_BATCH,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=stack_samples,
    )
    model = load_model(cfg) if model is None else model.eval()
    sums: Counter = Counter()
    for batch in tqdm(loader, desc="erasures", unit="batch"):
        with torch.inference_mode():
            probability = model(batch)["probability"].cpu()
        completed = probability > cfg.DEOCCLUSION.AMODAL_THRESHOLD
        sums.update(_batch_sums(batch["modal_mask"].bool(), batch["eraser"].bool(), completed))
    return _ratios(sums)


def _batch_sums(mask: torch.Tensor, eraser: torch.Tensor, completed: torch.Tensor) -> Counter:
    """Sums over the samples of a batch; all three (N, S, S) bool."""
    hidden, completed = mask & eraser, completed & eraser
    intersections, unions, hidden_areas, added, areas = (
        x.flatten(1).sum(1).double()
        for x in (hidden & completed, hidden | completed, hidden, completed, mask)
    )
    erased = hidden_areas > 0
    return Counter(
        erased=int(erased.sum()),
        intact=int((~erased).sum()),
        intersection=float(intersections[erased].sum()),
        union=float(unions[erased].sum()),
        iou=float((intersections[erased] / unions[erased]).sum()),
        added=float(added[~erased].sum()),
        area=float(areas[~erased].sum()),
    )


def _ratios(sums: Counter) -> dict[str, float]:
    results: dict[str, float] = {}
    for name, numerator, denominator in (
        ("erased_IoU_sum", "intersection", "union"),
        ("erased_IoU_mean", "iou", "erased"),
        ("grown", "added", "area"),
    ):
        if sums[denominator]:
            results[name] = 100.0 * sums[numerator] / sums[denominator]
    return {**results, "erased": sums["erased"], "intact": sums["intact"]}

"""The figures of Amodal-VAE's supplement, and a sheet of samples: PNGs, and their numbers as CSV.

They are of the experiment "amodal_vae" (``experiments.py``).
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from ...data.loaders import records_of
from ...data.scenes import scene_from_record
from ...evaluation.completion import BEST_OF_SAMPLES, completion_areas
from ...files import whole_file
from ...inference.network_runner import NetworkRunner
from ...structures import Deocclusion, OcclusionGraph, Scene, SceneTruth
from ...visualization.labels import Label
from ...visualization.plots import COLOURS, finish_axes, save_figure
from ...visualization.sample_sheets import object_samples_row
from ..base import Shown
from .evaluator import GROUPS, mean_widths, measure_posterior
from .experiments import MODE
from .network import AmodalVAE
from .steps import build_completion

OBJECTS = 12
SAMPLES = 5
_PRIOR_ROWS, _PRIOR_COLUMNS = 6, 12
# As many as the paper shows.
_SHOWN_LATENTS = 15
# Those of the paper's figure: blue, orange, green.
_GROUP_COLOURS = COLOURS[:3]
_MARKERS = "osD^vPX"


def draw_figures(
    experiment: Any,
    seeds: Sequence[int],
    rows: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]],
    folder: Path,
) -> Iterator[Shown]:
    """See ``OwnExperiment.figures``. All but Fig. 1 are of the first seed's network.

    Writes ``fig1_visible_share``, ``fig3_prior``, ``fig4_posterior`` and ``samples``, each a PNG
    and a CSV; Fig. 1 and 4 only where the test set knows what is hidden.
    """
    seed, data = seeds[0], experiment.data.test
    if draw_visible_share(rows, folder / "fig1_visible_share.png"):
        yield Shown(
            "fig1_visible_share.png",
            "Mean IoU of completed masks by how much of the true object is visible (supplement, "
            "Fig. 1), of objects of which something is hidden. Best of samples is an oracle: of "
            "the mode and the samples it takes the one with the highest IoU with the true mask.",
        )
    measured = experiment.measure("amodal_vae_posterior", MODE, seed, _posterior).result
    cfg = experiment.method(MODE, seed).cfg
    runner = NetworkRunner.from_config(cfg)
    draw_prior(runner.model, folder / "fig3_prior.png")
    yield Shown(
        "fig3_prior.png",
        "Masks of codes that were drawn from the prior N(0, I), before they are thresholded: grey "
        f"is the probability (supplement, Fig. 3); seed {seed}.",
    )
    if measured["groups"]:
        draw_posterior(measured, folder / "fig4_posterior.png")
        widths = {name: mean_widths(group) for name, group in measured["groups"].items()}
        text = "; ".join(f"{name} {w:.3f} ({a:.3f})" for name, (w, a) in widths.items())
        yield Shown(
            "fig4_posterior.png",
            "How wide the posterior is by how much of the object is hidden (supplement, Fig. 4): "
            f"mean standard deviations, the smallest first; seed {seed}. "
            f"{measured['active']} of {measured['latents']} latents are active (mean below 0.9). "
            f"Mean over all latents (over the group's active ones): {text}.",
            {
                "active": measured["active"],
                "latents": measured["latents"],
                "groups": {
                    name: {
                        "instances": measured["groups"][name]["instances"],
                        "mean_deviation": all_latents,
                        "mean_deviation_of_active": of_active,
                    }
                    for name, (all_latents, of_active) in widths.items()
                },
            },
        )
    found = list(_completed(cfg, runner, data, measured["objects"]))
    if found:
        draw_samples(found, folder / "samples.png")
        yield Shown(
            "samples.png",
            f"Objects of {_short(experiment)}, "
            + (
                "the most hidden first"
                if found[0].hidden is not None
                else "those to which the mode adds most first"
            )
            + f": what is visible, the mode, {SAMPLES} samples, equal ones as one, with their "
            "shares of the draws, and the truth where it is known. What was added is hatched; the "
            f"CSV has the IoUs with the true mask; seed {seed}.",
        )


def _posterior(cfg, dataset_name: str, folder: Path) -> dict[str, Any]:
    return measure_posterior(cfg, dataset_name, OBJECTS)


def _short(experiment: Any) -> str:
    name = experiment.data.test
    return "the test set" if ":" in name else name


# -------------------------------------------------------------------- Fig. 1


def draw_visible_share(
    rows: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]], path: Path
) -> bool:
    """Draw mIoU against the visible share of the object, and its numbers beside it as CSV.

    Args:
        rows: row -> metrics of each seed, of ``AmodalCompletionEvaluator``.
        path: PNG.

    Returns:
        Whether there was anything to draw: whether the test set knows what is hidden.
    """
    figure = Figure(figsize=(8.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    lines: list[list] = []
    for k, (row, seeds) in enumerate(rows.items()):
        style = {
            "color": COLOURS[k % len(COLOURS)],
            "marker": _MARKERS[k % len(_MARKERS)],
            "markersize": 4,
        }
        for prefix, name, line in (
            ("", row, "-"),
            (BEST_OF_SAMPLES, f"{row}, best of samples (oracle)", ":"),
        ):
            points = list(_by_visible_share(seeds, prefix))
            lines += [[name, *point] for point in points]
            if points:
                centres = [(low + high) / 2 for low, high, *_ in points]
                means = [point[2] for point in points]
                axes.plot(centres, means, linestyle=line, label=name, **style)
    if not lines:
        return False
    axes.set_xlabel("visible share of the true amodal mask, %")
    axes.set_ylabel("mIoU, %")
    axes.set_xlim(0, 100)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    finish_axes(axes)
    save_figure(figure, path)
    header = ["curve", "visible_from", "visible_to", "mIoU_mean", "mIoU_sum", "instances"]
    _write(path, header, ([*line[:3], *(_text(v) for v in line[3:5]), line[5]] for line in lines))
    return True


def _by_visible_share(
    seeds: Sequence[Mapping[str, Mapping[str, float]]], prefix: str
) -> Iterator[tuple[int, int, float, float, int]]:
    """(from, to, mIoU as mean, as sum, instances) by visible share, percent; means over seeds."""
    metrics = [m.get("completion", {}) for m in seeds]
    name = re.compile(rf"{prefix}mIoU_mean-hidden(\d+)-(\d+)")
    bins = {tuple(map(int, m.groups())) for of in metrics for m in map(name.fullmatch, of) if m}
    for low, high in sorted(bins, reverse=True):
        group = f"hidden{low}-{high}"
        mean, total = (
            float(np.mean([of[key] for of in metrics if key in of]))
            for key in (f"{prefix}mIoU_mean-{group}", f"{prefix}mIoU_sum-{group}")
        )
        count = next(of[f"instances-{group}"] for of in metrics if f"instances-{group}" in of)
        yield 100 - high, 100 - low, mean, total, int(count)


# -------------------------------------------------------------------- Fig. 3


@torch.inference_mode()
def draw_prior(model: AmodalVAE, path: Path, seed: int = 0) -> None:
    """Draw the masks of codes from N(0, I), and write their probabilities beside them as CSV.

    Args:
        path: PNG.
        seed: of the codes.
    """
    count = _PRIOR_ROWS * _PRIOR_COLUMNS
    codes = np.random.default_rng(seed).standard_normal((count, model.latent), dtype=np.float32)
    masks = model.decode(torch.from_numpy(codes).to(model.device)).cpu().numpy()
    figure = Figure(figsize=(0.75 * _PRIOR_COLUMNS, 0.75 * _PRIOR_ROWS), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    grid = figure.subplots(_PRIOR_ROWS, _PRIOR_COLUMNS)
    for axes, mask in zip(grid.flat, masks, strict=True):
        axes.imshow(mask, cmap="gray", vmin=0, vmax=1)
        _bare(axes)
    save_figure(figure, path)
    side = masks.shape[1]
    header = ["sample", *(f"y{y}x{x}" for y in range(side) for x in range(side))]
    _write(path, header, ([k, *map(_text, mask.flat)] for k, mask in enumerate(masks)))


# -------------------------------------------------------------------- Fig. 4


def draw_posterior(measured: Mapping[str, Any], path: Path) -> None:
    """Draw the smallest mean standard deviations of the latents by group; all of them as CSV.

    The latents are in the order of their mean over all instances, in every group.

    Args:
        measured: by ``measure_posterior``, with one group at least.
        path: PNG.
    """
    groups = measured["groups"]
    counts = np.array([group["instances"] for group in groups.values()])
    deviations = np.array([group["deviations"] for group in groups.values()])
    order = np.argsort(counts @ deviations / counts.sum(), kind="stable")
    shown = order[:_SHOWN_LATENTS]
    figure = Figure(figsize=(7.0, 3.9), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(groups)
    for k, (name, group) in enumerate(groups.items()):
        axes.bar(
            np.arange(len(shown)) + (k - (len(groups) - 1) / 2) * width,
            deviations[k][shown],
            width,
            color=_GROUP_COLOURS[GROUPS.index(name)],
            label=f"{name} ({group['instances']} objects)",
        )
    axes.axhline(1, color="0.4", linestyle="--", linewidth=1, label="prior")
    axes.set_xticks(range(len(shown)), [str(k) for k in shown])
    axes.set_xlabel("latent, the smallest standard deviations first")
    axes.set_ylabel("mean standard deviation")
    axes.set_ylim(0, max(1.1, 1.05 * deviations[:, shown].max()))
    # Above the bars, wherever they end.
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    finish_axes(axes)
    axes.grid(False, axis="x")
    save_figure(figure, path)
    _write(
        path,
        ["rank", "latent", "group", "instances", "mean_deviation"],
        (
            [rank, int(latent), name, group["instances"], f"{group['deviations'][latent]:.4f}"]
            for rank, latent in enumerate(order)
            for name, group in groups.items()
        ),
    )


# -------------------------------------------------------------------- samples


@dataclass(frozen=True)
class Completed:
    """An object and its completions.

    Attributes:
        name: of its image and of itself.
        hidden: share of its true amodal mask; None where nobody knows it.
        scene: of it alone.
        result: of the scene.
        truth: of it; None where nobody knows it.
    """

    name: str
    hidden: float | None
    scene: Scene
    result: Deocclusion
    truth: SceneTruth | None

    def strip(self) -> np.ndarray:
        """A line of the sheet, see ``object_samples_row``."""
        known = self.hidden is not None
        text = f"{100 * self.hidden:.0f} % hidden" if known else self.name
        label = Label(short=self.name, long=text, detail=self.name)
        return object_samples_row(self.scene, self.result, 0, SAMPLES, self.truth, label=label)

    def lines(self) -> Iterator[list[str]]:
        """Of the CSV: the mode and the samples, each with its weight and IoU."""
        modal = self.scene.modal_masks[0]
        drawn = [
            (f"sample {k + 1}", s.weight, s.mask) for k, s in enumerate(self.result.samples[0])
        ]
        shown = [("visible", None, modal), ("mode", None, self.result.amodal_masks[0]), *drawn]
        for what, weight, mask in shown:
            iou = None
            if self.truth is not None:
                intersection, union, *_ = completion_areas(mask, self.truth.amodal_masks[0], modal)
                iou = 100 * intersection / union
            yield [self.name, _text(self.hidden), what, _text(weight), _text(iou, 2)]


def _completed(
    cfg, runner: NetworkRunner, dataset_name: str, objects: Sequence[Mapping[str, Any]]
) -> Iterator[Completed]:
    """The objects of ``measure_posterior`` with ``SAMPLES`` samples each."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DEOCCLUSION.SAMPLES = SAMPLES
    completion = build_completion("anywhere", cfg, runner)
    records = records_of(dataset_name)
    for chosen in objects:
        record, row = records[chosen["image"]], chosen["row"]
        given, truth = scene_from_record(record, load_image=os.path.isfile(record["file_name"]))
        alone = _alone(given.owned()[0], row)
        known = truth.knows_whole(row)
        yield Completed(
            f"{given.image_id}/{given.instance_ids[row]}",
            chosen["hidden"],
            alone,
            completion([alone], [OcclusionGraph(1)])[0],
            SceneTruth(amodal_masks=[truth.amodal_masks[row]]) if known else None,
        )


def _alone(scene: Scene, row: int) -> Scene:
    """A scene of one of its instances; nothing of the others is looked at."""
    return replace(
        scene,
        modal_masks=[scene.modal_masks[row]],
        category_ids=scene.category_ids[row : row + 1],
        instance_ids=[scene.instance_ids[row]],
        scores=None,
        amodal_boxes=None,
    )


def draw_samples(objects: Sequence[Completed], path: Path) -> None:
    """Draw objects below each other with all of their masks; the IoUs beside them as CSV.

    Args:
        objects: at least one; of all of them the truth is known, or of none.
        path: PNG.
    """
    with whole_file(path, path.parent) as unfinished, unfinished.open("wb") as file:
        Image.fromarray(np.concatenate([one.strip() for one in objects])).save(file, "PNG")
    header = ["object", "hidden_share", "mask", "weight", "IoU"]
    _write(path, header, (line for one in objects for line in one.lines()))


def _bare(axes) -> None:
    """No ticks and no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def _text(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _write(png: Path, header: Sequence[str], lines: Iterable[Sequence]) -> None:
    """The CSV beside a picture."""
    with open(png.with_suffix(".csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)

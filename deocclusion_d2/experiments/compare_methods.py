"""All methods on one data set: the figures of the paper's Tables 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detectron2.evaluation import inference_on_dataset
from detectron2.utils import comm
from tabulate import tabulate

from ..data.datasets import ensure_registered
from ..data.loaders import build_scene_test_loader
from ..errors import UserError
from ..evaluation import build_evaluators
from ..inference import Deoccluder, load_model

# Name in the tables -> (DEOCCLUSION.ORDERING, DEOCCLUSION.COMPLETION).
METHODS: dict[str, tuple[str, str]] = {
    "Area": ("area", "raw"),
    "Y-axis": ("y_axis", "raw"),
    "Raw": ("convex", "raw"),
    "Convex": ("convex", "convex"),
    "Convex^R": ("convex", "convex_r"),
    "NOG": ("dual_completion", "nog"),
    "OG": ("dual_completion", "og"),
}

Results = dict[str, dict[str, dict[str, float]]]


def compare_methods(cfg, dataset_name: str, methods: Sequence[str] = tuple(METHODS)) -> Results:
    """Evaluate methods on a data set.

    Args:
        cfg: config of the PCNet-M, with ``MODEL.WEIGHTS``.
        dataset_name: a data set with amodal truth of some kind.
        methods: keys of ``METHODS``.

    Returns:
        method -> task -> metric -> value, on the main process; empty elsewhere.

    Raises:
        UserError: an unknown method, or weights that don't fit.
    """
    unknown = [m for m in methods if m not in METHODS]
    if unknown:
        raise UserError(f"unknown method {unknown[0]!r}: use some of {', '.join(METHODS)}")
    ensure_registered(dataset_name)
    loader = build_scene_test_loader(cfg, dataset_name)  # once: loading takes its time
    model = None
    results: Results = {}
    for name in methods:
        chosen = cfg.clone()
        chosen.defrost()
        chosen.DEOCCLUSION.ORDERING, chosen.DEOCCLUSION.COMPLETION = METHODS[name]
        if model is None and METHODS[name][0] == "dual_completion":
            model = load_model(cfg)
        deoccluder = Deoccluder.from_config(chosen, model)
        result = inference_on_dataset(deoccluder, loader, build_evaluators(dataset_name))
        if comm.is_main_process():
            results[name] = {task: dict(values) for task, values in result.items()}
    return results


def comparison_table(results: Mapping, digits: int = 2) -> str:
    """A Markdown table: one row per metric, one column per method."""
    rows: list[tuple[str, str]] = []
    for tasks in results.values():
        rows += [(t, m) for t, metrics in tasks.items() for m in metrics if (t, m) not in rows]
    rows.sort(key=lambda row: row[0])
    cells = [
        [f"{task} {metric}"] + [tasks.get(task, {}).get(metric) for tasks in results.values()]
        for task, metric in rows
    ]
    headers = ["", *results]
    return tabulate(cells, headers, tablefmt="github", floatfmt=f".{digits}f", missingval="")

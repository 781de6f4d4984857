"""Methods on one data set: what the paper's Tables 1 to 3 compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detectron2.evaluation import inference_on_dataset
from detectron2.utils import comm
from tabulate import tabulate

from ..data.datasets import ensure_registered
from ..data.loaders import build_scene_test_loader
from ..errors import UserError
from ..evaluation import build_evaluators
from ..inference import Deoccluder, load_model


@dataclass(frozen=True)
class ComparedMethod:
    """A row of the tables.

    Attributes:
        ordering, completion: ``DEOCCLUSION.ORDERING`` and ``DEOCCLUSION.COMPLETION``.
        network: the network it needs, a role of ``trainings.CONFIGS``; None for none.
    """

    ordering: str
    completion: str
    network: str | None = None


# Name in the tables -> method.
METHODS: dict[str, ComparedMethod] = {
    "Area": ComparedMethod("area", "raw"),
    "Y-axis": ComparedMethod("y_axis", "raw"),
    "Raw": ComparedMethod("convex", "raw"),
    "Convex": ComparedMethod("convex", "convex"),
    "Convex^R": ComparedMethod("convex", "convex_r"),
    "NOG": ComparedMethod("dual_completion", "nog", "pcnet_m"),
    "OG": ComparedMethod("dual_completion", "og", "pcnet_m"),
    "OG+": ComparedMethod("dual_completion", "og", "pcnet_m_plus"),
    "OrderNet^M": ComparedMethod("order_net", "raw", "order_net_m"),
    "OrderNet^{M+I}": ComparedMethod("order_net", "raw", "order_net_mi"),
    "Supervised": ComparedMethod("convex", "supervised", "amodal_unet"),
}
# Those that one PCNet-M gives, or no network.
UNSUPERVISED = tuple(n for n, m in METHODS.items() if m.network in (None, "pcnet_m"))

# task -> metric -> value.
Metrics = dict[str, dict[str, float]]


def evaluate_method(
    cfg, name: str, dataset_name: str, model=None, hidden_bins: int = 4, loader=None
) -> Metrics:
    """Evaluate one method on a data set.

    Args:
        cfg: config of the method's network, with ``MODEL.WEIGHTS``; of any network where it needs
            none.
        name: key of ``METHODS``.
        dataset_name: a data set with truth of some kind.
        model: the loaded network; None to load it.
        hidden_bins: see ``build_evaluators``.
        loader: of the data set's scenes; None to build it.

    Returns:
        task -> metric -> value on the main process; empty elsewhere.

    Raises:
        UserError: an unknown method, or weights that don't fit.
    """
    if name not in METHODS:
        raise UserError(f"unknown method {name!r}: use some of {', '.join(METHODS)}")
    ensure_registered(dataset_name)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DEOCCLUSION.ORDERING = METHODS[name].ordering
    cfg.DEOCCLUSION.COMPLETION = METHODS[name].completion
    result = inference_on_dataset(
        Deoccluder.from_config(cfg, model),
        loader or build_scene_test_loader(cfg, dataset_name),
        build_evaluators(dataset_name, hidden_bins=hidden_bins),
    )
    if not comm.is_main_process():
        return {}
    return {task: dict(values) for task, values in result.items()}


def compare_methods(
    cfg, dataset_name: str, methods: Sequence[str] = UNSUPERVISED
) -> dict[str, Metrics]:
    """Evaluate the methods that one PCNet-M, or no network, gives.

    Args:
        cfg: config of the PCNet-M, with ``MODEL.WEIGHTS``.
        dataset_name: a data set with truth of some kind.
        methods: some of ``UNSUPERVISED``.

    Returns:
        method -> task -> metric -> value, on the main process; empty elsewhere.

    Raises:
        UserError: another method, or weights that don't fit.
    """
    unknown = [m for m in methods if m not in UNSUPERVISED]
    if unknown:
        raise UserError(f"unknown method {unknown[0]!r}: use some of {', '.join(UNSUPERVISED)}")
    model = load_model(cfg) if any(METHODS[m].network for m in methods) else None
    loader = build_scene_test_loader(cfg, ensure_registered(dataset_name))  # once: it takes time
    results = {n: evaluate_method(cfg, n, dataset_name, model, loader=loader) for n in methods}
    return results if comm.is_main_process() else {}


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

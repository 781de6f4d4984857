"""Methods on one data set: what the paper's Tables 1 to 3 compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from detectron2.utils import comm
from tabulate import tabulate

from ..data.loaders import build_scene_test_loader
from ..engine.evaluate import Metrics, evaluate_deocclusion
from ..errors import UserError
from ..inference.weights import load_model
from ..methods import with_steps
from ..systems import Row, rows, system_of


def find_row(name: str) -> Row:
    """A row of the tables.

    Raises:
        UserError: there is none of this name.
    """
    if name not in rows():
        raise UserError(f"unknown method {name!r}: use some of {', '.join(rows())}")
    return rows()[name]


def evaluate_row(
    cfg,
    name: str,
    dataset_name: str,
    model=None,
    hidden_bins: int = 4,
    loader: Iterable | None = None,
) -> Metrics:
    """Evaluate one row of the tables on a data set.

    Args:
        cfg: config of the row's network, with ``MODEL.WEIGHTS``; of any network where it needs
            none. What it says for other steps than the row's is left out.
        name: of the row.
        dataset_name: a data set with truth of some kind.
        model, hidden_bins, loader: see ``evaluate_deocclusion``.

    Returns:
        task -> metric -> value on the main process; empty elsewhere.

    Raises:
        UserError: an unknown row, or weights that don't fit.
    """
    row = find_row(name)
    cfg = with_steps(cfg, row.ordering, row.completion)
    return evaluate_deocclusion(cfg, dataset_name, model, hidden_bins=hidden_bins, loader=loader)


def comparable_rows(cfg) -> list[str]:
    """The rows that one network of a config gives, or none: rules, and its training's own.

    Rows of colours alone are none of them, nor those that other rows are but for how long their
    network has learned.
    """
    own = [t.name for t in system_of(cfg).trainings if not t.like and not t.pretrained]
    found: dict[tuple, str] = {}
    for name, row in rows().items():
        if set(row.trainings) <= set(own) and row.tables != ("content",):
            steps = (row.ordering, row.completion, *sorted(row.options.items()))
            # The last one has learned longest.
            found[steps if row.training else (name,)] = name
    return list(found.values())


def default_rows() -> list[str]:
    """The rows of the first self-supervised system, and the rules; what a comparison offers."""
    first = reference_training()
    return [name for name, row in rows().items() if set(row.trainings) <= {first}]


def reference_training() -> str:
    """The training that stands for the data set where a row has none: the tables' first."""
    return next(row.training for row in rows("completion").values() if row.training)


def compare_methods(
    cfg, dataset_name: str, methods: Sequence[str] | None = None
) -> dict[str, Metrics]:
    """Evaluate the rows that one network, or none, gives.

    Args:
        cfg: config of the network, with ``MODEL.WEIGHTS``.
        dataset_name: a data set with truth of some kind.
        methods: some of ``comparable_rows``; None for all of them.

    Returns:
        row -> task -> metric -> value, on the main process; empty elsewhere.

    Raises:
        UserError: another row, or weights that don't fit.
    """
    known = comparable_rows(cfg)
    methods = known if methods is None else methods
    unknown = [m for m in methods if m not in known]
    if unknown:
        raise UserError(f"unknown method {unknown[0]!r}: use some of {', '.join(known)}")
    model = load_model(cfg) if any(rows()[m].training for m in methods) else None
    # Once: it takes time.
    images = system_of(cfg).network.needs_images(cfg)
    loader = build_scene_test_loader(cfg, dataset_name, load_images=images)
    results = {n: evaluate_row(cfg, n, dataset_name, model, loader=loader) for n in methods}
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

"""The paper's experiments: Table 1 (ordering), 2 (completion), 3 (predicted modal masks), and
4 (label conversion). And what is not in the paper: colours, detectors side by side, the reliability
of probabilities, and the table of an experiment that a system has of its own.

Each is a function of an ``Experiment`` that returns its tables. Every table says how it was
measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detectron2.data import MetadataCatalog

from ..engine.evaluate import Metrics
from ..errors import UserError
from ..evaluation.completion import BEST_OF_SAMPLES
from ..evaluation.hidden_objects import GROUPS
from ..systems import detectors, published, remarks
from .content import content_protocol, evaluate_content
from .data import short_name
from .experiment import Experiment, mask_training
from .tables import Column, Table

TRUE_LABELS = "GT"
# Test set -> column of the papers' tables; figures of other data cannot be compared with them.
_PAPER_COLUMNS = {"kins_val": "KINS", "cocoa_val": "COCOA"}

_ORDERING = [
    Column("accuracy", "ordering", "Acc"),
    Column("undecided", "ordering", "Undecided"),
    Column("per image", "ordering", "Acc_image"),
    Column("level 0", "ordering", "Acc-level0"),
    Column("level 1", "ordering", "Acc-level1"),
    Column("level 2", "ordering", "Acc-level2"),
    Column("hidden 0-25 %", "ordering", "Acc-hidden0-25"),
    Column("25-50 %", "ordering", "Acc-hidden25-50"),
    Column("50-75 %", "ordering", "Acc-hidden50-75"),
    Column("75-100 %", "ordering", "Acc-hidden75-100"),
]
# The first column is the paper's metric: its code divides sums.
_COMPLETION = [
    Column("mIoU (sum)", "completion", "mIoU_sum", 2),
    Column("mIoU (mean)", "completion", "mIoU_mean", 2),
    Column("occluded only", "completion", "mIoU_mean-occluded", 2),
    Column("hidden part", "completion", "invisible_IoU_mean", 2),
    Column("box IoU, level 0", "amodal_box", "IoU-level0"),
    Column("level 1", "amodal_box", "IoU-level1"),
    Column("level 2", "amodal_box", "IoU-level2"),
]
_DETECTION = [
    Column("mask AP", "segm", "AP"),
    Column("mask AP50", "segm", "AP50"),
    Column("box AP", "bbox", "AP"),
    Column("box AP50", "bbox", "AP50"),
]
# By hidden share, the most hidden first; the first column of each metric names it.
_HIDDEN_OBJECTS = [
    Column(f"{name}, {text}" if group == GROUPS[-1] else text, "hidden", f"{metric}-{group}")
    for metric, name in (("best_IoU", "best IoU"), ("AR", "AR"))
    for group, text in zip(
        reversed(GROUPS), ("hidden over 50 %", "25-50 %", "0-25 %", "0 %"), strict=True
    )
]
_HIDDEN_TITLE = "The same detectors by how much of the true object is hidden, %:"
_HIDDEN_NOTE = (
    "Best IoU: the highest IoU with the true amodal mask that a detection of the image reaches, "
    "mean over the objects. AR: average recall of 100 detections an image."
)
_CONTENT = [
    Column("L1", "content", "L1", 4, unit=""),
    Column("L2", "content", "L2", 4, unit=""),
    Column("PSNR", "content", "PSNR", 2, unit="dB"),
    Column("SSIM", "content", "SSIM", 3, unit=""),
    Column("LPIPS", "content", "LPIPS", 3, unit=""),
]
_RELIABILITY = [
    Column("calibration error", "reliability", "ECE", 2),
    Column("Brier", "reliability", "Brier", 2),
    Column("predicted", "reliability", "predicted"),
    Column("true", "reliability", "true"),
]
_MODAL = [
    Column("AP", "modal_segmentation", "AP"),
    Column("AP50", "modal_segmentation", "AP50"),
    Column("mIoU", "modal_segmentation", "mIoU"),
]


def oracle_columns(count: str) -> list[Column]:
    """The same of the oracle that takes the best of as many samples."""
    return [
        Column(f"best of {count} (oracle){name}", "completion", f"{BEST_OF_SAMPLES}{metric}", 2)
        for name, metric in (
            ("", "mIoU_sum"),
            (", mean", "mIoU_mean"),
            (", hidden part", "invisible_IoU_mean"),
        )
    ]


# What stands for a number of samples where there are several.
_SOME = "samples"
# Of all tables; each shows those that its rows have.
COLUMNS = (
    *_ORDERING,
    *_COMPLETION,
    *oracle_columns(_SOME),
    *_MODAL,
    *_DETECTION,
    *_CONTENT,
    *_RELIABILITY,
)

_OTHERS = "Figures of different papers are not of one protocol: compare published ones with care"
_INSTANCES = (
    "mIoU (sum) is the sum of intersections over the sum of unions, the form of the released code "
    "of the papers; mIoU (mean) and hidden part are means over instances, the latter of the IoU of "
    "what is not visible, over truly occluded instances. Left out are instances without a visible "
    "pixel and those of which the labels do not know the whole."
)
_PROTOCOLS = {
    "ordering": "Protocol: true modal masks; of two neighbours of which one hides a part of the "
    "other by the true labels, the share of pairs whose order is right; per image is the mean of "
    "the images' own shares.",
    "completion": f"Protocol: true modal masks are completed. {_INSTANCES} Where boxes alone are "
    "known (KITTI), box IoU is that of the completed masks' boxes. " + f"{_OTHERS}.",
    "predicted_modal": "Protocol: the predicted modal masks above are completed, and compared with "
    f"true amodal masks. {_INSTANCES} Left out, too, are instances without a prediction. "
    f"{_OTHERS}: each paper has its own predicted masks.",
    "modal_masks": "Protocol: masks are predicted inside of given boxes; mIoU is the mean over "
    "instances.",
    "label_quality": f"Protocol: true modal masks of the training set are completed. {_INSTANCES}",
    "label_conversion": "Protocol: one detector for each label source, judged by COCO's average "
    "precision against true amodal masks and boxes of the test set.",
    "detection": "Protocol: detectors learn the true amodal masks of the training set, and are "
    "judged by COCO's average precision against those of the test set.",
    "reliability": "Protocol: true modal masks are completed; over those pixels beside the visible "
    "ones to which a method gives a probability above 0, which are not the same for every method. "
    "Of a method that draws completions the probability is their mean.",
}


def ordering(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """Table 1: pair-wise order accuracy."""
    table = Table(
        "ordering",
        f"Order accuracy on {short_name(e.data.test)}, % of truly ordered pairs:",
        _ORDERING,
        published_figures("ordering", e.data.test),
        notes=_notes("ordering", e),
    )
    return [_fill(table, e, seeds, chosen)]


def completion(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """Table 2: amodal completion from true modal masks."""
    table = Table(
        "completion",
        f"Amodal completion on {short_name(e.data.test)}, %:",
        completion_columns(e, chosen),
        published_figures("completion", e.data.test),
        notes=[*_notes("completion", e), *_oracle_notes(e, chosen)],
    )
    return [_fill(table, e, seeds, chosen)]


def own_table(name: str, e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """The completion table of an experiment that a system has of its own."""
    table = completion(e, seeds, chosen)[0]
    table.name = name
    return [table]


def predicted_modal(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """Table 3: amodal completion from modal masks that a U-Net predicts from image and box."""
    masks = Table(
        "modal_masks",
        f"Predicted modal masks on {short_name(e.data.test)}, %:",
        _MODAL,
        notes=_notes("modal_masks", e),
    )
    table = Table(
        "predicted_modal",
        f"Amodal completion on {short_name(e.data.test)} from predicted modal masks, %:",
        completion_columns(e, chosen),
        published_figures("predicted_modal", e.data.test),
        notes=[*_notes("predicted_modal", e), *_oracle_notes(e, chosen)],
    )
    metrics = [e.network(mask_training(), seed).result["metrics"] for seed in seeds]
    masks.rows["U-Net"] = [_by_task(m) for m in metrics]
    predictions = {seed: e.predict_modal_masks(seed) for seed in seeds}
    for method in chosen:
        if _note_untrainable(table, e, method):
            continue
        table.rows[method] = [e.evaluate(method, seed, predictions[seed]) for seed in seeds]
    return [masks, table]


def label_conversion(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """Table 4: Mask R-CNN from converted labels, and what the labels are worth."""
    quality = Table(
        "label_quality",
        f"Labels of {short_name(e.data.train)} against the true ones, % (paper: 95.22 on KINS):",
        _COMPLETION,
        notes=_notes("label_quality", e),
    )
    detection = Table(
        "label_conversion",
        f"Amodal Mask R-CNN by label source, AP on {short_name(e.data.test)}, %:",
        _DETECTION,
        published_figures("label_conversion", e.data.test),
        notes=_notes("label_conversion", e),
    )
    hidden = Table("hidden_objects", _HIDDEN_TITLE, _HIDDEN_OBJECTS, notes=[_HIDDEN_NOTE])
    for source in chosen:
        if source == TRUE_LABELS:
            detectors = [e.detector(e.data.train, seed) for seed in seeds]
        elif _note_untrainable(detection, e, source):
            continue
        else:
            labels = [e.convert(source, seed) for seed in seeds]
            once = len({stage.key for stage in labels}) == 1
            quality.rows[source] = [e.judge_labels(s) for s in (labels[:1] if once else labels)]
            detectors = [e.detector(s, seed) for s, seed in zip(labels, seeds, strict=True)]
        detection.rows[source] = [_by_task(s.result["metrics"]) for s in detectors]
        hidden.rows[source] = detection.rows[source]
    return [quality, detection, hidden]


def detection(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """Detectors side by side, trained alike on the training set's true amodal labels.

    Raises:
        UserError: the training set has none.
    """
    if e.data.supervised != e.data.train:
        raise UserError(
            f"detection trains on true amodal labels, which {short_name(e.data.train)} does not "
            "have: name another --dataset"
        )
    table = Table(
        "detection",
        f"Detectors, AP on {short_name(e.data.test)}, %:",
        _DETECTION,
        published_figures("detection", e.data.test),
        notes=_notes("detection", e),
    )
    hidden = Table("hidden_objects", _HIDDEN_TITLE, _HIDDEN_OBJECTS, notes=[_HIDDEN_NOTE])
    for row in chosen:
        name = detectors()[row]
        try:
            e.trainings.config_file(name)
        except UserError as error:
            table.notes.append(f"{row} is missing: {error}.")
            continue
        trained = [e.detector(e.data.train, seed, name) for seed in seeds]
        table.rows[row] = [_by_task(stage.result["metrics"]) for stage in trained]
        hidden.rows[row] = table.rows[row]
    return [table, hidden]


def content(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """Colours of hidden parts."""
    table = Table(
        "content",
        f"Colours of hidden parts on {short_name(e.data.test)}:",
        _CONTENT,
        notes=[content_protocol(e.data.test)],
    )
    return [_fill(table, e, seeds, chosen, evaluate_content)]


def reliability(e: Experiment, seeds: Sequence[int], chosen: Sequence[str]) -> list[Table]:
    """How far the probabilities of hidden pixels can be trusted.

    Raises:
        UserError: the test set has no true amodal masks.
    """
    if MetadataCatalog.get(e.data.test).get("evaluator_type") not in ("amodal", "cocoa"):
        raise UserError(
            f"reliability compares with true amodal masks, which {short_name(e.data.test)} does "
            "not have: name another test set"
        )
    table = Table(
        "reliability",
        f"Probabilities of hidden pixels on {short_name(e.data.test)}, %:",
        _RELIABILITY,
        notes=_notes("reliability", e),
    )
    keep = ("DEOCCLUSION.KEEP_PROBABILITY", "True")
    for method in chosen:
        if _note_untrainable(table, e, method):
            continue
        table.rows[method] = [e.evaluate(method, seed, test_opts=keep) for seed in seeds]
    return [table]


def completion_columns(e: Experiment, chosen: Sequence[str]) -> list[Column]:
    """The columns of a table of completions; that of the oracle says of how many samples."""
    return [*_COMPLETION, *oracle_columns(_drawn(e, chosen))]


def published_figures(experiment: str, test_dataset: str) -> dict[str, float]:
    """Row -> figure of the papers, percent; empty where the data set is not theirs."""
    return published(experiment, _PAPER_COLUMNS.get(test_dataset, ""))


def _notes(table: str, e: Experiment) -> list[str]:
    """How a table was measured, and what published figures in it are of."""
    return [_PROTOCOLS[table], *remarks(table, _PAPER_COLUMNS.get(e.data.test, ""))]


def _drawn(e: Experiment, chosen: Sequence[str]) -> str:
    """How many samples the rows draw, or ``_SOME`` where they differ."""
    counts = {e.samples_of(row) for row in chosen if e.can_train(row)} - {0}
    return str(counts.pop()) if len(counts) == 1 else _SOME


def _oracle_notes(e: Experiment, chosen: Sequence[str]) -> list[str]:
    """What the oracle's columns are; nothing where no row draws samples."""
    if not any(e.samples_of(row) for row in chosen if e.can_train(row)):
        return []
    return [
        f"Best of {_drawn(e, chosen)} (oracle): of an object's completion and the ones that were "
        "drawn for it, the one with the highest IoU with the true mask, which no method knows. It "
        "says how much the distribution holds, and is no result of the method."
    ]


def _fill(
    table: Table,
    e: Experiment,
    seeds: Sequence[int],
    methods: Sequence[str],
    evaluate: Callable[[Experiment, str, int], Metrics] = Experiment.evaluate,
) -> Table:
    for method in methods:
        if _note_untrainable(table, e, method):
            continue
        table.rows[method] = [
            evaluate(e, method, s) for s in (seeds if e.is_trained(method) else seeds[:1])
        ]
    return table


def _note_untrainable(table: Table, e: Experiment, method: str) -> bool:
    """Whether a method has nothing to learn from, or no config; says so below the table."""
    lacks = e.lacks(method)
    if lacks:
        table.notes.append(f"{method} is missing: {lacks}.")
    return bool(lacks)


def _by_task(metrics: dict[str, float]) -> Metrics:
    """Detectron2's flat "task/metric" -> task -> metric."""
    nested: Metrics = {}
    for key, value in metrics.items():
        task, _, metric = key.partition("/")
        nested.setdefault(task, {})[metric] = value
    return nested

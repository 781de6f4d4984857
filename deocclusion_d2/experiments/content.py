"""Colours of hidden parts: the methods that fill them, and how near they come to the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectron2.data import DatasetCatalog

from ..chosen_steps import build_content
from ..data.datasets import ensure_registered
from ..data.full_objects import knows_hidden_colours
from ..data.loaders import build_scene_test_loader
from ..data.samplers import ErasingSettings
from ..engine.evaluate import Metrics, judge
from ..evaluation.content import ContentEvaluator, HoleFiller
from ..evaluation.content.filling import BASELINES, baseline_filler
from ..evaluation.content.lpips import find_lpips
from ..files import file_sha256, hash_of
from ..systems import rows
from .data import fingerprint as data_fingerprint
from .data import short_name

if TYPE_CHECKING:
    from detectron2.config import CfgNode

    from .experiment import Experiment

# Rows that nothing is trained for: name -> baseline.
PLAIN = {name.replace("_", " "): name for name in BASELINES}


def content_rows() -> tuple[str, ...]:
    """The rows of the table of colours."""
    return (*PLAIN, *rows("content"))


def content_config(e: Experiment, row: str, seed: int) -> tuple[CfgNode | None, Mapping[str, Any]]:
    """A row's config, None for one without training; and what decides its results."""
    if row in PLAIN:
        return None, {"content": PLAIN[row]}
    method = e.method(row, seed)
    cfg = method.cfg.clone()
    cfg.defrost()
    cfg.DEOCCLUSION.CONTENT = rows()[row].content
    return cfg, {**method.inputs, "content": cfg.DEOCCLUSION.CONTENT}


def hole_filler(row: str, cfg: CfgNode | None) -> HoleFiller:
    """What fills the holes that a row is judged by, the same for all rows.

    Args:
        cfg: see ``content_config``.
    """
    content = baseline_filler(PLAIN[row]) if cfg is None else build_content(cfg)
    return HoleFiller(content, ErasingSettings(), baselines=())


def evaluate_content(e: Experiment, row: str, seed: int) -> Metrics:
    """Figures of a row on the test set, "content" -> metric -> value; see ``ContentEvaluator``."""
    cfg, inputs = content_config(e, row, seed)
    test = e.data.test

    def work(folder: Path) -> Metrics:
        print(f"\n== colours by {row} on {test}", flush=True)
        loader = build_scene_test_loader(e.any_config(), test, load_images=True)
        return judge(hole_filler(row, cfg), loader, ContentEvaluator())

    inputs = {**inputs, "test": data_fingerprint(test), "colours": colours_fingerprint(test)}
    inputs["lpips"] = find_lpips() is not None
    return e.store.run("content", inputs, work).result


@cache
def colours_fingerprint(name: str) -> str:
    """What identifies the pictures of whole objects that a data set names; "" for none."""
    pictures = [
        file_sha256(Path(annotation["full_object"]))
        for record in DatasetCatalog.get(ensure_registered(name))
        for annotation in record["annotations"]
        if "full_object" in annotation and Path(annotation["full_object"]).is_file()
    ]
    return hash_of(pictures) if pictures else ""


def content_protocol(test: str) -> str:
    """How colours are measured on a data set."""
    records: Sequence[Mapping] = DatasetCatalog.get(ensure_registered(test))
    known = sum(knows_hidden_colours(record) for record in records)
    where = short_name(test)
    hidden = "the truly hidden parts of objects are filled, given their true masks"
    erased = "visible parts are erased and filled again, the same for all"
    if known == len(records):
        what = f"the colours of what is hidden in {where} are known: {hidden}"
    elif not known:
        what = f"nobody knows the colours of what is hidden in {where}: {erased}"
    else:
        what = (
            f"the colours of what is hidden are known in {known} of {len(records)} images of "
            f"{where}: there {hidden}; in the others {erased}"
        )
    return (
        f"Protocol: {what}. L1 and L2 are means over all their pixels of colours in [0, 1], PSNR "
        "(dB) is that of L2; SSIM is of the photo with the part filled, over its pixels."
    )

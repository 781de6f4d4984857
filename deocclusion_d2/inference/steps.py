"""What the steps of a de-occlusion are, whichever system they belong to.

An ordering says who hides whom, a completion makes amodal masks of it, and a content filler (see
``content/filler.py``) gives hidden pixels their colours. Systems declare theirs by name (see
``deocclusion_d2.systems``), and ``Deoccluder`` chains them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..data.places import place_of
from ..errors import UserError
from ..modeling.category_ids import KnownCategories, require_category_ids
from ..structures import OVERLAP_RULES, Deocclusion, OcclusionGraph, Scene, WindowMask
from ..structures.gaps import WIDEST
from ..structures.window_mask import Box

if TYPE_CHECKING:
    from .network_runner import NetworkRunner


# ``DEOCCLUSION.GAP``: the gap that is closed is measured.
AUTO_GAP = "auto"


class Step(Protocol):
    """What orderings and completions have in common.

    Attributes:
        uses_rgb: whether scenes need their image.
        uses_category: whether the result depends on category ids.
        categories: the ids that its network knows, where it does.
        runners: what runs its networks, if there are any.

    One that is made of others has these as ``members``, and no ``categories``: each member takes
    the ids that its network knows.
    """

    uses_rgb: bool
    uses_category: bool
    categories: KnownCategories
    runners: Sequence[NetworkRunner]

    def describe(self) -> dict[str, Any]:
        """What decides the result besides weights and input: names and numbers, for JSON."""


class Ordering(Step, Protocol):
    """Says who hides whom.

    Attributes:
        needs_calibration: whether something of it is fitted to the scenes of a request, and has not
            been yet. Then it also has ``measure`` (scenes -> an array of each, with a row for each
            of its pairs), ``fit`` (such arrays -> what was fitted, for JSON) and ``calibrated``
            (that -> the ordering with it).
    """

    needs_calibration: bool

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene; it does not depend on the other scenes."""


class Completion(Step, Protocol):
    """Completes the masks of scenes whose order is known.

    One that gives probabilities also has ``threshold``, the one above which a pixel is completed.
    One that completes in some places only has ``speaks_at``: (scene, graph, row) -> the pixels
    where it says whether they are the instance's; elsewhere it leaves the modal mask as it is. See
    ``where_it_speaks``.
    """

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """The result of every scene, with its graph; it does not depend on the other scenes."""


@dataclass(frozen=True, eq=False)
class Outside:
    """All pixels but those of a mask, at the cost of a window."""

    mask: WindowMask

    def crop(self, box: Box) -> np.ndarray:
        """Those inside a box (x0, y0, x1, y1): (y1 - y0, x1 - x0) bool."""
        return ~self.mask.crop(box)


def where_it_speaks(
    completion: Completion, scene: Scene, graph: OcclusionGraph, row: int
) -> WindowMask | Outside | None:
    """The pixels where a completion says whether they are an instance's; None: everywhere.

    With visible pixels kept (``DEOCCLUSION.CONSTRAIN``) it adds none elsewhere.

    Args:
        scene, graph: as the completion itself is given them.
        row: of the instance.
    """
    speaks_at = getattr(completion, "speaks_at", None)
    return None if speaks_at is None else speaks_at(scene, graph, row)


class RuleStep:
    """Base of steps without a network."""

    needs_calibration = False
    uses_rgb = False
    uses_category = False
    categories = KnownCategories()
    runners: Sequence[NetworkRunner] = ()

    def describe(self) -> dict[str, Any]:
        return {}


class NetworkStep:
    """Base of steps that run a network.

    Args:
        runner: runs it.
        description: what ``describe`` says.
    """

    needs_calibration = False

    def __init__(self, runner: NetworkRunner, description: Mapping[str, Any] | None) -> None:
        self.runner = runner
        self._description = dict(description or {})

    @property
    def uses_rgb(self) -> bool:
        return self.runner.uses_rgb

    @property
    def uses_category(self) -> bool:
        return self.runner.uses_category

    @property
    def categories(self) -> KnownCategories:
        return self.runner.categories

    @property
    def runners(self) -> Sequence[NetworkRunner]:
        return (self.runner,)

    def describe(self) -> dict[str, Any]:
        return dict(self._description)


# -------------------------------------------------------------------- what builders read


def dilation(cfg) -> int:
    """The kernel that closes gaps between masks; the paper's protocol has none."""
    return 0 if cfg.DEOCCLUSION.PAPER_PROTOCOL else cfg.DEOCCLUSION.DILATION


def gap_of(cfg) -> int | None:
    """The gap that is closed, in pixels; None: it is measured. The paper's protocol has none.

    Raises:
        UserError: DEOCCLUSION.GAP is neither "auto" nor a number from 0 to ``WIDEST``, or both it
            and DEOCCLUSION.DILATION are to close gaps.
    """
    if cfg.DEOCCLUSION.PAPER_PROTOCOL:
        return 0
    text = str(cfg.DEOCCLUSION.GAP).strip() or "0"
    if text != AUTO_GAP and not (text.isascii() and text.isdigit() and int(text) <= WIDEST):
        raise UserError(
            f"DEOCCLUSION.GAP = {cfg.DEOCCLUSION.GAP!r}: use {AUTO_GAP!r}, or a number of pixels "
            f"from 0 to {WIDEST}"
        )
    wanted = None if text == AUTO_GAP else int(text)
    if wanted != 0 and cfg.DEOCCLUSION.DILATION > 1:
        raise UserError(
            f"DEOCCLUSION.GAP = {cfg.DEOCCLUSION.GAP!r} and DEOCCLUSION.DILATION = "
            f"{cfg.DEOCCLUSION.DILATION}: both close gaps; leave out DILATION, or set GAP 0"
        )
    return wanted


def constrains(cfg) -> bool:
    """Whether visible pixels are kept; the paper's protocol takes the raw paste."""
    return cfg.DEOCCLUSION.CONSTRAIN and not cfg.DEOCCLUSION.PAPER_PROTOCOL


def owns_pixels(cfg) -> bool:
    """Whether a pixel of several masks gets one owner; the paper's protocol knows none.

    Raises:
        UserError: DEOCCLUSION.OVERLAPS is no rule.
    """
    rule = cfg.DEOCCLUSION.OVERLAPS
    if rule not in OVERLAP_RULES:
        raise UserError(f"DEOCCLUSION.OVERLAPS = {rule!r}: use {' or '.join(OVERLAP_RULES)}")
    return rule == OVERLAP_RULES[0] and not cfg.DEOCCLUSION.PAPER_PROTOCOL


def patch_arguments(cfg) -> dict[str, Any]:
    """How instances become patches, by the names that the steps' classes give it."""
    return {
        "patch_size": cfg.INPUT.INSTANCE_CROP.SIZE,
        "enlarge": cfg.INPUT.INSTANCE_CROP.ENLARGE,
    }


def describe_network(cfg, runner: NetworkRunner) -> dict[str, Any]:
    """What every network's use is described by: names and numbers, for JSON."""
    return {
        "patch_size": cfg.INPUT.INSTANCE_CROP.SIZE,
        "enlarge_box": cfg.INPUT.INSTANCE_CROP.ENLARGE,
        "constrain": constrains(cfg),
        "paper_protocol": cfg.DEOCCLUSION.PAPER_PROTOCOL,
        **runner.describe(),
    }


def require_categories(scenes: Iterable[Scene], steps: Sequence[Any]) -> None:
    """Refuse scenes with a category id that the networks of steps do not know.

    Args:
        steps: whatever has ``uses_category`` and ``categories``, or ``members``; see ``Step``.

    Raises:
        UserError: naming image and instance.
    """
    for scene in scenes:
        known = scene.image_id is not None or scene.file_name
        where = f"{scene.description}, annotation" if known else "the masks given: instance"
        require_known_ids(
            scene.category_ids,
            lambda row, where=where, scene=scene: f"{where} {scene.instance_ids[row]!r}",
            steps,
        )


def require_record_categories(records: Iterable[dict], steps: Sequence[Any]) -> None:
    """Refuse data sets with such an id, before anything is computed.

    Args:
        records: dataset dicts of data sets.

    Raises:
        UserError: naming image and annotation.
    """
    if not any(step.uses_category for step in steps):
        return
    instances = [(r, a) for r in records for a in r["annotations"] if not a.get("iscrowd", 0)]
    ids = [annotation["dataset_category_id"] for _, annotation in instances]
    require_known_ids(ids, lambda row: place_of(*instances[row]), steps)


def require_known_ids(
    category_ids: Sequence[int] | np.ndarray, where: Callable[[int], str], steps: Sequence[Any]
) -> None:
    """Refuse category ids that the networks of steps do not know; see ``require_category_ids``."""
    for step in steps:
        members = getattr(step, "members", ())
        if members:
            require_known_ids(category_ids, where, members)
        elif step.uses_category:
            require_category_ids(category_ids, where, step.categories)


def require_image(scene: Scene) -> np.ndarray:
    """The scene's image, for networks that use colours.

    Raises:
        UserError: the scene has none.
    """
    if scene.image is None:
        raise UserError(
            f"{scene.description}: the network looks at colours, but the scene holds no image; "
            "give one, or use a network without (USE_RGB of its config)"
        )
    return scene.image

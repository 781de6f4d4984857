"""What a scene is before and after de-occlusion. Plain data, little behaviour of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .gaps import Seams
from .mask_sample import MaskSample, with_pixels
from .neighbours import neighbour_pairs
from .occlusion_graph import OcclusionGraph
from .ownership import Ownership, own_pixels
from .probability_map import ProbabilityMap
from .window_mask import Box, WindowMask, box_around, union

if TYPE_CHECKING:
    import fiftyone
    import supervision


@dataclass
class Scene:
    """The modal masks of one image. N instances; crowd regions are not part of a scene.

    Attributes:
        height, width: image size in pixels.
        modal_masks: N masks.
        category_ids: (N,) int64, ids *of the data set* (KINS 1-8), not contiguous ones: the target
            mask is multiplied by them. All 1 for data sets without categories.
        instance_ids: N annotation ids (any hashable; the row number where there are none).
        image: (H, W, 3) uint8 RGB, or None when the model needs no colours.
        image_id, file_name: where the scene comes from, for messages and results.
        scores: N finite numbers, where the masks were predicted and have some; else None.
        gap: the widest gap between masks that is closed, in pixels, see ``gaps.py``; a
            ``Deoccluder`` says it.
        amodal_boxes: (N, 4) float, (x0, y0, x1, y1) in pixels: boxes of whole objects that somebody
            has given, NaN rows where nobody has; None where none is.
        masks_are_amodal: whether ``modal_masks`` are masks of whole objects instead, such as those
            of a detector that has learned amodal masks: they are ordered, not completed.
    """

    height: int
    width: int
    modal_masks: list[WindowMask]
    category_ids: np.ndarray
    instance_ids: list = field(default_factory=list)
    image: np.ndarray | None = None
    image_id: int | str | None = None
    file_name: str = ""
    scores: Sequence[float] | None = None
    gap: int = 0
    amodal_boxes: np.ndarray | None = None
    masks_are_amodal: bool = False

    def __post_init__(self) -> None:
        self.category_ids = np.asarray(self.category_ids, dtype=np.int64)
        if not self.instance_ids:
            self.instance_ids = list(range(len(self.modal_masks)))
        counts = {len(self.modal_masks), len(self.category_ids), len(self.instance_ids)}
        if len(counts) != 1:
            raise ValueError(
                f"scene {self.image_id!r}: {len(self.modal_masks)} masks, "
                f"{len(self.category_ids)} categories and {len(self.instance_ids)} ids; "
                "give one of each per instance"
            )

    def __len__(self) -> int:
        return len(self.modal_masks)

    def owned(self) -> tuple[Scene, Ownership | None]:
        """The scene as steps see it, a pixel with one owner, and who owns what; see ``own_pixels``.

        A scene whose masks do not overlap is given back itself, and None.
        """
        ownership = own_pixels(self.modal_masks, self.scores)
        if ownership is None:
            return self, None
        return replace(self, modal_masks=ownership.seen), ownership

    def of_whole_objects(self, graph: OcclusionGraph) -> Deocclusion:
        """The result where the masks are those of whole objects: what is in front shows its pixels.

        Args:
            graph: who hides whom; ``own_pixels`` says it of overlapping pairs that it does not
                order, and where it goes in a circle.
        """
        ownership = own_pixels(self.modal_masks, self.scores, graph)
        if ownership is not None:
            graph = ownership.in_order(graph)
        return Deocclusion(graph, list(self.modal_masks), ownership=ownership)

    @cached_property
    def seams(self) -> Seams:
        """What closes the gaps between the masks; orderings and completions share it."""
        return Seams(self.modal_masks, (self.height, self.width), self.gap)

    def neighbour_pairs(self, dilation: int = 0) -> list[tuple[int, int]]:
        """The pairs (i, j), i < j, that can hide each other, sorted; see ``neighbour_pairs``.

        Args:
            dilation: see ``WindowMask.touches``; counts where no gap is closed.
        """
        if self.gap:
            return self.seams.pairs()
        return neighbour_pairs(self.modal_masks, dilation)

    @property
    def description(self) -> str:
        """How messages name the image."""
        return f"image {self.image_id!r} ({self.file_name or 'no file name'})"


class HiddenColours(Protocol):
    """Knows how photos would look if nothing hid an instance; see ``SceneTruth.unhidden``."""

    def knows(self, row: int) -> bool:
        """Whether ``__call__`` gives a photo."""

    def __call__(self, row: int, image: np.ndarray) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None where nobody knows."""


@dataclass
class SceneTruth:
    """What is known about the hidden parts of a scene, for evaluation only.

    Everything is aligned with the scene's N instances; None where the data set does not know it.

    Attributes:
        amodal_masks: N masks.
        amodal_boxes: (N, 4) float, (x0, y0, x1, y1) in pixels, NaN rows where unknown.
        occlusion_levels: (N,) int, the annotator's level (KITTI 0-3), -1 where unknown.
        depths: (N,) float in metres, NaN where unknown.
        depth_constraints: pairs (i, j): instance i is in front of j (COCOA).
        modal_masks: N true modal masks, where the scene's own are predictions (an empty one of the
            scene is then an instance without a prediction); None where the scene's are the truth.
        amodal_exact: (N,) bool, False where the amodal mask is no more than what an image showed
            before something was pasted into it; None where all are the whole objects.
        unhidden: (row, the scene's image) -> (H, W, 3) uint8 RGB, the photo as it would be if
            nothing hid that instance; None for an instance of which nobody knows it. None where
            that is so of all, or no images are read.
    """

    amodal_masks: list[WindowMask] | None = None
    amodal_boxes: np.ndarray | None = None
    occlusion_levels: np.ndarray | None = None
    depths: np.ndarray | None = None
    depth_constraints: list[tuple[int, int]] | None = None
    modal_masks: list[WindowMask] | None = None
    amodal_exact: np.ndarray | None = None
    unhidden: HiddenColours | None = None

    def knows_whole(self, row: int) -> bool:
        """Whether an instance's amodal mask is the whole object."""
        return self.amodal_masks is not None and (
            self.amodal_exact is None or bool(self.amodal_exact[row])
        )

    def true_modal_masks(self, scene: Scene) -> list[WindowMask]:
        """The N true modal masks: its own where it has some, else the scene's."""
        return scene.modal_masks if self.modal_masks is None else self.modal_masks


@dataclass
class Deocclusion:
    """What the method says about a scene of N instances.

    Attributes:
        graph: who hides whom; its nodes are the rows 0..N-1 of the scene.
        amodal_masks: N completed masks.
        rows: N row numbers, from ``Deoccluder.predict``: instance n is row ``rows[n]`` of the masks
            that it was given, of which those with a low score are left out. None from scenes, whose
            rows these are.
        probabilities: N maps of how probable it is that a pixel of what may hide an instance is
            the instance's, None for those that nothing hides; None altogether unless asked for.
        ownership: who owns the pixels that several of the scene's modal masks hold; None where
            there are none, and where every mask keeps them (``DEOCCLUSION.OVERLAPS``).
        unclipped_boxes: N boxes (x0, y0, x1, y1) in pixels of the completed objects, which may
            leave the image, where masks end at its border; None unless objects may grow beyond it
            (``DEOCCLUSION.BEYOND_IMAGE``).
        samples: N lists of completions that were drawn, the weights of each adding up to 1, empty
            for instances of which nothing may be hidden; None altogether unless asked for
            (``DEOCCLUSION.SAMPLES``).
        scene: what this is the result of, as it was given to a ``Deoccluder``.
    """

    graph: OcclusionGraph
    amodal_masks: list[WindowMask]
    rows: list[int] | None = None
    probabilities: list[ProbabilityMap | None] | None = None
    ownership: Ownership | None = None
    scene: Scene | None = field(default=None, repr=False, compare=False)
    unclipped_boxes: list[Box] | None = None
    samples: list[list[MaskSample]] | None = None

    def to_supervision(self, class_ids: Sequence[int] | None = None) -> supervision.Detections:
        """As ``supervision.Detections`` of N instances, for its annotators and trackers.

        ``xyxy`` and ``mask`` are amodal; ``confidence`` the scores, where there are some;
        ``class_id`` category ids. ``data`` holds ``modal_mask`` (N, H, W) bool, ``annotation_id``
        (see ``InstanceFacts.id``), ``occluder_ids`` (N lists of such ids), ``occluded``,
        ``occlusion_rate``, ``z_order`` and ``occlusion_cycle``, N each.

        Args:
            class_ids: for ``class_id``, a number for each of the masks that were given, such as
                the ``class_id`` of the detections that they are from.

        Raises:
            UserError: supervision is not installed.
        """
        from .exports import to_supervision

        return to_supervision(self, class_ids)

    def to_fiftyone(self, labels: Sequence[str] | None = None) -> dict[str, fiftyone.Detections]:
        """As FiftyOne's labels: two fields for a sample, ``sample[name] = value``.

        Args:
            labels: a name for each of the masks that were given; category ids when None.

        Returns:
            "amodal" and "modal" -> ``fiftyone.Detections`` with instance masks. An instance has the
            attributes ``annotation_id`` (see ``InstanceFacts.id``), which is the same in both,
            ``occluder_ids``, ``occluded``, ``occlusion_rate``, ``z_order`` and ``occlusion_cycle``.
            A mask without a pixel has no box, and is left out.

        Raises:
            UserError: FiftyOne is not installed.
        """
        from .exports import to_fiftyone

        return to_fiftyone(self, labels)

    def of_given_masks(self, ownership: Ownership) -> Deocclusion:
        """The result for the masks as they were given, from that for masks that own their pixels.

        Amodal masks hold what the annotator has said, and so the pixels that others own.
        """
        lost, probabilities = ownership.lost, self.probabilities
        boxes, samples = self.unclipped_boxes, self.samples
        if boxes is not None:
            boxes = [box_around([box, mask.box]) for box, mask in zip(boxes, lost, strict=True)]
        if probabilities is not None:
            probabilities = [
                kept if kept is None else kept.with_certain(mask)
                for kept, mask in zip(probabilities, lost, strict=True)
            ]
        if samples is not None:
            samples = [with_pixels(drawn, mask) for drawn, mask in zip(samples, lost, strict=True)]
        return replace(
            self,
            amodal_masks=[
                mask if more.is_empty else union([mask, more])
                for mask, more in zip(self.amodal_masks, lost, strict=True)
            ],
            probabilities=probabilities,
            ownership=ownership,
            unclipped_boxes=boxes,
            samples=samples,
        )

    def visible_masks(self, scene: Scene) -> list[WindowMask]:
        """N masks of the pixels that show each instance of its scene, each in one of them.

        They are the scene's modal masks without the pixels that others own.
        """
        return scene.modal_masks if self.ownership is None else self.ownership.masks

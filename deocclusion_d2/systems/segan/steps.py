"""SeGAN's steps: order and masks by its segmentor, colours by its painter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import UserError
from ...inference.content import SmoothFiller
from ...inference.content.filler import ContentFiller, seam_reach
from ...inference.content.holes import Hole
from ...inference.content.seam import correct_seam
from ...inference.network_runner import NetworkRunner, Sample
from ...inference.steps import NetworkStep, constrains, dilation, require_image
from ...structures import Deocclusion, OcclusionGraph, Scene, SquareCrop, WindowMask
from ...structures.window_mask import box_around
from .box_crop import BoxCrop
from .mapper import Views
from .network import has_learned

# How much of what two neighbours share makes one hide the other (the paper's paragraph on depth
# layering), and of what it is a share.
_LEAST_SHARED = 0.05
LAYERS_BY = ("iou", "share")


class Segmenting:
    """Runs the segmentor over the instances of scenes.

    Args:
        runner: runs SeGAN.
        views: how it looks at an instance.
        expand: of the box on each side; see ``BoxCrop.around``.
        enlarge: of the square that is seen where the context is "crop".
        threshold: probability above which a pixel belongs to the whole object.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        views: Views,
        *,
        expand: float = 0.2,
        enlarge: float = 3.0,
        threshold: float = 0.5,
    ) -> None:
        self.runner = runner
        self.views = views
        self.expand = expand
        self.enlarge = enlarge
        self.threshold = threshold

    def masks(
        self, scenes: Sequence[Scene], rows: Sequence[Sequence[int]] | None = None
    ) -> list[dict[int, WindowMask]]:
        """Of each scene, row -> what the segmentor takes for the whole object.

        Args:
            rows: of each scene, the instances that are asked for; None for all.
        """
        jobs: list[tuple[int, int, BoxCrop]] = []
        found: list[dict[int, WindowMask]] = [{} for _ in scenes]
        probabilities = self.runner.outputs(self._samples(scenes, rows, jobs), "probability")
        for k, probability in enumerate(probabilities):
            number, row, box = jobs[k]
            found[number][row] = box.paste(probability, self.threshold)
        return found

    def _samples(
        self,
        scenes: Sequence[Scene],
        rows: Sequence[Sequence[int]] | None,
        jobs: list[tuple[int, int, BoxCrop]],
    ) -> Iterator[Sample]:
        for number, scene in enumerate(scenes):
            seen = None
            for row in range(len(scene)) if rows is None else rows[number]:
                modal = scene.modal_masks[row]
                if modal.is_empty:
                    continue
                # The whole photo is the same for all of its instances.
                seen = self.views.photo(require_image(scene)) if seen is None else seen
                box = self.box_of(scene, row)
                square = SquareCrop.around(box.box, self.enlarge)
                jobs.append((number, row, box))
                yield self.views.input(require_image(scene), modal, box, square, seen=seen)

    def box_of(self, scene: Scene, row: int) -> BoxCrop:
        """The box that is segmented."""
        size = (scene.height, scene.width)
        return BoxCrop.around(scene.modal_masks[row].box, (self.expand,) * 4, size)

    def painter_sample(self, scene: Scene, row: int, box: BoxCrop, whole: WindowMask) -> Sample:
        """What the painter sees of an instance.

        Args:
            whole: its mask.
        """
        return painter_sample(self.views, require_image(scene), box, scene.modal_masks[row], whole)

    @classmethod
    def from_config(cls, cfg, runner: NetworkRunner) -> Segmenting:
        """As a config says it."""
        return cls(
            runner,
            Views.from_config(cfg),
            expand=cfg.MODEL.SEGAN.TEST_EXPAND,
            enlarge=cfg.INPUT.INSTANCE_CROP.ENLARGE,
            threshold=cfg.MODEL.SEGAN.THRESHOLD,
        )

    def describe(self) -> dict[str, Any]:
        return {
            "context": self.views.context,
            "input_size": self.views.input_size,
            "mask_size": self.views.mask_size,
            "expand": self.expand,
            "amodal_threshold": self.threshold,
            "precision": self.runner.precision,
        }


class SeGANCompletion(NetworkStep):
    """Completes every visible instance by SeGAN's segmentor, whatever the order.

    Args:
        segmenting: runs it.
        constrain: True: the result is ``modal | completion``, which keeps visible pixels. False:
            the completion as it is pasted back.
    """

    def __init__(self, segmenting: Segmenting, *, constrain: bool = True) -> None:
        super().__init__(segmenting.runner, {"constrain": constrain, **segmenting.describe()})
        self.segmenting = segmenting
        self.constrain = constrain

    def __call__(
        self, scenes: Sequence[Scene], graphs: Sequence[OcclusionGraph]
    ) -> list[Deocclusion]:
        """Amodal masks of every instance of every scene; an empty mask stays empty."""
        return self.of_masks(scenes, graphs, self.segmenting.masks(scenes))

    def of_masks(
        self,
        scenes: Sequence[Scene],
        graphs: Sequence[OcclusionGraph],
        segmented: Sequence[Mapping[int, WindowMask]],
    ) -> list[Deocclusion]:
        """The same, of what the segmentor has already said; see ``Segmenting.masks``."""
        results = []
        for scene, graph, found in zip(scenes, graphs, segmented, strict=True):
            masks = list(scene.modal_masks)
            for row, whole in found.items():
                masks[row] = masks[row] | whole if self.constrain else whole
            results.append(Deocclusion(graph, masks))
        return results


class SeGANLayers(NetworkStep):
    """Depth layering: q hides p where q's visible part holds enough of p's segmented invisible one.

    Where both hide each other, the larger share decides.

    Args:
        segmenting: runs the segmentor.
        by: what 5 % are a share of: "iou", of both together, as in the paper; "share", of the
            invisible part.
        dilation: see ``Scene.neighbour_pairs``.

    Raises:
        UserError: ``by`` is neither.
    """

    def __init__(self, segmenting: Segmenting, *, by: str = "iou", dilation: int = 0) -> None:
        super().__init__(segmenting.runner, {**segmenting.describe(), "layers_by": by})
        if by not in LAYERS_BY:
            raise UserError(f"DEOCCLUSION.LAYERS_BY = {by!r}: use {' or '.join(LAYERS_BY)}")
        self.segmenting = segmenting
        self.by = by
        self.dilation = dilation

    def __call__(self, scenes: Sequence[Scene]) -> list[OcclusionGraph]:
        """The occlusion graph of every scene."""
        pairs = [scene.neighbour_pairs(self.dilation) for scene in scenes]
        rows = [sorted({row for pair in of_scene for row in pair}) for of_scene in pairs]
        return self.of_masks(scenes, self.segmenting.masks(scenes, rows))

    def of_masks(
        self, scenes: Sequence[Scene], segmented: Sequence[Mapping[int, WindowMask]]
    ) -> list[OcclusionGraph]:
        """The same, of what the segmentor has already said; see ``Segmenting.masks``."""
        return [self._graph(*of_scene) for of_scene in zip(scenes, segmented, strict=True)]

    def _graph(self, scene: Scene, whole: Mapping[int, WindowMask]) -> OcclusionGraph:
        pairs = scene.neighbour_pairs(self.dilation)
        visible = scene.modal_masks
        invisible = {row: mask - visible[row] for row, mask in whole.items()}
        shared = WindowMask.iou if self.by == "iou" else _share
        overlaps = np.array(
            [(shared(invisible[i], visible[j]), shared(invisible[j], visible[i])) for i, j in pairs]
        ).reshape(-1, 2)
        # Of the two, i is in front where j is hidden by it.
        hidden = np.where(overlaps > _LEAST_SHARED, overlaps, 0.0)
        scores = hidden[:, 1] - hidden[:, 0]
        return OcclusionGraph.from_scores(len(scene), pairs, scores, overlaps, np.abs(scores))


def _share(invisible: WindowMask, visible: WindowMask) -> float:
    """How much of an invisible part lies on another object; 0 where there is none."""
    return invisible.intersection_area(visible) / max(invisible.area, 1)


class SeGANPainter(ContentFiller):
    """Fills the hidden parts of objects by SeGAN's painter, and the background smoothly.

    The painter has learned objects alone. It sees the visible part of an object, and where the rest
    of it is; nothing of what surrounds it.

    Args:
        runner: runs SeGAN.
        views: how it looks at an instance.
        expand: of the box around the whole object on each side.
        background: what fills the background.
        soft_seam: correct the colours next to visible ones; see ``correct_seam``. Not in the paper,
            which takes the visible part, too, from the painter.
    """

    def __init__(
        self,
        runner: NetworkRunner,
        views: Views,
        *,
        expand: float = 0.2,
        background: ContentFiller | None = None,
        soft_seam: bool = True,
    ) -> None:
        self.runner = runner
        self.runners = (runner,)
        self.views = views
        self.expand = expand
        self.background = background or SmoothFiller()
        self.context = self.background.context
        self.soft_seam = soft_seam

    def fill(self, holes: Sequence[Hole]) -> list[np.ndarray]:
        of_objects = [(hole, self._box(hole)) for hole in holes if _is_object(hole)]
        painted = self.runner.outputs(itertools.starmap(self._sample, of_objects), "rgb")
        objects = (self._window(*one, p) for one, p in zip(of_objects, painted, strict=True))
        background = iter(self.background.fill([h for h in holes if not _is_object(h)]))
        return [next(objects if _is_object(hole) else background) for hole in holes]

    def _box(self, hole: Hole) -> BoxCrop:
        whole = box_around([hole.visible.box, hole.missing.box])
        return BoxCrop.around(whole, (self.expand,) * 4, hole.image.shape[:2])

    def _sample(self, hole: Hole, box: BoxCrop) -> Sample:
        return painter_sample(
            self.views, hole.image, box, hole.visible, hole.visible | hole.missing
        )

    def _window(self, hole: Hole, box: BoxCrop, painted: np.ndarray) -> np.ndarray:
        """The colours of the window of the missing pixels."""
        colours = box.paste_values(painted)
        if self.soft_seam:
            photo, missing = box.window(hole.image), hole.missing.crop(box.box)
            visible = hole.sources(box.box).visible
            colours = correct_seam(colours, photo, visible, missing, seam_reach(max(box.size)))
        x0, y0, x1, y1 = hole.missing.box
        left, top = box.box[:2]
        window = colours[y0 - top : y1 - top, x0 - left : x1 - left]
        return np.clip(np.round(window), 0, 255).astype(np.uint8)

    def describe(self) -> dict[str, Any]:
        return {
            "content": "segan",
            "content_paint_size": self.views.paint_size,
            "content_expand": self.expand,
            "content_soft_seam": self.soft_seam,
            "content_background": self.background.describe(),
        }


def painter_sample(
    views: Views, image: np.ndarray, box: BoxCrop, visible: WindowMask, whole: WindowMask
) -> Sample:
    """What the painter sees: the visible part of an object in colours, and the mask of all of it.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    size = views.paint_size
    return {
        "crop_image": box.sample_colours(image, size),
        "crop_modal": box.sample(visible, size).view(np.uint8),
        "crop_amodal": box.sample(visible | whole, size).view(np.uint8),
    }


def _is_object(hole: Hole) -> bool:
    """Whether the pixels around a hole are an object's; those of the background are nobody's."""
    return hole.visible.intersection_area(hole.taken) > 0


# -------------------------------------------------------------------- from configs


def build_ordering(cfg, runner: NetworkRunner) -> SeGANLayers:
    """The ordering "segan_layers"."""
    segmenting = Segmenting.from_config(cfg, runner)
    return SeGANLayers(segmenting, by=cfg.DEOCCLUSION.LAYERS_BY, dilation=dilation(cfg))


def build_completion(cfg, runner: NetworkRunner) -> SeGANCompletion:
    """The completion "segan"."""
    return SeGANCompletion(Segmenting.from_config(cfg, runner), constrain=constrains(cfg))


def build_content(cfg, runner: NetworkRunner) -> SeGANPainter:
    """The content "segan".

    Raises:
        UserError: the painter has not learned yet.
    """
    if not has_learned(runner.model.painter):
        raise UserError(
            f"DEOCCLUSION.CONTENT = 'segan': the painter of MODEL.WEIGHTS = {cfg.MODEL.WEIGHTS!r} "
            "has not learned; name weights of MODEL.SEGAN.STAGE 'paint' or 'end_to_end', or "
            "another content"
        )
    return SeGANPainter(
        runner,
        Views.from_config(cfg),
        expand=cfg.MODEL.SEGAN.TEST_EXPAND,
        background=SmoothFiller(cfg.DEOCCLUSION.CONTENT_CONTEXT, cfg.DEOCCLUSION.CONTENT_INSET),
    )

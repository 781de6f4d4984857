"""From a photo and its de-occlusion to complete objects before a complete background."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..inference.content import (
    ContentFiller,
    Hole,
    SmoothFiller,
    background_holes,
    object_hole,
)
from ..inference.content.sources import DEFAULT_INSET, inner_pixels
from ..inference.steps import require_categories
from ..structures import (
    Deocclusion,
    LayeredScene,
    MaskSample,
    ObjectLayer,
    OcclusionGraph,
    Scene,
    WindowMask,
)
from ..structures.mask_sample import merged_samples
from ..structures.window_mask import union
from .soft_edges import feathered_alpha, own_colours

# Side in pixels of the kernel by which objects take over the pixels around them.
DEFAULT_CONTENT_DILATION = 3
# Borders that mix colours further than this are those of no photo.
_MAX_INSET = 32
# Side in pixels of the kernel by which the background does without the pixels around objects, where
# layers have soft edges: the photo still holds something of their colours there.
_RIM = 5
# Of a category in an object's name.
_MOST_LETTERS = 40


def decompose(
    scene: Scene,
    result: Deocclusion,
    content: ContentFiller | None = None,
    categories: Sequence[str] | None = None,
    dilation: int = DEFAULT_CONTENT_DILATION,
    inset: int = DEFAULT_INSET,
) -> LayeredScene:
    """Take one photo apart; see ``decompose_scenes``."""
    names = None if categories is None else [categories]
    return decompose_scenes([scene], [result], content, names, dilation, inset)[0]


def decompose_scenes(
    scenes: Sequence[Scene],
    results: Sequence[Deocclusion],
    content: ContentFiller | None = None,
    categories: Sequence[Sequence[str]] | None = None,
    dilation: int = DEFAULT_CONTENT_DILATION,
    inset: int = DEFAULT_INSET,
) -> list[LayeredScene]:
    """Take photos apart. All holes of all of them share the network's batches.

    Layers have soft edges in the objects' own colours, also in gaps between masks that an amodal
    mask covers, and the background is free of what the photo shows of them around; the scene keeps
    the photo, which is seen while nothing is edited.

    With ``inset`` 0 edges are hard and in the photo's colours: drawn over the background, those in
    front last, the layers give the photo to the bit where the graph has no cycle. To that end an
    amodal mask is cut where it lies on visible pixels of an object that does not hide it, and shows
    the photo where it lies on pixels of no object.

    Args:
        scenes: with images.
        results: the de-occlusion of each, of all its instances.
        content: what fills the hidden parts; ``SmoothFiller(inset=inset)`` when None.
        categories: of each scene the category name of every instance; "object" when None.
        dilation: side in pixels of a square kernel, odd, or 0: pixels of no object that this kernel
            reaches from an object's modal mask become part of it. Its colours bleed over its
            border, and would stay behind as an outline when it is moved.
        inset: visible pixels of an object this near to its border, in pixels, hold colours of its
            surroundings too; they get those further inside. 0: hard edges, see above.

    Returns:
        One per scene. Instances without a visible pixel are left out, also those of which others
        own every pixel; an object is named after its category and its row, such as "car-3". Where
        masks overlap, the description says how much, under "overlaps".

    Raises:
        UserError: a scene without image or without a visible instance, an even ``dilation``, or an
            ``inset`` below 0 or above 32.
    """
    if dilation < 0 or (dilation and dilation % 2 == 0):
        raise UserError(f"DEOCCLUSION.CONTENT_DILATION = {dilation}: use 0 or an odd number")
    if not 0 <= inset <= _MAX_INSET:
        raise UserError(f"DEOCCLUSION.CONTENT_INSET = {inset}: use 0 to {_MAX_INSET} pixels")
    content = content or SmoothFiller(inset=inset)
    require_categories(scenes, [content])
    parts = [
        _Parts.of(
            scene,
            result,
            ["object"] * len(scene) if categories is None else categories[k],
            content,
            dilation,
            inset,
        )
        for k, (scene, result) in enumerate(zip(scenes, results, strict=True))
    ]
    windows = iter(content.fill([hole for part in parts for hole in part.holes]))
    layered = [part.assemble([next(windows) for _ in part.holes]) for part in parts]
    for scene, result in zip(layered, results, strict=True):
        scene.description = {
            **content.describe(),
            "content_dilation": dilation,
            "edge_inset": inset,
        }
        if result.ownership is not None:
            scene.description["overlaps"] = result.ownership.summary().to_json()
    return layered


def layer_masks(
    scene: Scene, result: Deocclusion, dilation: int = 0
) -> tuple[list[WindowMask], list[WindowMask]]:
    """Modal and amodal masks of layers that, with hard edges, give the photo again.

    A pixel that several of the scene's masks hold is its owner's, and behind it the others'.
    """
    modal, amodal, _ = _layer_masks(scene, result, dilation)
    return modal, amodal


def _layer_masks(
    scene: Scene, result: Deocclusion, dilation: int
) -> tuple[list[WindowMask], list[WindowMask], list[list[MaskSample]]]:
    """``layer_masks``, and of each layer the samples, cut as its amodal mask is."""
    image = WindowMask.filled((0, 0, scene.width, scene.height))
    modal = [mask & image for mask in result.visible_masks(scene)]
    taken = union(modal)
    modal = [mask | ((mask.dilate(dilation) & image) - taken) for mask in modal]
    taken = union(modal)
    amodal, samples = [], []
    for i, mask in enumerate(modal):
        # Behind a visible pixel only where its object is in front.
        possible = image - (taken - union(modal[j] for j in result.graph.ancestors(i)))
        amodal.append(mask | (result.amodal_masks[i] & possible))
        drawn = [] if result.samples is None else result.samples[i]
        samples.append(
            merged_samples(MaskSample(mask | (s.mask & possible), s.weight) for s in drawn)
        )
    return modal, amodal, samples


@dataclass
class _Parts:
    """A scene's masks, and the holes in the order: objects by row, then the background.

    Attributes:
        modal, amodal, samples: of the layers; ``rings`` are the pixels of ``modal`` that its object
            has taken over from nobody.
        inset: see ``decompose_scenes``.
    """

    scene: Scene
    graph: OcclusionGraph
    modal: list[WindowMask]
    amodal: list[WindowMask]
    samples: list[list[MaskSample]]
    rings: list[WindowMask]
    inset: int
    categories: list[str]
    instance_ids: list
    category_ids: list[int]
    holes: list[Hole]
    row_of_hole: list[int]

    @classmethod
    def of(
        cls,
        scene: Scene,
        result: Deocclusion,
        categories: Sequence[str],
        content: ContentFiller,
        dilation: int,
        inset: int,
    ) -> _Parts:
        if scene.image is None:
            raise UserError(f"{scene.description}: a decomposition needs the image")
        modal, amodal, samples = _layer_masks(scene, result, dilation)
        rows = [i for i, mask in enumerate(modal) if not mask.is_empty]
        if not rows:
            raise UserError(f"{scene.description}: there is no object in it")
        modal, amodal = [modal[i] for i in rows], [amodal[i] for i in rows]
        parts = cls(
            scene,
            result.graph.subgraph(rows),
            modal,
            amodal,
            [samples[i] for i in rows],
            [modal[k] - scene.modal_masks[i] for k, i in enumerate(rows)],
            inset,
            [categories[i] for i in rows],
            [scene.instance_ids[i] for i in rows],
            [int(scene.category_ids[i]) for i in rows],
            [],
            [],
        )
        taken = union(modal)
        for row, category_id in enumerate(parts.category_ids):
            missing = amodal[row] - modal[row]
            if not inset:
                missing = missing & taken
            if not missing.is_empty:
                hole = object_hole(
                    scene.image, modal[row], missing, taken, category_id, content.enlarge
                )
                parts.holes.append(hole)
                parts.row_of_hole.append(row)
        objects = union([*modal, *amodal])
        if inset:
            objects = objects.dilate(_RIM) & WindowMask.filled((0, 0, scene.width, scene.height))
        parts.holes += background_holes(scene.image, objects, content.enlarge, content.context)
        return parts

    def assemble(self, windows: Sequence[np.ndarray]) -> LayeredScene:
        """The layers, from the colours of the holes."""
        image = self.scene.image
        count = len(self.row_of_hole)
        filled = dict(
            zip(self.row_of_hole, zip(self.holes[:count], windows, strict=False), strict=True)
        )
        layers = []
        for row, mask in enumerate(self.amodal):
            x0, y0, x1, y1 = mask.box
            rgb = image[y0:y1, x0:x1].copy()
            if row in filled:
                hole, window = filled[row]
                _paste(rgb, x0, y0, hole.missing, window)
            if self.inset:
                rgb, alpha = self._soft(row, rgb)
            else:
                alpha = mask.array.astype(np.uint8) * 255
            rgb[~mask.array] = 0
            layers.append(
                ObjectLayer(
                    name=f"{readable_name(self.categories[row])}-{row}",
                    x0=x0,
                    y0=y0,
                    rgba=np.dstack([rgb, alpha]),
                    modal_mask=self.modal[row],
                    amodal_mask=mask,
                    category_id=self.category_ids[row],
                    category=self.categories[row],
                    instance_id=self.instance_ids[row],
                    samples=self.samples[row],
                )
            )
        background = image.copy()
        for hole, window in zip(self.holes[count:], windows[count:], strict=True):
            _paste(background, 0, 0, hole.missing, window)
        photo = image.copy() if self.inset else None
        return LayeredScene(background, layers, self.graph, self.scene.file_name, photo=photo)

    def _soft(self, row: int, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours and alpha of an object with soft edges, from its (h, w, 3) window."""
        size, box = (self.scene.height, self.scene.width), self.amodal[row].box
        # The window, and as much around it as tells its border from the image's.
        x0, y0, x1, y1 = box
        reach = 2 * self.inset + 1
        around = (
            max(x0 - reach, 0),
            max(y0 - reach, 0),
            min(x1 + reach, size[1]),
            min(y1 + reach, size[0]),
        )
        own = (self.modal[row] - self.rings[row]).crop(around)
        inner = inner_pixels(own, self.inset)
        inner = inner[y0 - around[1] : y1 - around[1], x0 - around[0] : x1 - around[0]]
        visible = self.modal[row].crop(box)
        filled = self._filled(row).crop(box)
        rgb = own_colours(rgb, visible & ~inner, inner | filled)
        core = self.amodal[row] - self.rings[row]
        return rgb, feathered_alpha(self.amodal[row], core, size)

    def _filled(self, row: int) -> WindowMask:
        """The pixels of an object that content completion has filled."""
        if row not in self.row_of_hole:
            return WindowMask.empty()
        return self.holes[self.row_of_hole.index(row)].missing


def readable_name(category: str) -> str:
    """A category's name as a part of an object's: small letters, digits, - and _, of any script.

    At most ``_MOST_LETTERS`` characters; "object" where there is no letter.
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", category).lower())
    # What joins or parts letters within a word is no character of its own.
    kept = [c for c in text if unicodedata.category(c) != "Cf"]
    # Marks, such as the vowels of Hindi and Thai, belong to the letter before them.
    words = "".join(c if c == "_" or unicodedata.category(c)[0] in "LMN" else "-" for c in kept)
    words = re.sub("-+", "-", words).strip("-")
    if len(words) > _MOST_LETTERS:
        end = _MOST_LETTERS
        while end > 1 and unicodedata.category(words[end])[0] == "M":
            end -= 1
        words = words[:end].rstrip("-")
    while words and unicodedata.category(words[0])[0] == "M":
        words = words[1:]
    return words.strip("-") or "object"


def _paste(image: np.ndarray, x0: int, y0: int, mask: WindowMask, window: np.ndarray) -> None:
    """Write a window's pixels of a mask into an image whose top left pixel is (x0, y0)."""
    left, top, right, bottom = mask.box
    target = image[top - y0 : bottom - y0, left - x0 : right - x0]
    target[mask.array] = window[mask.array]

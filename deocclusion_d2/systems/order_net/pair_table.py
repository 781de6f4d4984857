"""All ordered neighbour pairs of a data set in a few flat arrays, for OrderNet."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...data.compressed_masks import CompressedMasks
from ...data.scenes import scene_from_record
from ...data.true_order import Orders, order_from_amodal, order_from_depth_constraints
from ...errors import UserError
from ...structures import Scene, SceneTruth, neighbour_pairs
from ...structures.square_crop import adaptive_side
from ...structures.window_mask import WindowMask, common_box


class PairTable:
    """The P neighbour pairs of a data set of which one truly hides the other.

    Attributes:
        front, back: (P,) int32, rows of the masks of either instance.
        image_index: (P,) int32, row of ``file_names``.
        file_names: image files; they need not exist unless colours are used.
        image_sizes: (height, width) of each, in pixels, as the annotations say.
        skipped: number of ordered pairs left out because their square is under the minimum.
    """

    def __init__(
        self, records: Iterable[dict], *, min_square: float = 5.0, enlarge: float = 3.0
    ) -> None:
        """
        Args:
            records: dataset dicts with ``amodal_segmentation`` per annotation, or with
                ``depth_constraints``, which are used where there are both.
            min_square: smallest usable side of the square around both instances, in pixels.
            enlarge: as in ``SquareCrop.around``.

        Raises:
            UserError: an image has neither.
        """
        rles: list[dict] = []
        pairs: list[tuple[int, int, int]] = []
        self.file_names: list[str] = []
        self.image_sizes: list[tuple[int, int]] = []
        self.skipped = 0
        for record in records:
            scene, truth = scene_from_record(record)
            row_of: dict[int, int] = {}
            for (i, j), order in _neighbour_orders(scene, truth).items():
                front, back = (i, j) if order == 1 else (j, i)
                box = common_box(scene.modal_masks[i], scene.modal_masks[j])
                if adaptive_side(box, enlarge) < min_square:
                    self.skipped += 1
                    continue
                for instance in (front, back):
                    if instance not in row_of:
                        row_of[instance] = len(rles)
                        rles.append(scene.modal_masks[instance].to_rle(scene.height, scene.width))
                pairs.append((row_of[front], row_of[back], len(self.file_names)))
            self.file_names.append(record["file_name"])
            self.image_sizes.append((record["height"], record["width"]))
        columns = np.array(pairs, dtype=np.int32).reshape(-1, 3)
        self.front, self.back, self.image_index = np.ascontiguousarray(columns.T)
        self._masks = CompressedMasks(rles)

    def __len__(self) -> int:
        return len(self.front)

    def masks(self, index: int) -> tuple[WindowMask, WindowMask]:
        """The modal masks of one pair: of the instance in front, and of the other."""
        return self._masks[self.front[index]], self._masks[self.back[index]]

    def file_name(self, index: int) -> str:
        """The image file of one pair."""
        return self.file_names[self.image_index[index]]

    def image_size(self, index: int) -> tuple[int, int]:
        """(H, W) of the image of one pair."""
        return self.image_sizes[self.image_index[index]]


def _neighbour_orders(scene: Scene, truth: SceneTruth) -> Orders:
    """Orders of the neighbours that have one: 1 or -1."""
    if truth.depth_constraints is not None:
        touching = set(neighbour_pairs(scene.modal_masks))
        orders = order_from_depth_constraints(scene, truth)
        orders = {pair: order for pair, order in orders.items() if pair in touching}
    elif truth.amodal_masks is not None:
        orders = order_from_amodal(scene, truth)
    elif len(scene):
        raise UserError(
            f"{scene.description}: OrderNet trains on true orders, and neither amodal masks of all "
            "instances nor depth constraints are known; name amodal data in DATASETS.TRAIN"
        )
    else:
        orders = {}
    return {pair: order for pair, order in orders.items() if order}

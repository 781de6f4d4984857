"""Masks as polygons along the corners of their pixels.

pycocotools fills a polygon by the columns whose centre its edges pass, and rounds to rows; along
corners that is the very mask again. A contour through the centres of the outer pixels, as OpenCV
gives it, loses half a pixel all around.

Shape shorthand: h, w: height and width of a mask's window; K: corners, n: those of a ring.
"""

from __future__ import annotations

import cv2
import numpy as np

from .window_mask import WindowMask


def polygons_of(mask: WindowMask, height: int, width: int) -> tuple[list[list[int]], int]:
    """The outlines of a mask as COCO writes polygons; none for an empty mask.

    Pixels that share an edge are one polygon. COCO's polygons have no holes: a hole is joined to
    the outline by a vertical cut of no width. It runs the other way around, so that both the
    even-odd and the winding rule leave it open. pycocotools gives back the same mask.

    Args:
        mask: what lies outside the image is cut.
        height, width: image size in pixels.

    Returns:
        P polygons [x0, y0, x1, y1, ...] with right angles, in whole pixels from the image's top
        left corner; and the number of holes.
    """
    x0, y0 = max(mask.x0, 0), max(mask.y0, 0)
    box = (x0, y0, max(x0, min(mask.box[2], width)), max(y0, min(mask.box[3], height)))
    array = mask.crop(box)
    if not array.any():
        return [], 0
    _, parts = cv2.connectedComponents(array.view(np.uint8), connectivity=4)
    outlines: dict[int, np.ndarray] = {}
    holes = 0
    # From top to bottom: a hole comes after the outline that it lies in, and after higher holes.
    for ring in _rings(array):
        x, y = ring[0]
        if array[y, x]:
            outlines[parts[y, x]] = ring
        else:
            part = parts[y - 1, x]
            outlines[part] = _joined(outlines[part], ring[::-1])
            holes += 1
    return [(ring + (x0, y0)).ravel().tolist() for ring in outlines.values()], holes


def rings_of(mask: WindowMask) -> list[np.ndarray]:
    """The rings that bound a mask, holes among them, each closed by its first corner.

    Returns:
        (n, 2) int64 of corners [x, y] each, in whole pixels from the image's top left corner. The
        first step goes along x, the second along y, and so on in turn. None for an empty mask.
    """
    return [] if mask.is_empty else [ring + (mask.x0, mask.y0) for ring in _rings(mask.array)]


def _rings(array: np.ndarray) -> list[np.ndarray]:
    """The rings (n, 2) int64 of corners [x, y] that bound a mask, (h, w) bool, in reading order.

    Each starts at its highest corner, of these the leftmost, and goes right. Where two pixels of
    the mask touch at a corner, the rings keep to the edges of one of them.
    """
    padded = np.pad(array, 1)
    (tl, tr), (bl, br) = (
        (rows[:, :-1], rows[:, 1:]) for rows in (padded[:-1], padded[1:])
    )  # pixels around each corner of the grid
    one = tl ^ tr ^ bl ^ br
    two = (tl == br) & (tr == bl) & (tl != tr)
    y_one, x_one = np.nonzero(one)
    y_two, x_two = np.nonzero(two)
    # Where two touch, a ring turns twice: there and back on the left, there and back on the right.
    # The one on the left goes up where it bounds the top left pixel.
    left_goes_up = tl[y_two, x_two]
    y, x = np.concatenate([y_one, y_two, y_two]), np.concatenate([x_one, x_two, x_two])
    none = np.zeros(len(y_one), bool)
    on_right = np.concatenate([none, np.zeros_like(left_goes_up), np.ones_like(left_goes_up)])
    goes_down = np.concatenate([none, ~left_goes_up, left_goes_up])
    # Along a row of corners, as along a column, edges go from each odd one to the next.
    rows, columns = np.lexsort((on_right, x, y)), np.lexsort((goes_down, y, x))
    beside, above = np.empty_like(rows), np.empty_like(rows)
    beside[rows[0::2]], beside[rows[1::2]] = rows[1::2], rows[0::2]
    above[columns[0::2]], above[columns[1::2]] = columns[1::2], columns[0::2]
    beside, above = beside.tolist(), above.tolist()
    points, seen, found = np.column_stack([x, y]), bytearray(len(x)), []
    for start in rows.tolist():
        if seen[start]:
            continue
        ring, corner = [], start
        while not seen[corner]:
            other = beside[corner]
            seen[corner] = seen[other] = 1
            ring += (corner, other)
            corner = above[other]
        found.append(points[ring])
    return found


def _joined(ring: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A ring with a hole in it, joined by a cut straight up from the hole's highest corner.

    Args:
        ring: (n, 2); it holds all higher holes, so that the cut meets it.
        hole: (m, 2), from its highest corner back to the one beside it.
    """
    hole = np.roll(hole, 1, axis=0)
    x, y = hole[0]
    following = np.roll(ring, -1, axis=0)
    low, high = np.minimum(ring[:, 0], following[:, 0]), np.maximum(ring[:, 0], following[:, 0])
    met = (ring[:, 1] == following[:, 1]) & (low <= x) & (x <= high) & (ring[:, 1] <= y)
    edge = int(np.where(met, ring[:, 1], -1).argmax())
    cut = np.array([[x, ring[edge, 1]]])
    return np.concatenate([ring[: edge + 1], cut, hole, hole[:1], cut, ring[edge + 1 :]])

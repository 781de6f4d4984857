"""Good inputs of every kind, and how to spoil them: what the fuzz tests draw from."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st
from pycocotools import mask as mask_util

from tests.helpers import box_mask

HEIGHT, WIDTH = 24, 32
PHOTO = "a.png"

# One of three lies beside, one over, the other; the third is small.
BOXES = ((2, 2, 14, 16), (10, 8, 28, 22), (20, 1, 23, 4))


def rle(mask: np.ndarray) -> dict:
    """Compressed RLE with its counts as text."""
    coded = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(v) for v in coded["size"]], "counts": coded["counts"].decode()}


def _mask(box: tuple[int, int, int, int]) -> np.ndarray:
    return box_mask(HEIGHT, WIDTH, *box)


def _polygon(box: tuple[int, int, int, int]) -> list[list[int]]:
    x0, y0, x1, y1 = box
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def _xywh(box: tuple[int, int, int, int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def _coco_like(annotate: Callable[[int, tuple[int, int, int, int]], dict]) -> dict:
    return {
        "info": {"description": "three boxes"},
        "images": [{"id": 1, "file_name": PHOTO, "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": "car"}, {"id": 3, "name": "猫"}],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": 1 + 2 * (number % 2),
                "iscrowd": 0,
                **annotate(number, box),
            }
            for number, box in enumerate(BOXES, 1)
        ],
    }


def _visible(number: int) -> np.ndarray:
    """Those of a lower number lie in front."""
    mask = _mask(BOXES[number - 1])
    for box in BOXES[: number - 1]:
        mask &= ~_mask(box)
    return mask


def coco() -> dict:
    return _coco_like(
        lambda n, box: {
            "segmentation": _polygon(box) if n == 1 else rle(_visible(n)),
            "bbox": _xywh(box),
            "area": int(_visible(n).sum()),
        }
    )


def kins() -> dict:
    return _coco_like(
        lambda n, box: {
            "segmentation": _polygon(box),
            "bbox": _xywh(box),
            "area": int(_mask(box).sum()),
            "inmodal_seg": rle(_visible(n)),
            "inmodal_bbox": _xywh(box),
        }
    )


def cocoa_cls() -> dict:
    return _coco_like(
        lambda n, box: {
            "segmentation": rle(_mask(box)),
            "visible_mask": rle(_visible(n)),
            "invisible_mask": rle(_mask(box) & ~_visible(n)),
            "occlude_rate": 1 - _visible(n).sum() / _mask(box).sum(),
            "bbox": _xywh(box),
            "area": int(_mask(box).sum()),
        }
    )


def cocoa() -> dict:
    regions = [
        {
            "segmentation": _polygon(box)[0],
            "name": f"thing {n}",
            "order": n,
            "isStuff": 0,
            "occlude_rate": 0.0,
            **({"visible_mask": rle(_visible(n))} if n == 2 else {}),
        }
        for n, box in enumerate(BOXES, 1)
    ]
    return {
        "images": [{"id": 1, "file_name": PHOTO, "height": HEIGHT, "width": WIDTH}],
        "annotations": [
            {"id": 7, "image_id": 1, "regions": regions, "size": 3, "depth_constraint": "1-2"}
        ],
    }


DOCUMENTS: dict[str, Callable[[], dict]] = {
    "coco": coco,
    "kins": kins,
    "cocoa_cls": cocoa_cls,
    "cocoa": cocoa,
}


def edit_script() -> dict:
    """Edits of objects that a decomposition of ``coco()`` has."""
    return {
        "version": 1,
        "edits": [
            {"op": "move", "object": "car-2", "dx": 4, "dy": -3},
            {"op": "scale", "object": "car-2", "factor": 1.5},
            {"op": "duplicate", "object": "car-2", "name": "other", "dx": 1},
            {"op": "behind", "object": "other", "of": "car-2"},
            {"op": "delete", "object": "car-2"},
        ],
    }


# -------------------------------------------------------------------- spoiling

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [
            0, 1, 2, -1, 1.0, 0.5, -0.0, 10**12, 10**30, 10**400, 1e300, float("nan"), float("inf"),
            "", "1", "1.0", "a", "a\\b.png", "../a.png", "/a.png", "a.png", "猫", "x" * 300,
            "line\nbreak", "\x1b[31mred", "\u202egnp.exe", "\x00", "NaN", "b'abc'", "car-2",
            [], [[]], [[1, 2]], [1, 2, 3, 4], [[0, 0, 5, 0, 5, 5]], [0, 0, 5, 0, 5, 5],
            [[[0, 0], [5, 0], [5, 5]]], [["a"]], [0.1, 0.1, 0.9, 0.1, 0.9, 0.9],
            {}, {"size": [HEIGHT, WIDTH]}, {"size": [HEIGHT, WIDTH], "counts": "0"},
            {"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]},
            {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]},
            {"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]},
        ]
    ),
    st.integers(-(2**40), 2**40),
    st.floats(-1e9, 1e9),
    st.text(max_size=8),
)  # fmt: skip


def _places(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value inside a document."""
    children = (
        node.items() if isinstance(node, dict)
        else enumerate(node) if isinstance(node, list)
        else ()
    )  # fmt: skip
    for key, child in children:
        yield (*path, key)
        yield from _places(child, (*path, key))


def _parent(document: Any, path: tuple) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


@st.composite
def spoiled(draw: st.DrawFn, good: Any) -> Any:
    """A document in which one to three places have been changed, left out, doubled or swapped."""
    document = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            break
        path = draw(st.sampled_from(places))
        parent, key = _parent(document, path), path[-1]
        how = draw(st.sampled_from(["change", "change", "leave out", "double", "rename", "copy"]))
        if how == "leave out":
            del parent[key]
        elif how == "double" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["Id", "segments_info", "visible_mask", "x"]))] = (
                parent.pop(key)
            )
        elif how == "copy":
            other = draw(st.sampled_from(places))
            parent[key] = copy.deepcopy(_parent(document, other)[other[-1]])
        else:
            parent[key] = copy.deepcopy(draw(ODD_VALUES))  # a later change may go into it
    return document


def _as_text(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


@st.composite
def spoiled_bytes(draw: st.DrawFn, good: bytes) -> bytes:
    """A file of which bytes have been changed, cut off, put in or taken out."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["change", "cut", "put in", "take out"]))
        if how == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[place:]
        elif how == "put in":
            data[place:place] = draw(st.binary(min_size=1, max_size=4))
        else:
            del data[place : place + draw(st.integers(1, 9))]
    return bytes(data)


def json_files(good: Any) -> st.SearchStrategy[bytes]:
    """Files of a JSON document, spoiled as a document (mostly) or as a file."""
    documents = spoiled(good).map(_as_text)
    return st.one_of(
        documents,
        documents,
        documents,
        spoiled_bytes(_as_text(good)),
        documents.map(lambda text: b"\xef\xbb\xbf" + text),
        documents.map(lambda text: text.decode("utf-8", "replace").encode("utf-16")),
    )

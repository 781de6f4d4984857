"""The annotation format of a document, told from all of its annotations and from its ``info``.

One annotation is not enough: of an object that nothing hides, and of a crowd region, many files
write no more than COCO's own keys. Whoever has to know how a file is written asks here: conversion,
``--masks``, the pictures, and the names of data sets, whose format is compared with what the file
shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .formats import (
    AnnotationFormat,
    CocoStyleFormat,
    InvalidAnnotation,
    default_format,
    detect_format,
    is_lone_item,
    shown,
)
from .formats.base import ANNOTATION_FORMATS

# Annotations of a file have a few sets of keys; of a file in which each has its own, no more are
# remembered.
_REMEMBERED = 1000


@dataclass(frozen=True)
class _Shown:
    """The first annotation that shows a format.

    Attributes:
        format: what it shows.
        place: of the annotation, for messages.
        keys: of the annotation.
        key: by which it shows it.
        holds_mask: whether a mask stands under such a key, not just a number.
    """

    format: AnnotationFormat
    place: str
    keys: frozenset
    key: str
    holds_mask: bool


class FormatTeller:
    """Collects what the annotations of a document show, one at a time, in bounded memory.

    Attributes:
        count: number of annotations.
    """

    def __init__(self) -> None:
        self.count = 0
        self._known: set[tuple] = set()
        self._shown: dict[str, _Shown] = {}
        self._first_keys: tuple = ()
        self._has_boxes = False

    def add(self, annotation: object) -> None:
        """Look at an element of ``annotations``.

        Raises:
            InvalidAnnotation: it is of another kind of file, which this package does not read.
        """
        self.count += 1
        # Of a million annotations, all but a few end here.
        if annotation.__class__ is dict and tuple(annotation) in self._known:
            return
        if isinstance(annotation, Mapping):
            self._look(annotation)

    def _look(self, annotation: Mapping) -> None:
        keys = tuple(annotation)
        # A key whose value is null may show nothing, and show something in another annotation.
        if len(self._known) < _REMEMBERED and None not in annotation.values():
            self._known.add(keys)
        other = _other_annotation(annotation)
        if other:
            raise InvalidAnnotation(other)
        self._first_keys = self._first_keys or keys
        self._has_boxes |= "bbox" in annotation
        found = detect_format(annotation)
        if found is None:
            return
        telling = sorted(found.telling_keys & annotation.keys())
        masks = [key for key in telling if isinstance(annotation[key], (Mapping, list))]
        known = self._shown.get(found.name)
        if known is None or (masks and not known.holds_mask):
            place = f"number {self.count}" if "id" not in annotation else shown(annotation["id"])
            self._shown[found.name] = _Shown(
                found,
                f"annotation {place}",
                frozenset(keys),
                (masks or telling)[0],
                bool(masks),
            )

    @property
    def first(self) -> AnnotationFormat:
        """What the annotations so far show most clearly; COCO where they show nothing."""
        return self._ranked()[0].format if self._shown else default_format()

    def tell(self, info: object = None) -> AnnotationFormat:
        """The format of the document.

        Args:
            info: its ``info``.

        Raises:
            InvalidAnnotation: two annotations show formats that exclude each other, or none shows
                any.
        """
        written = _written_by(info)
        if written is not None:
            return written
        if not self._shown:
            # Boxes alone are COCO without masks.
            if self._has_boxes or not self.count:
                return default_format()
            keys = ", ".join(map(str, self._first_keys))
            raise InvalidAnnotation(
                f"the format cannot be told from the keys of the annotations ({keys}): pass "
                "--format, or name it as in coco:FILE.json"
            )
        told, *others = self._ranked()
        for other in others:
            if _excludes(told, other):
                raise InvalidAnnotation(
                    f"{told.place} is of format {told.format.name} (it has {told.key!r}), "
                    f"{other.place} of format {other.format.name} ({other.key!r}): the two cannot "
                    "be read as one file: split it, or name the format (--format, coco:FILE.json)"
                )
        return told.format

    def doubt(self, named: AnnotationFormat, info: object = None) -> str | None:
        """What speaks against a format that the user has named; None when nothing does.

        Raises:
            InvalidAnnotation: no annotation has the visible mask of that format, but masks that
                would be read as both the visible and the whole one.
        """
        told = self._ranked()[0] if self._shown else None
        written = _written_by(info)
        if written is not None and written.name == named.name:
            return None
        shows_coco = told is not None and told.format is default_format()
        if shows_coco and _takes_whole_masks_for_visible_ones(named):
            raise InvalidAnnotation(
                f"no annotation has {named.modal_key!r}, the visible mask in format {named.name}: "
                f"is it of format {told.format.name}?"
            )
        if written is not None:
            found, why = written, "its 'info' says that a conversion has written it"
        elif told is not None and told.format is not default_format():
            found, why = told.format, f"{told.place} has {told.key!r}"
        elif told is not None and named.knows_amodal:
            keys = " or ".join(sorted(named.telling_keys))
            return f"no annotation has {keys}: all objects are read as hidden by nothing"
        else:
            return None
        own = told is not None and named.telling_keys & told.keys
        if found.name == named.name or (own and named.telling_rank <= found.telling_rank):
            return None
        result = ""
        if found.knows_amodal and not named.knows_amodal:
            result = ", so that amodal masks are taken for visible ones"
        return f"{why}, as format {found.name} writes it; it is read as {named.name}{result}"

    def _ranked(self) -> list[_Shown]:
        return sorted(self._shown.values(), key=lambda s: (s.format.telling_rank, s.format.name))


def tell_format(document: object, json_file: str) -> AnnotationFormat:
    """The format of a whole parsed document.

    Raises:
        InvalidAnnotation: one line naming the file: see ``FormatTeller.tell``; or it holds no
            annotations, with what it seems to be.
    """
    try:
        items = items_of(document)
        teller = FormatTeller()
        for item in items:
            teller.add(item)
        return teller.tell(_info_of(document))
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{json_file}: {error}") from None


def doubt_of(document: object, named: AnnotationFormat) -> str | None:
    """``FormatTeller.doubt`` of a whole parsed document; None where it has no annotations.

    Raises:
        InvalidAnnotation: the document is another kind of file, with what it seems to be.
    """
    items = document.get("annotations") if isinstance(document, Mapping) else document
    teller = FormatTeller()
    for item in items if isinstance(items, list) else ():
        teller.add(item)
    return teller.doubt(named, _info_of(document))


def items_of(document: object) -> list:
    """The raw items of a document.

    Raises:
        InvalidAnnotation: it has none, with what it seems to be.
    """
    if isinstance(document, list):
        check_kind(document)
        return document
    if not isinstance(document, Mapping):
        raise InvalidAnnotation(f"the file holds a {type(document).__name__}, not an object")
    if is_lone_item(document) and "annotations" not in document:
        return [document]
    check_kind(document)
    if not isinstance(document.get("annotations"), list):
        raise InvalidAnnotation("the file has no list 'annotations': is this a COCO-like JSON?")
    return document["annotations"]


def check_kind(document: object) -> None:
    """Refuse files of other programs, naming the way to go.

    Args:
        document: a parsed document, or its values beside the long lists.

    Raises:
        InvalidAnnotation: it is one of them.
    """
    if isinstance(document, Mapping):
        for is_kind, text in _OTHER_DOCUMENTS:
            if is_kind(document):
                raise InvalidAnnotation(text)
    elif isinstance(document, list) and document and isinstance(document[0], Mapping):
        first = document[0]
        other = _other_annotation(first) or (_RESULTS if _is_result(first) else None)
        if other:
            raise InvalidAnnotation(other)


# -------------------------------------------------------------------- what formats exclude


def _info_of(document: object) -> object:
    return document.get("info") if isinstance(document, Mapping) else None


def _written_by(info: object) -> AnnotationFormat | None:
    """The format of which the document's ``info`` says that it is."""
    if not isinstance(info, Mapping):
        return None
    return next((f for f in ANNOTATION_FORMATS.values() if f.is_told_by(info)), None)


def _takes_whole_masks_for_visible_ones(named: AnnotationFormat) -> bool:
    """Whether COCO's annotations can be read as a format that writes visible masks apart."""
    return (
        isinstance(named, CocoStyleFormat)
        and named.amodal_key in default_format().telling_keys
        and named.modal_key in named.telling_keys
        and named.telling_rank > 0
    )


def _excludes(told: _Shown, other: _Shown) -> bool:
    """Whether an annotation that shows ``other`` cannot stand in a file of the format told."""
    if told.format.telling_rank == 0:
        # What conversion could not use, it has left as it was.
        return False
    if other.format is not default_format():
        return other.holds_mask
    if isinstance(told.format, CocoStyleFormat):
        return other.key not in (told.format.modal_key, told.format.amodal_key)
    return told.format.one_item_per_image


# -------------------------------------------------------------------- files of other programs

_AS_COCO = "export or convert it to COCO JSON first"
_RESULTS = (
    "a list of COCO results, which need the file of their images: convert with --images-from "
    "IMAGES.json, deocclude with --masks RESULTS.json@IMAGES.json, evaluate as "
    "predicted:RESULTS.json@DATASET"
)
_SAM = (
    "masks of Segment Anything, which say of no image that they are its: write a COCO JSON with "
    "'images' and, of every mask, an annotation with its 'segmentation', an 'id', the 'image_id' "
    "and a 'category_id'"
)
_PANOPTIC = (
    "COCO panoptic, whose masks are in PNG files: convert it to instances first (panopticapi's "
    "panoptic2detection_coco_format.py)"
)


def _is_result(first: Mapping) -> bool:
    return "score" in first and "segmentation" in first and "id" not in first


def _other_annotation(annotation: Mapping) -> str | None:
    """What an annotation of another program's file is, and what to do."""
    if "segments_info" in annotation and annotation.keys().isdisjoint(("segmentation", "regions")):
        return _PANOPTIC
    if "image_id" not in annotation and not annotation.keys().isdisjoint(
        ("predicted_iou", "stability_score")
    ):
        return _SAM
    if "image_id" not in annotation and "data" in annotation and "annotations" in annotation:
        return f"an export of Label Studio: {_AS_COCO}"
    return None


def _is_via(document: Mapping) -> bool:
    if "_via_img_metadata" in document:
        return True
    values = document.values()
    return bool(values) and all(
        isinstance(v, Mapping) and "regions" in v and "filename" in v for v in values
    )


_OTHER_DOCUMENTS = (
    (lambda d: "shapes" in d and "imagePath" in d, f"a file of labelme: {_AS_COCO} (labelme2coco)"),
    (_is_via, "a project of VIA: export it as COCO (Annotation, Export Annotations)"),
    (lambda d: isinstance(d.get("image"), Mapping) and "images" not in d, _SAM),
    (
        lambda d: "objects" in d and ("imgHeight" in d or "imgWidth" in d),
        f"polygons of Cityscapes: {_AS_COCO}",
    ),
    (lambda d: d.get("type") == "FeatureCollection", f"GeoJSON: {_AS_COCO}"),
    (
        lambda d: "objects" in d and "edges" in d,
        "the graph.json of a decomposed scene: name the annotation file that it was made from",
    ),
)

"""What every annotation format has in common, and where formats are found.

A format reads *one raw item at a time* (an element of the file's ``annotations`` list), so that a
file of any size can be streamed; of the whole document it needs only ``categories`` and ``images``.
Whatever is peculiar to a format its class says: no other module asks for formats by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ....registry import Registry
from ....structures.run_lengths import box_of, empty_rle, is_empty
from ..segmentation import (
    NO_MASK,
    InvalidAnnotation,
    check_pixels,
    shown,
    to_rle,
)
from .values import (
    NO_CATEGORIES,
    read_box,
    read_category,
    read_category_id,
    read_given_box,
    read_id,
    read_iscrowd,
    read_side,
)

View = str  # "amodal" or "modal"
VIEWS = ("amodal", "modal")
# What conversion has made of an annotation: its amodal mask, box and area, the mask of its hidden
# part, the hidden share of its area.
Replacement = Literal["segmentation", "bbox", "area", "hidden", "occlusion_rate"]
# Of an annotation in COCO's manner: the box [x, y, w, h] of a whole object, beside its modal mask.
GIVEN_BOX_KEY = "amodal_bbox"
# What conversion writes into every annotation, or takes from it, whatever stood there.
_WRITTEN = frozenset(
    {
        "segmentation",
        "bbox",
        "area",
        "modal_segmentation",
        "modal_bbox",
        "occluder_ids",
        "occluder_confidences",
        "mutual_occlusion_ids",
        "hidden_probability",
        "samples",
        "occlusion_rate",
    }
)


@dataclass(frozen=True)
class ImageInfo:
    """An image of an annotation file.

    Attributes:
        id: the file's image id.
        height, width: size in pixels.
        file_name: path below the image root.
        source_image: path, below the image root, of the photo without what was pasted into this
            one: it shows what is hidden here. "" where there is none.
        assumed: what had to be assumed to read it, a constant sentence each.
    """

    id: int | str
    height: int
    width: int
    file_name: str
    source_image: str = ""
    assumed: tuple[str, ...] = field(default=(), compare=False)


@dataclass
class ParsedAnnotation:
    """One instance, whatever the format it came in.

    Attributes:
        id: annotation id; unique in its file. Ids are what they mean, see ``read_id``; as the file
            writes it, it is ``raw["id"]``.
        image_id: the file's image id.
        category_id: the file's category id; 1 where the format has no categories.
        iscrowd: a region of many instances: neither trained on nor completed.
        modal: visible pixels, compressed RLE with str counts, of the image's size. It may be
            without foreground (an object entirely hidden).
        amodal: visible and hidden pixels likewise; None where the format does not know them.
        modal_bbox, amodal_bbox: the file's boxes [x, y, w, h] in pixels; None where it has none.
        given_amodal_bbox: what stands under ``GIVEN_BOX_KEY``, likewise: a box of the whole object
            that somebody gives, from which it may be completed.
        extras: further facts the format knows (``order``, ``name``, ``occluder_ids`` ...).
        raw: the COCO-style annotation this was, every key untouched.
        assumed: what had to be assumed or left out to read it, a constant sentence each.
    """

    id: int | str
    image_id: int | str
    category_id: int
    iscrowd: bool
    modal: dict | None
    amodal: dict | None
    extras: dict = field(default_factory=dict)
    raw: dict = field(default_factory=dict)
    modal_bbox: list[float] | None = None
    amodal_bbox: list[float] | None = None
    given_amodal_bbox: list[float] | None = None
    assumed: tuple[str, ...] = ()

    def segmentation(self, view: View) -> dict:
        """The RLE that a model of this view trains on (a crowd's region has only one)."""
        first, second = (self.amodal, self.modal) if view == "amodal" else (self.modal, self.amodal)
        return first if first is not None else second

    def bbox(self, view: View) -> list[float]:
        """Box [x, y, w, h] of this view in pixels: the file's where it has one, else the mask's."""
        box = self.amodal_bbox if view == "amodal" else self.modal_bbox
        return list(box) if box is not None else box_of(self.segmentation(view))

    @property
    def is_hidden(self) -> bool:
        """Whether no pixel of it is visible."""
        return self.modal is not None and is_empty(self.modal)


class AnnotationFormat(ABC):
    """How one kind of JSON writes images, instances and their masks.

    A format has to say its ``name``, its ``telling_keys`` and how to ``parse`` an item. All else
    has a default, that of a COCO-like JSON with one instance per item; ``CocoStyleFormat`` also
    parses where only the names of keys are other ones.

    Attributes:
        name: key in ``ANNOTATION_FORMATS``.
        telling_keys: keys of which any one in an item shows this format.
        telling_rank: where an item has keys of two formats, the lower rank wins. 0: what conversion
            writes, which keeps the keys of its input; 10: keys that only this format has; 20: keys
            that items of others may have too; 90: COCO's own.
        knows_amodal: whether amodal masks are in the file.
        has_categories: whether instances have categories; else all have category 1, "object".
        has_images_key: whether a file must have an ``images`` list.
        one_item_per_image: whether an item holds all instances of its image.
        fits_any_photo: whether a file of one image belongs to whatever photo it is given with,
            as its image is known only by the address it came from.
        replaced_keys: keys of an annotation that tell the *true* amodal mask, or follow from it,
            beside ``segmentation``, ``bbox`` and ``area``: what conversion puts there, so that no
            file holds an object's true and pseudo-amodal mask under keys that read alike.
        evaluator_type: what registers as ``MetadataCatalog.get(name).evaluator_type``.
    """

    name: str
    telling_keys: frozenset[str] = frozenset()
    telling_rank: int = 10
    knows_amodal: bool = True
    has_categories: bool = True
    has_images_key: bool = True
    one_item_per_image: bool = False
    fits_any_photo: bool = False
    replaced_keys: Mapping[str, Replacement] = {}
    evaluator_type: str = "amodal"

    # ---------------------------------------------------------------- the document

    @property
    def recomputed_keys(self) -> frozenset[str]:
        """Keys of an annotation that conversion does not copy: it writes its own values there, or
        what it has read from there and checked. What they hold need not be fit to be written.
        """
        return _WRITTEN | self.replaced_keys.keys()

    def categories(self, document: Mapping, assumed: list[str] | None = None) -> list[dict]:
        """COCO categories (``id``, ``name``), sorted by id.

        Ids are what they mean (``read_id``), names texts; else the categories are as they stand in
        the document. One without categories, or with an empty list, has one, "object".

        Args:
            document: the parsed JSON, or any mapping that has its ``categories``.
            assumed: gets what had to be assumed, a constant sentence each.
        """
        assumed = [] if assumed is None else assumed
        if not self.has_categories:
            return only_object()
        if isinstance(document, Mapping) and document.get("categories") in (None, []):
            assumed.append(NO_CATEGORIES)
            return only_object()
        given: dict[int, object] = {}
        categories = []
        for raw in list_of(document, "categories"):
            category = read_category(raw, assumed)
            category_id = category["id"]
            if category_id in given:
                if given[category_id] == raw["id"]:
                    raise InvalidAnnotation(f"category id {category_id} occurs twice")
                raise InvalidAnnotation(
                    f"category ids {given[category_id]!r} and {raw['id']!r} mean the same"
                )
            given[category_id] = raw["id"]
            categories.append(category)
        return sorted(categories, key=lambda c: c["id"])

    def images_of(self, raw_image: Mapping) -> ImageInfo:
        """Read one element of ``images``.

        The file name is ``file_name``; where it is missing (LVIS), the last two parts of
        ``coco_url``, such as ``train2017/000000391895.jpg``.

        Raises:
            MissingSize: it has no height or width; its masks may tell (``size_told_by``).
            InvalidAnnotation: naming the image.
        """
        if not isinstance(raw_image, Mapping) or "id" not in raw_image:
            raise InvalidAnnotation("an image has no key 'id'")
        assumed: list[str] = []
        where = f"image {shown(raw_image['id'])}"
        image_id = read_id(raw_image["id"], where, "an image's 'id'", assumed)
        file_name = raw_image.get("file_name")
        if file_name is None and isinstance(raw_image.get("coco_url"), str):
            file_name = "/".join(raw_image["coco_url"].split("/")[-2:])
        if not isinstance(file_name, str) or not file_name:
            raise InvalidAnnotation(f"{where}: it has neither 'file_name' nor 'coco_url'")
        where = f"image {shown(raw_image['id'])} ({file_name})"
        size = [read_side(raw_image, key, where, assumed) for key in ("height", "width")]
        try:
            check_pixels(*size)
        except InvalidAnnotation as error:
            raise InvalidAnnotation(f"{where}: {error}") from None
        return ImageInfo(image_id, *size, file_name, assumed=tuple(assumed))

    def is_told_by(self, info: Mapping) -> bool:
        """Whether a document's ``info`` says that it is of this format, whatever its keys show."""
        return False

    def is_lone_item(self, document: Mapping) -> bool:
        """Whether a document is one item by itself, instead of a list of items."""
        return False

    def open_document(
        self, document: object, image_root: str, json_file: str
    ) -> tuple[list[ImageInfo], list[Mapping]]:
        """Images and raw items of a whole parsed JSON.

        Args:
            document: the parsed JSON.
            image_root, json_file: where it stands; items of a file without ``images`` may take
                their image from there.

        Raises:
            InvalidAnnotation: when ``images`` or ``annotations`` is missing, an image is not sound.
        """
        images = [self.images_of(raw) for raw in list_of(document, "images")]
        return images, list_of(document, "annotations")

    # ---------------------------------------------------------------- one item

    def image_id_of(self, raw_item: Mapping) -> int | str:
        """Image id of a raw item, to look up its ``ImageInfo``.

        Raises:
            InvalidAnnotation: naming the annotation.
        """
        if type(raw_item) is not dict and not isinstance(raw_item, Mapping):
            raise InvalidAnnotation(f"an annotation is a {type(raw_item).__name__}, not an object")
        if "image_id" not in raw_item:
            raise InvalidAnnotation(
                f"annotation {shown(raw_item.get('id'))}: it has no key 'image_id'"
            )
        image_id = raw_item["image_id"]
        if type(image_id) is int and -(2**63) <= image_id < 2**63:
            return image_id  # of millions of annotations
        return read_id(image_id, f"annotation {shown(raw_item.get('id'))}: 'image_id'")

    @abstractmethod
    def parse(self, raw_item: Mapping, image: ImageInfo) -> list[ParsedAnnotation]:
        """Read one element of ``annotations``.

        Args:
            raw_item: the element; left untouched.
            image: the image it belongs to.

        Returns:
            Its instances: one, but for COCOA, whose elements hold all regions of an image.

        Raises:
            InvalidAnnotation: naming image and annotation (the caller adds the file).
        """

    def salvage(
        self,
        raw_item: Mapping,
        image: ImageInfo,
        error: InvalidAnnotation,
        skip: Callable[[str], None],
    ) -> Iterator[ParsedAnnotation | dict]:
        """What can be used of an item that cannot be used as a whole.

        Args:
            raw_item, image: as for ``parse``.
            error: why it cannot.
            skip: called with the message of each instance that is given up.

        Yields:
            Its instances; a dict is an annotation that stays as it is.
        """
        skip(str(error))
        yield dict(raw_item)

    def modal_as_given(self, parsed: ParsedAnnotation) -> Any:
        """The modal mask as the item writes it, or as RLE where it only follows from other keys."""
        return parsed.modal

    def is_stuff(self, annotation: Mapping) -> bool:
        """Whether a region is no thing but stuff, such as sky.

        Args:
            annotation: of a dataset dict: it has the ``extras`` of the parsed one.
        """
        return False

    # ---------------------------------------------------------------- items of several instances

    def count_instances(self, raw_item: Mapping) -> int:
        """How many instances an item holds, told without parsing them.

        Raises:
            InvalidAnnotation: naming the item.
        """
        return 1

    def depth_constraints(
        self, raw_item: Mapping, image: ImageInfo
    ) -> list[tuple[int, int]] | None:
        """Pairs (i, j), 0-based rows of what ``parse`` returns: i is in front of j.

        None when the item does not say.
        """
        return None

    def about_image(self, raw_item: Mapping) -> dict[str, Any]:
        """What an item that holds all instances of its image says of the image as a whole.

        Conversion adds it to the image's record.
        """
        return {}

    def entry_image(self, raw_item: Mapping, image_root: str, alternative: str = "") -> ImageInfo:
        """The image of an item that stands without an ``images`` list.

        Asked only where ``has_images_key`` is False.

        Args:
            image_root: folder of the images.
            alternative: name of the JSON without its ending; empty for none.

        Raises:
            InvalidAnnotation: naming the item.
        """
        raise NotImplementedError(f"format {self.name}: its files need a list 'images'")


class CocoStyleFormat(AnnotationFormat):
    """Formats with one instance per annotation, which differ in the names of the keys.

    Attributes:
        modal_key, amodal_key: where the masks are; ``amodal_key`` None when there is none. From
            that follow ``knows_amodal`` and ``evaluator_type``, "amodal" or "modal".
        modal_bbox_key, amodal_bbox_key: where the boxes are, if they are given.
        extra_keys: keys that are kept in ``extras`` when present.
    """

    modal_key: str = "segmentation"
    amodal_key: str | None = None
    modal_bbox_key: str | None = None
    amodal_bbox_key: str | None = None
    extra_keys: tuple[str, ...] = ()

    @property
    def knows_amodal(self) -> bool:
        return self.amodal_key is not None

    @property
    def evaluator_type(self) -> str:
        return "amodal" if self.knows_amodal else "modal"

    def parse(self, raw_item: Mapping, image: ImageInfo) -> list[ParsedAnnotation]:
        where = locate(image, raw_item.get("id"))
        if "id" not in raw_item:
            place = f"image {image.id!r} ({image.file_name})"
            raise InvalidAnnotation(f"{place}: an annotation has no key 'id': number them all")
        assumed: list[str] = []
        annotation_id = read_id(raw_item["id"], where, "'id'", assumed)
        if type(raw_item.get("image_id")) is not int and "image_id" in raw_item:
            read_id(raw_item["image_id"], f"{where}: 'image_id'", "'image_id'", assumed)
        category_id = read_category_id(raw_item, where, assumed)
        iscrowd = read_iscrowd(raw_item, where, assumed)
        amodal = self._amodal(raw_item, image, where, assumed)
        modal = self._modal(raw_item, image, where, amodal, iscrowd, assumed)
        return [
            ParsedAnnotation(
                id=annotation_id,
                image_id=image.id,
                category_id=category_id,
                iscrowd=iscrowd,
                modal=modal,
                amodal=amodal,
                extras={key: raw_item[key] for key in self.extra_keys if key in raw_item},
                raw=dict(raw_item),
                modal_bbox=read_box(raw_item, self.modal_bbox_key, where, assumed),
                amodal_bbox=read_box(raw_item, self.amodal_bbox_key, where, assumed),
                given_amodal_bbox=read_given_box(raw_item, GIVEN_BOX_KEY, assumed),
                assumed=tuple(assumed),
            )
        ]

    def modal_as_given(self, parsed: ParsedAnnotation) -> Any:
        given = parsed.raw.get(self.modal_key)
        return parsed.modal if given is None else given

    def _amodal(
        self, raw_item: Mapping, image: ImageInfo, where: str, assumed: list[str]
    ) -> dict | None:
        if self.amodal_key is None:
            return None
        return read_mask(
            raw_item, self.amodal_key, image, where, assumed, (self.amodal_key, self.modal_key)
        )

    def _modal(
        self,
        raw_item: Mapping,
        image: ImageInfo,
        where: str,
        amodal: dict | None,
        iscrowd: bool,
        assumed: list[str],
    ) -> dict | None:
        if iscrowd and amodal is not None and self.modal_key not in raw_item:
            return None
        keys = (self.modal_key, *([] if self.amodal_key is None else [self.amodal_key]))
        return read_mask(raw_item, self.modal_key, image, where, assumed, keys)


# -------------------------------------------------------------------- helpers for formats


def list_of(document: object, key: str) -> list:
    """A top-level list of a document."""
    if not isinstance(document, Mapping):
        raise InvalidAnnotation(f"the file holds a {type(document).__name__}, not an object")
    if not isinstance(document.get(key), list):
        raise InvalidAnnotation(f"the file has no list '{key}'")
    return document[key]


def only_object() -> list[dict]:
    """The categories of a file that has none."""
    return [{"id": 1, "name": "object", "supercategory": "object"}]


def with_only_object(categories: list[dict]) -> list[dict]:
    """Categories sorted by id, with the one that annotations without category get."""
    if any(category["id"] == 1 for category in categories):
        return categories
    return sorted([*categories, *only_object()], key=lambda c: c["id"])


def locate(image: ImageInfo, annotation_id: object) -> str:
    """The place of an annotation, as messages name it."""
    return f"image {image.id!r} ({image.file_name}), annotation {shown(annotation_id)}"


def read_mask(
    raw: Mapping,
    key: str,
    image: ImageInfo,
    where: str,
    assumed: list[str] | None = None,
    mask_keys: Sequence[str] = (),
) -> dict:
    """``to_rle`` of a key, with its place in the message.

    Args:
        assumed: see ``to_rle``.
        mask_keys: the keys of all masks of the annotation. Where none of them has a value, the
            mask is empty; else one without a value cannot be told.
    """
    value = raw.get(key)
    if value is None:
        if not mask_keys or any(raw.get(k) is not None for k in mask_keys):
            what = f"'{key}' is null" if key in raw else f"it has no key '{key}'"
            raise InvalidAnnotation(f"{where}: {what}")
        if assumed is not None and NO_MASK not in assumed:
            assumed.append(NO_MASK)
        return empty_rle(image.height, image.width)
    try:
        return to_rle(value, image.height, image.width, assumed)
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{where}: '{key}': {error}") from None


# -------------------------------------------------------------------- where formats are found

# Formats of other packages are entry points of this group, each the name of a class.
ENTRY_POINTS = "deocclusion_d2.formats"

ANNOTATION_FORMATS: Registry[AnnotationFormat] = Registry(
    "annotation format", AnnotationFormat, ENTRY_POINTS, __package__
)
register_format = ANNOTATION_FORMATS.register


def get_format(name: str) -> AnnotationFormat:
    """The format of a name.

    Raises:
        UserError: naming the formats there are.
    """
    return ANNOTATION_FORMATS.find(name)


def default_format() -> AnnotationFormat:
    """The format of a file that has no annotation to tell it by: COCO, in which all others write
    their images and categories.
    """
    return ANNOTATION_FORMATS["coco"]


def detect_format(annotation: Mapping) -> AnnotationFormat | None:
    """The format that the keys of an annotation show; None when they show none."""
    told = [
        known
        for known in ANNOTATION_FORMATS.values()
        if any(key in annotation for key in known.telling_keys)
    ]
    return min(told, key=lambda known: (known.telling_rank, known.name), default=None)


def is_lone_item(document: Mapping) -> bool:
    """Whether a document is one item of some format by itself, instead of a list of items."""
    return any(known.is_lone_item(document) for known in ANNOTATION_FORMATS.values())

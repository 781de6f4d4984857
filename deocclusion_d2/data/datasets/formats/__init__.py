"""Annotation formats, one file each; reading them needs neither torch nor Detectron2.

To add one, put a file here whose class has the decorator ``register_format``; or, in a package of
your own, name the class as an entry point of the group ``deocclusion_d2.formats``. It is then found
by its name wherever a format is asked for (``--format NAME``, ``NAME:annotations.json``), and told
from its keys where none is named.
"""

from ..segmentation import InvalidAnnotation, check_pixels, looks_normalised, shown, to_rle
from .base import (
    ANNOTATION_FORMATS,
    ENTRY_POINTS,
    VIEWS,
    AnnotationFormat,
    CocoStyleFormat,
    ImageInfo,
    ParsedAnnotation,
    Replacement,
    View,
    default_format,
    detect_format,
    get_format,
    is_lone_item,
    list_of,
    locate,
    only_object,
    read_mask,
    register_format,
    with_only_object,
)
from .values import (
    NO_CATEGORIES,
    NO_CATEGORY,
    NONE_GIVEN,
    MissingSize,
    read_box,
    read_category_id,
    read_id,
    read_iscrowd,
    size_told_by,
)

__all__ = [
    "ANNOTATION_FORMATS",
    "ENTRY_POINTS",
    "NONE_GIVEN",
    "NO_CATEGORIES",
    "NO_CATEGORY",
    "VIEWS",
    "AnnotationFormat",
    "CocoStyleFormat",
    "ImageInfo",
    "InvalidAnnotation",
    "MissingSize",
    "ParsedAnnotation",
    "Replacement",
    "View",
    "check_pixels",
    "default_format",
    "detect_format",
    "get_format",
    "is_lone_item",
    "list_of",
    "locate",
    "looks_normalised",
    "only_object",
    "read_box",
    "read_category_id",
    "read_id",
    "read_iscrowd",
    "read_mask",
    "register_format",
    "shown",
    "size_told_by",
    "to_rle",
    "with_only_object",
]

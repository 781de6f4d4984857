"""Annotation formats, one file each; reading them needs neither torch nor Detectron2.

To add one, put a file here whose class has the decorator ``register_format``; or, in a package of
your own, name the class as an entry point of the group ``deocclusion_d2.formats``. It is then found
by its name wherever a format is asked for (``--format NAME``, ``NAME:annotations.json``), and told
from its keys where none is named.
"""

from ..segmentation import InvalidAnnotation, to_rle
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
    read_box,
    read_mask,
    register_format,
)

__all__ = [
    "ANNOTATION_FORMATS",
    "ENTRY_POINTS",
    "VIEWS",
    "AnnotationFormat",
    "CocoStyleFormat",
    "ImageInfo",
    "InvalidAnnotation",
    "ParsedAnnotation",
    "Replacement",
    "View",
    "default_format",
    "detect_format",
    "get_format",
    "is_lone_item",
    "list_of",
    "locate",
    "read_box",
    "read_mask",
    "register_format",
    "to_rle",
]

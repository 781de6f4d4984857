"""Data sets: one module per annotation format. Importing this registers the built-in ones."""

from . import coco, cocoa, cocoa_cls, kins, pseudo_amodal  # they register their formats
from .annotation_format import (
    ANNOTATION_FORMATS,
    AnnotationFormat,
    ImageInfo,
    ParsedAnnotation,
    detect_format,
    get_format,
)
from .load import load_dataset_dicts, read_json
from .predictions import (
    Prediction,
    load_predicted_dicts,
    match_by_iou,
    parse_prediction,
    prediction_mask,
)
from .register import (
    ensure_registered,
    register_amodal_dataset,
    register_modal_dataset,
    register_predicted_dataset,
)
from .segmentation import InvalidAnnotation, to_rle

from . import builtin  # isort: skip  (needs the formats)

__all__ = [
    "ANNOTATION_FORMATS",
    "AnnotationFormat",
    "ImageInfo",
    "InvalidAnnotation",
    "ParsedAnnotation",
    "Prediction",
    "detect_format",
    "ensure_registered",
    "get_format",
    "load_dataset_dicts",
    "load_predicted_dicts",
    "match_by_iou",
    "parse_prediction",
    "prediction_mask",
    "read_json",
    "register_amodal_dataset",
    "register_modal_dataset",
    "register_predicted_dataset",
    "to_rle",
]

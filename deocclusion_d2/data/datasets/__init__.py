"""Data sets: annotation formats, loading, registering, predicted masks.

Nothing is imported before it is asked for: reading annotations needs neither torch nor Detectron2.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "builtin": ["register_builtin_datasets"],
        "formats": [
            "ANNOTATION_FORMATS",
            "AnnotationFormat",
            "CocoStyleFormat",
            "ImageInfo",
            "ParsedAnnotation",
            "default_format",
            "detect_format",
            "get_format",
            "register_format",
        ],
        "inputs": ["dataset_inputs"],
        "load": ["load_dataset_dicts", "read_json"],
        "names": ["DatasetName"],
        "predictions": [
            "Prediction",
            "load_predicted_dicts",
            "match_by_iou",
            "parse_prediction",
            "prediction_mask",
        ],
        "register": [
            "ensure_registered",
            "is_ours",
            "register_amodal_dataset",
            "register_modal_dataset",
            "register_predicted_dataset",
            "view_of",
        ],
        "segmentation": ["InvalidAnnotation", "to_rle"],
    },
)

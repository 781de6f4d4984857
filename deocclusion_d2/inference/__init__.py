"""Steps of any system: protocols, what runs networks, scenes from what users hold, content."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "content": [
            "ContentFiller",
            "Hole",
            "SmoothFiller",
            "TeleaFiller",
            "background_holes",
            "object_hole",
        ],
        "network_runner": ["NetworkRunner"],
        "scene_input": ["scene_from_masks"],
        "steps": ["Completion", "Ordering"],
        "weights": ["load_model"],
    },
    moved={
        "Deoccluder": "deoccluder",
        "build_deoccluder": "deoccluder",
        "method_config": "deoccluder",
        "FilledRegion": "evaluation.content",
        "FilledScene": "evaluation.content",
        "HoleFiller": "evaluation.content",
        "convex_hull": "structures",
    },
)

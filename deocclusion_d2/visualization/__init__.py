"""Pictures of scenes, occlusion graphs, amodal masks and layers. All colours are RGB."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "found_objects": ["FoundObject", "draw_found_objects"],
        "layers": ["draw_outlines", "layered_samples_sheet", "layers_overview", "object_sheet"],
        "palette": ["instance_color"],
        "probability": ["draw_hidden_probability"],
        "render": ["as_converted", "by_deoccluder", "render_records", "select_records"],
        "sample_sheets": ["object_samples_row", "samples_sheet"],
        "samples": ["draw_samples"],
        "scene": [
            "draw_amodal_boxes",
            "draw_amodal_masks",
            "draw_modal_masks",
            "draw_occlusion_graph",
            "draw_scene",
            "scene_panels",
        ],
    },
    moved={"split_batch": "data.loaders"},
)

"""Pictures of scenes, occlusion graphs, amodal masks and training samples. All colours are RGB."""

from .content_samples import content_image
from .layers import draw_outlines, layers_overview, object_sheet
from .palette import instance_color
from .probability import draw_hidden_probability
from .render import (
    as_converted,
    by_deoccluder,
    render_records,
    select_records,
)
from .samples import overlay_prediction, sample_grid, split_batch, training_image
from .scene import (
    draw_amodal_boxes,
    draw_amodal_masks,
    draw_modal_masks,
    draw_occlusion_graph,
    draw_scene,
    scene_panels,
)

__all__ = [
    "as_converted",
    "by_deoccluder",
    "content_image",
    "draw_amodal_boxes",
    "draw_amodal_masks",
    "draw_hidden_probability",
    "draw_modal_masks",
    "draw_occlusion_graph",
    "draw_outlines",
    "draw_scene",
    "instance_color",
    "layers_overview",
    "object_sheet",
    "overlay_prediction",
    "render_records",
    "sample_grid",
    "scene_panels",
    "select_records",
    "split_batch",
    "training_image",
]

"""From annotation files to training samples and scenes."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "draws": ["DrawMapper", "InstanceDrawMapper"],
        "instance_table": ["InstanceTable"],
        "loaders": ["build_draw_loader", "build_scene_test_loader", "train_instances"],
        "scenes": ["SceneMapper", "deocclusion_from_record", "scene_from_record"],
    },
)

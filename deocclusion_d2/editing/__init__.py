"""Edits scenes that were taken apart: objects move, the order follows who hides whom."""

from .edit_script import apply_edits, edit_scene_folder, read_edit_script
from .html_page import write_scene_page, write_scene_pages
from .scene_editor import SceneEditor, describe_objects

__all__ = [
    "SceneEditor",
    "apply_edits",
    "describe_objects",
    "edit_scene_folder",
    "read_edit_script",
    "write_scene_page",
    "write_scene_pages",
]

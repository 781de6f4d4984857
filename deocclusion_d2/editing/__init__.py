"""Edits scenes that were taken apart: objects move, the order follows who hides whom."""

from .edit_script import apply_edits, edit_scene_folder, read_edit_script
from .html_page import check_scene_pages, write_scene_page
from .scene_editor import SceneEditor, describe_objects

__all__ = [
    "SceneEditor",
    "apply_edits",
    "check_scene_pages",
    "describe_objects",
    "edit_scene_folder",
    "read_edit_script",
    "write_scene_page",
]

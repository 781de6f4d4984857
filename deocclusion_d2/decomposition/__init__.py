"""Photos taken apart into complete objects and their background."""

from .scene_folder import is_layered_scene, load_layered_scene, save_layered_scene

__all__ = ["is_layered_scene", "load_layered_scene", "save_layered_scene"]

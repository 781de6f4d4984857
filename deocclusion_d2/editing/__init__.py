"""Editing of layered scenes."""

"""Edit a scene that was taken apart: delete, move, scale, reorder, copy and insert objects.

By an edit script, or in a browser.

Examples:
    What is in it, from front to back, and who hides whom:
        %(prog)s --scene FOLDER --list
    Edit it, and keep the result as a picture and as a scene:
        %(prog)s --scene FOLDER --script edits.json --output edited.png --save-scene FOLDER2
    Edit it in a browser, on any computer; the page needs no other file:
        %(prog)s --scene FOLDER --html scene.html
    Its button "Save script" saves PHOTO_edits.json, which gives the page's picture again:
        %(prog)s --scene FOLDER --script PHOTO_edits.json --output edited.png
    Go on in a browser where a script ends; what that page saves is for FOLDER2, not for FOLDER:
        %(prog)s --scene FOLDER --script edits.json --save-scene FOLDER2 --html scene2.html

An edit script (positions and distances in whole pixels, y downwards; an object stands on the bottom
centre of its window):
    {"version": 1, "edits": [
        {"op": "delete", "object": "car-3"},
        {"op": "hide", "object": "car-3"},      and "show"
        {"op": "move", "object": "car-3", "dx": 40, "dy": -5},
        {"op": "scale", "object": "car-3", "factor": 1.2},
        {"op": "in_front", "object": "car-3", "of": "van-0"},   or "behind"; without "of": of all
        {"op": "swap", "object": "car-3", "with": "van-0"},
        {"op": "duplicate", "object": "car-3", "name": "twin", "dx": 90, "dy": 0},
        {"op": "insert", "scene": "../other", "object": "van-1", "x": 300, "y": 180, "scale": 0.5}
    ]}
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..editing import edit_scene_folder
from ..errors import one_line_errors


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scene", required=True, metavar="FOLDER", help="scene that deocclude.py wrote"
    )
    parser.add_argument("--script", metavar="JSON", help="the edits; none without")
    parser.add_argument("--output", metavar="PNG", help="the picture")
    parser.add_argument(
        "--html",
        metavar="HTML",
        help="page to edit the scene in: as it was loaded, or with --script as that leaves it",
    )
    parser.add_argument("--save-scene", metavar="FOLDER", help="the edited scene")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace pictures, pages and scenes that are there, --scene itself too",
    )
    parser.add_argument("--list", action="store_true", help="print the objects, after the edits")
    args = parser.parse_args(argv)
    if not (args.list or args.output or args.html or args.save_scene):
        parser.error("nothing to do: give --list, --output, --html or --save-scene")
    return args


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    listing = edit_scene_folder(
        args.scene, args.script, args.output, args.save_scene, args.html, args.overwrite
    )
    if args.list:
        print(listing)
    for written in (args.output, args.html, args.save_scene):
        if written:
            print(f"wrote {written}")

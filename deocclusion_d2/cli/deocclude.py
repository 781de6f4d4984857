"""Take photos apart into complete objects, the background behind them, and who hides whom.

Of every photo a folder is written, which deocclusion_d2.decomposition.load_layered_scene reads and
edit_scene.py (deocclusion-d2 edit) edits: layers/NAME.png (RGBA), background.png, photo.png,
graph.json (order, boxes, categories, masks as RLE) and overview.png. Where the method draws several
completions of an object (DEOCCLUSION.SAMPLES), graph.json has them too, and samples.png and the
page show them.

Examples:
  With the network that comes with this package, and a smooth fill:
    %(prog)s --image photo.jpg --masks coco.json --output photo_layers
  With networks of your own:
    %(prog)s --image photo.jpg --masks coco.json --output photo_layers \\
        --config-file configs/pcnet_m_cocoa.yaml --weights pcnet_m.pth \\
        --content-config configs/pcnet_c_cocoa.yaml --content-weights pcnet_c.pth
  And a page in which it is edited, in any browser, without a server:
    %(prog)s --image photo.jpg --masks coco.json --output photo_layers --html scene.html
  A folder of photos, whose objects a detector finds:
    %(prog)s --image photos --detector mask_rcnn.yaml --detector-weights mask_rcnn.pth \\
        --output layers
  A detector that has learned amodal masks (DATASETS.TRAIN of its config, or DEOCCLUSION.DETECTED)
  finds whole objects: they are ordered, and not completed. With BCNet, MODEL.BCNET.KEEP_EXTRAS True
  also writes regions.png, what its two layers see.

--json prints one object on stdout in place of the summary, and all else on stderr: written and
already_there (lists of folders), pages (list of files), counts (written, already_there, skipped),
info (methods, thresholds, checksums of weights, and how many pixels several masks share), warnings
(a line for each photo that was skipped). Without any result (exit code 1) it lists what was
skipped; after an error stdout stays empty.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..decomposition import DecompositionJob, JobResult, decompose_photos, load_layered_scene
from ..editing import check_scene_pages, write_scene_page
from ..errors import one_line_errors
from ..json_files import json_on_stdout
from ..methods import accepted_methods, method_names
from .worker_arguments import add_num_workers


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", required=True, metavar="PATH", help="photo, or folder of photos")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="folder to write")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--masks",
        metavar="JSON",
        help="annotations in any format of this package; COCO results, RESULTS[@IMAGES_JSON]; "
        "or a data set's name, or FORMAT[.modal]:JSON",
    )
    source.add_argument("--detector", metavar="YAML", help="config of an instance segmentation")
    parser.add_argument("--detector-weights", metavar="FILE", help="default: MODEL.WEIGHTS")
    parser.add_argument(
        "--config-file",
        metavar="YAML",
        help="of the order's and masks' network (default: that of --weights)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="default: MODEL.WEIGHTS, or without --config-file the network that comes along",
    )
    parser.add_argument(
        "--method",
        choices=accepted_methods(),
        metavar="NAME",
        help=f"{', '.join(method_names())} (default: the config's)",
    )
    parser.add_argument(
        "--content-config",
        metavar="YAML",
        help="of the network that fills in colours (default: a smooth fill)",
    )
    parser.add_argument("--content-weights", metavar="FILE", help="default: MODEL.WEIGHTS")
    parser.add_argument(
        "--things-only", action="store_true", help="leave out COCOA's regions of stuff"
    )
    parser.add_argument(
        "--html",
        metavar="HTML",
        help="page in which the scene is edited; for a folder of photos, the folder of their pages",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="decompose again what is there, and replace its pages; without, scenes that were made "
        "of the same photo and masks in the same way are left alone, and others refused",
    )
    parser.add_argument(
        "--skip-invalid",
        action="store_true",
        help="leave out photos that cannot be used, and scenes that are there but made of "
        "something else, and count them",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object on stdout when it is done, all else on stderr",
    )
    add_num_workers(parser, "photos of a folder")
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="overrides of all configs, last"
    )
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = vars(parse_arguments(argv))
    html, as_json = args.pop("html"), args.pop("json")
    with json_on_stdout(as_json) as print_json:
        result, pages = _decompose(args, html)
        print_json({**result.to_json(), "pages": [str(page) for page in pages]})
    if result.invalid and not result.written and not result.already_there:
        sys.exit(1)


def _decompose(args: dict[str, Any], html: str | None) -> tuple[JobResult, list[Path]]:
    """What was done, and the pages that were written."""
    job = DecompositionJob(**{**args, "opts": tuple(args["opts"])})
    pages = {} if html is None else _pages(job, html)
    check_scene_pages(pages, job.inputs(), job.overwrite)
    result = decompose_photos(job)
    folders = [*result.written, *result.already_there] if pages else []
    for folder in folders:
        write_scene_page(load_layered_scene(folder), pages[folder], job.overwrite)
    for line in result.invalid:
        print(f"skipped: {line}", file=sys.stderr)
    if result.overlaps is not None:
        print(f"masks overlap: {result.overlaps}; each pixel got one owner")
    parts = [f"{len(result.written)} decomposed"]
    if result.already_there:
        parts.append(
            f"{len(result.already_there)} were there already (--overwrite decomposes again)"
        )
    if result.invalid:
        parts.append(f"{len(result.invalid)} skipped")
    print(f"{', '.join(parts)}: {args['output']}")
    return result, [pages[folder] for folder in folders]


def _pages(job: DecompositionJob, html: str) -> dict[Path, Path]:
    """The page of every scene: of one photo the file itself, else named by its scene's folder."""
    if not Path(job.image).is_dir():
        return {folder: Path(html) for _, folder in job.folders()}
    return {folder: Path(html) / f"{folder.name}.html" for _, folder in job.folders()}

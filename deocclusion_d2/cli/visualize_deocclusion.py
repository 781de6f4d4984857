"""Draw what de-occlusion makes of a data set: scene, masks, occlusion graph, amodal masks, truth.

Examples:
    With a trained network, every eighth frame of sequence 0000:
        %(prog)s --config-file CONFIG --weights model_final.pth \\
            --dataset coco:kitti_mots/dev.json@kitti_mots/images --filter 0000/ --frames ::8 \\
            --output DIR
    Without a model:
        %(prog)s --method convex_r --dataset kins_val --max-images 20 --output DIR
    What conversion has written:
        %(prog)s --converted amodal.json --image-root images --output DIR
    Eight completions of every object, by a network that draws several: all in a panel, and each on
    its own:
        %(prog)s --config-file CONFIG --weights model_final.pth --dataset kins_val \\
            --max-images 20 --output DIR --samples-sheet DEOCCLUSION.SAMPLES 8
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog
from tqdm import tqdm

from ..data.datasets import DatasetName, ensure_registered, read_json
from ..data.datasets.formats.pseudo_amodal import PseudoAmodal
from ..data.datasets.told_format import tell_format
from ..deoccluder import Deoccluder, build_deoccluder
from ..errors import UserError, one_line_errors
from ..methods import accepted_methods, method_name, method_names
from ..structures import Deocclusion, Scene, SceneTruth
from ..visualization import as_converted, by_deoccluder, render_records, select_records
from ..visualization.render import Method


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dataset", metavar="NAME", help="registered name, or FORMAT[.modal]:JSON[@IMAGE_ROOT]"
    )
    source.add_argument("--input", metavar="JSON", help="annotations in the format of --format")
    source.add_argument(
        "--converted", metavar="JSON", help="draw what conversion has written, without a model"
    )
    parser.add_argument("--format", help="format of --input (default: told from its annotations)")
    parser.add_argument("--image-root", metavar="DIR", help="default: the folder of the JSON")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the PNG files")
    parser.add_argument("--overwrite", action="store_true", help="replace pictures that are there")
    parser.add_argument("--config-file", default="", metavar="YAML", help="of the method's network")
    parser.add_argument("--weights", default="", metavar="FILE", help="default: MODEL.WEIGHTS")
    parser.add_argument(
        "--method",
        choices=accepted_methods(),
        metavar="NAME",
        help=f"{', '.join(method_names())} (default: the config's)",
    )
    parser.add_argument("--image-ids", nargs="+", default=(), metavar="ID")
    parser.add_argument(
        "--filter", default="", metavar="TEXT", help="part of the file name, such as 0000/"
    )
    parser.add_argument(
        "--frames", default="", metavar="START:STOP:STEP", help="slice of the sorted file names"
    )
    parser.add_argument("--max-images", type=int, metavar="N", help="the first N images only")
    parser.add_argument(
        "--scale",
        type=float,
        metavar="S",
        help="panel pixels per image pixel (default: suits a page)",
    )
    parser.add_argument(
        "--samples-sheet",
        action="store_true",
        help="also write NAME_samples.png: objects of which several completions were drawn "
        "(DEOCCLUSION.SAMPLES), each completion on its own with its weight, beside the most "
        "probable one and the truth",
    )
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="overrides of the config, last"
    )
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    if args.image_root and not Path(args.image_root).is_dir():
        raise UserError(f"--image-root {args.image_root}: there is no such folder")
    if args.converted:
        name = str(DatasetName(PseudoAmodal.name, args.converted, args.image_root or ""))
        method, needs_image = as_converted, False
        title = "Pseudo-amodal masks (hatched: completed hidden part)"
    else:
        name = args.dataset or _name_of_input(args.input, args.format, args.image_root)
        deoccluder = build_deoccluder(args.method, args.config_file, args.weights, args.opts)
        method, needs_image = by_deoccluder(deoccluder), deoccluder.uses_rgb
        title = f"Amodal masks by {_method(deoccluder)} (hatched: completed hidden part)"
    records = select_records(
        DatasetCatalog.get(ensure_registered(name)),
        args.image_ids,
        args.filter,
        args.frames,
        args.max_images,
    )
    classes = MetadataCatalog.get(name).get("thing_classes", ())
    drew = _Drew(method)
    written = render_records(
        records,
        drew,
        args.output,
        title,
        needs_image,
        args.scale,
        args.overwrite,
        classes,
        args.samples_sheet,
    )
    count = sum(1 for _ in tqdm(written, total=len(records), unit="image"))
    print(f"{count} pictures in {args.output}")
    if args.samples_sheet and drew.count:
        print(f"{drew.count} sheets of drawn completions beside them")
    elif args.samples_sheet:
        print(
            "no sheets: of no object were completions drawn; methods that draw some do so with "
            "DEOCCLUSION.SAMPLES above 0",
            file=sys.stderr,
        )


class _Drew:
    """A method, and the number of images of which it has drawn completions."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self.count = 0

    def __call__(
        self, record: dict, scene: Scene, truth: SceneTruth
    ) -> tuple[Deocclusion, SceneTruth | None]:
        result, known = self.method(record, scene, truth)
        self.count += any(result.samples or ())
        return result, known


def _name_of_input(json_file: str, format_name: str | None, image_root: str | None) -> str:
    format_name = format_name or tell_format(read_json(json_file), json_file).name
    return str(DatasetName(format_name, json_file, image_root or ""))


def _method(deoccluder: Deoccluder) -> str:
    return method_name(deoccluder.describe()["completion"])

#!/usr/bin/env python3
"""Pastes complete objects of a data set over other ones: exact amodal masks, nobody draws them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from detectron2.data import MetadataCatalog
from tabulate import tabulate

from deocclusion_d2.cli.maker_arguments import add_picture_arguments, add_run_arguments
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.datasets.names import DatasetName
from deocclusion_d2.data.datasets.told_format import tell_format
from deocclusion_d2.data.loaders import records_of
from deocclusion_d2.errors import INTERRUPTED, UserError, one_line_errors
from deocclusion_d2.files import file_sha256
from deocclusion_d2.json_files import read_json_file
from deocclusion_d2.outputs import Inputs, check_output_file, same_place
from deocclusion_d2.synthesis.occlusion_pairs import (
    MEASURES,
    Bank,
    BankSettings,
    PairsConfig,
    PairSettings,
    PlacementSettings,
    Realised,
    check_request,
    image_folder,
    json_path,
    write_pairs,
)

_EPILOG = """\
what it does (the Synthetic Occlusion Dataset of BCNet, CVPR 2021, for any data set):
  1. finds the complete objects: large enough, in one piece, apart from all other masks and boxes
     and from the border of the image
  2. draws an occludee and an occluder of other images, their classes uniform
  3. pastes the occluder over the photo of the occludee, so that 20 to 50% of that are hidden

what it writes:
  DIR/images/000000.jpg ...   DIR/instances.json   (format pseudo_amodal)

Amodal and modal masks of both are exact, the occluder is named in occluder_ids, and role says which
is which. source_image of an image is the photo: the true colours of what the paste hides. Other
objects of the photo (role "other") lose what is pasted over; what nature hides of them nobody knows
(amodal_exact false).

An image depends only on the input, the options, --seed and its number: not on --num-workers, nor on
how many images are made. An interrupted run goes on where it stopped when started again. For
training and validation, split the photos first (split_by_image.py) and make one set of each part.

examples:
  python datasets/prepare_occlusion_pairs.py --input coco_crowd/instances_train.json \\
      --image-root coco_crowd/images --output pairs_train --num-images 5000
  # masks alone: no photos are needed
  python datasets/prepare_occlusion_pairs.py --input kins.modal:KINS/instances_train.json \\
      --masks-only --min-area 64 --grid 2 --output pairs_kins --num-images 2000
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input",
        required=True,
        metavar="JSON",
        help="masks in any format of datasets/README.md; or a data set by its name, or as "
        "FORMAT:JSON@IMAGE_ROOT",
    )
    parser.add_argument(
        "--image-root", metavar="DIR", help="folder of the photos (default: that of the JSON)"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--num-images",
        type=int,
        default=5000,
        metavar="N",
        help="how many (default: %(default)s; the paper has 100,000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    bank, pairs = BankSettings(), PairSettings()
    rules = parser.add_argument_group("which objects are complete")
    rules.add_argument(
        "--box-overlap",
        type=float,
        default=bank.box_overlap,
        metavar="S",
        help="share of an object's box that another box may cover (default: %(default)s)",
    )
    rules.add_argument(
        "--min-area",
        type=int,
        default=bank.min_area,
        metavar="PX",
        help="least area of a mask in pixels (default: %(default)s)",
    )
    rules.add_argument(
        "--min-objects",
        type=int,
        default=bank.min_objects,
        metavar="N",
        help="classes with fewer complete objects are left out (default: %(default)s)",
    )
    rules.add_argument(
        "--reject",
        type=Path,
        metavar="FILE",
        help="annotation ids, one per line, of objects that only look complete",
    )
    place = parser.add_argument_group("where the occluder lies")
    place.add_argument(
        "--overlap",
        type=float,
        nargs=2,
        default=pairs.placement.overlap,
        metavar=("LOW", "HIGH"),
        help="both inclusive (default: 0.2 0.5)",
    )
    place.add_argument(
        "--measure",
        choices=MEASURES,
        default=pairs.placement.measure,
        help="of what: share of the occludee, or intersection over union (default: %(default)s)",
    )
    place.add_argument(
        "--grid",
        type=int,
        default=pairs.placement.grid,
        metavar="PX",
        help="distance of the places that are tried, in pixels (default: %(default)s)",
    )
    place.add_argument(
        "--keep-size",
        action="store_true",
        help="never resize an occluder; default: where it is more than twice as long as the "
        "occludee or less than half as long",
    )
    place.add_argument(
        "--flip",
        type=float,
        default=pairs.flip,
        metavar="P",
        help="probability of a mirrored occluder (default: %(default)s)",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--feather",
        action="store_true",
        help="mix the colours of the occluder's outermost pixels with the photo's",
    )
    add_picture_arguments(files, 95)
    files.add_argument("--masks-only", action="store_true", help="the JSON alone, without images")
    add_run_arguments(files, "an existing JSON and its images")
    return parser


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program."""
    args = build_parser().parse_args(arguments)
    placement = PlacementSettings(tuple(args.overlap), args.measure, args.grid)
    scale = "none" if args.keep_size else "fit"
    config = PairsConfig(
        PairSettings(placement, args.flip, scale, seed=args.seed),
        args.feather,
        None if args.masks_only else args.format,
        args.quality,
    )
    settings = BankSettings(
        box_overlap=args.box_overlap, min_area=args.min_area, min_objects=args.min_objects
    )
    check_request(args.output, args.num_images, args.overwrite)
    name = _data_set(args.input, args.image_root)
    metadata = MetadataCatalog.get(name)
    source = Path(metadata.annotation_json)
    inputs = Inputs([source, *([args.reject] if args.reject else [])])
    check_output_file(json_path(args.output), inputs, args.overwrite, "--output")
    records = records_of(name)
    photos = {os.path.dirname(record["file_name"]) or "." for record in records}
    if any(same_place(folder, image_folder(args.output)) for folder in photos):
        raise UserError(
            f"--output {args.output}: its folder of images is that of the photos; name another"
        )
    reject = _ids(args.reject) if args.reject else set()
    try:
        bank = Bank.build(records, settings, reject, args.num_workers)
        print(_of_bank(bank, metadata))
        started = time.perf_counter()
        about = {
            "source": {"annotations": source.name, "sha256": file_sha256(source)},
            "complete": {**vars(settings), "rejected": len(reject)},
        }
        realised = write_pairs(
            args.output,
            args.num_images,
            bank,
            config,
            about,
            _categories(metadata),
            args.num_workers,
            args.overwrite,
        )
    except KeyboardInterrupt:
        print("stopped; start again with the same arguments to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)
    print(_of_images(realised, time.perf_counter() - started))
    print(
        f"{json_path(args.output)}: open it as pseudo_amodal:{json_path(args.output)}@"
        f"{image_folder(args.output)}"
    )


def _data_set(text: str, image_root: str | None) -> str:
    """The name of the data set that was asked for, registered."""
    if not os.path.isfile(text):
        if image_root is not None:
            raise UserError("--image-root goes with a JSON: write it into the name, NAME@DIR")
        return ensure_registered(text)
    told = tell_format(read_json_file(Path(text)), text)
    root = image_root or os.path.dirname(text) or "."
    return ensure_registered(str(DatasetName(told.name, text, root)))


def _ids(path: Path) -> set[int | str]:
    """Annotation ids of a text file, one per line; lines that begin with # are notes."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--reject {path}: it cannot be read ({error})") from error
    words = [line for line in lines if line and not line.startswith("#")]
    return {int(word) if word.lstrip("-").isdigit() else word for word in words}


def _categories(metadata: object) -> list[dict]:
    ids = metadata.thing_dataset_id_to_contiguous_id
    return [{"id": key, "name": metadata.thing_classes[row]} for key, row in sorted(ids.items())]


def _of_bank(bank: Bank, metadata: object) -> str:
    """The bank, by class, and what was left out."""
    ids = metadata.thing_dataset_id_to_contiguous_id
    counts = [f"{metadata.thing_classes[ids[key]]} {len(of)}" for key, of in bank.by_class.items()]
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in bank.left_out.items())
    return (
        f"{len(bank):,} complete objects of {len(bank.by_class)} classes: {', '.join(counts)}\n"
        f"left out: {left_out or 'nothing'}"
    )


def _of_images(realised: Realised, seconds: float) -> str:
    """What was made: hidden shares, classes, failed placements, speed."""
    # Upper limits are inclusive, as in --overlap.
    tenths = np.ceil(realised.hidden * 10 - 1e-6).astype(int)
    rows = [
        (f"{tenth - 1}0 to {tenth}0%", int((tenths == tenth).sum())) for tenth in np.unique(tenths)
    ]
    lines = [
        tabulate(rows, ["hidden share", "images"], disable_numparse=True),
        f"{realised.images:,} images, {realised.failed:,} occluders found no place "
        f"({realised.failed / (realised.failed + realised.images):.1%} of those tried), "
        f"{realised.images / max(seconds, 1e-9):.1f} images/s",
    ]
    for role in ("occludees", "occluders"):
        of = sorted(getattr(realised, role).values())
        lines.append(f"{role}: {len(of)} classes, {of[0]} to {of[-1]} images each")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Splits a COCO-like JSON by image into two: one to train on, one to measure on."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.files import whole_text_file
from deocclusion_d2.json_files import dump_json, read_json_file
from deocclusion_d2.outputs import Inputs, check_output_file

_NULL = "warning: NaN or Infinity, which JSON does not know, is written as null"
_EPILOG = """\
Every image, with all of its annotations, goes to one of the two files; both keep the order of the
input and every other key of it. Which images are validated on depends on --seed and their ids, not
on their order. The images' files stay where they are.

The input is any JSON with "images" and "annotations": COCO, LVIS, KINS, COCOA-cls, D2SA, KITTI MOTS
or what this package's conversion wrote. Frames of one video look alike: split videos by sequence,
with --val-prefix.

examples:
  %(prog)s --input coco_crowd/instances.json --val-share 0.1
    writes coco_crowd/instances_train.json and coco_crowd/instances_val.json
  %(prog)s --input kitti_mots/dev.json --val-prefix 0000/
    writes sequence 0000 to kitti_mots/dev_val.json, the others to kitti_mots/dev_train.json
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", required=True, type=Path, metavar="JSON", help="what to split")
    parser.add_argument(
        "--val-share",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the images to validate on, between 0 and 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed is another split (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--val-prefix",
        metavar="TEXT",
        help="validate on the images whose file name begins so, instead of on a share of all",
    )
    for part in ("train", "val"):
        parser.add_argument(
            f"--{part}-output",
            type=Path,
            metavar="JSON",
            help=f"file to write (default: the input's name with _{part} at its end, beside it)",
        )
    return parser


def split_by_image(
    document: dict[str, Any],
    val_share: float,
    seed: int,
    source: str = "the document",
    val_prefix: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a COCO-like document.

    Args:
        document: with ``images`` (``id``) and ``annotations`` (``image_id``).
        val_share: share of the images in the second part, rounded, but at least one image.
        seed: of the split.
        source: how messages name the document.
        val_prefix: the second part is made of the images whose ``file_name`` begins so, instead.

    Returns:
        The part to train on and the part to validate on. They share the objects of ``document``.

    Raises:
        UserError: the share is none, or the document cannot be split.
    """
    if not 0 < val_share < 1:
        raise UserError(f"--val-share {val_share:g}: give a share between 0 and 1")
    for key in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise UserError(f"{source}: no list {key!r}: give a COCO-like JSON")
    for key, entry_key in (("images", "id"), ("annotations", "image_id")):
        for number, entry in enumerate(document[key]):
            if not isinstance(entry, dict) or entry_key not in entry:
                raise UserError(f"{source}: {key}[{number}] has no {entry_key!r}: add it")
    ids = [image["id"] for image in document["images"]]
    if len(set(ids)) < len(ids):
        raise UserError(f"{source}: two images have the same id: give each its own")
    if len(ids) < 2:
        raise UserError(f"{source}: {len(ids)} image(s) cannot be split: give two or more")
    known = set(ids)
    for number, annotation in enumerate(document["annotations"]):
        if annotation["image_id"] not in known:
            raise UserError(
                f"{source}: annotations[{number}] is of image {annotation['image_id']!r}, which is "
                "not among the images: add it, or remove the annotation"
            )
    if val_prefix is None:
        count = min(max(round(val_share * len(ids)), 1), len(ids) - 1)
        validated = set(sorted(ids, key=lambda image_id: _shuffled(seed, image_id))[:count])
    else:
        images = document["images"]
        validated = {i["id"] for i in images if str(i.get("file_name")).startswith(val_prefix)}
        if not 0 < len(validated) < len(ids):
            which = "all file names begin" if validated else "no file name begins"
            raise UserError(f"{source}: {which} with --val-prefix {val_prefix}")
    train, val = (
        {
            **document,
            "images": [i for i in document["images"] if (i["id"] in validated) == wanted],
            "annotations": [
                a for a in document["annotations"] if (a["image_id"] in validated) == wanted
            ],
        }
        for wanted in (False, True)
    )
    return train, val


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program."""
    args = build_parser().parse_args(arguments)
    outputs = [
        given or args.input.with_name(f"{args.input.stem}_{part}.json")
        for part, given in (("train", args.train_output), ("val", args.val_output))
    ]
    if len({path.resolve() for path in (args.input, *outputs)}) < 3:
        raise UserError("--input, --train-output and --val-output name one file twice")
    for path, option in zip(outputs, ("--train-output", "--val-output"), strict=True):
        check_output_file(path, Inputs([args.input]), args.overwrite, option)
    document = read_json_file(args.input)
    parts = split_by_image(document, args.val_share, args.seed, str(args.input), args.val_prefix)
    # Both appear when both are complete.
    with whole_text_file(outputs[0]) as train_file, whole_text_file(outputs[1]) as val_file:
        for part, file in zip(parts, (train_file, val_file), strict=True):
            file.write(dump_json(part, lambda: print(_NULL, file=sys.stderr)))
    for path, part in zip(outputs, parts, strict=True):
        print(f"{path}: {len(part['images'])} images, {len(part['annotations'])} annotations")


def _shuffled(seed: int, image_id: int | str) -> bytes:
    return hashlib.sha256(f"{seed} {image_id}".encode()).digest()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes shapes to train PCNet-M on from objects that a conversion has completed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deocclusion_d2.data.datasets import InvalidAnnotation, read_json
from deocclusion_d2.data.datasets.annotation_format import get_format
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.files import whole_text_file

_EPILOG = """\
PCNet-M learns from objects that touch no other, and in crowded scenes few large or near ones do.
Objects that a first PCNet-M has completed are taken too, where it was sure who hides them and not
too much of them was hidden. Each becomes an image of its own, so that it touches nothing. The
output is COCO JSON, which goes to DATASETS.TRAIN beside the data set it was made from.

example:
  tools/convert_modal_to_amodal.py --config-file CONFIG --weights W --input masks.json --output amodal.json
  %(prog)s --input amodal.json --output shapes.json
  tools/train_net.py --config-file CONFIG DATASETS.TRAIN "('coco:masks.json@IMAGES','coco:shapes.json@IMAGES')"
"""  # noqa: E501


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input", required=True, type=Path, metavar="JSON", help="what the conversion wrote"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="JSON", help="file to write")
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.3,
        metavar="C",
        help="of the least sure of an object's occluders, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--hidden",
        type=float,
        nargs=2,
        default=(0.02, 0.5),
        metavar=("MIN", "MAX"),
        help="hidden share of the completed object (default: 0.02 0.5)",
    )
    return parser


def completed_shapes(
    document: Any,
    min_confidence: float = 0.3,
    hidden: tuple[float, float] = (0.02, 0.5),
    source: str = "the document",
) -> dict[str, Any]:
    """The confidently completed objects of a converted data set, each in an image of its own.

    Args:
        document: what the conversion wrote, parsed.
        min_confidence: least confidence of each edge from an occluder, 0 to 1.
        hidden: range of the hidden share, both ends included.
        source: how messages name the document.

    Returns:
        COCO document: ``segmentation`` and ``bbox`` amodal; ``source_id`` of an annotation is the
        input's ``id``.

    Raises:
        UserError: a range is none, the document is not a conversion's, or nothing is left of it.
    """
    low, high = hidden
    if not (0 <= min_confidence <= 1 and 0 <= low <= high < 1):
        raise UserError("--min-confidence and --hidden MIN MAX are shares from 0 to 1, MIN <= MAX")
    pseudo_amodal = get_format("pseudo_amodal")
    try:
        categories = pseudo_amodal.categories(document)
        images, items = pseudo_amodal.open_document(document, "", source)
        by_id = {image.id: image for image in images}
        shapes = []
        for item in items:
            image_id = pseudo_amodal.image_id_of(item)
            if image_id not in by_id:
                raise InvalidAnnotation(
                    f"annotation {item.get('id')!r}: image id {image_id!r} is not in 'images'"
                )
            shapes += [(by_id[image_id], s) for s in pseudo_amodal.parse(item, by_id[image_id])]
    except InvalidAnnotation as error:
        raise InvalidAnnotation(f"{source}: {error}") from None
    chosen = [
        (image, shape)
        for image, shape in shapes
        if not shape.iscrowd
        and low <= shape.extras.get("occlusion_rate", 0.0) <= high
        and min(shape.extras.get("occluder_confidences") or [0.0]) >= min_confidence
        # Baselines have occluders, but no confidence in them.
        and shape.extras.get("occluder_confidences")
    ]
    if not chosen:
        raise UserError(
            f"{source}: no object was completed with a confidence of {min_confidence:g} and "
            f"{low:g} to {high:g} of it hidden: lower --min-confidence, or widen --hidden"
        )
    return {
        "images": [
            {"id": k, "file_name": i.file_name, "height": i.height, "width": i.width}
            for k, (i, _) in enumerate(chosen, 1)
        ],
        "annotations": [
            {
                "id": k,
                "image_id": k,
                "category_id": shape.category_id,
                "iscrowd": 0,
                "segmentation": shape.amodal,
                "bbox": shape.bbox("amodal"),
                "source_id": shape.id,
            }
            for k, (_, shape) in enumerate(chosen, 1)
        ],
        "categories": categories,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program."""
    args = build_parser().parse_args(arguments)
    with one_line_errors():
        if args.input.resolve() == args.output.resolve():
            raise UserError("--input and --output name the same file")
        document = read_json(str(args.input))
        shapes = completed_shapes(
            document, args.min_confidence, tuple(args.hidden), str(args.input)
        )
        with whole_text_file(args.output) as file:
            json.dump(shapes, file)
    print(
        f"{args.output}: {len(shapes['annotations'])} completed shapes of "
        f"{len(document['annotations'])} objects"
    )


if __name__ == "__main__":
    main()

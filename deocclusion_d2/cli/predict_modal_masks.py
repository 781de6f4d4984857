"""Predict modal masks from images and boxes by a trained ModalUNet, into a COCO results JSON.

They are what Table 3 of the paper completes in place of true modal masks: every prediction names
the annotation whose box it was given (annotation_id).

Example:

  %(prog)s --config-file configs/modal_unet_kins.yaml \\
      --weights output/modal_unet_kins/model_final.pth --dataset kins_val --output modal_val.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..config import load_config
from ..data.datasets import dataset_inputs
from ..errors import UserError, one_line_errors
from ..outputs import check_output_file
from ..systems import system_of


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML", help="of a ModalUNet")
    parser.add_argument(
        "--weights", metavar="FILE", help="trained ModalUNet (default: the config's MODEL.WEIGHTS)"
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help="registered, or FORMAT[.modal]:JSON[@IMAGE_ROOT]",
    )
    parser.add_argument("--output", required=True, metavar="JSON", help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args(argv)
    weights = ["MODEL.WEIGHTS", args.weights] if args.weights else []
    cfg = load_config(args.config_file, [*args.opts, *weights])
    masks = system_of(cfg).network.masks
    if masks is None:
        raise UserError(
            f"MODEL.META_ARCHITECTURE = {cfg.MODEL.META_ARCHITECTURE!r} predicts no modal "
            "masks from images and boxes; use a config that does, such as modal_unet_kins"
        )
    inputs = dataset_inputs(args.dataset, args.config_file, cfg.MODEL.WEIGHTS)
    check_output_file(args.output, inputs, args.overwrite, kind="JSON file")
    count = masks(cfg, args.dataset, args.output)
    print(f"{count} masks in {args.output}")

"""Fit the ordering prior of a trained PCNet-M and a data set: no label is used.

The prior is the geometry of touching instances (position, size, convexity), weighed so that it
agrees with dual completion where that is sure. DEOCCLUSION.ORDERING_PRIOR names its JSON wherever
objects are de-occluded ("weights": that beside MODEL.WEIGHTS); it then helps where dual completion
is unsure. With "auto", as in the pcnet_m_plus configs, nothing need be fitted beforehand: every
input with enough pairs has a prior of its own, and this file is for the others. Training with
"auto" or "weights" writes it, too.

Example:

  %(prog)s --config-file configs/pcnet_m_kins.yaml \\
      --weights output/pcnet_m_kins/model_final.pth --dataset kins_train_modal
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from .. import ENOUGH_IMAGES, FEATURES, PRIOR_FILE, fit_ordering_prior
from ..config import load_config
from ..data.datasets import dataset_inputs
from ..errors import one_line_errors
from ..outputs import check_output_file
from .worker_arguments import add_loader_workers, loader_workers


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML", help="of a PCNet-M")
    parser.add_argument(
        "--weights", metavar="FILE", help="trained PCNet-M (default: the config's MODEL.WEIGHTS)"
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help="registered, or FORMAT[.modal]:JSON[@IMAGE_ROOT]",
    )
    parser.add_argument(
        "--output", metavar="JSON", help=f"file to write (default: {PRIOR_FILE} beside the weights)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    parser.add_argument(
        "--every",
        type=int,
        metavar="N",
        help=f"use every Nth image (default: so that about {ENOUGH_IMAGES:,} are used)",
    )
    parser.add_argument(
        "--features",
        default=",".join(FEATURES),
        metavar="NAME,NAME",
        help="features to use, with commas (default: %(default)s)",
    )
    add_loader_workers(parser)
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args(argv)
    weights = ["MODEL.WEIGHTS", args.weights] if args.weights else []
    cfg = load_config(args.config_file, [*args.opts, *weights, *loader_workers(args)])
    features = args.features.split(",")
    output = args.output or os.path.join(os.path.dirname(cfg.MODEL.WEIGHTS), PRIOR_FILE)
    inputs = dataset_inputs(args.dataset, args.config_file, cfg.MODEL.WEIGHTS)
    check_output_file(output, inputs, args.overwrite, kind="JSON file")
    prior = fit_ordering_prior(cfg, [args.dataset], output, every=args.every, features=features)
    facts = prior.fitted_on
    print(
        f"predicts {facts['held_out_accuracy']:.1%} of the {facts['sure_pairs']} pairs of "
        f"which dual completion is sure, held out: {output}"
    )
    if not prior.enabled:
        print(f"not enabled, it will not change any order: {facts['verdict']}")

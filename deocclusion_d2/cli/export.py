"""Write a trained network as an ONNX file, for programs that have no PyTorch.

Inputs and outputs are those of the network's batch, such as modal_mask, eraser (N, S, S) uint8 0/1
and category_id (N,) int64 -> probability (N, S, S) float32 of PCNet-M; batches have any size N, the
side S of the patches is the config's INPUT.INSTANCE_CROP.SIZE. The metadata "deocclusion_d2" of the
file says how instances become patches, and by which thresholds probabilities become masks.

Examples:

  # the network that comes with this package
  %(prog)s --output general.onnx

  # a training of yours
  %(prog)s --config-file configs/pcnet_m_kins.yaml --weights output/model_final.pth \\
      --output pcnet_m.onnx
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError, one_line_errors
from ..files import file_sha256
from ..methods import method_config
from ..outputs import Inputs, check_output_file
from ..version import __version__


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config-file",
        metavar="YAML",
        help="config of the network, a file or a name (default: that of --weights)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="trained network: a file, the folder of a training, or hf://USER/REPOSITORY (default: "
        "the config's MODEL.WEIGHTS; without --config-file the network that comes along)",
    )
    parser.add_argument("--output", required=True, metavar="ONNX", help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --output")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args(argv)
    cfg = method_config(None, args.config_file, args.weights, args.opts)
    inputs = Inputs([args.config_file, args.weights, cfg.MODEL.WEIGHTS])
    check_output_file(args.output, inputs, args.overwrite, endings=(".onnx",), kind="ONNX file")
    # Not before all is checked: they load torch.
    from detectron2.utils.file_io import PathManager

    from ..inference.export import export_onnx
    from ..inference.weights import load_model
    from ..modeling.instance_network import InstanceNetwork

    cfg.MODEL.DEVICE = "cpu"
    model = load_model(cfg)
    if not isinstance(model, InstanceNetwork):
        raise UserError(
            f"{cfg.MODEL.META_ARCHITECTURE} looks at whole images: Detectron2's own tools export it"
        )
    about = {
        "version": __version__,
        "network": cfg.MODEL.META_ARCHITECTURE,
        "weights_sha256": file_sha256(Path(PathManager.get_local_path(cfg.MODEL.WEIGHTS))),
        "patch_size": cfg.INPUT.INSTANCE_CROP.SIZE,
        "enlarge_box": cfg.INPUT.INSTANCE_CROP.ENLARGE,
        "category_ids": sorted(model.trained_on.category_ids or ()),
        "deocclusion": dict(cfg.DEOCCLUSION),
    }
    names, outputs = export_onnx(model, args.output, cfg.INPUT.INSTANCE_CROP.SIZE, about)
    print(f"{args.output}: {', '.join(names)} -> {', '.join(outputs)}")

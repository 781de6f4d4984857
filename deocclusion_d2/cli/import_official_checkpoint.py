"""Turn the authors' released PCNet-M or PCNet-C into a Detectron2 checkpoint, or ours into theirs.

Which of the two networks a file holds is told from the names of its tensors. A file in which one is
missing, unknown or of a wrong shape is refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import one_line_errors
from ..modeling.official_checkpoint_files import (
    Transfer,
    export_official_checkpoint,
    import_official_checkpoint,
)

EXAMPLES = """\
examples:
  a released PCNet-M, then pseudo-amodal labels with it:
    %(prog)s released/KINS_pcnet_m.pth.tar pcnet_m_kins.pth
    tools/convert_modal_to_amodal.py --config-file configs/pcnet_m_kins.yaml \\
        --weights pcnet_m_kins.pth --input KINS/instances_train.json --output amodal.json

  a released PCNet-C (the network, not the discriminator beside it), or the inpainting network of
  partial convolutions that its training starts from (RGB alone; it gets a channel for the mask):
    %(prog)s released/KINS_pcnet_c.pth.tar pcnet_c_kins.pth

  a network trained here, for the authors' code:
    %(prog)s output/pcnet_m_kins/model_final.pth exported.pth.tar --export

what is written:
  import    model: our model's tensors; iteration: the file's step
  --export  state_dict: the tensors under the authors' names, with their "module." in front;
            step: the checkpoint's iteration. Optimizers are left out both ways.
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="checkpoint to read")
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="file to write; .pth, unless --export is given"
    )
    parser.add_argument(
        "--export",
        action="store_true",
        help="INPUT is a Detectron2 checkpoint of ours, OUTPUT a file in the authors' layout",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUTPUT")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    with one_line_errors():
        if args.export:
            written = export_official_checkpoint(args.input, args.output, args.overwrite)
        else:
            written = import_official_checkpoint(args.input, args.output, args.overwrite)
    name = {"pcnet_m": "PCNet-M", "pcnet_c": "PCNet-C"}[written.kind]
    print(
        f"{args.output}: {name}, width {written.shape.width:g}, "
        f"{written.shape.in_channels} input channels, {written.num_tensors} tensors, "
        f"step {written.step}"
    )
    if not args.export:
        print(_how_to_use(written, args.output))


def _how_to_use(written: Transfer, output: Path) -> str:
    width = written.shape.width
    if written.kind == "pcnet_c":
        overrides = f", with MODEL.PCNET_C.WIDTH {width}" if width != 1 else ""
        return (
            f"config: configs/pcnet_c_kins.yaml or configs/pcnet_c_cocoa.yaml{overrides}\n"
            "next: tools/deocclude.py --image PHOTO --masks JSON --output FOLDER --content-config "
            f"configs/pcnet_c_kins.yaml --content-weights {output}; or fine-tune it: "
            f"tools/train_net.py --config-file configs/pcnet_c_kins.yaml MODEL.WEIGHTS {output}"
        )
    overrides = f" MODEL.PCNET_M.WIDTH {width}" if width != 2 else ""
    overrides += " MODEL.PCNET_M.USE_RGB True" if written.shape.in_channels == 5 else ""
    return (
        "config: configs/pcnet_m_kins.yaml for KINS, configs/pcnet_m_cocoa.yaml for COCOA"
        + (f", with{overrides}" if overrides else "")
        + "\nnext: tools/convert_modal_to_amodal.py --config-file configs/pcnet_m_kins.yaml "
        f"--weights {output} --input MODAL.json --output AMODAL.json{overrides}"
    )

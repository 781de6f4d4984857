"""Turn networks that authors released into Detectron2 checkpoints, or ours into theirs.

Each system says how its authors name tensors (``Network.released``), and so what is printed here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import one_line_errors, printable, printable_text
from ..modeling.released import ReleasedLayout, either
from ..modeling.released_files import export_released, import_released
from ..systems import released_layouts

DESCRIPTION = """\
Turn the authors' released {networks} into a Detectron2 checkpoint, or ours into theirs.

Which of these networks a file holds is told from the names of its tensors. A file in which one is
missing, unknown or of a wrong shape is refused.
"""

# After each network's own example.
EXAMPLES = """\
  a network trained here, for the authors' code:
    %(prog)s output/model_final.pth exported.pth.tar --export

what is written:
  import    model: our model's tensors; iteration: the file's step
  --export  state_dict: the tensors under the authors' names, with their "module." in front;
            step: the checkpoint's iteration. Optimizers are left out both ways.
"""


def build_parser(layouts: Sequence[ReleasedLayout]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION.format(networks=either(layouts)),
        epilog="examples:\n" + "\n".join([*(layout.example for layout in layouts), EXAMPLES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="checkpoint to read")
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUTPUT",
        help="file to write: .safetensors or .pth; --export: a file of torch",
    )
    parser.add_argument(
        "--export",
        action="store_true",
        help="INPUT is a Detectron2 checkpoint of ours, OUTPUT a file in the authors' layout",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUTPUT")
    return parser


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    layouts = released_layouts()
    args = build_parser(layouts).parse_args(argv)
    move = export_released if args.export else import_released
    written = move(args.input, args.output, layouts, args.overwrite)
    print(
        f"{printable(args.output)}: {written.layout.name}, width {written.shape.width:g}, "
        f"{written.shape.in_channels} input channels, {written.num_tensors} tensors, "
        f"step {written.step}"
    )
    if not args.export:
        print(printable_text(written.layout.how_to_use(written.shape, args.output)))

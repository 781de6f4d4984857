"""Turn networks that authors released into Detectron2 checkpoints, or ours into theirs.

Each system says how its authors name tensors (``Network.released``), and so what is printed here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError, one_line_errors, printable, printable_text
from ..modeling.category_ids import described_ids
from ..modeling.released import CATEGORY_IDS, ReleasedLayout, either
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
  import    model: our model's tensors; iteration: the file's step; trained_on: the category ids
            that it knows, where the data are known; de-occlusion refuses others then
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
    parser.add_argument(
        "--trained-on",
        choices=sorted(CATEGORY_IDS),
        metavar="DATA",
        help="the data that INPUT was trained on, kins (category ids 1 to 8) or cocoa (1): the ids "
        "are noted in OUTPUT (default: which of the two INPUT's name holds)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUTPUT")
    return parser


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    layouts = released_layouts()
    args = build_parser(layouts).parse_args(argv)
    data = None
    if args.export:
        if args.trained_on:
            raise UserError("--trained-on is for imports: leave it out with --export")
        written = export_released(args.input, args.output, layouts, args.overwrite)
    else:
        data = args.trained_on or _told_by_name(args.input)
        ids = None if data is None else CATEGORY_IDS[data]
        written = import_released(args.input, args.output, layouts, args.overwrite, ids)
    print(
        f"{printable(args.output)}: {written.layout.name}, width {written.shape.width:g}, "
        f"{written.shape.in_channels} input channels, {written.num_tensors} tensors, "
        f"step {written.step}"
    )
    if args.export:
        return
    if written.layout.takes_category_ids:
        if data is None:
            print("category ids: not known, none is refused but 0; --trained-on tells them")
        else:
            told = "" if args.trained_on else ", told from the name of the file"
            print(f"category ids: {described_ids(CATEGORY_IDS[data])} ({data}{told})")
    print(printable_text(written.layout.how_to_use(written.shape, args.output)))


def _told_by_name(path: Path) -> str | None:
    """The data that the name of a released file holds, such as "KINS_pcnet_m.pth.tar"."""
    held = [data for data in CATEGORY_IDS if data in path.name.lower()]
    return held[0] if len(held) == 1 else None

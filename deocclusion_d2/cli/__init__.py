"""The programs: what ``tools/*.py`` call, and the commands of an installed package.

``deocclusion-d2 COMMAND ...`` is ``python tools/PROGRAM.py ...``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from ..errors import one_line_errors, quiet_interrupts
from ..version import __version__

quiet_interrupts()

# Threads of torch that wait for each other soon sleep instead of keeping their core busy: beside
# another busy program an iteration takes half as long, and no longer without one (as it would by
# OMP_WAIT_POLICY, under which they sleep at once). It is read when torch is loaded, and processes
# that are started from here inherit it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# Pages about connections to a process that has failed, which says why itself; read then, too.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

# Command -> (module of this package, what it is for).
COMMANDS = {
    "train": ("train_net", "train or evaluate any network"),
    "check": ("check", "what a file of masks holds, and what to expect of its conversion"),
    "convert": ("convert_modal_to_amodal", "modal annotations -> pseudo-amodal COCO JSON"),
    "deocclude": ("deocclude", "take photos apart into complete objects and their background"),
    "edit": ("edit_scene", "edit a scene that was taken apart, by a script or in a browser"),
    "draw": ("visualize_deocclusion", "pictures of order and amodal masks of a data set"),
    "samples": ("visualize_training_samples", "pictures of training samples"),
    "compare": ("compare_methods", "a network and the rules on a data set, in one table"),
    "experiment": ("run_experiment", "a table of the paper: train, evaluate, report"),
    "sweep": ("sweep", "what config keys do to order and masks"),
    "demo": ("demo", "the whole way on a small synthetic data set"),
    "fit-prior": ("fit_ordering_prior", "fit the ordering prior of PCNet-M to a data set"),
    "erasures": ("evaluate_erasures", "judge PCNet-M where only modal masks are known"),
    "predict-masks": ("predict_modal_masks", "modal masks from images and boxes"),
    "make-general": ("make_general_model", "make the network that comes with the package"),
    "export": ("export", "a trained network as an ONNX file"),
    "import-released": ("import_official_checkpoint", "the authors' released weights, both ways"),
}


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        argv: its name and arguments; those of the process when None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments.pop(0) if arguments else "--help"
    if name in ("-h", "--help"):
        print(_usage())
        return
    if name == "--version":
        print(f"deocclusion_d2 {__version__}")
        return
    if name not in COMMANDS:
        print(f"error: there is no command {name!r}\n\n{_usage()}", file=sys.stderr)
        sys.exit(2)
    # What argparse calls the program.
    sys.argv[0] = f"deocclusion-d2 {name}"
    importlib.import_module(f"{__name__}.{COMMANDS[name][0]}").main(arguments)


def _usage() -> str:
    lines = [f"  {name:<16}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: deocclusion-d2 COMMAND ...",
            "",
            *lines,
            "",
            "deocclusion-d2 COMMAND --help teaches",
        ]
    )

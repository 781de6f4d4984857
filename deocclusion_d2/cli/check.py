"""Say what a file of modal masks holds, and what to expect of a conversion, before any work.

The file is read as convert reads it: the same formats, the same errors, the same annotations left
out. Nothing is written but the picture.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..conversion.check import check
from ..conversion.document_index import DocumentIndex
from ..conversion.input_file import InputFile
from ..conversion.launch import NOTHING_DONE
from ..conversion.predicted_input import PredictedInput
from ..conversion.survey_report import Report
from ..data.datasets.image_files import ImageFinder
from ..errors import one_line_errors
from ..files import readable_json, whole_file
from ..outputs import Inputs, check_output_file
from ..version import __version__
from .input_arguments import add_input_arguments
from .worker_arguments import add_num_workers

EXAMPLES = """\
examples:
  %(prog)s masks.json
  %(prog)s masks.json --picture masks.png --image-root images
  %(prog)s coco_instances_results.json --images-from instances_val2017.json --min-score 0.7
  %(prog)s masks.json --json | python -m json.tool

what is said:
  touching pairs      two masks of an image of which pixels share an edge, or that overlap. Only
                      such pairs can have an order, and only who has a neighbour in front is
                      completed: where nothing touches, amodal will equal modal
  pairs by gap        free pixels between masks that do not touch, up to 23. Predicted masks, and
                      many drawn ones, leave a gap where the objects touch
  gap to be closed    the smallest one that closes nine tenths of these gaps; none where gaps are
                      no more frequent than by chance
  overlapping pairs   a pixel of several masks goes to the smaller one (of predictions: to that of
                      the higher score), which is in front where at least half of it is shared
  cut by the border   instances that reach the edge of the image: what lies beyond is not completed
  area                visible pixels of an instance: the smallest and the largest one, and the
                      values below which 5, 25, 50, 75 and 95 %% of the instances lie
  odd                 what is probably not meant, and what to do about it: all boxes, all crowd
                      regions, coordinates between 0 and 1, nothing that touches, one instance per
                      image, full boxes for masks, masks given twice, boxes elsewhere than masks,
                      whole masks instead of visible ones, category ids that networks refuse

--json prints one object: input, images, instances, categories, unknown_category_ids, pairs (by_gap:
pairs by gap in pixels from 0; by_overlap: by tenths of the smaller mask; closing: the gap to be
closed, 0 for none), skipped, assumed, odd (sentences) and next (a command, null where there is
nothing to complete). All else goes to stderr then.

exit codes: 0 read; 3 read, but no annotation has a visible pixel to work with; 1 not read, after
one line that says why; 2 wrong arguments; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path, metavar="JSON", help="annotations with modal masks")
    add_input_arguments(parser)
    parser.add_argument(
        "--image-root",
        type=Path,
        metavar="DIR",
        help="folder of the images, which are read only for the picture and for COCOA files "
        "without image sizes (default: the folder of --images-from or else of the input)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PNG",
        help="draw gaps and overlaps, sizes, shares, and a place where two masks meet",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    parser.add_argument(
        "--skip-invalid",
        action="store_true",
        help="leave annotations that cannot be used out, and count them, instead of stopping at "
        "the first",
    )
    add_num_workers(parser, "images")
    return parser


@one_line_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    file = InputFile(
        args.input,
        args.format,
        args.image_root,
        args.images_from,
        args.min_score,
        args.skip_invalid,
    )
    file.check()
    if args.picture:
        inputs = Inputs([file.path, file.images_from])
        check_output_file(args.picture, inputs, args.overwrite, "--picture", (".png",))
    source, report = check(file, args.num_workers, with_example=args.picture is not None)
    if args.picture:
        _refuse_photo(args.picture, file, source)
    headline, odd = file.headline(source), report.oddities()
    nothing = report.survey.tally.has_done_nothing
    next_command = _next_command(file, report)
    if args.json:
        about = {"version": __version__, "input": _about(file, source)}
        print(readable_json({**about, **report.to_json(), "next": next_command}))
    else:
        print(headline)
        print(report.table())
        print("\nodd:" if odd else "\nodd: nothing")
        print("".join(f"- {line}\n" for line in odd), end="")
        if next_command:
            print(f"\nnext: {next_command}")
    if args.picture:
        from ..conversion.survey_picture import draw_report

        with whole_file(args.picture) as unfinished:
            draw_report(report, headline, file.photo_folder, unfinished)
        print(f"wrote {args.picture}", file=sys.stderr if args.json else sys.stdout)
    if nothing:
        sys.exit(NOTHING_DONE)


def _about(file: InputFile, source: DocumentIndex | PredictedInput) -> dict[str, Any]:
    """What was read, for the JSON object."""
    about = {"path": str(file.path), "sha256": source.sha256}
    if isinstance(source, DocumentIndex):
        return {**about, "format": source.format.name}
    return {
        **about,
        "format": "coco_results",
        "images_from": str(file.images_from),
        "min_score": file.score,
    }


def _next_command(file: InputFile, report: Report) -> str | None:
    """The conversion of the file, as it was read; None where it has nothing to do."""
    parted = report.survey.census.closing() > 0
    if report.survey.tally.has_done_nothing or (report.not_touching() and not parted):
        return None
    options = {
        "--input": file.path,
        "--output": file.path.with_name(f"{file.path.stem}_amodal.json"),
        "--format": file.format,
        "--images-from": file.images_from,
        "--min-score": file.min_score,
        "--image-root": file.image_root,
    }
    words = [w for k, v in options.items() if v is not None for w in (k, shlex.quote(str(v)))]
    words += ["--skip-invalid"] if file.skip_invalid else []
    return f"deocclusion-d2 convert {' '.join(words)}"


def _refuse_photo(picture: Path, file: InputFile, source: DocumentIndex | PredictedInput) -> None:
    """Never draw over one of the images, whatever was asked for. Raises UserError."""
    if not picture.exists():
        return
    names = source.file_names if isinstance(source, DocumentIndex) else source.images.file_names
    finder = ImageFinder(str(file.photo_folder), names)
    photos = Inputs(finder.find(name)[0] for name in names())
    check_output_file(picture, photos, True, "--picture")

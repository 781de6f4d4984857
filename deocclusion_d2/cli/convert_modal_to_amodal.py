"""Turn modal instance masks into pseudo-amodal COCO JSON.

Every instance gets the pixels that other objects hide; the result trains amodal models without
amodal labels. Killed at any moment, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..conversion import ConversionJob
from ..conversion.job import SEGMENTATIONS
from ..conversion.launch import run_conversion, run_ray_conversion
from ..conversion.ray_data.job import RayJob
from ..errors import UserError
from ..launch import one_voice
from ..methods import accepted_methods, method_names
from ..systems import known_steps
from .input_arguments import add_input_arguments
from .worker_arguments import add_num_workers

EXAMPLES = """\
examples:
  any masks, with the network that comes with this package:
    %(prog)s --input masks.json --output amodal.json

  KINS, with a trained PCNet-M, on one GPU:
    %(prog)s --config-file configs/pcnet_m_kins.yaml --weights output/model_final.pth \\
        --input KINS/instances_train.json --output KINS/pseudo_amodal_train.json

  the same on 8 GPUs; on the CPU alone, with a worker per core; with 4 workers:
    %(prog)s ... --num-gpus 8
    %(prog)s ... --num-gpus 0
    %(prog)s ... --num-gpus 0 --num-workers 4

  masks predicted by a network (COCO results, as Detectron2's COCOEvaluator writes them), those
  with a score of 0.7 or more, with gaps of a few pixels between neighbours:
    %(prog)s ... --input coco_instances_results.json --images-from instances_val2017.json \\
        --min-score 0.7 DEOCCLUSION.DILATION 5

  objects that the image's border cuts, with their whole boxes:
    %(prog)s ... DEOCCLUSION.BEYOND_IMAGE 0.5

  categories that the network was not trained with, 3 as its 4, all others as its 1:
    %(prog)s ... DEOCCLUSION.CATEGORY_MAP "((3, 4), ('any', 1))"

  a baseline, which needs no trained network:
    %(prog)s --method convex_r --input kitti_mots/train.json --output convex_r.json

  eight completions of every object, beside the most probable one:
    %(prog)s ... DEOCCLUSION.SAMPLES 8

  the order by one network, the masks by another:
    %(prog)s --config-file configs/amodal_unet_kins.yaml --weights amodal_unet.pth \\
        --input KINS/instances_train.json --output amodal.json \\
        DEOCCLUSION.ORDERING dual_completion \\
        DEOCCLUSION.ORDERING_CONFIG configs/pcnet_m_kins.yaml@pcnet_m.pth

  for an annotation tool that reads polygons; for a script that reads what was done:
    %(prog)s ... --segmentation polygons
    %(prog)s ... --json > done.json

  2 machines with 8 GPUs each, which share the folder of the output:
    %(prog)s ... --num-gpus 8 --num-machines 2 --machine-rank 0 --dist-url tcp://10.0.0.1:29500
    %(prog)s ... --num-gpus 8 --num-machines 2 --machine-rank 1 --dist-url tcp://10.0.0.1:29500

  the same by torchrun, on each of them; by Slurm, a task per GPU:
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint 10.0.0.1:29500 \\
        tools/convert_modal_to_amodal.py ...
    srun --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 --kill-on-bad-exit=1 %(prog)s ...

  more data than one file, on all cores or GPUs of this machine or of a cluster (Ray Data):
    %(prog)s --engine ray --input 'sa1b/*.json' --output amodal/
    %(prog)s --engine ray --input s3://bucket/rows/ --output s3://bucket/amodal/
    %(prog)s --engine ray --input rows.jsonl --output amodal.json --method convex_r
    %(prog)s --engine ray --ray-address auto --input masks.parquet --output amodal.parquet

what is written (COCO JSON; images and annotations in the order of the input):
  segmentation, bbox, area    amodal; compressed RLE (or polygons), [x, y, w, h], number of pixels
  modal_segmentation          the modal mask, as the input has it
  modal_bbox                  its box [x, y, w, h]
  occluder_ids                annotation ids of the instances directly in front
  occluder_confidences        how sure the method is of each of them, in the same order: 0 (a guess)
                              to 1; not without occluders, nor by convex, convex_r and raw
  mutual_occlusion_ids        annotation ids of the neighbours of which each hides a part of the
                              other (DEOCCLUSION.MUTUAL_SHARE, MUTUAL_DIFFERENCE); if there are any
  hidden_probability          of instances that something hides, with DEOCCLUSION.KEEP_PROBABILITY
                              True: how probable each pixel of what hides it is its own; bbox
                              [x, y, w, h] and png, an 8-bit PNG of that size in base64 (255 is 1);
                              deocclusion_d2.structures.ProbabilityMap.from_json reads it
  samples                     of instances of which something may be hidden, with
                              DEOCCLUSION.SAMPLES K above 0 and a method that draws completions:
                              the K drawn ones, [{"segmentation": RLE, "weight": 0 to 1}, ...];
                              equal masks are one, weights add up to 1, the heaviest first
  amodal_bbox_unclipped       with DEOCCLUSION.BEYOND_IMAGE above 0: the whole object's box
                              [x, y, w, h], which may leave the image; masks end at its border
  occlusion_rate              hidden share of the amodal area, 0 to 1
  attributes                  the input's own, with ours in them (CVAT, Datumaro): occluded, whether
                              anything lies in front; occlusion_rate again; z_order, from 0 at the
                              rear: above that of all it hides, equal in a cycle; occlusion_cycle,
                              true in a cycle, where no order is right, else absent. Attributes that
                              are no object stay, and are counted
  amodal_bbox                 is read, with DEOCCLUSION.BOXES given and Amodal-VAE: the box
                              [x, y, w, h] of the whole object, as somebody has drawn it
  every other key             as in the input; only a true amodal mask under another key (a_segm,
                              a_bbox, a_area, invisible_mask, occlude_rate) is replaced by ours
  info.deocclusion            version, method, thresholds, checksums of weights and input
                              and, where modal masks share pixels, how many (overlaps); for order
                              and completion they are the smaller mask's (DEOCCLUSION.OVERLAPS),
                              and modal_segmentation stays as given
  COCOA's regions become annotations; what an entry says besides goes to its image, under "cocoa".
  Of COCO results: the images and categories of --images-from; the annotations by image; an id from
  the entry's own id or annotation_id, else its number in the list from 1; score and all other keys
  kept; modal_segmentation without the pixels that an entry of a higher score holds.
  Read it as format pseudo_amodal, whatever the format of the input was.

Before it begins, three lines say what is to be expected, from 100 images at most, at equal
distances in the file; check says more, of all of it. A warning says where no two masks touch.

--segmentation polygons writes outlines along the corners of pixels, a polygon for every connected
part. pycocotools reads back the same mask. What is lost: COCO's polygons have no holes, so that a
hole is joined to the outline by a cut of no width, and programs that fill what an outline
surrounds, or that want outlines that never touch themselves, close the hole or refuse it; those
that fill through pixel centres (OpenCV) add a row and a column. Files grow. An empty mask has no
polygon and stays RLE; polygons of the input stay where nothing was added. modal_segmentation stays
as given, and hidden_probability and masks of hidden parts stay pixels.

--engine ray reads a file, a folder or a glob, local or at an fsspec address (s3://, gs://, ...):
  NAME.json      what the engine local reads, a whole data set each; or one image each as in SA-1B,
                 {"image": {...}, "annotations": [...]}
  NAME.jsonl     a row per line: an image's keys (id or image_id, height, width, file_name), its
                 "annotations", and maybe "categories"; or as in SA-1B
  NAME.parquet   rows with these columns; annotations as a list of structs, or as JSON text
and writes, complete or not at all,
  NAME.json      one COCO JSON, in the order of the input: of a single JSON the same bytes as the
                 engine local. Image and annotation ids have to be unique over all files, and
                 categories of one id the same; what else the files say differently is left out,
                 with a warning
  FOLDER/        (or NAME.parquet) Parquet files, written by many at a time, and read again by this
                 program; at an address it is complete when it holds _SUCCESS. Columns: file,
                 image_id, file_name, height, width; as JSON text image (the record), annotations
                 (as below), categories (those they name), tally (counts), and in the first row of a
                 document about (what it says as a whole)
An actor has a GPU, or a core with --num-gpus 0 and where there are none; --num-workers is their
largest number (default: all the room that the cluster has or gets). A killed worker or a lost
machine costs what it had at hand, which is done again; no number of workers changes the result.
What a method measures on its input first (gaps, how sure an order is) it measures once for the
whole input, on 1,000 images at most: at equal distances in a JSON, the first ones of files of rows,
as many of each file; of more files than that, of files at equal distances. Convert data sets that
differ in how they were drawn by themselves. All machines must have this package, and see the files
that options name.

--json prints, in place of the summary, one object on stdout, and all else on stderr:
  written    list of files
  counts     numbers by name: images, instances, occluded, grown, added_pixels, cycles, hidden,
             crowds, skipped, assumed, ...
  info       as info.deocclusion
  warnings   list of lines
  skipped    list of {reason, count, first}
  assumed    what had to be assumed in reading -> how often
Without output (exit codes 1, 2, 130) stdout stays empty.

Finished shards wait in OUTPUT.shards/ and go when the output is complete. What had to be assumed or
dropped in reading is counted at the end. An object without a mask keeps the box and area it has.

exit codes: 0 written; 3 written, with a warning, but no annotation had a visible pixel to work with
(no annotations at all, empty masks, crowd regions, coordinates between 0 and 1); 1 not written,
after one line that says why; 2 wrong arguments; 130 interrupted
"""


def _described_methods() -> str:
    texts = {step.method or name: step.text for name, step, _ in known_steps("completion")}
    return "; ".join(f"{name}: {texts[name]}" for name in method_names())


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input",
        required=True,
        metavar="JSON",
        help="annotations with modal masks; with --engine ray also a folder or a glob, local or at "
        "an address, of JSON, JSON Lines or Parquet files",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="JSON",
        help="file to write; with --engine ray also a folder, or NAME.parquet, for Parquet files",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="who shares the work out: this program, over a file; or Ray Data, over many files and "
        "on a cluster, which needs pip install 'deocclusion_d2[ray]' (default: local); see below",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of the cluster that --engine ray joins (default: the environment's RAY_ADDRESS, or "
        "else the cores and GPUs of this machine)",
    )
    add_input_arguments(parser, "DEOCCLUSION.MIN_SCORE")
    parser.add_argument(
        "--method",
        choices=accepted_methods(),
        metavar="NAME",
        help=f"{_described_methods()} (default: the config's DEOCCLUSION.COMPLETION)",
    )
    parser.add_argument(
        "--config-file",
        metavar="YAML",
        help="config of the method's network, a file or a name (default: that of --weights)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="trained network: a file, the folder of a training, or hf://USER/REPOSITORY (default: "
        "the config's MODEL.WEIGHTS; without --config-file the network that comes along)",
    )
    parser.add_argument(
        "--image-root",
        type=Path,
        metavar="DIR",
        help="folder of the images, which are read only for networks that look at colours and for "
        "COCOA files without image sizes (default: the folder of --images-from or else of the "
        "input)",
    )
    parser.add_argument(
        "--shard-size",
        type=int,
        default=1000,
        metavar="N",
        help="work that a kill may cost, in instances; memory grows with it (default: 1000)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing output, and foreign shards"
    )
    parser.add_argument(
        "--skip-invalid",
        action="store_true",
        help="leave annotations that cannot be used as they are, and count them, instead of "
        "stopping at the first; entries of COCO results are left out then",
    )
    parser.add_argument(
        "--segmentation",
        choices=SEGMENTATIONS,
        default="rle",
        help="how amodal masks are written (default: rle); polygons: see below",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object on stdout when it is done, all else on stderr; see below",
    )
    parser.add_argument(
        "--num-gpus",
        type=int,
        default=1,
        metavar="N",
        help="GPUs of each machine; without GPUs, or for methods without network, processes "
        "(default: 1; 0: the CPU, whatever there is)",
    )
    add_num_workers(parser, "shards of each GPU or process")
    parser.add_argument("--num-machines", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument(
        "--machine-rank", type=int, default=0, metavar="R", help="this machine's, from 0"
    )
    parser.add_argument(
        "--dist-url",
        default="auto",
        metavar="URL",
        help="where the machines meet, tcp://HOST:PORT of machine 0",
    )
    parser.add_argument(
        "opts",
        nargs="*",
        metavar="KEY VALUE",
        help="config overrides, at the end, such as DEOCCLUSION.DILATION 5",
    )
    return parser


@one_voice()
def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    how = {
        "method": args.method,
        "format": args.format,
        "config_file": args.config_file,
        "weights": args.weights,
        "opts": tuple(args.opts),
        "image_root": args.image_root,
        "overwrite": args.overwrite,
        "skip_invalid": args.skip_invalid,
        "segmentation": args.segmentation,
        "num_workers": args.num_workers,
    }
    if args.engine == "ray":
        _refuse_local_options(args)
        if args.num_gpus < 0:
            raise UserError(f"--num-gpus is {args.num_gpus}: use 0 or more")
        on_gpus = args.num_gpus > 0
        ray_job = RayJob(args.input, args.output, **how, on_gpus=on_gpus, address=args.ray_address)
        run_ray_conversion(ray_job, as_json=args.json)
    if args.ray_address:
        raise UserError("--ray-address is for --engine ray: pass that, too")
    if "://" in args.input:
        raise UserError(f"{args.input}: an address, which needs --engine ray")
    job = ConversionJob(
        input=Path(args.input),
        output=Path(args.output),
        **how,
        images_from=args.images_from,
        min_score=args.min_score,
        shard_size=args.shard_size,
    )
    machines = (args.num_machines, args.machine_rank, args.dist_url)
    run_conversion(job, args.num_gpus, *machines, as_json=args.json)


def _refuse_local_options(args: argparse.Namespace) -> None:
    """Refuse what Ray does in its own way, or the engine does not do."""
    parser = build_parser()
    for name, instead in (
        ("images_from", "convert COCO results with --engine local"),
        ("min_score", "convert COCO results with --engine local"),
        ("shard_size", "Ray shares the work out"),
        ("num_machines", "the cluster has its machines (--ray-address)"),
        ("machine_rank", "the cluster has its machines (--ray-address)"),
        ("dist_url", "the cluster has its machines (--ray-address)"),
    ):
        if getattr(args, name) != parser.get_default(name):
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is not for --engine ray: {instead}; leave it out")

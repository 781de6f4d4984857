#!/usr/bin/env python
"""All that speed is judged by, as tables with ratios, in one run.

  codec.py       masks in and out of run lengths, against pycocotools
  engines.py     networks of three sizes by engine and precision
  one_patch.py   de-occlusion against one patch per forward, in float32 on full images, with the
                 released protocol beside it: the given network, and one of the paper's size
  conversion.py  conversion by image size and by workers; on a GPU, where there is one
  training.py    samples/s of the training's loader and step

Each is a program of its own, whose --help says what is measured and how. About ten minutes on two
cores. Ratios hold for this run on this machine; other work beside it changes them, if less than
the figures.

examples:
  benchmarks/speed.py
  benchmarks/speed.py --dataset coco:my_instances.json
  benchmarks/speed.py --config-file configs/pcnet_m_kitti_mots.yaml MODEL.WEIGHTS model_final.pth
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.errors import one_line_errors
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.version import __version__
from deocclusion_d2.workers import usable_cores

_HERE = Path(__file__).resolve().parent
_DATASET = "kitti_mots_dev"
_CONFIG = "configs/quick_schedules/pcnet_m_kitti_mots_quick.yaml"
_PAPER = "configs/pcnet_m_kitti_mots.yaml"
_HEIGHT, _WIDTH = 375, 1242
_MADE_IMAGES, _OBJECTS = 200, 12


def processor() -> str:
    """The name of this machine's processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """What the figures were measured on and with."""
    parts = [processor(), f"{usable_cores()} cores"]
    if torch.backends.cpu.get_cpu_capability() != "DEFAULT":
        parts.append(torch.backends.cpu.get_cpu_capability())
    parts += [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    parts.append(f"torch {torch.__version__} with {torch.get_num_threads()} threads")
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f} before")
    return ", ".join([*parts, f"deocclusion_d2 {__version__}"])


def made_masks(rng: np.random.Generator) -> list[WindowMask]:
    """The visible parts of ellipses that stand in a street, in an image of KITTI's size."""
    masks = []
    taken = np.zeros((_HEIGHT, _WIDTH), bool)
    # From the front, where objects are large, to the back.
    for nearness in np.sort(rng.uniform(0.1, 1, _OBJECTS))[::-1]:
        centre = int(rng.uniform(0, _WIDTH)), int(_HEIGHT * (0.4 + 0.3 * nearness))
        axes = int(150 * nearness * rng.uniform(0.3, 1)), int(90 * nearness * rng.uniform(0.5, 1))
        image = np.zeros((_HEIGHT, _WIDTH), np.uint8)
        cv2.ellipse(image, centre, axes, 0, 0, 360, 1, cv2.FILLED)
        mask = WindowMask.from_array(image.astype(bool) & ~taken)
        taken |= image.astype(bool)
        if not mask.is_empty:
            masks.append(mask)
    return masks


def write_made(path: Path, images: int = _MADE_IMAGES) -> None:
    """A modal COCO JSON of ``made_masks``, the same every time."""
    rng = np.random.default_rng(0)
    masks = [(image, mask) for image in range(1, images + 1) for mask in made_masks(rng)]
    document = {
        "images": [
            {"id": i, "height": _HEIGHT, "width": _WIDTH, "file_name": f"{i}.jpg"}
            for i in range(1, images + 1)
        ],
        "annotations": [
            {
                "id": k,
                "image_id": image,
                "category_id": 1,
                "segmentation": mask.to_rle(_HEIGHT, _WIDTH),
                "bbox": mask.xywh,
                "area": mask.area,
                "iscrowd": 0,
            }
            for k, (image, mask) in enumerate(masks, 1)
        ],
        "categories": [{"id": 1, "name": "ellipse"}],
    }
    path.write_text(json.dumps(document), "utf-8")


def dataset_or_made(name: str | None, folder: Path) -> str:
    """The data set to use: the one named, else kitti_mots_dev if it is there, else a made one.

    Raises:
        UserError: there is none of that name.
    """
    # Not above: deocclusion_d2 silences warnings of what Detectron2 imports.
    from detectron2.data import MetadataCatalog

    wanted = ensure_registered(name or _DATASET)
    file = Path(MetadataCatalog.get(_DATASET).annotation_json)
    if name is not None or file.is_file():
        return wanted
    write_made(folder / "ellipses.json")
    print(f"no {_DATASET} ({file}): {_MADE_IMAGES} images of ellipses instead")
    return f"coco:{folder / 'ellipses.json'}"


def run(program: str, *arguments: str) -> None:
    """Run a program of this folder, which prints its tables; end as it ends, if it fails."""
    print(f"\n## {program}\n", flush=True)
    python = [sys.executable, "-W", "ignore::FutureWarning"]  # what Detectron2 imports gives them
    done = subprocess.run([*python, str(_HERE / program), *arguments])
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help=f"or FORMAT:JSON (default: {_DATASET}; where that is not, made of ellipses)",
    )
    parser.add_argument(
        "--config-file",
        metavar="YAML",
        default=_CONFIG,
        help=f"of the network (default: {_CONFIG}); its weights are random without MODEL.WEIGHTS",
    )
    parser.add_argument(
        "--paper-weights",
        metavar="FILE",
        help=f"of a network of the paper's size, as {_PAPER} has it (default: random ones)",
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="of conversions (default: 3)"
    )
    parser.add_argument(
        "--instances", type=int, metavar="N", help="of a conversion (default: see conversion.py)"
    )
    parser.add_argument(
        "--images", type=int, default=20, metavar="N", help="for one_patch.py (default: 20)"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args()
    with one_line_errors(), tempfile.TemporaryDirectory(prefix="speed_") as folder:
        cfg = load_config(args.config_file, args.opts)
        print(machine())
        data = ("--dataset", dataset_or_made(args.dataset, Path(folder)))
        network = ["--config-file", args.config_file]
        if not cfg.MODEL.WEIGHTS:
            print("no MODEL.WEIGHTS: random ones, for speed only")
            network.append("--random-weights")
        number = ["--repeats", str(args.repeats)]
        if args.instances is not None:
            number += ["--instances", str(args.instances)]
        run("codec.py", *data)
        run("engines.py")
        run("one_patch.py", *data, *network, "--images", str(args.images), *args.opts)
        known = ["MODEL.WEIGHTS", args.paper_weights] if args.paper_weights else []
        paper = ["--config-file", _PAPER, "--images", str(args.images)]
        run("one_patch.py", *data, *paper, *([] if known else ["--random-weights"]), *known)
        run("conversion.py", *data, *network, *number, *args.opts)
        trained_on = ("DATASETS.TRAIN", f"('{data[1]}',)", *args.opts)
        run("training.py", "--config-file", args.config_file, *trained_on)


if __name__ == "__main__":
    main()

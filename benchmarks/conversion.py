#!/usr/bin/env python
"""Conversion by the size of the images and by workers, with a rule and with a network.

Objects of a data set are written as one file in images of their own size, and as another, the same
pixels, in images of 12 megapixels. tools/convert_modal_to_amodal.py converts them, each time in a
process of its own: both files with 1 worker, which is one thread, and the first without workers and
with 2, 4 ... up to one per core. Where there is a GPU, the network runs there too, without workers
and with one per core. The settings take turns, and the best turn of each counts. Outputs of any
number of workers are compared byte by byte.

  benchmarks/conversion.py --config-file configs/quick_schedules/pcnet_m_kitti_mots_quick.yaml \\
      --dataset kitti_mots_dev MODEL.WEIGHTS model_final.pth

columns: instances/s, as the tool prints it, from reading the file to the finished output; s, of the
whole process, Python and its libraries included; times, see the table. Without workers the network
uses all threads that torch has, with workers each its one.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_model
from tabulate import tabulate
from tqdm import tqdm

from deocclusion_d2.config import load_config
from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.errors import UserError, one_line_errors
from deocclusion_d2.files import file_sha256
from deocclusion_d2.structures import Scene
from deocclusion_d2.structures.run_lengths import rle_of_window
from deocclusion_d2.workers import usable_cores

_TOOL = Path(__file__).resolve().parents[1] / "tools" / "convert_modal_to_amodal.py"
_LARGE = (3000, 4000)
_RATE = re.compile(r"^time .* s, ([\d,.]+) instances/s$", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """One way to convert.

    Attributes:
        name: for the table.
        input: file to convert.
        arguments: of the tool, beside input and output.
    """

    name: str
    input: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Timing:
    """The best of several conversions.

    Attributes:
        rate: instances/s of the conversion.
        seconds: of a whole process.
        outputs: checksums of all that was written.
    """

    rate: float
    seconds: float
    outputs: frozenset[str]

    def better(self, other: Timing) -> Timing:
        return Timing(
            max(self.rate, other.rate),
            min(self.seconds, other.seconds),
            self.outputs | other.outputs,
        )


def worker_counts(cores: int) -> list[int]:
    """0, the powers of 2 below the number of cores, and that number."""
    return [0, *(2**k for k in range(cores.bit_length()) if 2**k < cores), cores]


def scenes_of(dataset: str, instances: int) -> list[Scene]:
    """Scenes spread over a data set, about as many as hold so many instances; all, if too few.

    Raises:
        UserError: no scene has an instance.
    """
    records = [r for r in DatasetCatalog.get(ensure_registered(dataset)) if r["annotations"]]
    if not records:
        raise UserError(f"data set {dataset!r} has no annotation")
    mean = sum(len(r["annotations"]) for r in records) / len(records)
    wanted = min(math.ceil(instances / mean), len(records))
    chosen = np.linspace(0, len(records) - 1, wanted).astype(int)
    scenes = [scene for k in chosen if len(scene := scene_from_record(records[k])[0])]
    if not scenes:
        raise UserError(f"data set {dataset!r} has crowd regions alone")
    return scenes


def write_scenes(
    path: Path, scenes: Sequence[Scene], instances: int, least: tuple[int, int] = (1, 1)
) -> tuple[int, float]:
    """A modal COCO JSON of scenes, from the first again until there are instances enough.

    Args:
        path: to write.
        scenes: with an instance each.
        instances: as many at least.
        least: height and width of the images at least; smaller scenes lie in the middle of them.

    Returns:
        Instances, and megapixels of an image in the mean.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    for number in count():
        if len(annotations) >= instances:
            break
        scene = scenes[number % len(scenes)]
        height, width = max(scene.height, least[0]), max(scene.width, least[1])
        right, down = (width - scene.width) // 2, (height - scene.height) // 2
        images.append(
            {"id": number + 1, "height": height, "width": width, "file_name": f"{number + 1}.jpg"}
        )
        for mask, category in zip(scene.modal_masks, scene.category_ids.tolist(), strict=True):
            x0, y0 = mask.x0 + right, mask.y0 + down
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": category,
                    "iscrowd": 0,
                    "segmentation": rle_of_window(mask.array, x0, y0, height, width),
                    "bbox": [x0, y0, *mask.xywh[2:]],
                    "area": mask.area,
                }
            )
    categories = sorted({a["category_id"] for a in annotations})
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": c, "name": str(c)} for c in categories],
    }
    path.write_text(json.dumps(document), "utf-8")
    return len(annotations), float(np.mean([i["height"] * i["width"] for i in images])) / 1e6


def convert(setting: Setting, output: Path) -> Timing:
    """Convert once, in a process of its own; the output goes when it has been looked at.

    Raises:
        UserError: with the line that the tool ended with.
    """
    command = [sys.executable, str(_TOOL), "--input", str(setting.input), "--output", str(output)]
    start = time.perf_counter()
    done = subprocess.run([*command, *setting.arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    rate = _RATE.search(done.stdout)
    if done.returncode or rate is None:
        said = (done.stderr.strip() or "it printed no rate").splitlines()[-1]
        raise UserError(f"conversion, {setting.name}: {said.removeprefix('error: ')}")
    checksum = file_sha256(output)
    output.unlink()
    return Timing(float(rate[1].replace(",", "")), seconds, frozenset([checksum]))


def measure(settings: Sequence[Setting], folder: Path, repeats: int) -> dict[str, Timing]:
    """The best of several conversions by each setting; the settings take turns."""
    best: dict[str, Timing] = {}
    with tqdm(total=repeats * len(settings), unit="conversion", leave=False) as bar:
        for setting in list(settings) * repeats:
            bar.set_description(setting.name)
            timing = convert(setting, folder / "output.json")
            best[setting.name] = timing.better(best.get(setting.name, timing))
            bar.update()
    return best


def equal_outputs(timings: Sequence[Timing]) -> str:
    """ "equal" where all wrote the same bytes, else "DIFFERENT"."""
    return "equal" if len(frozenset().union(*(t.outputs for t in timings))) == 1 else "DIFFERENT"


def print_table(second: str, rows: list[list]) -> None:
    headers = ["", second, "instances/s", "s", "times"]
    print(tabulate(rows, headers, "github", floatfmt=("", "", ",.0f", ".2f", ".2f")))


def on_the_cpu(
    methods: dict[str, tuple[str, ...]],
    files: dict[str, Path],
    folder: Path,
    repeats: int,
) -> None:
    """Measure and print, by image size and by workers.

    Args:
        methods: name -> arguments of the tool.
        files: megapixels of an image -> file; the objects' own size first.
        folder: for outputs.
        repeats: conversions by each setting.
    """
    own, large = files
    by_size, by_workers, same = [], [], []
    for method, arguments in methods.items():
        settings = {
            workers: Setting(
                f"{method}, {workers} workers",
                files[own],
                ("--num-gpus", "0", "--num-workers", str(workers), *arguments),
            )
            for workers in worker_counts(usable_cores())
        }
        in_large = Setting(f"{method}, {large}", files[large], settings[1].arguments)
        turns = [settings[0], settings[1], in_large, *list(settings.values())[2:]]
        best = measure(turns, folder, repeats)
        one, big = best[settings[1].name], best[in_large.name]
        by_size += [
            [method, name, t.rate, t.seconds, one.rate / t.rate]
            for name, t in ((own, one), (large, big))
        ]
        of_workers = {workers: best[setting.name] for workers, setting in settings.items()}
        by_workers += [
            [method, workers, t.rate, t.seconds, t.rate / one.rate]
            for workers, t in of_workers.items()
        ]
        same.append(f"{method}: {equal_outputs(list(of_workers.values()))}")
    print("by image size, with 1 worker; times: the time of the conversion, to the first")
    print_table("image", by_size)
    print("\nby workers; times: the rate, to that of 1 worker")
    print_table("workers", by_workers)
    print(f"bytes for all numbers of workers: {'; '.join(same)}")


def on_the_gpu(arguments: tuple[str, ...], file: Path, folder: Path, repeats: int) -> None:
    """Measure and print, with the network on the GPU; see ``on_the_cpu``."""

    def setting(workers: int) -> Setting:
        chosen = ("--num-gpus", "1", "--num-workers", str(workers), *arguments)
        return Setting(f"network on the GPU, {workers} workers", file, chosen)

    settings = {workers: setting(workers) for workers in (0, usable_cores())}
    best = measure(list(settings.values()), folder, repeats)
    of_workers = {workers: best[setting.name] for workers, setting in settings.items()}
    print(f"\nnetwork on {torch.cuda.get_device_name()}; times: the rate, to that without workers")
    rows = [
        ["network", workers, t.rate, t.seconds, t.rate / of_workers[0].rate]
        for workers, t in of_workers.items()
    ]
    print_table("workers", rows)
    print(f"bytes: {equal_outputs(list(of_workers.values()))}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="YAML")
    parser.add_argument(
        "--dataset", default="kitti_mots_dev", metavar="NAME", help="or FORMAT:JSON"
    )
    parser.add_argument(
        "--instances",
        type=int,
        metavar="N",
        help="of a file at least; those of the data set come again and again if they are fewer "
        "(default: 1024 per core, 4096 at least)",
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="turns of each setting (default: 3)"
    )
    parser.add_argument(
        "--random-weights", action="store_true", help="speed only: no MODEL.WEIGHTS needed"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE")
    args = parser.parse_args()
    with one_line_errors(), tempfile.TemporaryDirectory(prefix="conversion_") as name:
        if args.repeats < 1:
            raise UserError(f"--repeats is {args.repeats}: use 1 or more")
        folder = Path(name)
        cfg = load_config(args.config_file, args.opts)
        network = ("--config-file", args.config_file)
        if args.random_weights:
            weights = folder / "random.pth"
            torch.save({"model": build_model(cfg).state_dict()}, weights)
            network += ("--weights", str(weights))
        network += tuple(args.opts)
        wanted = max(args.instances or max(4096, 1024 * usable_cores()), 1)
        scenes = scenes_of(args.dataset, wanted)
        files, instances = {}, 0
        for k, least in enumerate(((1, 1), _LARGE)):
            path = folder / f"input_{k}.json"
            instances, size = write_scenes(path, scenes, wanted, least)
            files[f"{size:.2f} MP"] = path
        if len(files) < 2:
            raise UserError(f"the images of {args.dataset} are too large for a comparison")
        print(f"{instances:,} instances of {args.dataset}, best of {args.repeats}")
        methods = {"rule convex_r": ("--method", "convex_r"), "network": network}
        on_the_cpu(methods, files, folder, args.repeats)
        if cfg.MODEL.DEVICE.startswith("cuda"):
            on_the_gpu(network, next(iter(files.values())), folder, args.repeats)
        else:
            print("\nnetwork on a GPU: skipped, there is none")


if __name__ == "__main__":
    main()

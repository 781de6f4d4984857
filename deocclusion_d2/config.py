"""Configs: the keys that systems share, those that each adds, and what a config stands for."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import UserError
from .files import file_sha256
from .structures import DEFAULT_MIN_SCORE
from .systems import AUTO, BESIDE_WEIGHTS, System, register_models, systems

if TYPE_CHECKING:  # importing this loads neither torch nor Detectron2; loading a config does
    from detectron2.config import CfgNode

# Where configs lie: in an installed package, and beside the package in a checkout.
_PACKAGE = Path(__file__).resolve().parent
CONFIG_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
_SUBFOLDERS = ("", "quick_schedules")

_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")

# Old name of a shared key -> its name now; systems say theirs.
_RENAMED = {
    f"INPUT.PARTIAL_COMPLETION.{old}": f"INPUT.INSTANCE_CROP.{now}"
    for old, now in {
        "PATCH_SIZE": "SIZE",
        "ENLARGE_BOX": "ENLARGE",
        "SHIFT": "SHIFT",
        "SCALE": "SCALE",
        "FLIP_PROB": "FLIP_PROB",
        "MIN_SQUARE": "MIN_SQUARE",
    }.items()
}

# Keys and nodes that do not change what a training learns (what it starts from counts by content).
_NOT_LEARNT = (
    "DATALOADER.NUM_WORKERS",
    "DATASETS.TEST",
    "DATASETS.TRAIN",
    "DEOCCLUSION",
    "INPUT.PARTIAL_COMPLETION.DRAW_ON",
    "MODEL.DEVICE",
    "MODEL.WEIGHTS",
    "OUTPUT_DIR",
    "SOLVER.CHECKPOINT_PERIOD",
    "TEST.EVAL_PERIOD",
    "TEST.EXPECTED_RESULTS",
    "VIS_PERIOD",
)
# Those that do not change what a trained network gives.
_NOT_USED = (
    "CUDNN_BENCHMARK",
    "DATALOADER",
    "DATASETS",
    # Of masks that are found, not of what is made of them.
    "DEOCCLUSION.DETECTED",
    # What "auto" has chosen stands in the steps' descriptions.
    "DEOCCLUSION.ENGINE",
    "DEOCCLUSION.PATCHES_PER_BATCH",
    "GLOBAL",
    "INPUT.PARTIAL_COMPLETION.DRAW_ON",
    "MODEL.DEVICE",
    "MODEL.WEIGHTS",
    "OUTPUT_DIR",
    "SEED",
    "SOLVER",
    "TEST",
    "VERSION",
    "VIS_PERIOD",
)


def add_deocclusion_config(cfg: CfgNode) -> None:
    """Add the package's keys to a Detectron2 config, in place.

    Networks register with Detectron2 and data sets in its catalogs here, too.

    Raises:
        UserError: two systems add the same key, or one changes a key that is not its own.
    """
    from .data.datasets import register_builtin_datasets

    register_builtin_datasets()
    _added_keys()
    _add_shared_keys(cfg)
    for declared in systems().values():
        if declared.add_config is not None:
            declared.add_config(cfg)
    register_models()


def _add_shared_keys(cfg: CfgNode) -> None:
    from .modeling.imagenet import PIXEL_MEAN, PIXEL_STD

    node = type(cfg)
    # The system that is trained, evaluated or used. "": the one of MODEL.META_ARCHITECTURE.
    cfg.MODEL.SYSTEM = ""
    # What all networks over instance crops share: ImageNet statistics of RGB values in [0, 1].
    cfg.MODEL.INSTANCE = node()
    cfg.MODEL.INSTANCE.PIXEL_MEAN = PIXEL_MEAN
    cfg.MODEL.INSTANCE.PIXEL_STD = PIXEL_STD

    # ---- data -------------------------------------------------------------------------------
    # Square crops around instances, of all networks over them (numbers of the released runs).
    cfg.INPUT.INSTANCE_CROP = node()
    # Side of a patch in pixels, a multiple of 16 (supplement A: 256). Inference uses it too.
    cfg.INPUT.INSTANCE_CROP.SIZE = 256
    # Area of the square patch over the area of the modal box. Inference uses it too.
    cfg.INPUT.INSTANCE_CROP.ENLARGE = 3.0
    # Shift of the target's crop in x and y, as a share of the square's side: uniform in +-SHIFT.
    cfg.INPUT.INSTANCE_CROP.SHIFT = 0.2
    # Scale of an instance in its patch: uniform in this range.
    cfg.INPUT.INSTANCE_CROP.SCALE = (0.8, 1.2)
    cfg.INPUT.INSTANCE_CROP.FLIP_PROB = 0.5
    # Instances whose square is smaller than this, in pixels, are not used.
    cfg.INPUT.INSTANCE_CROP.MIN_SQUARE = 5.0

    # The self-supervised sampler (Fig. 3a; numbers of the released runs).
    cfg.INPUT.PARTIAL_COMPLETION = node()
    # gamma of eq. 1: the probability of case 1 (the eraser covers part of the target).
    cfg.INPUT.PARTIAL_COMPLETION.GAMMA = 0.8
    # Overlap of the two patches, as a share of a patch.
    cfg.INPUT.PARTIAL_COMPLETION.OVERLAP = (0.4, 1.0)
    # Share of the target that the eraser covers: placements outside [min, max) are drawn again.
    cfg.INPUT.PARTIAL_COMPLETION.ERASED_SHARE = (0.001, 0.9)
    cfg.INPUT.PARTIAL_COMPLETION.MAX_PLACEMENTS = 100
    # False: each mask is resized to the patch by itself, as in the released runs. A small instance
    # is then drawn in coarser steps than its eraser, and their common border shows which of the two
    # was cut: a hint that real neighbours, which share their image's pixels, do not give. True: the
    # eraser is put on the pixels of the target's image first, and both are resized together.
    cfg.INPUT.PARTIAL_COMPLETION.COMMON_GRID = False
    # Where PCNet-M's samples are drawn, which are the same everywhere: "cpu", by the loader's
    # workers; "device", MODEL.DEVICE, a batch at once; "auto": on a GPU if the model is there and
    # neither SEAMS nor colours are asked for.
    cfg.INPUT.PARTIAL_COMPLETION.DRAW_ON = "auto"
    # The border between target and eraser, redrawn as in real masks; lengths as shares of the
    # patch's side. In Fig. 3a the two share their border to the pixel.
    cfg.INPUT.PARTIAL_COMPLETION.SEAMS = node()
    # Probability of a redrawn border. 0: Fig. 3a.
    cfg.INPUT.PARTIAL_COMPLETION.SEAMS.PROBABILITY = 0.0
    # Width of the gap between the two, uniform in this range; negative: they overlap.
    cfg.INPUT.PARTIAL_COMPLETION.SEAMS.GAP = (-0.02, 0.06)
    # Largest displacement that varies along the border.
    cfg.INPUT.PARTIAL_COMPLETION.SEAMS.RAGGED = 0.02
    # Largest standard deviation of the Gaussian that smooths the border.
    cfg.INPUT.PARTIAL_COMPLETION.SEAMS.SMOOTH = 0.015
    # Probability that the gap is given to the eraser, as DEOCCLUSION.GAP gives it in inference.
    cfg.INPUT.PARTIAL_COMPLETION.SEAMS.CLOSED = 0.5

    # ---- inference --------------------------------------------------------------------------
    cfg.DEOCCLUSION = node()
    # The three steps, by the names that systems give them; GETTING_STARTED.md lists them.
    cfg.DEOCCLUSION.ORDERING = "dual_completion"
    cfg.DEOCCLUSION.COMPLETION = "og"
    # "": the content of the config's own system, the smooth fill where it has none.
    cfg.DEOCCLUSION.CONTENT = ""
    # Where a step takes its network from, "YAML" or "YAML@WEIGHTS"; or a trained network with its
    # config: "general", the folder of a training, hf://USER/REPOSITORY. "": it is the config's own.
    cfg.DEOCCLUSION.ORDERING_CONFIG = ""
    cfg.DEOCCLUSION.COMPLETION_CONFIG = ""
    cfg.DEOCCLUSION.CONTENT_CONFIG = ""
    # Side in pixels of the kernel that grows erasers and the neighbour test, to close the gaps
    # between predicted masks: 0 (none), 3, 5 or 7.
    cfg.DEOCCLUSION.DILATION = 0
    # The widest gap between neighbours that is closed, in pixels: free pixels between two masks
    # become part of the eraser, and masks that are so near are neighbours. A number; "auto": as
    # wide as the gaps between the masks of the input are; "" or 0: none, as in the paper. It
    # stands instead of DILATION.
    cfg.DEOCCLUSION.GAP = ""
    # Predicted masks (those that have scores) below this score are left out; of the others, the
    # one with the higher score gets the pixels on which two overlap.
    cfg.DEOCCLUSION.MIN_SCORE = DEFAULT_MIN_SCORE
    # What the masks of a detector are (tools/deocclude.py --detector): "modal"; "amodal", so that
    # they are ordered and not completed; "auto": what the first data set of its DATASETS.TRAIN has.
    cfg.DEOCCLUSION.DETECTED = "auto"
    # Whose the pixels are that several masks without scores hold, such as COCO's of a table and of
    # the cup on it. "owner": the smaller mask's, for order, erasers and layers; modal masks that
    # are written stay as given, and amodal ones hold them. "as_given": every mask keeps them.
    cfg.DEOCCLUSION.OVERLAPS = "owner"
    # For networks that multiply masks by category ids: pairs (id of the input, id that the network
    # was trained with), such as ((3, 4), ("any", 1)); "any" are all ids that neither another pair
    # nor the network knows. Ids without a pair that it does not know are refused.
    cfg.DEOCCLUSION.CATEGORY_MAP = ()
    # Keep visible pixels, and add pixels only under the eraser, where the method has one. False:
    # the raw paste.
    cfg.DEOCCLUSION.CONSTRAIN = True
    # Keep how probable each pixel of a hidden region is, beside the completed masks.
    cfg.DEOCCLUSION.KEEP_PROBABILITY = False
    # What several views of an object make of it: "last", the completion of the last one, or "mean",
    # the mean of their probabilities, where a view says 0 beyond its square.
    cfg.DEOCCLUSION.VIEWS = "last"
    # How far objects that reach the image's border may grow outside, as if hidden there: a margin
    # around their box, as a share of its longer side. Amodal masks stay in the image; the whole
    # objects' boxes are given beside them. 0: nothing lies outside, as in the paper.
    cfg.DEOCCLUSION.BEYOND_IMAGE = 0.0
    # Side in pixels of the kernel by which a decomposition lets objects take over pixels of no
    # object around their visible ones, odd, or 0. Colours bleed over the border of a mask, and what
    # is left of them in the background shows as an outline when the object is moved away.
    cfg.DEOCCLUSION.CONTENT_DILATION = 3
    # Pixels this near to the border of a mask mix its colours with those of its surroundings: holes
    # are not filled from them (except by a network), and layers have soft edges in colours from
    # further inside. 0: hard edges in the photo's colours.
    cfg.DEOCCLUSION.CONTENT_INSET = 2
    # The square around a hole of the background grows until this share of its pixels in the image
    # is visible background, or the whole image is inside.
    cfg.DEOCCLUSION.CONTENT_CONTEXT = 0.3
    # Exactly the released protocol: float32, unfused, raw paste, no dilation, no owners of pixels,
    # nothing beyond the image.
    cfg.DEOCCLUSION.PAPER_PROTOCOL = False
    # "auto": bfloat16 where the hardware has it, else float32. Or name one of the two.
    cfg.DEOCCLUSION.PRECISION = "auto"
    # What computes trained networks: "torch"; "compile" (torch's compiler, which takes seconds for
    # every shape first); on CPUs "ncnn" (float32) and "openvino" (extras of these names); "auto":
    # ncnn where it is installed and gains (float32, large patches), else torch. Networks of several
    # parts are computed by torch.
    cfg.DEOCCLUSION.ENGINE = "auto"
    # Patches per forward on a GPU. On a CPU, as many as fit its cache, 16 at most.
    cfg.DEOCCLUSION.PATCHES_PER_BATCH = 64

    # ---- running ----------------------------------------------------------------------------
    # Train under bfloat16 autocast, channels last, when MODEL.DEVICE is "cpu" and the processor has
    # the instructions (SOLVER.AMP is for GPUs). Works for every meta-architecture.
    cfg.SOLVER.CPU_BFLOAT16 = True
    # "SGD" (Detectron2's) or "Adam", with these betas.
    cfg.SOLVER.OPTIMIZER = "SGD"
    cfg.SOLVER.BETAS = (0.9, 0.999)
    # Scenes per step of evaluation.
    cfg.TEST.IMS_PER_BATCH = 16
    # The system says what its training loader maps: configs of 0.1 named it here.
    cfg.register_deprecated_key("INPUT.DATASET_MAPPER_NAME")


def rule_config() -> Any:
    """The defaults of what methods without a network read.

    It loads neither torch nor Detectron2.
    """
    from yacs.config import CfgNode

    cfg = CfgNode({"INPUT": {}, "MODEL": {}, "SOLVER": {}, "TEST": {}})
    _add_shared_keys(cfg)
    for declared in systems().values():
        if declared.network is None and declared.add_config is not None:
            declared.add_config(cfg)
    return cfg


# -------------------------------------------------------------------- loading


def load_config(config_file: str | None, opts: Sequence[str] = ()) -> CfgNode:
    """Read a config file, with Detectron2's and this package's defaults and KEY VALUE overrides.

    Args:
        config_file: path of a YAML file, or a config's name (see ``find_config``); None for the
            defaults alone.
        opts: alternating keys and values, as on a command line.

    Raises:
        UserError: the file does not exist, or it or an override names an unknown key or a value of
            a wrong type.
    """
    from detectron2.config import get_cfg

    path = None if config_file is None else find_config(config_file)
    cfg = get_cfg()
    add_deocclusion_config(cfg)
    try:
        if path is not None:
            _merge_file(cfg, path)
    except UserError:
        raise
    except (KeyError, ValueError, AssertionError) as error:
        raise UserError(f"config file {config_file!r}: {_first_line(error)}") from error
    except RecursionError as error:
        raise UserError(f"config file {config_file!r}: nested too deep, or its own base") from error
    except (AttributeError, TypeError) as error:  # a list, a text, nothing at all
        raise UserError(f"config file {config_file!r}: it holds no keys and values") from error
    try:
        opts = [renamed_keys().get(o, o) if k % 2 == 0 else o for k, o in enumerate(opts)]
        cfg.merge_from_list(_typed_numbers(cfg, opts))
    except (KeyError, ValueError, AssertionError, MemoryError, RecursionError) as error:
        said = textwrap.shorten(" ".join(opts), 300) or "..."
        raise UserError(f"overrides {said!r}: {_first_line(error)}") from error
    use_available_device(cfg)
    return cfg


def _merge_file(cfg: CfgNode, path: Path) -> None:
    """Merge a YAML file, in which keys may have names that they had once."""

    class Plain(type(cfg)):
        # Called for every file of a chain of bases.
        @classmethod
        def load_yaml_with_base(cls, filename: str, allow_unsafe: bool = False) -> dict:
            # Whoever calls this: never yaml.unsafe_load, which calls what a tag names.
            with _errors_of_yaml(filename):
                return super().load_yaml_with_base(filename, allow_unsafe=False)

    class Renaming(Plain):
        # Whatever names and types the files use, the last one counts.
        @classmethod
        def load_yaml_with_base(cls, filename: str, allow_unsafe: bool = False) -> dict:
            loaded = super().load_yaml_with_base(filename)
            _rename(loaded)
            _numbers_as_text(cfg, loaded)
            return loaded

    loaded = Plain.load_yaml_with_base(str(path))
    if not isinstance(loaded, dict):
        raise TypeError("no keys and values")
    if _rename(loaded) | _numbers_as_text(cfg, loaded):
        cfg.merge_from_other_cfg(type(cfg)(Renaming.load_yaml_with_base(str(path))))
        return
    # Detectron2's, which also reads configs of its version 1.
    cfg.merge_from_file(str(path), allow_unsafe=False)


def config_files(config_file: str) -> list[str]:
    """The files that a config is read from: itself, its base, that one's base.

    Raises:
        UserError: one does not exist, or is no YAML.
    """
    from detectron2.config import CfgNode

    found = []

    class Listing(CfgNode):
        @classmethod
        def load_yaml_with_base(cls, filename: str, allow_unsafe: bool = False) -> dict:
            found.append(filename)
            with _errors_of_yaml(filename):
                return super().load_yaml_with_base(filename, allow_unsafe=False)

    Listing.load_yaml_with_base(str(find_config(config_file)))
    return found


@contextlib.contextmanager
def _errors_of_yaml(filename: str) -> Iterator[None]:
    """What makes a YAML file unreadable, in one line that names this file, not what builds on it.

    Raises:
        UserError: it is no YAML, or holds tags, which may name Python objects.
    """
    import yaml

    try:
        yield
    except yaml.constructor.ConstructorError as error:
        tag = re.search(r"for the tag '(.*)'", error.problem or "")
        at = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        if tag is None:
            raise UserError(f"config file {filename!r}{at}: {error.problem}") from error
        name = tag[1].replace("tag:yaml.org,2002:", "!!")
        raise UserError(
            f"config file {filename!r}{at}: it holds the tag {name!r}, and configs hold plain "
            "values alone; write the value itself"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"config file {filename!r}: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise UserError(f"config file {filename!r}: {error.strerror or error}") from error


def _rename(loaded: dict) -> bool:
    """Give the keys of a parsed YAML their names of now; whether there were others."""
    found = False
    for old, new in renamed_keys().items():
        *nodes, leaf = old.split(".")
        node: Any = loaded
        for name in nodes:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict) or leaf not in node:
            continue
        value = node.pop(leaf)
        *nodes, leaf = new.split(".")
        node = loaded
        for name in nodes:
            node = node.setdefault(name, {})
        node[leaf] = value
        found = True
    return found


def _numbers_as_text(cfg: CfgNode, loaded: dict) -> bool:
    """Quote numbers where a key holds a text: yacs reads "3" as 3. Whether there were any."""
    found = False
    for key, value in loaded.items():
        known = cfg.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            found |= _numbers_as_text(known, value)
        elif isinstance(known, str) and _NUMBER.fullmatch(str(value)):
            loaded[key] = repr(str(value))
            found = True
    return found


def renamed_keys() -> dict[str, str]:
    """Old name of a key -> its name now."""
    of_systems = [declared.renamed_keys for declared in systems().values()]
    return {old: now for names in (_RENAMED, *of_systems) for old, now in names.items()}


def find_config(name: str) -> Path:
    """The file of a config: a path, or a name of this package's configs or of a system's.

    A name is that of a file in ``configs/`` or ``configs/quick_schedules/``, with or without
    ``.yaml``: "pcnet_m_kins", "configs/pcnet_m_kins.yaml", "pcnet_m_kins_quick". Systems of
    others bring a folder of their own (``System.configs``). A file of that path or name in the
    working folder comes first.

    Raises:
        UserError: there is no such file.
    """
    wanted = Path(name)
    if wanted.suffix not in (".yaml", ".yml"):
        wanted = wanted.with_name(f"{wanted.name}.yaml")
    for own in (Path(name), wanted):
        if own.is_file():
            return own
    if not wanted.is_absolute():
        parts = wanted.parts[1:] if wanted.parts[0] == "configs" else wanted.parts
        of_others = [Path(s.configs) for s in systems().values() if s.configs is not None]
        for folder in (*CONFIG_FOLDERS, *of_others):
            for sub in _SUBFOLDERS:
                path = folder.joinpath(sub, *parts)
                if path.is_file():
                    return path
    raise UserError(f"config file {name!r} does not exist")


def _typed_numbers(cfg: CfgNode, opts: Sequence[str]) -> list[str]:
    """Write numbers as yacs takes them: "1.0" for 1 where a key holds a float, "'1'" for a text."""
    typed = list(opts)
    for k in range(0, len(typed) - 1, 2):
        node = cfg
        for part in str(typed[k]).split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, float):
            with contextlib.suppress(ValueError):
                typed[k + 1] = str(float(typed[k + 1]))
        elif isinstance(node, str) and _NUMBER.fullmatch(str(typed[k + 1])):
            typed[k + 1] = repr(str(typed[k + 1]))
    return typed


def _first_line(error: Exception) -> str:
    text = str(error.args[0]).strip() if error.args else ""
    return text.splitlines()[0][:400] if text else type(error).__name__


def use_available_device(cfg: CfgNode) -> None:
    """On a machine without a GPU, turn a config for GPUs into one for CPUs, in place.

    MODEL.DEVICE becomes "cpu"; SOLVER.AMP, which is for GPUs, is turned off there
    (SOLVER.CPU_BFLOAT16 is its counterpart).
    """
    import torch

    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        cfg.MODEL.DEVICE = "cpu"
    if cfg.MODEL.DEVICE == "cpu":
        cfg.SOLVER.AMP.ENABLED = False


# -------------------------------------------------------------------- what a config stands for


def fingerprint(cfg: CfgNode, system: System, of: Literal["training", "use"]) -> str:
    """A hash of all that a config says about a system's training, or about its use.

    All keys count but those of other networks and those that change nothing; so the keys of a new
    system neither change it nor escape it. A file that the network was calibrated by counts by its
    content, and weights do not count: whoever uses this knows them by their content.

    Args:
        of: "training" (what is learnt) or "use" (what the trained network gives).
    """
    without = _NOT_LEARNT if of == "training" else _NOT_USED
    # Rules, which have no network, serve every system.
    others = [s for s in systems().values() if s.name != system.name and s.network is not None]
    foreign = {key for other in others for key in own_keys(other)}
    kept = {
        key: value
        for key, value in flatten(cfg)
        if key not in foreign and not any(key == w or key.startswith(f"{w}.") for w in without)
    }
    calibration = system.network.calibration if system.network is not None else None
    if calibration is not None and of == "use":
        key = f"DEOCCLUSION.{calibration.key}"
        file = kept.get(key)
        if file in (AUTO, BESIDE_WEIGHTS):
            file = Path(cfg.MODEL.WEIGHTS).parent / calibration.file
        if file and Path(file).is_file():
            kept[key] = file_sha256(Path(file))
    text = json.dumps({"system": system.name, "of": of, "keys": kept}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def flatten(cfg: CfgNode, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(full key, value) of all leaves of a config."""
    for key, value in cfg.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def own_keys(system: System) -> frozenset[str]:
    """The full keys that a system adds to a config."""
    return _added_keys()[system.name]


def default_of(key: str) -> Any:
    """A key's default, by its full name."""
    return _defaults()[key]


@functools.cache
def _defaults() -> dict[str, Any]:
    from detectron2.config import get_cfg

    cfg = get_cfg()
    add_deocclusion_config(cfg)
    return dict(flatten(cfg))


@functools.cache
def _added_keys() -> dict[str, frozenset[str]]:
    """System -> the full keys that it adds, each on its own.

    Raises:
        UserError: two systems add the same key, or one changes a key that is not its own.
    """
    from detectron2.config import get_cfg

    shared = get_cfg()
    _add_shared_keys(shared)
    before = dict(flatten(shared))
    added: dict[str, frozenset[str]] = {}
    for name, declared in systems().items():
        cfg = shared.clone()
        if declared.add_config is not None:
            declared.add_config(cfg)
        after = dict(flatten(cfg))
        changed = [key for key in before if key not in after or after[key] != before[key]]
        if changed:
            raise UserError(f"the system {name!r} changes the config key {changed[0]}")
        added[name] = frozenset(after.keys() - before.keys())
        for other in list(added)[:-1]:
            if added[other] & added[name]:
                raise UserError(
                    f"the systems {other!r} and {name!r} both add the config key "
                    f"{min(added[other] & added[name])}"
                )
    return added

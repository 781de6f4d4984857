"""What every system keeps to, whichever it is: the registry and the configs say which there are.

Trainings are those of the configs for CPUs on KINS (``*_kins_quick.yaml``), one for every stage,
made smaller by ``tests/systems/NAME/tiny.yaml``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.modeling import META_ARCH_REGISTRY, build_model
from torch import nn

import deocclusion_d2
from deocclusion_d2.chosen_steps import (
    build_content,
    honoured_keys,
    images_needed,
    option,
    set_option,
)
from deocclusion_d2.cli.convert_modal_to_amodal import main as convert
from deocclusion_d2.config import CONFIG_FOLDERS, flatten, load_config, own_keys
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.engine.train import train
from deocclusion_d2.engine.trainer import Trainer
from deocclusion_d2.experiments.data import ExperimentData
from deocclusion_d2.experiments.experiment import name_sources, row_options
from deocclusion_d2.experiments.known import experiment_rows, known_experiments
from deocclusion_d2.experiments.paper_tables import TRUE_LABELS
from deocclusion_d2.experiments.stages import StageStore
from deocclusion_d2.experiments.trainings import PRESETS, Trainings
from deocclusion_d2.files import file_sha256
from deocclusion_d2.inference.content import Hole, background_holes, object_hole
from deocclusion_d2.methods import method_name, with_steps
from deocclusion_d2.structures import Deocclusion, Scene, WindowMask
from deocclusion_d2.structures.window_mask import union
from deocclusion_d2.systems import (
    STEP_KINDS,
    Lazy,
    Step,
    System,
    find_step,
    known_steps,
    rows,
    system_of,
    systems,
    trainings,
)
from tests.helpers import box_mask, scene_of
from tests.inference.test_invariance import H, W, scenes
from tests.systems.tiny import quick_config, train_arguments

CONFIGS = CONFIG_FOLDERS[1]
# Those that somebody has installed beside this package are tested where they come from.
FOLDER = Path(deocclusion_d2.systems.__path__[0])
OURS = [name for name in systems() if (FOLDER / name).is_dir()]
WITH_NETWORK = [name for name in OURS if systems()[name].network is not None]
TRAINED = sorted(path.stem for path in CONFIGS.glob("quick_schedules/*_kins_quick.yaml"))


@cache
def configs() -> dict[str, Any]:
    """File name without ".yaml" -> config, of all that lie in ``configs/``."""
    return {path.stem: load_config(str(path)) for path in sorted(CONFIGS.rglob("*.yaml"))}


# -------------------------------------------------------------------- declarations


def lazy_parts(value: Any) -> Iterator[Lazy]:
    """Everything that a declaration names without loading it."""
    if isinstance(value, Lazy):
        yield value
    elif is_dataclass(value):
        for part in fields(value):
            yield from lazy_parts(getattr(value, part.name))
    elif isinstance(value, dict):
        for part in value.values():
            yield from lazy_parts(part)


@pytest.mark.parametrize("name", OURS)
def test_what_is_named_is_there(name):
    declared = systems()[name]
    for lazy in lazy_parts(declared):
        lazy.resolve()
    for public, lazy in declared.exports.items():
        assert getattr(deocclusion_d2, public) is lazy.resolve()
    network = declared.network
    if network is not None:
        network.model.resolve()
        assert network.meta_architecture in META_ARCH_REGISTRY


@pytest.mark.parametrize("name", OURS)
def test_its_config_keys_are_its_own(name):
    """That none of them changes another key, ``own_keys`` makes sure."""
    own = own_keys(systems()[name])
    shared = {key for key, _ in flatten(load_config(None))} - own
    nodes = {node for key in own for node in nodes_of(key)}
    new = nodes - {node for key in shared for node in nodes_of(key)}
    assert new <= {f"MODEL.{name.upper()}", f"DEOCCLUSION.{name.upper()}"}


def nodes_of(key: str) -> list[str]:
    """ "A.B.C" -> "A", "A.B"."""
    parts = key.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


@pytest.mark.parametrize("name", WITH_NETWORK)
def test_its_configs_load(name):
    """Their file names hold the system's, their data sets and the steps that they name exist."""
    own = {stem: cfg for stem, cfg in configs().items() if system_of(cfg).name == name}
    assert own
    for stem, cfg in own.items():
        network = systems()[name].network
        assert network.meta_architecture == cfg.MODEL.META_ARCHITECTURE
        assert stem.startswith("Base-") or name in stem, stem
        assert all(data in DatasetCatalog for data in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST))
        if network.predictor is None and network.test_loader is None:
            images_needed(cfg)  # looks at the steps: networks of others would be refused
    assert [stem for stem in own if stem in TRAINED], "no config NAME_kins_quick: nothing is tried"


@pytest.mark.parametrize("preset", PRESETS)
def test_rows_and_trainings_name_what_exists(preset, tmp_path):
    data = ExperimentData("kins", "kins_train", "kins_train_modal", "kins_val", None, "kins")
    configs_of = Trainings(StageStore(tmp_path), data, preset, ())
    for training, declared in trainings().values():
        if declared.name not in OURS:
            continue
        file = configs_of.config_file(training.name)
        assert system_of(configs()[Path(file).stem]) is declared, file
        assert not training.pretrained or training.beyond_paper
        if training.pretrained:
            continue
        assert quick_config(training.name) in TRAINED, "a stage that is not tried"
        assert {training.starts_from, training.like} - {""} <= set(trainings())


@pytest.mark.parametrize("name", OURS)
def test_rows_and_figures_name_what_exists(name):
    declared = systems()[name]
    for row in declared.rows:
        cfg = load_config(None, row_options(row, draws=True))
        steps = [("ordering", row.ordering), ("completion", row.completion)]
        for kind, name in list(steps):
            members = find_step(kind, name)[1].members
            steps += [(kind, member) for member in (option(cfg, members) if members else ())]
        # A network that a step uses is that of the training that the row names for it.
        for kind, name in steps:
            _, step, owner = find_step(kind, name)
            training = row.networks.get(name, row.training)
            assert not step.uses_network or owner is trainings()[training][1]
        name_sources(cfg, row, dict.fromkeys(row.networks, "a.yaml@b.pth"))
        assert {*row.trainings} <= set(trainings()) and row.tables
        assert set(row.tables) <= set(known_experiments())
    for table, columns in declared.published.items():
        for figures in columns.values():
            assert set(figures) <= {*experiment_rows(table), TRUE_LABELS}
    for table, columns in declared.remarks.items():
        assert set(columns) <= set(declared.published[table])
    for own in declared.experiments.values():
        assert own.text and set(own.rows) <= set(rows())


# -------------------------------------------------------------------- training


@pytest.mark.parametrize("config", TRAINED)
def test_batches_do_not_depend_on_workers(config, tiny_kins, tmp_path):
    arguments = train_arguments(config, tiny_kins, tmp_path)
    if system_of(load_config(config)).network.test_loader is not None:
        pytest.skip("its loaders are Detectron2's, which promise nothing of the kind")
    batches = []
    for workers in ("0", "1"):
        cfg = load_config(config, [*arguments.opts, "DATALOADER.NUM_WORKERS", workers])
        loader = iter(Trainer.build_train_loader(cfg))
        batches.append([next(loader) for _ in range(2)])
    for one, other in zip(*batches, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("config", TRAINED)
def test_a_step_of_training(config, trained):
    """Losses are finite, something is learnt, and what is frozen stays as it is."""
    run = trained(config)
    losses = [value for line in run.metrics() for key, value in line.items() if "loss" in key]
    assert losses and all(math.isfinite(value) for value in losses)
    cfg = run.load_config("MODEL.WEIGHTS", run.start)
    model = Trainer.build_model(cfg)
    learnt = {p for g in Trainer.build_optimizer(cfg, model).param_groups for p in g["params"]}
    before, after = (
        torch.load(run.folder / name, weights_only=False)["model"]
        for name in ("model_0000000.pth", "model_final.pth")
    )
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved & {name for name, p in model.named_parameters() if p in learnt}
    assert not moved & frozen_names(model, learnt)


def frozen_names(model: nn.Module, learnt: set[nn.Parameter]) -> set[str]:
    """Parameters that no optimizer has, and statistics of modules that have no others."""
    frozen = {name for name, p in model.named_parameters() if p not in learnt}
    for prefix, module in model.named_modules():
        own = list(module.parameters())
        if own and not any(p in learnt for p in own):
            frozen |= {f"{prefix}.{name}".strip(".") for name in module.state_dict()}
    return frozen


def test_frozen_parts_keep_their_statistics():
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)))
    fixed = {f"1.{name}" for name in model[1].state_dict()}
    assert frozen_names(model, set(model[0].parameters())) == fixed
    assert "1.1.running_mean" in fixed
    assert frozen_names(model, set(model.parameters()) - {model[1][1].bias}) == {"1.1.bias"}


@pytest.mark.parametrize("config", TRAINED)
def test_crops_of_a_side_that_halves_thrice(config, tiny_kins, tmp_path, capsys):
    """They are learned from, or refused by the key."""
    odd = ("INPUT.INSTANCE_CROP.SIZE", "40", "SOLVER.MAX_ITER", "1", "DATASETS.TEST", "()")
    odd += ("MODEL.WEIGHTS", "")  # a later stage has a former one's
    try:
        train(train_arguments(config, tiny_kins, tmp_path, *odd))
    except SystemExit:
        assert "error: INPUT.INSTANCE_CROP.SIZE = 40: " in capsys.readouterr().err


@pytest.mark.parametrize("config", TRAINED)
def test_a_checkpoint_is_evaluated_as_its_training_was(config, trained, tiny_kins, tmp_path):
    run = trained(config)
    weights = ("MODEL.WEIGHTS", str(run.weights))
    alone = train_arguments(config, tiny_kins, tmp_path, *weights, flags=("--eval-only",))
    # As text: a figure that is not a number is the same as itself there.
    assert run.results and json.dumps(train(alone)) == json.dumps(run.results)


# -------------------------------------------------------------------- steps


def step_cases() -> list[tuple[str, str, str]]:
    """(config, kind, step) of all steps, with every config whose network they run.

    One that is made of others runs the networks of all configs that others of its kind run.
    """
    found = []
    for kind in STEP_KINDS:
        for name, step, declared in known_steps(kind):
            if declared.name in OURS:
                own = [c for c in TRAINED if runs_network_of(c, kind, step, declared)]
                found += [(c, kind, name) for c in ([""] if step.is_rule else own)]
    return found


def runs_network_of(config: str, kind: str, step: Step, declared: System) -> bool:
    system = system_of(load_config(config))
    if not step.members:
        return system is declared
    return any(own.uses_network for own in system.steps(kind).values())


def possible_members(cfg: Any, kind: str) -> tuple[str, ...]:
    """What a step of a kind can be made of: the steps of a config's own network, and the rules."""
    return tuple(
        name
        for name, step, declared in known_steps(kind)
        if not step.members and (step.is_rule or declared is system_of(cfg))
    )


def some_scenes() -> list[Scene]:
    """Scenes with many neighbours, an empty mask, no neighbour, nothing at all; with photos."""
    nobody = np.zeros((H, W), bool)
    left, middle, right = (box_mask(H, W, x, 5, x + 16, 25) for x in (3, 12, 50))
    found = [
        *scenes()[:2],
        scene_of([left, nobody, middle & ~left]),
        scene_of([left, right]),
        scene_of([nobody]),
        Scene(H, W, [], np.zeros(0)),
    ]
    photos = np.random.default_rng(0).integers(0, 256, (len(found), H, W, 3), dtype=np.uint8)
    return [replace(scene, image=photo) for scene, photo in zip(found, photos, strict=True)]


def random_model(cfg, seed: int) -> nn.Module:
    """The network of a config with other weights than a training begins with: it takes sides."""
    torch.manual_seed(seed)
    model = build_model(cfg)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            module.num_batches_tracked.fill_(1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, parameter[0].numel() ** -0.5)
    return model.eval()


def all_that_it_says(result: Deocclusion) -> tuple:
    graph = result.graph
    return (
        sorted(graph.graph.edges(data=True)),
        graph.neighbour_pairs,
        graph.mutual_pairs,
        [mask.to_rle(H, W) for mask in result.amodal_masks],
        [p and p.to_json() for p in result.probabilities or ()],
    )


@pytest.mark.parametrize(("config", "kind", "name"), step_cases())
def test_a_step(config, kind, name, trained):
    """It is described, and a scene's result does not depend on the scenes beside it."""
    cfg = trained(config).load_config() if config else load_config(None)
    if kind == "content":
        cfg.DEOCCLUSION.CONTENT = name
        check_content(build_content(cfg, random_model(cfg, 0) if config else None))
        return
    cfg = with_steps(cfg, **{"ordering": "convex", "completion": "raw", kind: name})
    step = find_step(kind, name)[1]
    if step.members:
        set_option(cfg, step.members, possible_members(cfg, kind))
    if "KEEP_PROBABILITY" in honoured_keys(cfg, kind):
        cfg.DEOCCLUSION.KEEP_PROBABILITY = True
    given = some_scenes()
    for seed in range(5):
        deoccluder = Deoccluder.from_config(cfg, random_model(cfg, seed) if config else None)
        results = deoccluder(given)
        if not config or decides(given, results, kind):
            break
    else:
        pytest.fail("random weights never made it decide anything: nothing can be seen")
    assert json.loads(json.dumps(deoccluder.describe())) == deoccluder.describe()
    together = [all_that_it_says(result) for result in results]
    assert [all_that_it_says(deoccluder([scene])[0]) for scene in given] == together
    assert [all_that_it_says(result) for result in deoccluder(given[::-1])][::-1] == together
    assert deoccluder([]) == []
    for scene, result in zip(given, results, strict=True):
        assert len(result.graph) == len(result.amodal_masks) == len(scene)
        for i, (modal, amodal) in enumerate(
            zip(scene.modal_masks, result.amodal_masks, strict=True)
        ):
            # By default (CONSTRAIN) visible pixels are kept.
            assert (modal - amodal).is_empty
            assert not modal.is_empty or (amodal.is_empty and not result.graph.neighbours(i))
    assert not any(result.graph.neighbour_pairs for result in results[-3:])


def decides(given: Sequence[Scene], results: Sequence[Deocclusion], kind: str) -> bool:
    """Whether there is an edge, or a mask that is not the modal one."""
    if kind == "ordering":
        return any(result.graph.edges for result in results)
    return any(r.amodal_masks != s.modal_masks for s, r in zip(given, results, strict=True))


def check_content(content) -> None:
    """Colours of a hole do not depend on other holes, and there are some if nothing is visible."""
    assert json.loads(json.dumps(content.describe())) == content.describe()
    holes = some_holes()
    assert len(holes) >= 4
    together = content.fill(holes)
    for window, hole in zip(together, holes, strict=True):
        x0, y0, x1, y1 = hole.missing.box
        assert window.shape == (y1 - y0, x1 - x0, 3) and window.dtype == np.uint8
    for filled in (
        [content.fill([hole])[0] for hole in holes],
        content.fill(holes[::-1])[::-1],
    ):
        assert all(np.array_equal(a, b) for a, b in zip(filled, together, strict=True))
    assert content.fill([]) == []


def some_holes() -> list[Hole]:
    """Of an object, of the background, and of a whole photo."""
    scene = some_scenes()[2]
    modal, _, other = scene.modal_masks
    taken = union(scene.modal_masks)
    whole = WindowMask.filled((0, 0, W, H))
    return [
        object_hole(scene.image, modal, other, taken, 4),
        object_hole(scene.image, other, modal, taken, 2),
        *background_holes(scene.image, taken),
        *background_holes(scene.image, whole),
    ]


# -------------------------------------------------------------------- conversion


def converting_configs() -> list[str]:
    """The configs that name a completion by their own network."""
    loaded = {config: load_config(config) for config in TRAINED}
    return [
        config
        for config, cfg in loaded.items()
        if find_step("completion", cfg.DEOCCLUSION.COMPLETION)[2] is system_of(cfg)
    ]


@pytest.mark.parametrize("config", converting_configs())
def test_the_conversion_needs_the_config_alone(config, trained, tiny_kins, tmp_path):
    run = trained(config)
    file, output = tmp_path / "with_weights.yaml", tmp_path / "amodal.json"
    file.write_text(f"_BASE_: {run.folder}/config.yaml\nMODEL: {{WEIGHTS: {run.weights}}}\n")
    val = tiny_kins / "instances_val.json"
    command = ["--config-file", file, "--input", val, "--output", output, "--num-gpus", 0]
    images = ["--image-root", tiny_kins / "testing/image_2"]
    with pytest.raises(SystemExit) as end:
        convert([str(text) for text in (*command, *images)])
    assert end.value.code == 0
    written = json.loads(output.read_text())
    said = written["info"]["deocclusion"]
    assert said["method"] == method_name(run.load_config().DEOCCLUSION.COMPLETION)
    assert said["weights_sha256"] == file_sha256(run.weights)
    given = json.loads(val.read_text())["annotations"]
    assert [a["id"] for a in written["annotations"]] == [a["id"] for a in given]
    assert all("occluder_ids" in a for a in written["annotations"])

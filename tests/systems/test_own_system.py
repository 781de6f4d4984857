"""A system of new files alone (``own_system/``) does all that those of this package do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import deocclusion_d2
from deocclusion_d2 import Deoccluder, config, load_config
from deocclusion_d2 import systems as registry
from deocclusion_d2.chosen_steps import use_fingerprint
from deocclusion_d2.cli.convert_modal_to_amodal import main as convert
from deocclusion_d2.config import find_config, fingerprint
from deocclusion_d2.conversion.older import config_hash_of_0_1
from deocclusion_d2.data.loaders import build_scene_test_loader
from deocclusion_d2.decomposition import DecompositionJob, decompose_photos, load_layered_scene
from deocclusion_d2.engine.train import train
from deocclusion_d2.errors import UserError
from deocclusion_d2.experiments import ExperimentSettings, run_experiment
from deocclusion_d2.experiments.paper_tables import published_figures
from deocclusion_d2.files import file_sha256
from deocclusion_d2.methods import method_names
from deocclusion_d2.systems import Row, Step, System, Training, system_of, systems
from tests.helpers import random_model
from tests.systems.own_system import SYSTEM
from tests.systems.tiny import TinyTraining, TinyTrainings, tiny_options, train_arguments

OWN = EntryPoint("own", "tests.systems.own_system:SYSTEM", registry.ENTRY_POINTS)
CONFIG = "own_kins_quick"


def entry(declared: object, name: str = "other") -> SimpleNamespace:
    """An entry point that names something made here."""
    return SimpleNamespace(name=name, value=f"{name}:SYSTEM", load=lambda: declared)


@contextmanager
def installed(*entries: object) -> Iterator[None]:
    """As if packages with these entry points were installed, and no others."""

    def forget() -> None:
        for cached in (registry.systems, config._added_keys, config._defaults):
            cached.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        found = {registry.ENTRY_POINTS: entries}
        patch.setattr(registry, "entry_points", lambda group: found.get(group, ()))
        forget()
        try:
            yield
        finally:
            patch.undo()
            forget()


@pytest.fixture(scope="module")
def own() -> Iterator[System]:
    with installed(OWN):
        yield systems()["own"]


@pytest.fixture(scope="module")
def run(own, tiny_kins, tmp_path_factory) -> TinyTraining:
    return TinyTrainings(tiny_kins, tmp_path_factory.mktemp)(CONFIG)


def test_it_is_found_by_its_entry_point(own):
    assert own is SYSTEM and list(systems()) == sorted(systems())
    assert "own" in method_names()
    assert find_config("own_kins").parent == find_config(CONFIG).parent == Path(own.configs)
    assert system_of(load_config("own_kins")) is own
    assert deocclusion_d2.OwnNet is own.network.model.resolve()
    assert published_figures("completion", "kins_val")["Own"] == 88.0


def test_it_trains_and_is_evaluated(run, tiny_kins, tmp_path):
    assert set(run.results) == {"ordering", "completion"}
    first, last = (
        torch.load(run.folder / name, weights_only=False)["model"]["network.weight"]
        for name in ("model_0000000.pth", "model_final.pth")
    )
    assert not torch.equal(first, last)
    weights = ("MODEL.WEIGHTS", str(run.weights))
    alone = train_arguments(CONFIG, tiny_kins, tmp_path, *weights, flags=("--eval-only",))
    assert train(alone) == run.results


def with_weights(run: TinyTraining, folder: Path, more: str = "") -> Path:
    """A config file that names the weights too."""
    file = folder / "own.yaml"
    file.write_text(f"_BASE_: {run.folder}/config.yaml\nMODEL: {{WEIGHTS: {run.weights}}}\n{more}")
    return file


def test_it_converts_by_its_config_alone(run, tiny_kins, tmp_path):
    file, output = with_weights(run, tmp_path), tmp_path / "amodal.json"
    command = ["--config-file", file, "--input", tiny_kins / "instances_val.json"]
    with pytest.raises(SystemExit) as end:
        convert([str(text) for text in (*command, "--output", output, "--num-gpus", 0)])
    assert end.value.code == 0
    said = json.loads(output.read_text())["info"]["deocclusion"]
    assert (said["method"], said["ordering"], said["own_threshold"]) == ("own", "convex", 0.5)
    assert said["weights_sha256"] == file_sha256(run.weights)


def test_it_decomposes_a_photo(run, tiny_kins, tmp_path):
    photo = sorted((tiny_kins / "testing/image_2").iterdir())[0]
    job = DecompositionJob(
        image=str(photo),
        output=str(tmp_path / "layers"),
        masks=str(tiny_kins / "instances_val.json"),
        config_file=str(with_weights(run, tmp_path)),
    )
    lines: list[str] = []
    assert decompose_photos(job, lines.append).written == [tmp_path / "layers"]
    assert "order and amodal masks by own" in lines[0]
    layered = load_layered_scene(tmp_path / "layers")
    assert layered.description["method"] == "own" and layered.layers


def test_it_takes_the_order_of_another_system(run, tiny_kins, tmp_path):
    """Its shapes, and PCNet-M's order or the Convex one."""
    other, weights = tmp_path / "pcnet_m.yaml", tmp_path / "pcnet_m.pth"
    other.write_text(
        f"_BASE_: {find_config('pcnet_m_kins')}\nINPUT: {{INSTANCE_CROP: {{SIZE: 32}}}}\n"
        "MODEL: {DEVICE: cpu, PCNET_M: {WIDTH: 0.25}}\n"
    )
    torch.save({"model": random_model().state_dict()}, weights)
    source = ("DEOCCLUSION.ORDERING_CONFIG", f"{other}@{weights}")
    both = run.load_config("DEOCCLUSION.ORDERING", "dual_completion", *source)
    alone, pcnet = run.load_config(), load_config(str(other), ["MODEL.WEIGHTS", str(weights)])
    val = f"kins:{tiny_kins}/instances_val.json@{tiny_kins}/testing/image_2"
    scenes = [record["scene"] for batch in build_scene_test_loader(alone, val) for record in batch]

    def results(cfg, said: Callable) -> list:
        return [said(result) for result in Deoccluder.from_config(cfg)(scenes)]

    def masks(result) -> list:
        return result.amodal_masks

    def edges(result) -> list:
        return result.graph.edges

    assert results(both, masks) == results(alone, masks)
    assert results(both, edges) == results(pcnet, edges) != results(alone, edges)
    raw = run.load_config("DEOCCLUSION.COMPLETION", "raw")
    assert results(alone, edges) == results(raw, edges)


def test_it_has_rows_in_the_table(own, tiny_kins, tmp_path):
    """One of them by a network that goes on from the other's weights."""
    rows = ("Convex", "Own", "Own, longer")
    settings = ExperimentSettings(
        "completion",
        f"kins:{tiny_kins}/instances_train.json@{tiny_kins}/training/image_2",
        f"kins:{tiny_kins}/instances_val.json@{tiny_kins}/testing/image_2",
        methods=rows,
        opts=tuple(tiny_options(CONFIG)),
    )
    report = run_experiment(settings, tmp_path, name="report")
    table = json.loads((tmp_path / "report/results.json").read_text())["tables"]["completion"]
    assert list(table["rows"]) == list(rows) and all(row in report for row in rows)
    stages = tmp_path / "stages"
    (first,), (longer,) = (list(stages.glob(f"{name}-*")) for name in ("own", "own_longer"))
    inputs = json.loads((longer / "done.json").read_text())["inputs"]
    assert inputs["start"] == file_sha256(first / "model_final.pth")


def test_its_keys_concern_it_alone(own):
    def of_pcnet(*opts: str) -> list[str]:
        cfg = load_config("pcnet_m_kins", opts)
        hashes = [fingerprint(cfg, system_of(cfg), of) for of in ("training", "use")]
        return [*hashes, config_hash_of_0_1(cfg)]

    def of_own(*opts: str) -> list[str]:
        cfg = load_config("own_kins", opts)
        return [
            fingerprint(cfg, own, "training"),
            fingerprint(cfg, own, "use"),
            use_fingerprint(cfg),
        ]

    learnt, used = ("MODEL.OWN.KERNEL", "7"), ("DEOCCLUSION.OWN_THRESHOLD", "0.4")
    with installed():
        before = of_pcnet()
    with installed(OWN):
        assert of_pcnet() == of_pcnet(*learnt, *used) == before
        plain = of_own()
        assert of_own("MODEL.PCNET_M.WIDTH", "1", "DEOCCLUSION.ORDER_THRESHOLD", "0.3") == plain
        assert not set(of_own(*learnt)) & set(plain)
        # How it is used is not what it learns.
        training, *use = of_own(*used)
        assert training == plain[0] and not set(use) & set(plain)


# -------------------------------------------------------------------- what is refused


def adds(key: str) -> Callable:
    """An ``add_config`` of one key of ``DEOCCLUSION``."""

    def add_config(cfg) -> None:
        cfg.DEOCCLUSION[key] = 1

    return add_config


OTHER = System("other")
STEP = Step(lambda cfg, runner: None, uses_network=False)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (replace(OTHER, completions={"own": STEP}), "both bring the completion 'own'"),
        (
            replace(OTHER, completions={"x": replace(STEP, method="own")}),
            "both bring the completion 'own'",
        ),
        (
            replace(OTHER, trainings=(Training("own", "x", "modal"),)),
            "both bring the training 'own'",
        ),
        (replace(OTHER, rows=(Row("Own", "convex", "raw"),)), "both bring the row 'Own'"),
        (replace(OTHER, exports={"OwnNet": SYSTEM.exports["OwnNet"]}), "the public name 'OwnNet'"),
        (
            replace(OTHER, add_config=adds("OWN_THRESHOLD")),
            "both add the config key DEOCCLUSION.OWN_THRESHOLD",
        ),
    ],
)
def test_what_two_systems_bring_is_refused(declared, message):
    with installed(OWN, entry(declared)), pytest.raises(UserError) as error:
        load_config(None)
    text = str(error.value)
    assert message in text and "'own'" in text and "'other'" in text and "\n" not in text


@pytest.mark.parametrize("kind", registry.STEP_KINDS)
def test_two_steps_of_one_name_are_refused(kind):
    """Whichever kind of step it is, and if it is an alias."""
    name = registry.step_names(kind)[0]
    for steps in ({name: STEP}, {"x": replace(STEP, aliases=(name,))}):
        other = replace(OTHER, **{f"{kind}s": steps})
        with (
            installed(entry(other)),
            pytest.raises(UserError, match=f"both bring the {kind} '{name}'"),
        ):
            systems()


def test_labels_and_kinds_are_known_ones():
    with pytest.raises(ValueError, match="labels 'masks': use one of modal, "):
        replace(SYSTEM.network, labels="masks")
    with pytest.raises(ValueError, match="row Own: kind 'best': use one of rule, "):
        replace(SYSTEM.rows[0], kind="best")


def test_two_systems_of_one_name_are_refused():
    with installed(OWN, entry(System("own"), "theirs")), pytest.raises(UserError) as error:
        systems()
    assert str(error.value) == (
        "two systems are named 'own': entry point 'own' (tests.systems.own_system:SYSTEM) and "
        "entry point 'theirs' (theirs:SYSTEM)"
    )
    with installed(entry(System("pcnet_m"))), pytest.raises(UserError) as error:
        systems()
    assert "deocclusion_d2.systems.pcnet_m and entry point 'other'" in str(error.value)


def test_a_key_of_others_is_not_changed():
    with (
        installed(entry(replace(OTHER, add_config=adds("DILATION")))),
        pytest.raises(UserError, match=r"'other' changes the config key DEOCCLUSION\.DILATION"),
    ):
        load_config(None)


def test_a_network_of_two_systems_needs_a_default():
    network = replace(SYSTEM.network, is_default=False)
    others = replace(OTHER, network=network)
    with installed(OWN, entry(others)):
        with pytest.raises(UserError, match="'OwnNet' is the network of other, own: name one in"):
            system_of(load_config("own_kins"))
        assert system_of(load_config("own_kins", ["MODEL.SYSTEM", "other"])) is others
    with installed(OWN, entry(replace(others, network=replace(network, is_default=True)))):
        assert system_of(load_config("own_kins")).name == "other"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (EntryPoint("x", "no_such_package:SYSTEM", registry.ENTRY_POINTS), "cannot be loaded"),
        (EntryPoint("x", f"{__name__}:NOTHING", registry.ENTRY_POINTS), "cannot be loaded"),
        (entry("a text", "x"), "is no System"),
    ],
)
def test_an_entry_point_of_no_system_is_refused(found, message):
    with installed(found), pytest.raises(UserError, match=message) as error:
        systems()
    assert str(error.value).startswith("entry point 'x' (") and "\n" not in str(error.value)

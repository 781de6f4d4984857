"""Training, resuming and evaluating through the command's own entry point, on a tiny KINS."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from detectron2.engine import default_argument_parser

from deocclusion_d2.config import load_config
from deocclusion_d2.engine.evaluate import evaluation_folder
from deocclusion_d2.engine.train import _expects_as_it_stands, train
from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.precision import plain_copy, run_in_bfloat16
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits
from tests.helpers import random_model

ROOT = Path(__file__).resolve().parents[2]
TRAIN_IMAGES, VAL_IMAGES = "training/image_2", "testing/image_2"
QUICK = ROOT / "configs" / "quick_schedules"


@pytest.fixture(scope="module")
def kins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3, "val": 2}, SyntheticKinsConfig(96, 320), 1)
    return folder


def arguments(config: str, kins: Path, output: Path, *opts: str, flags: tuple[str, ...] = ()):
    return default_argument_parser().parse_args(
        [
            "--config-file", str(QUICK / config), *flags,
            "DATASETS.TRAIN", f"('kins.modal:{kins}/instances_train.json@{kins}/{TRAIN_IMAGES}',)",
            "DATASETS.TEST", f"('kins:{kins}/instances_val.json@{kins}/{VAL_IMAGES}',)",
            "DATALOADER.NUM_WORKERS", "0",
            "OUTPUT_DIR", str(output),
            *opts,
        ]
    )  # fmt: skip


PCNET = ("MODEL.PCNET_M.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32",
         "SOLVER.IMS_PER_BATCH", "4", "SOLVER.CPU_BFLOAT16", "False", "VIS_PERIOD", "2",
         "SOLVER.CHECKPOINT_PERIOD", "2")  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model_final.pth", weights_only=False)["model"]


@pytest.fixture
def no_images(kins):
    """No image file exists: PCNet-M trains and infers from masks alone."""
    for name in ("training", "testing"):
        (kins / name).rename(kins / f"{name}_away")
    yield
    for name in ("training", "testing"):
        (kins / f"{name}_away").rename(kins / name)


def test_ids_of_the_test_set_are_looked_at_before_training(kins, no_images, tmp_path):
    document = json.loads((kins / "instances_val.json").read_text())
    for entry in document["categories"]:
        entry["id"] += 10
    for entry in document["annotations"]:
        entry["category_id"] += 10
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    opts = [*PCNET, "SOLVER.MAX_ITER", "1", "DATASETS.TEST", f"('kins:{other}',)"]

    def run(name, *more):
        train(arguments("pcnet_m_kins_quick.yaml", kins, tmp_path / name, *opts, *more))
        content = torch.load(tmp_path / name / "model_final.pth", weights_only=True)
        return content["trained_on"]["category_ids"]

    with pytest.raises(SystemExit):
        run("refused")
    assert not (tmp_path / "refused" / "model_final.pth").exists()
    assert run("mapped", "DEOCCLUSION.CATEGORY_MAP", "(('any', 4),)") == list(range(1, 9))
    assert run("without", "MODEL.PCNET_M.USE_CATEGORY", "False") == [1]


def test_resumed_training_equals_an_uninterrupted_one(kins, no_images, tmp_path):
    config = "pcnet_m_kins_quick.yaml"
    results = train(arguments(config, kins, tmp_path / "whole", *PCNET, "SOLVER.MAX_ITER", "4"))
    assert set(results) == {"ordering", "completion"}

    # What an interruption after the second iteration leaves.
    cut = tmp_path / "cut"
    cut.mkdir()
    shutil.copy(tmp_path / "whole" / "model_0000001.pth", cut)
    (cut / "last_checkpoint").write_text("model_0000001.pth")
    train(arguments(config, kins, cut, *PCNET, "SOLVER.MAX_ITER", "4", flags=("--resume",)))
    for folder in ("whole", "cut"):
        content = torch.load(tmp_path / folder / "model_final.pth", weights_only=True)
        assert content["trained_on"] == {"category_ids": [1, 2, 3, 4, 5, 6, 7, 8]}
    whole, resumed = weights(tmp_path / "whole"), weights(cut)
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)

    final = ("MODEL.WEIGHTS", str(tmp_path / "whole" / "model_final.pth"))
    alone = arguments(config, kins, tmp_path / "eval", *PCNET, *final, flags=("--eval-only",))
    evaluated = train(alone)
    assert evaluated == results
    metrics = [json.loads(t) for t in (tmp_path / "whole/metrics.json").read_text().splitlines()]
    assert metrics[-1]["completion/instances"] == results["completion"]["instances"] > 0


def test_colours(kins, tmp_path):
    """The target's image crop is read, flipped with the mask, and trained on."""
    rgb = ("MODEL.PCNET_M.USE_RGB", "True", "VIS_PERIOD", "0", "SOLVER.MAX_ITER", "1")
    results = train(arguments("pcnet_m_kins_quick.yaml", kins, tmp_path, *PCNET, *rgb))
    assert results["completion"]["instances"] > 0
    assert weights(tmp_path)["network.stem.0.weight"].shape[1] == 5


def test_mask_rcnn_trains_on_modal_labels_and_is_judged_by_amodal_ones(kins, tmp_path):
    small = ("SOLVER.MAX_ITER", "1", "SOLVER.IMS_PER_BATCH", "1", "SOLVER.CPU_BFLOAT16", "False",
             "INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MIN_SIZE_TEST", "64", "SEED", "1")  # fmt: skip
    config = "amodal_mask_rcnn_R_18_FPN_kins_quick.yaml"
    results = train(arguments(config, kins, tmp_path, *small))
    assert set(results) == {"bbox", "hidden", "segm"}


def test_mistakes_are_one_line(kins, tmp_path, capsys):
    for opts, expected in {
        ("MODEL.SYSTEM", "pcnet"): "MODEL.SYSTEM = 'pcnet': use one of amodal_unet, ",
        ("MODEL.SYSTEM", "baselines"): "MODEL.SYSTEM = 'baselines': it has no network",
        ("DATASETS.TRAIN", "('nowhere',)"): "data set 'nowhere' is not registered",
        ("SOLVER.MAX_ITRE", "3"): "Non-existent key: SOLVER.MAX_ITRE",
    }.items():
        with pytest.raises(SystemExit) as stopped:
            train(arguments("pcnet_m_kins_quick.yaml", kins, tmp_path, *opts))
        assert stopped.value.code == 1
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("error: ") and expected in message


def test_an_output_is_never_an_input(kins, no_images, tmp_path, capsys):
    """Weights, config and annotations that lie in the output folder, under names of its own."""
    folder, plain = tmp_path / "out", str(QUICK / "pcnet_m_kins_quick.yaml")
    short = (*PCNET, "SOLVER.MAX_ITER", "2", "VIS_PERIOD", "0", "DATASETS.TEST", "()")

    def run(*opts: str, config: str = plain, flags: tuple[str, ...] = ()) -> str:
        """What is said of the files that have changed."""
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        try:
            train(arguments(config, kins, folder, *short, *opts, flags=flags))
        except SystemExit:
            assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
            return capsys.readouterr().err.strip().splitlines()[-1]
        after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        changed = {p.name for p in after if before.get(p) != after[p]}
        return ", ".join(sorted(n for n in changed if not n.startswith("events")))

    new = "config.yaml, last_checkpoint, log.txt, metrics.json, model_0000001.pth, model_final.pth"
    assert run() == new
    weights, config = folder / "model_final.pth", folder / "config.yaml"
    # Its own results, in use.
    own = ("MODEL.WEIGHTS", str(weights))
    assert run(*own, config=str(config), flags=("--eval-only",)) == "log.txt"
    assert "config.yaml" not in run(config=str(config), flags=("--resume",))
    longer = ("SOLVER.MAX_ITER", "3")
    resumed = "config.yaml, log.txt, metrics.json, model_final.pth"
    assert run(*longer, config=str(config), flags=("--resume",)) == resumed
    assert run(*longer, config=str(config)) == new.removeprefix("config.yaml, last_checkpoint, ")
    # Refused: what would be lost.
    refusal = f"error: {weights} is one of the inputs and would be written over: set another OUT"
    assert run(*own).startswith(refusal)
    (tmp_path / "link.pth").symlink_to(weights)
    assert run("MODEL.WEIGHTS", str(tmp_path / "link.pth")).startswith(refusal)
    assert "model_0000001.pth is one of" in run("MODEL.WEIGHTS", str(folder / "model_0000001.pth"))
    changed = run(config=str(config))  # of 2 iterations, not of 3
    assert changed.startswith(f"error: {config} is one of the inputs, and the settings of this")
    based = tmp_path / "based.yaml"
    based.write_text("_BASE_: out/config.yaml\nSOLVER: {BASE_LR: 0.5}\n")
    assert "config.yaml is one of the inputs" in run(config=str(based))
    metrics = folder / "metrics.json"
    shutil.copy(kins / "instances_train.json", metrics)
    assert "metrics.json is one of" in run("DATASETS.TRAIN", f"('kins.modal:{metrics}',)")
    # A config of one's own is left as it is where it says the same.
    config.write_text(f"# mine\n_BASE_: {plain}\nSEED: 1\n")
    assert "config.yaml is one of the inputs" in run(config=str(config))
    assert run(*own, config=str(config), flags=("--eval-only",)) == "log.txt"


def test_numbers_of_the_released_runs_are_read():
    """That every config can be read, the systems' contract says."""
    paper = load_config(str(ROOT / "configs" / "pcnet_m_cocoa.yaml"))
    assert paper.SOLVER.STEPS == (32000, 48000) and paper.SOLVER.MAX_ITER == 56000
    with pytest.raises(UserError, match="does not exist"):
        load_config("none.yaml")


def test_a_float_key_takes_a_whole_number():
    config = str(ROOT / "configs" / "pcnet_m_kins.yaml")
    cfg = load_config(config, ["INPUT.PARTIAL_COMPLETION.GAMMA", "1", "SOLVER.MAX_ITER", "7"])
    assert isinstance(cfg.INPUT.PARTIAL_COMPLETION.GAMMA, float) and cfg.SOLVER.MAX_ITER == 7
    with pytest.raises(UserError, match="MAX_ITER"):
        load_config(config, ["SOLVER.MAX_ITER", "1.5"])


def test_bfloat16_keeps_parameters_and_computes_in_bfloat16():
    model = random_model().train()
    run_in_bfloat16(model)
    seen = []
    model.network.head.register_forward_hook(lambda m, x, y: seen.append(y.dtype))
    masks = torch.randint(0, 2, (2, 2, 32, 32), dtype=torch.uint8)
    loss = model({"modal_mask": masks[0], "eraser": masks[1], "category_id": torch.ones(2)})
    loss["loss_partial_completion"].backward()
    assert seen == [torch.bfloat16]
    assert loss["loss_partial_completion"].dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    copied = plain_copy(model)
    with torch.no_grad():
        x = torch.rand(2, 2, 32, 32)
        assert copied.network(x).dtype == torch.float32 and not copied.training
        copied.network.head.weight.zero_()
    assert model.network.head.weight.any() and model.training


def test_folder_name_of_a_data_set():
    assert evaluation_folder("out", "kins:a/b.json@images") == "out/inference/kins_a_b.json_images"


def test_plus_fits_its_ordering_prior_and_finds_it_again(kins, no_images, tmp_path, capfd):
    config = "pcnet_m_plus_kins_quick.yaml"
    assert load_config(str(QUICK / config)).DEOCCLUSION.ORDERING_PRIOR == "auto"
    output = tmp_path / "plus"
    short = (*PCNET, "SOLVER.MAX_ITER", "2")
    # Weights to start from lie elsewhere, and there is no prior beside them.
    (tmp_path / "start").mkdir()
    torch.save({"model": random_model().state_dict()}, tmp_path / "start" / "model.pth")
    start = ("MODEL.WEIGHTS", str(tmp_path / "start" / "model.pth"))
    results = train(arguments(config, kins, output, *short, *start))
    assert "other weights" not in (output / "log.txt").read_text()
    prior = json.loads((output / "ordering_prior.json").read_text())
    digest = hashlib.sha256((output / "model_final.pth").read_bytes()).hexdigest()
    assert prior["fitted_on"]["weights_sha256"] == digest
    # All that touch each other in the three images, whatever the network makes of them.
    assert prior["fitted_on"]["images"] == 3 and prior["fitted_on"]["pairs"] > 10

    only = ("MODEL.WEIGHTS", str(output / "model_final.pth"))
    alone = (config, kins, tmp_path / "eval", *short, *only)
    assert train(arguments(*alone, flags=("--eval-only",))) == results

    # "weights" takes the file beside them as it is. These decide by the lower edge alone, which is
    # right for nine of the ten pairs, and the same in the tenth.
    beside = ("DEOCCLUSION.ORDERING_PRIOR", "weights")
    helped = {}
    for sign in (-1, 1):
        prior.update(features=["lower_edge"], coefficients=[sign * 1e6], enabled=True)
        (output / "ordering_prior.json").write_text(json.dumps(prior))
        helped[sign] = train(arguments(*alone, *beside, flags=("--eval-only",)))
        assert helped[sign]["ordering"]["pairs"] == 10
    assert helped[1]["ordering"]["Acc"] >= 90 and helped[-1]["ordering"]["Acc"] <= 10
    named = ("DEOCCLUSION.ORDERING_PRIOR", str(output / "ordering_prior.json"))
    assert train(arguments(*alone, *named, flags=("--eval-only",))) == helped[1]
    trained = (config, kins, output, *short, *beside)
    assert train(arguments(*trained, flags=("--eval-only", "--resume"))) == helped[1]

    # "auto" has too few pairs to fit one, and does without where there is none.
    (output / "ordering_prior.json").unlink()
    assert train(arguments(*alone, flags=("--eval-only",)))["ordering"]["pairs"] == 10
    with pytest.raises(SystemExit):
        train(arguments(*alone, *beside, flags=("--eval-only",)))
    assert "ordering_prior.json' beside MODEL.WEIGHTS" in capfd.readouterr().err


def test_a_checkpoint_that_cannot_be_read_is_one_line(kins, no_images, tmp_path, capfd):
    def refusal(*opts: str, flags: tuple[str, ...] = ()) -> str:
        with pytest.raises(SystemExit):
            train(arguments("pcnet_m_kins_quick.yaml", kins, tmp_path / "out", *opts, flags=flags))
        (line,) = [x for x in capfd.readouterr().err.splitlines() if x.startswith("error: ")]
        return line.removeprefix("error: ")

    broken, absent = tmp_path / "broken.pth", tmp_path / "absent.pth"
    broken.write_bytes(b"not a checkpoint")
    for flags in ((), ("--resume",), ("--eval-only", "--resume")):
        line = refusal(*PCNET, "MODEL.WEIGHTS", str(broken), flags=flags)
        assert line.startswith(f"MODEL.WEIGHTS: '{broken}' is not a readable checkpoint")
        line = refusal(*PCNET, "MODEL.WEIGHTS", str(absent), flags=flags)
        assert line == f"MODEL.WEIGHTS: file '{absent}' does not exist"

    # Resuming reads the last checkpoint of the output folder instead, and names that.
    last = tmp_path / "out" / "model_0000001.pth"
    train(arguments("pcnet_m_kins_quick.yaml", kins, tmp_path / "out", *PCNET,
                    "SOLVER.MAX_ITER", "2"))  # fmt: skip
    (tmp_path / "out" / "last_checkpoint").write_text(last.name)
    last.write_bytes(last.read_bytes()[:1000])
    line = refusal(*PCNET, "MODEL.WEIGHTS", str(absent), flags=("--resume",))
    assert line.startswith(f"--resume: '{last}' is not a readable checkpoint")


def test_expected_results_are_about_the_config_as_it_stands():
    config = "pcnet_m_kitti_mots_quick"
    as_it_stands = load_config(config, ["DATALOADER.NUM_WORKERS", "0", "OUTPUT_DIR", "elsewhere"])
    assert len(as_it_stands.TEST.EXPECTED_RESULTS) == 2
    assert _expects_as_it_stands(as_it_stands, config)
    for other in (
        ("SOLVER.MAX_ITER", "400"),
        ("DATASETS.TRAIN", "('coco:my.json',)"),
        ("DATASETS.TEST", "()"),
        ("MODEL.WEIGHTS", "mine.pth"),
        ("DEOCCLUSION.AMODAL_THRESHOLD", "0.5"),
    ):
        assert not _expects_as_it_stands(load_config(config, other), config)


def test_what_is_expected_is_checked_of_the_config_as_it_stands(kins, tmp_path):
    torch.save({"model": random_model().state_dict()}, tmp_path / "model.pth")
    config = tmp_path / "expecting.yaml"
    document = {
        "_BASE_": str(QUICK / "pcnet_m_kins_quick.yaml"),
        "MODEL": {"WEIGHTS": str(tmp_path / "model.pth"), "PCNET_M": {"WIDTH": 0.25}},
        "INPUT": {"INSTANCE_CROP": {"SIZE": 32}},
        "DATASETS": {"TEST": [f"kins:{kins}/instances_val.json"]},
        # No network reaches it.
        "TEST": {"EXPECTED_RESULTS": [["completion", "mIoU_sum", 200.0, 1.0]]},
    }
    config.write_text(yaml.safe_dump(document))

    def evaluate(*opts: str) -> dict:
        line = ["--config-file", str(config), "--eval-only", "DATALOADER.NUM_WORKERS", "0"]
        line += ["OUTPUT_DIR", str(tmp_path / "out")]
        return train(default_argument_parser().parse_args([*line, *opts]))

    with pytest.raises(SystemExit) as end:
        evaluate()
    assert end.value.code == 1
    assert evaluate("DEOCCLUSION.AMODAL_THRESHOLD", "0.5")["completion"]["instances"] > 0

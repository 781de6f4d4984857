"""Training and evaluating the supervised networks through the command's own entry point."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from detectron2.engine import default_argument_parser
from detectron2.modeling import build_model
from pycocotools import mask as mask_util

from deocclusion_d2.config import load_config
from deocclusion_d2.engine.train import train
from deocclusion_d2.synthesis.street import SyntheticKinsConfig, write_splits

QUICK = Path(__file__).resolve().parents[2] / "configs" / "quick_schedules"


@pytest.fixture(scope="module")
def kins(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kins")
    write_splits(folder, {"train": 3, "val": 2}, SyntheticKinsConfig(96, 320), 1)
    return folder


def arguments(config: str, kins: Path, output: Path, *opts: str, flags: tuple[str, ...] = ()):
    view = "kins.modal" if config.startswith("modal_unet") else "kins"
    train_set = f"{view}:{kins}/instances_train.json@{kins}/training/image_2"
    return default_argument_parser().parse_args(
        [
            "--config-file", str(QUICK / config), *flags,
            "DATASETS.TRAIN", f"('{train_set}',)",
            "DATASETS.TEST", f"('kins:{kins}/instances_val.json@{kins}/testing/image_2',)",
            "DATALOADER.NUM_WORKERS", "0",
            "OUTPUT_DIR", str(output),
            "MODEL.AMODAL_UNET.WIDTH", "0.25",
            "MODEL.MODAL_UNET.WIDTH", "0.25",
            "INPUT.INSTANCE_CROP.SIZE", "32",
            "SOLVER.IMS_PER_BATCH", "4",
            "SOLVER.MAX_ITER", "2",
            "SOLVER.CPU_BFLOAT16", "False",
            *opts,
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "tasks", "loss"),
    [
        ("amodal_unet_kins_quick.yaml", {"ordering", "completion"}, "loss_amodal"),
        ("order_net_m_kins_quick.yaml", {"ordering", "completion"}, "loss_order"),
        ("order_net_mi_kins_quick.yaml", {"ordering", "completion"}, "loss_order"),
        ("modal_unet_kins_quick.yaml", {"modal_segmentation"}, "loss_modal"),
    ],
)
def test_trains_and_is_evaluated_again_from_its_checkpoint(config, tasks, loss, kins, tmp_path):
    results = train(arguments(config, kins, tmp_path / "train"))
    assert set(results) == tasks
    metrics = [json.loads(t) for t in (tmp_path / "train/metrics.json").read_text().splitlines()]
    assert any(m.get("total_loss") and "lr" in m for m in metrics)
    final = ("MODEL.WEIGHTS", str(tmp_path / "train" / "model_final.pth"))
    alone = arguments(config, kins, tmp_path / "eval", *final, flags=("--eval-only",))
    assert train(alone) == results


def predict_modal_masks(arguments: list[str]) -> None:
    """Run the tool in this process."""
    path = QUICK.parents[1] / "tools" / "predict_modal_masks.py"
    spec = importlib.util.spec_from_file_location("predict_modal_masks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(arguments)


@pytest.mark.parametrize("logit", [4.0, -4.0])
def test_modal_masks_of_the_tool(logit, kins, tmp_path, capsys):
    """One result for each instance, whether the network finds all of its square or nothing."""
    config = "modal_unet_kins_quick.yaml"
    small = ["MODEL.MODAL_UNET.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32"]
    model = build_model(load_config(str(QUICK / config), [*small, "MODEL.DEVICE", "cpu"]))
    model.network.head.weight.data.zero_()
    model.network.head.bias.data = torch.tensor([0.0, logit])
    torch.save({"model": model.state_dict()}, tmp_path / "model.pth")
    output, val = tmp_path / "modal.json", kins / "instances_val.json"
    command = ["--config-file", str(QUICK / config), "--output", str(output)]
    command += ["--dataset", f"kins:{val}@{kins}/testing/image_2"]
    command += ["--weights", str(tmp_path / "model.pth")]
    predict_modal_masks([*command, *small, "DATALOADER.NUM_WORKERS", "0"])
    results = {r["annotation_id"]: r for r in json.loads(output.read_text())}
    truth = {a["id"]: a for a in json.loads(val.read_text())["annotations"]}
    visible = {id for id, a in truth.items() if mask_util.area(a["inmodal_seg"])}
    assert set(results) == visible and len(visible) > 5
    for id, result in results.items():
        known = truth[id]
        assert result["image_id"] == known["image_id"]
        assert result["category_id"] == known["category_id"]
        assert result["segmentation"]["size"] == known["inmodal_seg"]["size"]
        found = mask_util.area(result["segmentation"])
        if logit > 0:
            # The square holds the whole box.
            both = mask_util.merge([result["segmentation"], known["inmodal_seg"]], intersect=True)
            assert mask_util.area(both) == mask_util.area(known["inmodal_seg"]) < found
            # sigmoid(4), in whatever precision the processor has.
            assert result["score"] == pytest.approx(0.982, abs=0.005)
        else:
            assert found == result["score"] == 0
    assert f"{len(results)} masks in {output}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        predict_modal_masks([*command, *small, "MODEL.META_ARCHITECTURE", "PCNetM"])
    assert "'PCNetM' predicts no modal masks" in capsys.readouterr().err


def test_modal_labels_cannot_train_amodal_networks(kins, tmp_path, capsys):
    coco = tmp_path / "modal.json"
    document = json.loads((kins / "instances_train.json").read_text())
    for annotation in document["annotations"]:
        annotation["segmentation"] = annotation.pop("inmodal_seg")
        annotation["bbox"] = annotation.pop("inmodal_bbox")
    coco.write_text(json.dumps(document))
    for config, expected in {
        "amodal_unet_kins_quick.yaml": "no amodal mask to train on",
        "order_net_m_kins_quick.yaml": "OrderNet trains on true orders",
    }.items():
        modal = ("DATASETS.TRAIN", f"('coco:{coco}@{kins}/training/image_2',)")
        with pytest.raises(SystemExit):
            train(arguments(config, kins, tmp_path, *modal))
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("error: image ") and expected in message

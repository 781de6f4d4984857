"""Training and evaluating the supervised networks through the command's own entry point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model
from pycocotools import mask as mask_util

from deocclusion_d2.config import load_config
from deocclusion_d2.engine.train import train
from tests.helpers import program_of
from tests.systems.tiny import train_arguments

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("config", "tasks"),
    [
        ("amodal_unet_kins_quick", {"ordering", "completion"}),
        ("order_net_m_kins_quick", {"ordering", "completion"}),
        ("order_net_mi_kins_quick", {"ordering", "completion"}),
        ("modal_unet_kins_quick", {"modal_segmentation"}),
    ],
)
def test_what_is_logged_and_evaluated(config, tasks, trained):
    run = trained(config)
    assert set(run.results) == tasks
    assert any(m.get("total_loss") and "lr" in m for m in run.metrics())


def predict_modal_masks(arguments: list[str]) -> None:
    """Run the tool in this process."""
    path = ROOT / "tools" / "predict_modal_masks.py"
    program_of(path).main(arguments)


@pytest.mark.parametrize("logit", [4.0, -4.0])
def test_modal_masks_of_the_tool(logit, tiny_kins, tmp_path, capsys):
    """One result for each instance, whether the network finds all of its square or nothing."""
    config = "modal_unet_kins_quick"
    small = ["MODEL.MODAL_UNET.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32"]
    model = build_model(load_config(config, [*small, "MODEL.DEVICE", "cpu"]))
    model.network.head.weight.data.zero_()
    model.network.head.bias.data = torch.tensor([0.0, logit])
    torch.save({"model": model.state_dict()}, tmp_path / "model.pth")
    output, val = tmp_path / "modal.json", tiny_kins / "instances_val.json"
    command = ["--config-file", config, "--output", str(output)]
    command += ["--dataset", f"kins:{val}@{tiny_kins}/testing/image_2"]
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


def test_modal_labels_cannot_train_amodal_networks(tiny_kins, tmp_path, capsys):
    coco = tmp_path / "modal.json"
    document = json.loads((tiny_kins / "instances_train.json").read_text())
    for annotation in document["annotations"]:
        annotation["segmentation"] = annotation.pop("inmodal_seg")
        annotation["bbox"] = annotation.pop("inmodal_bbox")
    coco.write_text(json.dumps(document))
    for config, expected in {
        "amodal_unet_kins_quick": "no amodal mask to train on",
        "order_net_m_kins_quick": "OrderNet trains on true orders",
    }.items():
        modal = ("DATASETS.TRAIN", f"('coco:{coco}@{tiny_kins}/training/image_2',)")
        with pytest.raises(SystemExit):
            train(train_arguments(config, tiny_kins, tmp_path, *modal))
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("error: image ") and expected in message

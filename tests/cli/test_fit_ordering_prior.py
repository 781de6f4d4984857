"""The tool as a user meets it, and what it writes in use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from deocclusion_d2 import load_config
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.systems.pcnet_m import prior_fitting
from deocclusion_d2.systems.pcnet_m.ordering_prior import OrderingPrior
from tests.helpers import box_mask, program_of, rule_model

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs/pcnet_m_kins.yaml"
TINY = ["MODEL.PCNET_M.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32"]
TINY += ["MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", "0"]
H, W, COUNT = 40, 60, 30


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "fit_ordering_prior.py"
    return program_of(path).main


@pytest.fixture
def data(tmp_path):
    """Images of a box that covers an upper corner of a larger one."""
    rng = np.random.default_rng(0)
    annotations = []
    for image in range(COUNT):
        x, y = (int(v) for v in rng.integers(2, 10, 2))
        front = box_mask(H, W, x, y, x + 12, y + 12)
        back = box_mask(H, W, x + 4, y + 4, x + 30, y + 26) & ~front
        # Which one comes first must not matter.
        for k, mask in enumerate((front, back) if image % 2 else (back, front)):
            rle = WindowMask.from_array(mask).to_rle(H, W)
            annotations.append(
                {"id": 2 * image + k, "image_id": image, "category_id": 1, "segmentation": rle}
            )
    document = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": H, "width": W} for i in range(COUNT)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = tmp_path / "modal.json"
    path.write_text(json.dumps(document))
    return f"coco:{path}"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A PCNet-M as it is before training."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.save({"model": build_model(load_config(str(CONFIG), TINY)).state_dict()}, path)
    return path


def test_tool(tool, data, weights, tmp_path, capsys):
    output = tmp_path / "new" / "prior.json"
    arguments = ["--config-file", CONFIG, "--weights", weights, "--dataset", data]
    # A prior of the config has no say in the fit of a new one.
    more = [*TINY, "DEOCCLUSION.ORDERING_PRIOR", "absent.json"]
    tool([str(a) for a in (*arguments, "--output", output, "--every", 3, *more)])
    printed = capsys.readouterr()
    assert str(output) in printed.out and "100%" in printed.err
    prior = OrderingPrior.load(output)
    facts = prior.fitted_on
    assert facts["dataset"] == f"coco:{Path(data).name}"
    assert facts["images"] == facts["pairs"] == COUNT / 3
    assert facts["weights"] == "model.pth" and facts["order_threshold"] == 0.1
    assert facts["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    # Ten pairs at most prove nothing.
    assert not prior.enabled and "will not change any order" in printed.out

    # Neither it nor an input is replaced unasked.
    before = {path: path.read_bytes() for path in (output, weights)}
    for path, more, message in (
        (output, [], "prior.json exists: pass --overwrite"),
        (weights, ["--overwrite"], "model.pth is one of the inputs"),
    ):
        with pytest.raises(SystemExit):
            tool([str(a) for a in (*arguments, "--output", path, *more)])
        assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before

    for wrong, message in (
        (["--features", "centre,colour"], "colour"),
        (["--every", "0"], "every 0"),
        (["MODEL.META_ARCHITECTURE", "OrderNet"], "META_ARCHITECTURE"),
    ):
        with pytest.raises(SystemExit) as end:
            tool([str(a) for a in (*arguments, "--output", output, "--overwrite", *wrong)])
        assert end.value.code == 1
        error = capsys.readouterr().err.strip()
        assert message in error.splitlines()[-1]


def test_fit_of_a_data_set(data, tmp_path, monkeypatch):
    """A network that completes the larger one alone: the smaller one is always in front."""

    def rule(visible, eraser):
        larger = (eraser.sum(dim=(1, 2)) < visible.sum(dim=(1, 2)))[:, None, None]
        return (visible > 0) | ((eraser > 0) & larger)

    measured = []

    def fit_prior(*args):
        measured.extend(args)
        return fit_measured(*args)

    fit_measured = prior_fitting.fit_prior
    monkeypatch.setattr(prior_fitting, "fit_prior", fit_prior)
    cfg = load_config(str(CONFIG), TINY)
    path = tmp_path / "prior.json"
    prior = prior_fitting.fit_ordering_prior(cfg, [data], path, model=rule_model(rule))
    assert prior == OrderingPrior.load(path)
    assert prior.fitted_on["held_out_accuracy"] == 1
    assert prior.fitted_on["sure_pairs"] == prior.fitted_on["images"] == COUNT
    assert "weights" not in prior.fitted_on
    values, relative, images = measured[:3]
    assert images.tolist() == list(range(COUNT))
    # Which one comes first alternates.
    assert np.sign(relative).tolist() == [-1, 1] * (COUNT // 2)
    # The front one is higher in the image, smaller, and lies in the hull of the other.
    lower_edge, centre, log_area, log_height, hull = (values * np.sign(relative)[:, None]).T
    assert max(map(max, (lower_edge, centre, log_area, log_height))) < 0 < hull.min()


def test_conversion_orders_by_the_prior_and_says_so(data, weights, tmp_path):
    prior = tmp_path / "prior.json"
    OrderingPrior(("log_area",), (-100.0,), dual_weight=1.5).save(prior)
    job = ConversionJob(
        input=Path(data.removeprefix("coco:")),
        output=tmp_path / "out.json",
        config_file=str(CONFIG),
        weights=str(weights),
        opts=(*TINY, "DEOCCLUSION.ORDERING_PRIOR", str(prior)),
    )
    convert(job)
    document = json.loads(job.output.read_text())
    info = document["info"]["deocclusion"]
    assert info["ordering_prior"]["coefficients"] == {"log_area": -100.0}
    # The front box, the smaller one, is the second of the even images and the first of the odd.
    occluders = [a["occluder_ids"] for a in document["annotations"]]
    assert occluders[:4] == [[1], [], [], [2]]
    assert sum(map(len, occluders)) == COUNT

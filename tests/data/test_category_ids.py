"""Category ids against networks that multiply masks by them: 0 would leave nothing of a mask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocclusion_d2.config import load_config
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.data.loaders import build_scene_test_loader
from deocclusion_d2.data.samplers import ErasingSettings
from deocclusion_d2.decomposition import decompose_scenes
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.engine.evaluate import judge
from deocclusion_d2.errors import UserError
from deocclusion_d2.evaluation.content import HoleFiller
from deocclusion_d2.inference.content import TeleaFiller
from deocclusion_d2.structures import Deocclusion, OcclusionGraph, Scene, WindowMask
from deocclusion_d2.systems import system_of
from tests.helpers import box_mask, random_model, step_config

H, W = 40, 60
BOXES = [(5, 5, 25, 25), (20, 10, 40, 30), (45, 5, 55, 35)]


def write(folder: Path, first_id: int) -> str:
    """A KINS file of three objects, two of them of the first category; its name as a data set."""
    names = ("car", "person")
    annotations = []
    for number, (x0, y0, x1, y1) in enumerate(BOXES):
        polygon = [[x0, y0, x1, y0, x1, y1, x0, y1]]
        rle = WindowMask.from_array(box_mask(H, W, x0, y0, x1, y1)).to_rle(H, W)
        annotations.append(
            {
                "id": 10 + number,
                "image_id": 1,
                "category_id": first_id + (number == 0),
                "iscrowd": 0,
                "segmentation": polygon,
                "inmodal_seg": rle,
            }
        )
    document = {
        "images": [{"id": 1, "file_name": "1.png", "height": H, "width": W}],
        "categories": [{"id": first_id + k, "name": name} for k, name in enumerate(names)],
        "annotations": annotations,
    }
    Image.fromarray(np.full((H, W, 3), 90, np.uint8)).save(folder / "1.png")
    path = folder / f"from_{first_id}.json"
    path.write_text(json.dumps(document))
    return f"kins:{path}@{folder}"


CONFIGS = {
    "pcnet_m_kins_quick.yaml": "MODEL.PCNET_M.USE_CATEGORY",
    "pcnet_c_kins_quick.yaml": "MODEL.PCNET_C.USE_CATEGORY",
    "amodal_unet_kins_quick.yaml": "MODEL.AMODAL_UNET.USE_CATEGORY",
}


@pytest.mark.parametrize("config", CONFIGS)
def test_training(tmp_path, config):
    """Refused where ids are multiplied by; elsewhere the samples are those of other ids."""

    def samples(name: str, use: bool) -> dict:
        options = ["DATASETS.TRAIN", f"('{name}',)", CONFIGS[config], str(use)]
        options += ["SOLVER.IMS_PER_BATCH", "3", "INPUT.INSTANCE_CROP.SIZE", "32"]
        cfg = load_config(config, [*options, "DATALOADER.NUM_WORKERS", "0", "SEED", "0"])
        return next(iter(system_of(cfg).network.train_loader(cfg)))

    zero, one = write(tmp_path, 0), write(tmp_path, 1)
    with pytest.raises(UserError) as error:
        samples(zero, True)
    message = str(error.value)
    assert message.startswith(f"data set '{zero}': image 1 ({tmp_path}/1.png), annotation 11: ")
    assert "category id 0" in message and f"{CONFIGS[config]} False" in message
    assert "\n" not in message
    without, with_ids = samples(zero, False), samples(one, True)
    for key in without:
        if key != "category_id":
            assert np.array_equal(without[key], with_ids[key]), key


def scene(ids: list[int], **more) -> Scene:
    masks = [WindowMask.from_array(box_mask(H, W, *box)) for box in BOXES]
    return Scene(H, W, masks, np.array(ids), [10, 11, 12], **more)


def test_inference(tmp_path):
    cfg = step_config(tmp_path, "PCNetM dual_completion og")
    with_ids = Deoccluder.from_config(cfg, random_model(use_category=True))
    with pytest.raises(UserError, match=r"^image 7 \(a.png\), annotation 11: category id 0: "):
        with_ids([scene([1, 2, 3]), scene([1, 0, 3], image_id=7, file_name="a.png")])
    masks = np.stack([box_mask(H, W, *box) for box in BOXES])
    with pytest.raises(UserError, match=r"^the masks given: instance 2: category id -1: "):
        with_ids.predict(masks, [1, 1, -1])
    without = Deoccluder.from_config(cfg, random_model(use_category=False))
    results = [without.predict(masks, ids).amodal_masks for ids in ([0, 0, 0], [1, 1, 1])]
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a.to_array(H, W), b.to_array(H, W))


def known_to(ids: set[int], **options):
    model = random_model(use_category=True, **options)
    model.trained_on.add(ids)
    return model


def test_ids_that_the_network_was_not_trained_with(tmp_path):
    cfg = step_config(tmp_path, "PCNetM dual_completion og")
    with pytest.raises(
        UserError, match=r"instance 11: category id 9 \(also 5\): .*with 1 to 3 alone"
    ):
        Deoccluder.from_config(cfg, known_to({1, 2, 3}))([scene([1, 9, 5], image_id=None)])
    cfg.DEOCCLUSION.CATEGORY_MAP = ((1, 3), ("any", 2))
    mapped = Deoccluder.from_config(cfg, known_to({1, 2, 3}))
    assert mapped.describe()["category_map"] == [[1, 3], ["any", 2]]
    plain = Deoccluder.from_config(
        step_config(tmp_path, "PCNetM dual_completion og"), known_to({2, 3})
    )

    def probabilities(deoccluder, ids):
        masks = np.random.default_rng(0).random((2, 32, 32)) < 0.5
        samples = [
            {"modal_mask": masks[0], "eraser": masks[1], "category_id": np.asarray(i)} for i in ids
        ]
        (runner,) = deoccluder.runners
        return np.stack(list(runner.outputs(samples, "probability")))

    ours, wanted = probabilities(mapped, [1, 9, 0]), probabilities(plain, [3, 2, 2])
    assert np.array_equal(ours, wanted) and not np.array_equal(ours[0], ours[1])
    mapped([scene([1, 9, 0])])


def test_weights_and_config_agree_on_ids(tmp_path):
    cfg = step_config(tmp_path, "PCNetM dual_completion og")
    without = random_model(use_category=False)
    without.trained_on.add({1})
    Deoccluder.from_config(cfg, without)
    without.trained_on.add({4})
    with pytest.raises(
        UserError, match=r"multiplied by the category ids 1 and 4, .* set USE_CATEG"
    ):
        Deoccluder.from_config(cfg, without)


def test_evaluation_looks_first(tmp_path):
    """Before anything is computed: the deoccluder would fail at its first call."""
    cfg = step_config(tmp_path, "PCNetM dual_completion og")
    deoccluder = Deoccluder.from_config(cfg, known_to({1}))
    deoccluder.__class__ = type("Idle", (Deoccluder,), {"__call__": None})
    cfg.DATALOADER.NUM_WORKERS = 0
    loader = build_scene_test_loader(cfg, write(tmp_path, 1))
    with pytest.raises(UserError, match=r"annotation 10: category id 2: .*with 1 alone"):
        judge(deoccluder, loader, [])


def test_conversion_looks_first(tmp_path):
    model = known_to({1})
    cfg = step_config(tmp_path, "PCNetM dual_completion og")
    path = Path(write(tmp_path, 1).removeprefix("kins:").partition("@")[0])
    job = ConversionJob(path, tmp_path / "out.json", method="pcnet", format="kins")
    job = replace(job, config_file="pcnet_m_kins_quick", weights=str(path))  # only has to be there
    with pytest.raises(UserError) as error:
        convert(job, Deoccluder.from_config(cfg, model))
    where = f"{path}: image 1 (1.png), annotation 10: category id 2: "
    assert str(error.value).startswith(where)
    assert not list(tmp_path.glob("out.json*"))
    cfg.DEOCCLUSION.CATEGORY_MAP = ((2, 1),)
    convert(job, Deoccluder.from_config(cfg, model))
    out = json.loads((tmp_path / "out.json").read_text())
    assert [a["category_id"] for a in out["annotations"]] == [2, 1, 1]
    assert out["info"]["deocclusion"]["category_map"] == [[2, 1]]


def test_content():
    class WithIds(TeleaFiller):
        uses_category = True

    photo = scene([1, 1, 0], image=np.full((H, W, 3), 90, np.uint8), image_id=3)
    result = Deocclusion(OcclusionGraph(3), photo.modal_masks)
    with pytest.raises(UserError, match="annotation 12: category id 0"):
        decompose_scenes([photo], [result], WithIds())
    with pytest.raises(UserError, match="annotation 12: category id 0"):
        HoleFiller(WithIds(), ErasingSettings(patch_size=32))([photo])
    decompose_scenes([photo], [result], TeleaFiller())


def test_a_data_set_without_images(tmp_path):
    path = tmp_path / "none.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    cfg = load_config("pcnet_m_kins_quick.yaml", ["DATASETS.TRAIN", f"('coco:{path}',)"])
    with pytest.raises(UserError, match="there is no image in it"):
        system_of(cfg).network.train_loader(cfg)

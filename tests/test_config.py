"""Configs by name, and keys that had other names once."""

from __future__ import annotations

from pathlib import Path

import pytest

from deocclusion_d2 import find_config, load_config
from deocclusion_d2.conversion.older import config_hash_of_0_1
from deocclusion_d2.errors import UserError

OLD = """\
_BASE_: {base}
INPUT: {{DATASET_MAPPER_NAME: "pcnet_m", PARTIAL_COMPLETION: {{PATCH_SIZE: 48, GAMMA: 0.5}}}}
MODEL: {{PCNET_M: {{PIXEL_MEAN: [0.1, 0.2, 0.3]}}}}
"""


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_configs_are_found_by_name(tmp_path, monkeypatch):
    by_name = [
        find_config(name)
        for name in ("pcnet_m_kins", "pcnet_m_kins.yaml", "configs/pcnet_m_kins.yaml")
    ]
    assert len({path.resolve() for path in by_name}) == 1
    assert find_config("pcnet_m_kins_quick").parent.name == "quick_schedules"
    assert find_config("configs/quick_schedules/pcnet_m_kins_quick.yaml").is_file()
    # A file of one's own comes first.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pcnet_m_kins.yaml").write_text("SEED: 7\n")
    for name in ("pcnet_m_kins", "pcnet_m_kins.yaml"):
        assert find_config(name).resolve() == tmp_path / "pcnet_m_kins.yaml"
    with pytest.raises(UserError, match=r"config file 'pcnet_m_kin' does not exist"):
        find_config("pcnet_m_kin")


def test_a_config_of_older_names_loads(tmp_path):
    """The base has the names of now (configs/), what derives from it those of 0.1."""
    base = find_config("pcnet_m_plus_kins").resolve()
    cfg = load_config(written(tmp_path, "old.yaml", OLD.format(base=base)))
    assert cfg.INPUT.INSTANCE_CROP.SIZE == 48 and cfg.INPUT.PARTIAL_COMPLETION.GAMMA == 0.5
    assert cfg.INPUT.INSTANCE_CROP.ENLARGE == 4.0  # of the base
    assert tuple(cfg.MODEL.INSTANCE.PIXEL_MEAN) == (0.1, 0.2, 0.3)
    assert "PATCH_SIZE" not in cfg.INPUT.PARTIAL_COMPLETION
    assert "DATASET_MAPPER_NAME" not in cfg.INPUT


def test_the_last_file_of_a_chain_counts_whatever_names_it_uses(tmp_path):
    written(tmp_path, "a.yaml", "INPUT: {PARTIAL_COMPLETION: {PATCH_SIZE: 48, SHIFT: 0.1}}")
    new = "_BASE_: a.yaml\nINPUT: {INSTANCE_CROP: {SIZE: 80}}"
    cfg = load_config(written(tmp_path, "b.yaml", new))
    assert (cfg.INPUT.INSTANCE_CROP.SIZE, cfg.INPUT.INSTANCE_CROP.SHIFT) == (80, 0.1)
    old = "_BASE_: b.yaml\nINPUT: {PARTIAL_COMPLETION: {PATCH_SIZE: 96}}"
    assert load_config(written(tmp_path, "c.yaml", old)).INPUT.INSTANCE_CROP.SIZE == 96


def test_overrides_of_older_names():
    cfg = load_config(
        "pcnet_m_kins",
        ["INPUT.PARTIAL_COMPLETION.ENLARGE_BOX", "5", "INPUT.DATASET_MAPPER_NAME", "pcnet_m"],
    )
    assert cfg.INPUT.INSTANCE_CROP.ENLARGE == 5.0
    with pytest.raises(UserError, match="Non-existent key"):
        load_config("pcnet_m_kins", ["INPUT.PARTIAL_COMPLETION.PATCHSIZE", "5"])


def test_a_config_for_gpus_is_one_for_cpus_where_there_is_none(monkeypatch):
    wanted = ["MODEL.DEVICE", "cuda", "SOLVER.AMP.ENABLED", "True"]
    for found, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=found: there)
        cfg = load_config("pcnet_m_kins", wanted)
        assert (device, found) == (cfg.MODEL.DEVICE, cfg.SOLVER.AMP.ENABLED)


def test_the_hash_of_0_1_is_what_0_1_noted():
    """Calculated by version 0.1: of its defaults, and of other values, by its names of the keys."""
    other = {
        "MODEL.META_ARCHITECTURE": "PCNetM",
        "MODEL.PCNET_M.PIXEL_MEAN": "(0.1, 0.2, 0.3)",
        "INPUT.PARTIAL_COMPLETION.PATCH_SIZE": "64",
    }
    for opts, noted in (
        ({}, "261c07a439b4c344b65328b46384e20d6cf7ae96f6db1ac64d30794003e090e4"),
        (other, "1385d51a0eae9865a8a3f24a831f3b84e98accc789e692cbd95a6b455f506146"),
    ):
        cfg = load_config(None, [text for pair in opts.items() for text in pair])
        assert config_hash_of_0_1(cfg) == noted


def test_the_hash_of_0_1_knows_what_0_1_knew():
    """All keys of then count, under whatever name; the new ones don't."""
    before = config_hash_of_0_1(load_config("pcnet_m_kins"))
    for key, value in {
        "DEOCCLUSION.ORDERING_CONFIG": "x.yaml",
        "MODEL.DEVICE": "cpu",
        "MODEL.WEIGHTS": "w.pth",
        "DEOCCLUSION.PATCHES_PER_BATCH": "3",
        "SOLVER.MAX_ITER": "5",
    }.items():
        assert config_hash_of_0_1(load_config("pcnet_m_kins", [key, value])) == before
    for key, value in {
        "INPUT.INSTANCE_CROP.SIZE": "64",
        "MODEL.INSTANCE.PIXEL_MEAN": "(0.0, 0.0, 0.0)",
        "MODEL.ORDER_NET.USE_RGB": "True",
        "DEOCCLUSION.DILATION": "3",
    }.items():
        assert config_hash_of_0_1(load_config("pcnet_m_kins", [key, value])) != before


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "a sentence"])
def test_a_file_without_keys_is_no_config(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"a.yaml': it holds no keys and values"):
        load_config(str(path))

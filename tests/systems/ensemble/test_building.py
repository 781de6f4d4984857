"""The completion "ensemble" from configs: networks of several sources, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deocclusion_d2 import Deoccluder
from deocclusion_d2.chosen_steps import images_needed, use_fingerprint, uses_own_network
from deocclusion_d2.cli.convert_modal_to_amodal import main as convert
from deocclusion_d2.errors import UserError
from deocclusion_d2.files import file_sha256
from deocclusion_d2.methods import method_config, method_names, rule_methods, with_steps
from tests.helpers import random_model
from tests.inference.test_invariance import scenes
from tests.systems.test_contract import random_model as random_network
from tests.test_deoccluder import Network, make_network, saying

PATCH = {"INPUT": {"INSTANCE_CROP": {"SIZE": 32}}}


@pytest.fixture
def pcnet_m(tmp_path) -> Network:
    model = {"DEVICE": "cpu", "WEIGHTS": "", "PCNET_M": {"WIDTH": 0.25}}
    made = make_network(tmp_path, "pcnet_m_kins", {"MODEL": model, **PATCH})
    made.save(random_model())
    return made


@pytest.fixture
def vae(tmp_path) -> Network:
    """With a threshold of 0.5 in its config."""
    model = {"DEVICE": "cpu", "WEIGHTS": ""}
    options = {"ORDERING": "area", "ORDERING_CONFIG": "", "AMODAL_THRESHOLD": 0.5}
    made = make_network(
        tmp_path, "amodal_vae_joint_kins_quick", {"MODEL": model, "DEOCCLUSION": options}
    )
    made.save(random_network(made.config(), 1))
    return made


def ensemble(network: Network, *members: str, **options):
    """A network's config with the completion "ensemble", on an order that needs no network."""
    opts = {"ORDERING": "area", "COMPLETION": "ensemble", "ENSEMBLE.MEMBERS": str(members)}
    opts |= options
    return network.config(*[t for k, v in opts.items() for t in (f"DEOCCLUSION.{k}", str(v))])


def masks(cfg) -> list:
    return [result.amodal_masks for result in Deoccluder.from_config(cfg)(scenes())]


def members_of(cfg) -> list[dict]:
    return Deoccluder.from_config(cfg).describe()["ensemble"]["members"]


# -------------------------------------------------------------------- whose networks


def test_a_member_of_another_config_is_that_completion(pcnet_m, vae):
    """From either side, with its own threshold: 0.2 of PCNet-M, 0.5 of Amodal-VAE."""
    own, other = ("og", f"amodal_vae={vae.source}"), (f"og={pcnet_m.source}", "amodal_vae")
    found = [masks(ensemble(pcnet_m, *own)), masks(ensemble(vae, *other))]
    assert found[0] == found[1]
    for cfg in (ensemble(pcnet_m, *own), ensemble(vae, *other)):
        thresholds = [m["amodal_threshold"] for m in members_of(cfg)]
        assert thresholds == [0.2, 0.5]
    area = ("DEOCCLUSION.ORDERING", "area", "DEOCCLUSION.COMPLETION")
    assert masks(ensemble(pcnet_m, own[1])) == masks(vae.config(*area, "amodal_vae"))
    assert masks(ensemble(pcnet_m, own[0])) == masks(pcnet_m.config(*area, "og"))
    # As the config's own threshold would be nobody's, it is refused.
    with pytest.raises(UserError, match=r"AMODAL_THRESHOLD = 0.5: neither 'area' nor 'ensemble'"):
        Deoccluder.from_config(ensemble(vae, other[0]))


def test_the_first_counts_where_something_is_in_front(pcnet_m, vae):
    """PCNet-M inside of what the order puts in front, Amodal-VAE elsewhere."""
    cfg = ensemble(pcnet_m, "og", f"amodal_vae={vae.source}", **{"ENSEMBLE.RULE": "first"})
    found = Deoccluder.from_config(cfg)(scenes())
    of_og, of_vae = (masks(ensemble(pcnet_m, m)) for m in ("og", f"amodal_vae={vae.source}"))
    both = 0
    for scene, result, first, second in zip(scenes(), found, of_og, of_vae, strict=True):
        for i, mask in enumerate(result.amodal_masks):
            front = scene.seams.eraser(i, result.graph.ancestors(i))
            modal = scene.modal_masks[i]
            assert mask == modal | (first[i] & front) | (second[i] - front)
            both += not front.is_empty and mask != first[i] and mask != second[i]
    assert both >= 5


def test_networks_of_one_source_are_one(pcnet_m, vae):
    order = {"ORDERING": "dual_completion", "ORDERING_CONFIG": pcnet_m.source}
    members = [f"og={pcnet_m.source}", f"nog={pcnet_m.source}", "amodal_vae", "amodal_vae_og"]
    deoccluder = Deoccluder.from_config(ensemble(vae, *members, **order))
    assert len(deoccluder.runners) == 2
    assert len(deoccluder.steps[1].runners) == 4
    assert not Deoccluder.from_config(ensemble(pcnet_m, "raw", "convex")).runners


def test_the_network_that_comes_along(vae):
    """By its name; also as an order's."""
    order = {"ORDERING": "dual_completion", "ORDERING_CONFIG": "general"}
    cfg = ensemble(vae, "pcnet=general", "amodal_vae", **order)
    deoccluder = Deoccluder.from_config(cfg)
    assert len(deoccluder.runners) == 2
    said = deoccluder.describe()["ensemble"]["members"]
    assert [m["completion"] for m in said] == ["og", "amodal_vae"]
    assert said[0]["amodal_threshold"] == 0.15 and said[0]["recentre"] == 2
    assert said[0]["weights"] == "pcnet_m_general.safetensors" and "weights" not in said[1]


# -------------------------------------------------------------------- what is said of it


def test_it_is_described(pcnet_m, vae):
    cfg = ensemble(pcnet_m, "og", f"amodal_vae={vae.source}", "convex_r")
    said = Deoccluder.from_config(cfg).describe()
    assert json.loads(json.dumps(said)) == said
    assert said["completion"] == "ensemble" and said["ensemble"]["rule"] == "mean"
    og, other, rule = said["ensemble"]["members"]
    assert (og["completion"], rule) == ("og", {"completion": "convex_r"})
    assert other["weights"] == vae.weights.name
    assert other["weights_sha256"] == file_sha256(vae.weights)


def test_what_it_needs_and_depends_on(pcnet_m, vae):
    foreign = f"amodal_vae={vae.source}"
    assert uses_own_network(ensemble(pcnet_m, "og", foreign))
    assert not uses_own_network(ensemble(pcnet_m, foreign, "convex"))
    assert not images_needed(ensemble(pcnet_m, "og", foreign))

    def use(*members: str, **options) -> str:
        return use_fingerprint(ensemble(pcnet_m, *members, **options))

    before = use("og", foreign)
    assert use("og", foreign) == before
    assert use(foreign, "og") != before and use("og", foreign, RECENTRE=1) != before
    assert use("og", foreign, **{"ENSEMBLE.RULE": "first"}) != before
    vae.save(random_network(vae.config(), 2))
    assert use("og", foreign) != before


def test_colours_and_ids_are_those_that_a_member_uses(pcnet_m, vae):
    cfg = ensemble(pcnet_m, "convex", "og", f"amodal_vae={vae.source}")
    model = random_model(use_rgb=True, use_category=True)
    model.trained_on.add({1, 2})
    deoccluder = Deoccluder.from_config(cfg, model)
    assert deoccluder.uses_rgb and deoccluder.uses_category
    with pytest.raises(UserError, match=r"category id .* trained with 1 and 2 alone"):
        deoccluder(scenes())
    without = Deoccluder.from_config(ensemble(pcnet_m, "convex", f"amodal_vae={vae.source}"))
    assert not without.uses_rgb and not without.uses_category


def test_keys_of_members(pcnet_m, vae):
    foreign = f"amodal_vae={vae.source}"
    kept = Deoccluder.from_config(ensemble(pcnet_m, "og", foreign, KEEP_PROBABILITY=True))
    assert all(result.probabilities for result in kept(scenes()))
    assert members_of(ensemble(pcnet_m, "og", foreign, RECENTRE=1))[0]["recentre"] == 1
    with pytest.raises(UserError, match=r"RECENTRE = 1: neither 'area' nor 'ensemble' can"):
        Deoccluder.from_config(ensemble(vae, f"og={pcnet_m.source}", "amodal_vae", RECENTRE=1))
    with pytest.raises(UserError, match=r"KEEP_PROBABILITY = True: neither"):
        Deoccluder.from_config(ensemble(pcnet_m, "convex", "raw", KEEP_PROBABILITY=True))
    alone = pcnet_m.config("DEOCCLUSION.ENSEMBLE.RULE", "first")
    with pytest.raises(UserError, match=r"ENSEMBLE.RULE = 'first': neither 'dual_completion' nor"):
        Deoccluder.from_config(alone)


def test_it_is_a_method(pcnet_m, vae):
    assert "ensemble" in method_names() and "ensemble" not in rule_methods()
    saying(pcnet_m, RECENTRE=2, ENSEMBLE={"MEMBERS": ["og", f"amodal_vae={vae.source}"]})
    cfg = method_config("ensemble", str(pcnet_m.yaml), str(pcnet_m.weights))
    assert members_of(cfg)[0]["recentre"] == 2
    # Its keys go with it.
    back = method_config("amodal_unet", str(pcnet_m.yaml), str(pcnet_m.weights))
    assert back.DEOCCLUSION.ENSEMBLE.MEMBERS == ("og", "amodal_vae_og")
    assert back.DEOCCLUSION.RECENTRE == 0
    raw = with_steps(ensemble(pcnet_m, "og", **{"ENSEMBLE.RULE": "first"}), completion="raw")
    assert Deoccluder.from_config(raw)(scenes())
    # Without a config, its default members are those of two networks.
    with pytest.raises(UserError, match=r"ENSEMBLE.MEMBERS, 'amodal_vae_og': it runs Amodal"):
        Deoccluder.from_config(method_config("ensemble", None, None))


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ((), "MEMBERS is empty: name one completion at least"),
        (("og", "nobody"), "MEMBERS, 'nobody': use one of amodal_unet, "),
        (("og", "ensemble"), "MEMBERS, 'ensemble': use one of "),
        (("og", "pcnet"), "MEMBERS, 'pcnet': it is there twice"),
        ((3,), "MEMBERS, 3: use one of "),
        (("convex=a.yaml",), "MEMBERS, 'convex=a.yaml': 'convex' runs no network; write 'convex'"),
        (("amodal_vae",), "'amodal_vae': it runs AmodalVAE, but MODEL.META_ARCHITECTURE is 'PCNe"),
        (("amodal_vae=no.yaml",), "'amodal_vae=no.yaml': config file 'no.yaml' does not exist"),
        (("amodal_vae=VAE",), "it names no weights"),
        (("amodal_vae=VAE@no.pth",), "file 'no.pth' does not exist"),
        (("og=VAE@WEIGHTS",), "it is a config of AmodalVAE, but 'og' runs PCNetM"),
        (("amodal_vae=VAE@OTHER",), "do not fit this config"),
    ],
)
def test_wrong_members_are_one_line(members, message, pcnet_m, vae):
    places = {"VAE": vae.yaml, "WEIGHTS": vae.weights, "OTHER": pcnet_m.weights}
    named = []
    for member in members:
        for word, path in places.items():
            member = member.replace(word, str(path)) if isinstance(member, str) else member
        named.append(member)
    cfg = ensemble(pcnet_m, *named)
    with pytest.raises(UserError) as error:
        Deoccluder.from_config(cfg)
    text = str(error.value)
    assert text.startswith("DEOCCLUSION.ENSEMBLE.MEMBERS") and message in text
    assert "\n" not in text and "ensemble" not in text.partition("use one of")[2]


def test_other_errors(pcnet_m, vae):
    with pytest.raises(UserError, match=r"ENSEMBLE.RULE = 'best': use mean or first"):
        Deoccluder.from_config(ensemble(pcnet_m, "og", **{"ENSEMBLE.RULE": "best"}))
    with pytest.raises(UserError, match=r"DEOCCLUSION.SAMPLES = 3: neither .* can honour it"):
        Deoccluder.from_config(ensemble(vae, "amodal_vae", SAMPLES=3))
    with pytest.raises(UserError, match=r"COMPLETION_CONFIG = .*MEMBERS names with their net"):
        Deoccluder.from_config(ensemble(pcnet_m, "og", COMPLETION_CONFIG=vae.source))


# -------------------------------------------------------------------- conversion


@pytest.mark.parametrize("served", [False, True])
def test_conversion_with_workers(served, pcnet_m, vae, tiny_kins, tmp_path, monkeypatch):
    """The same file with each worker's own networks, and with those of one process for all."""
    from deocclusion_d2.inference import network_server

    written = []
    for workers in (0, 2):
        if workers:
            monkeypatch.setattr(network_server, "on_gpu", lambda runners: served)
        output = tmp_path / f"{workers}.json"
        members = str(("og", f"amodal_vae={vae.source}"))
        command = ["--config-file", pcnet_m.yaml, "--weights", pcnet_m.weights, "--num-gpus", 0]
        command += ["--input", tiny_kins / "instances_val.json", "--output", output]
        command += ["--num-workers", workers, "--shard-size", 2]
        command += ["DEOCCLUSION.COMPLETION", "ensemble", "DEOCCLUSION.ENSEMBLE.MEMBERS", members]
        command += ["DEOCCLUSION.KEEP_PROBABILITY", "True"]
        with pytest.raises(SystemExit) as end:
            convert([str(text) for text in command])
        assert end.value.code == 0
        written.append(Path(output).read_text())
    assert written[0] == written[1] and "hidden_probability" in written[0]
    said = json.loads(written[0])["info"]["deocclusion"]
    assert said["method"] == "ensemble" and said["weights_sha256"] == file_sha256(pcnet_m.weights)
    assert said["ensemble"]["members"][1]["weights_sha256"] == file_sha256(vae.weights)

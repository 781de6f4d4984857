"""Which steps a config names, of which systems, and which keys they honour."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from detectron2.modeling import build_model

from deocclusion_d2 import Deoccluder, load_config
from deocclusion_d2.chosen_steps import build_content, images_needed, use_fingerprint
from deocclusion_d2.cli.convert_modal_to_amodal import main as convert
from deocclusion_d2.config import find_config, fingerprint
from deocclusion_d2.errors import UserError
from deocclusion_d2.files import file_sha256
from deocclusion_d2.inference.content import SmoothFiller, TeleaFiller
from deocclusion_d2.inference.weights import load_model
from deocclusion_d2.methods import method_config, with_steps
from deocclusion_d2.modeling import UNet
from deocclusion_d2.systems import system_of
from deocclusion_d2.systems.amodal_unet.network import AmodalUNet
from deocclusion_d2.systems.pcnet_c.steps import ContentCompletion
from tests.helpers import random_model, randomise, step_config
from tests.inference.test_invariance import H, W, scenes


@dataclass(frozen=True)
class Network:
    """A config with small weights, which it does not name itself."""

    yaml: Path
    weights: Path

    @property
    def source(self) -> str:
        """As ``DEOCCLUSION.*_CONFIG`` names both."""
        return f"{self.yaml}@{self.weights}"

    def config(self, *opts: str):
        return load_config(str(self.yaml), ["MODEL.WEIGHTS", str(self.weights), *opts])

    def save(self, model: torch.nn.Module) -> None:
        torch.save({"model": model.state_dict()}, self.weights)


def make_network(folder: Path, config: str, more: dict) -> Network:
    made = Network(folder / f"{config}.yaml", folder / f"{config}.pth")
    made.yaml.write_text(yaml.safe_dump({"_BASE_": str(find_config(config)), **more}))
    return made


@pytest.fixture
def pcnet_m(tmp_path) -> Network:
    model = {"DEVICE": "cpu", "PCNET_M": {"WIDTH": 0.25}}
    small = {"MODEL": model, "INPUT": {"INSTANCE_CROP": {"SIZE": 32}}}
    made = make_network(tmp_path, "pcnet_m_kins", small)
    made.save(random_model())
    return made


@pytest.fixture
def amodal_unet(tmp_path) -> Network:
    model = {"DEVICE": "cpu", "AMODAL_UNET": {"WIDTH": 0.25}}
    small = {"MODEL": model, "INPUT": {"INSTANCE_CROP": {"SIZE": 32}}}
    made = make_network(tmp_path, "amodal_unet_kins", small)
    made.save(randomise(AmodalUNet(network=UNet(1, 0.25))))
    return made


@pytest.fixture
def pcnet_c(tmp_path) -> Network:
    model = {"DEVICE": "cpu", "PCNET_C": {"WIDTH": 0.0625}}
    small = {"MODEL": model, "INPUT": {"INSTANCE_CROP": {"SIZE": 128}}}
    made = make_network(tmp_path, "pcnet_c_kins_quick", small)
    made.save(build_model(made.config()))
    return made


@pytest.fixture
def modal_json(tmp_path) -> Path:
    """The scenes of ``scenes()`` as a modal COCO JSON."""
    images, annotations = [], []
    for i, scene in enumerate(scenes()):
        images.append({"id": i, "file_name": f"{i}.png", "height": H, "width": W})
        for mask, category in zip(scene.modal_masks, scene.category_ids, strict=True):
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": i,
                    "category_id": int(category),
                    "segmentation": mask.to_rle(H, W),
                }
            )
    categories = [{"id": c, "name": str(c)} for c in range(1, 9)]
    path = tmp_path / "modal.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


def orders(cfg) -> list:
    """Who hides whom in the scenes, by annotation ids."""
    results = Deoccluder.from_config(cfg)(scenes())
    return [[sorted(r.graph.occluders(i)) for i in range(len(r.graph))] for r in results]


def shapes(cfg) -> list:
    return [
        [mask.to_rle(H, W) for mask in r.amodal_masks]
        for r in Deoccluder.from_config(cfg)(scenes())
    ]


# -------------------------------------------------------------------- steps of one system


def test_a_method_needs_its_own_network(tmp_path):
    for text, message in {
        "PCNetM order_net raw": "DEOCCLUSION.ORDERING = 'order_net' runs OrderNet, but "
        "MODEL.META_ARCHITECTURE is 'PCNetM'",
        "OrderNet dual_completion raw": "ORDERING = 'dual_completion' runs PCNetM",
        "OrderNet order_net og": "COMPLETION = 'og' runs PCNetM",
        "AmodalUNet order_net supervised": "ORDERING = 'order_net' runs OrderNet",
        "PCNetM convex supervised": "COMPLETION = 'supervised' runs AmodalUNet",
        "AmodalUNet convex nog": "COMPLETION = 'nog' runs PCNetM",
    }.items():
        with pytest.raises(UserError, match=message.replace(".", r"\.")) as error:
            Deoccluder.from_config(step_config(tmp_path, text))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("KEEP_PROBABILITY", "True"),
        ("RECENTRE", "2"),
        ("ORDER_THRESHOLD", "0.3"),
        ("ORDERING_PRIOR", "prior.json"),
        ("AMODAL_THRESHOLD", "0.3"),
    ],
)
def test_a_key_that_no_step_honours_is_refused(key, value, amodal_unet):
    cfg = amodal_unet.config(f"DEOCCLUSION.{key}", value)
    with pytest.raises(UserError, match=rf"DEOCCLUSION\.{key} = .*neither 'convex' nor 'amodal_u"):
        Deoccluder.from_config(cfg)


def test_the_method_is_stronger_than_the_config(pcnet_m, amodal_unet):
    def completion(method: str | None, net: Network, *opts: str) -> str:
        cfg = method_config(method, str(net.yaml), str(net.weights), opts)
        return Deoccluder.from_config(cfg).describe()["completion"]

    assert completion(None, pcnet_m) == "og"
    nog = ("DEOCCLUSION.COMPLETION", "nog")
    assert completion(None, pcnet_m, *nog) == "nog"
    assert completion("pcnet", pcnet_m, *nog) == "og"
    # What was said for the completion that the config had goes with it; what the user says stays.
    saying(pcnet_m, RECENTRE=2)
    assert completion("raw", pcnet_m) == "raw"
    with pytest.raises(UserError, match=r"RECENTRE = 2: neither"):
        completion("raw", pcnet_m, "DEOCCLUSION.RECENTRE", "2")


def test_the_method_is_stronger_than_a_config_of_two_systems(pcnet_m, amodal_unet):
    saying(pcnet_m, COMPLETION="amodal_unet", COMPLETION_CONFIG=amodal_unet.source)

    def completion(method: str | None, *opts: str) -> str:
        cfg = method_config(method, str(pcnet_m.yaml), str(pcnet_m.weights), opts)
        return Deoccluder.from_config(cfg).describe()["completion"]

    assert completion(None) == completion("amodal_unet") == "amodal_unet"
    assert completion("pcnet_nog") == "nog"
    assert completion("convex_r") == "convex_r"
    with pytest.raises(UserError, match="it is a config of AmodalUNet, but"):
        completion("pcnet_nog", "DEOCCLUSION.COMPLETION_CONFIG", amodal_unet.source)


def saying(network: Network, **options) -> None:
    """Write keys of DEOCCLUSION into a network's config."""
    document = yaml.safe_load(network.yaml.read_text())
    network.yaml.write_text(yaml.safe_dump({**document, "DEOCCLUSION": options}))


# -------------------------------------------------------------------- steps of two systems


def test_a_key_may_be_honoured_by_the_network_of_another_config(pcnet_m, amodal_unet):
    steps = two_systems(amodal_unet, pcnet_m, "COMPLETION", "og")
    cfg = amodal_unet.config(*steps, "DEOCCLUSION.KEEP_PROBABILITY", "True")
    assert all(result.probabilities for result in Deoccluder.from_config(cfg)(scenes()))


def two_systems(first: Network, second: Network, kind: str, step: str) -> list[str]:
    """Overrides of the first network's config that take a step from the second."""
    return [f"DEOCCLUSION.{kind}", step, f"DEOCCLUSION.{kind}_CONFIG", second.source]


@pytest.mark.parametrize("main", ["pcnet_m", "amodal_unet"])
def test_order_and_shapes_of_two_systems(main, pcnet_m, amodal_unet, modal_json, tmp_path):
    """One command; whichever network is the config's own."""
    own, other, kind, step = {
        "pcnet_m": (pcnet_m, amodal_unet, "COMPLETION", "amodal_unet"),
        "amodal_unet": (amodal_unet, pcnet_m, "ORDERING", "dual_completion"),
    }[main]
    command = ["--config-file", own.yaml, "--weights", own.weights, "--num-gpus", 0]
    files = ["--input", modal_json, "--output", tmp_path / "amodal.json"]
    with pytest.raises(SystemExit) as end:
        convert([str(t) for t in (*command, *files, *two_systems(own, other, kind, step))])
    assert end.value.code == 0
    written = json.loads((tmp_path / "amodal.json").read_text())
    by_image = {}
    for annotation in written["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    found = [by_image[i] for i in sorted(by_image)]

    expected = orders(with_steps(pcnet_m.config(), completion="raw"))
    assert [[sorted(a["occluder_ids"]) for a in image] for image in found] == [
        [[7 * i + row for row in rows] for rows in image] for i, image in enumerate(expected)
    ]
    assert sum(len(rows) for image in expected for rows in image) >= 15
    assert [[a["segmentation"] for a in image] for image in found] == shapes(amodal_unet.config())

    said = written["info"]["deocclusion"]
    assert (said["ordering"], said["completion"]) == ("dual_completion", "amodal_unet")
    assert said["method"] == "amodal_unet" and said["amodal_threshold"] == 0.5
    assert said["ordering_network"]["order_threshold"] == 0.1
    assert said["weights"] == own.weights.name
    assert said["weights_sha256"] == file_sha256(own.weights)
    assert said[f"{kind.lower()}_weights"] == other.weights.name
    assert said[f"{kind.lower()}_weights_sha256"] == file_sha256(other.weights)


def test_what_is_said_about_the_method_holds_for_both_networks(pcnet_m, amodal_unet):
    more = two_systems(amodal_unet, pcnet_m, "ORDERING", "dual_completion")
    cfg = amodal_unet.config(
        *more, "DEOCCLUSION.DILATION", "5", "DEOCCLUSION.ORDER_THRESHOLD", "0.3"
    )
    said = Deoccluder.from_config(cfg).describe()
    assert said["dilation"] == 5 and said["ordering_network"]["order_threshold"] == 0.3
    protocol = amodal_unet.config(*more, "DEOCCLUSION.PAPER_PROTOCOL", "True")
    said = Deoccluder.from_config(protocol).describe()
    assert said["paper_protocol"] and said["ordering_network"]["paper_protocol"]


def test_a_network_of_both_steps_is_loaded_once(pcnet_m, amodal_unet, monkeypatch):
    read = []
    monkeypatch.setattr(
        "deocclusion_d2.inference.network_runner.load_model",
        lambda cfg: read.append(cfg.MODEL.WEIGHTS) or load_model(cfg),
    )
    both = [
        *two_systems(amodal_unet, pcnet_m, "ORDERING", "dual_completion"),
        *two_systems(amodal_unet, pcnet_m, "COMPLETION", "og"),
    ]
    found = amodal_unet.config(*both)
    assert shapes(found) == shapes(pcnet_m.config())
    assert read == [str(pcnet_m.weights)] * 2  # once in each of the two


def test_a_network_of_another_config_runs_where_the_configs_own_does(pcnet_m, amodal_unet):
    document = yaml.safe_load(pcnet_m.yaml.read_text())
    document["MODEL"]["DEVICE"] = "nowhere"
    pcnet_m.yaml.write_text(yaml.safe_dump(document))
    with pytest.raises(RuntimeError, match="nowhere"):
        Deoccluder.from_config(pcnet_m.config())
    steps = two_systems(amodal_unet, pcnet_m, "ORDERING", "dual_completion")
    assert Deoccluder.from_config(amodal_unet.config(*steps))(scenes())[0].graph.edges


def test_a_source_may_be_a_configs_name(pcnet_m, amodal_unet):
    small = ("INPUT.INSTANCE_CROP.SIZE", "32")
    named = Network(Path("pcnet_m_kins"), pcnet_m.weights)
    cfg = amodal_unet.config(
        *two_systems(amodal_unet, named, "ORDERING", "dual_completion"), *small
    )
    # The weights are those of a smaller network than the config's.
    with pytest.raises(UserError, match=r"DEOCCLUSION\.ORDERING_CONFIG = .*do not fit this config"):
        Deoccluder.from_config(cfg)


def test_a_wrong_source_is_one_line(pcnet_m, amodal_unet, tmp_path):
    for source, message in {
        f"{pcnet_m.yaml}": "it names no weights; write YAML@WEIGHTS",
        f"{pcnet_m.yaml}@{tmp_path}/no.pth": "no.pth' does not exist",
        f"{tmp_path}/no.yaml@{pcnet_m.weights}": "no.yaml' does not exist",
        amodal_unet.source: "it is a config of AmodalUNet, but DEOCCLUSION.ORDERING = "
        "'dual_completion' runs PCNetM",
    }.items():
        steps = ["DEOCCLUSION.ORDERING", "dual_completion", "DEOCCLUSION.ORDERING_CONFIG", source]
        with pytest.raises(UserError) as error:
            Deoccluder.from_config(amodal_unet.config(*steps))
        text = str(error.value)
        assert text.startswith("DEOCCLUSION.ORDERING_CONFIG = ") and message in text
        assert "\n" not in text
    rule = ["DEOCCLUSION.ORDERING", "area", "DEOCCLUSION.ORDERING_CONFIG", pcnet_m.source]
    with pytest.raises(UserError, match="'area' runs no network; leave it ''"):
        Deoccluder.from_config(amodal_unet.config(*rule))


def test_colours_of_another_system(pcnet_m, pcnet_c):
    assert isinstance(build_content(pcnet_m.config()), SmoothFiller)
    assert isinstance(build_content(pcnet_c.config()), ContentCompletion)
    assert isinstance(build_content(pcnet_c.config("DEOCCLUSION.CONTENT", "telea")), TeleaFiller)
    named = ["DEOCCLUSION.CONTENT", "pcnet_c"]
    with pytest.raises(UserError, match=r"CONTENT = 'pcnet_c' runs PCNetC, but MODEL.META_ARCH"):
        build_content(pcnet_m.config(*named))
    source = ["DEOCCLUSION.CONTENT_CONFIG", pcnet_c.source]
    context = ["DEOCCLUSION.CONTENT_CONTEXT", "0.5"]
    content = build_content(pcnet_m.config(*named, *source, *context))
    assert isinstance(content, ContentCompletion)
    # The network's own patches, the method's context.
    assert (content.patch_size, content.context) == (128, 0.5)
    inset = ["DEOCCLUSION.CONTENT_INSET", "3"]
    rule = build_content(pcnet_m.config(*context, *inset))
    assert (rule.context, rule.inset) == (0.5, 3)
    with pytest.raises(UserError, match=r"CONTENT_CONFIG = .*'smooth' runs no network"):
        build_content(pcnet_m.config(*source))


@pytest.mark.parametrize("config", ["order_net_m_kins", "order_net_mi_kins"])
def test_images_are_read_for_a_network_of_another_config(config, amodal_unet):
    """Only what looks at colours needs them."""
    weights = amodal_unet.weights  # nobody reads them
    order = ("DEOCCLUSION.ORDERING", "order_net")
    source = ("DEOCCLUSION.ORDERING_CONFIG", f"{config}@{weights}")
    assert images_needed(amodal_unet.config(*order, *source)) == (config == "order_net_mi_kins")
    assert not images_needed(amodal_unet.config())


# -------------------------------------------------------------------- what a result depends on


def test_the_hash_of_use_knows_both_networks(pcnet_m, amodal_unet, tmp_path):
    steps = two_systems(amodal_unet, pcnet_m, "ORDERING", "dual_completion")

    def use(*opts: str) -> str:
        return use_fingerprint(amodal_unet.config(*steps, *opts))

    before = use()
    for same in (
        ("MODEL.DEVICE", "cuda"),
        ("DEOCCLUSION.PATCHES_PER_BATCH", "3"),
        ("OUTPUT_DIR", "elsewhere"),
        ("MODEL.PCNET_C.WIDTH", "0.5"),
        ("MODEL.WEIGHTS", "of_known_content.pth"),
    ):
        assert use(*same) == before
    for other in (
        ("DEOCCLUSION.DILATION", "3"),
        ("DEOCCLUSION.ORDER_THRESHOLD", "0.3"),
        ("INPUT.INSTANCE_CROP.ENLARGE", "4"),
        ("MODEL.AMODAL_UNET.USE_CATEGORY", "False"),
    ):
        assert use(*other) != before
    pcnet_m.save(random_model(seed=1))
    assert use() != before
    before = use()
    saying(pcnet_m, ORDER_THRESHOLD=0.3)
    assert use() != before


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("name", ["prior.json", "auto", "weights"])
def test_the_hash_of_use_knows_calibrations_by_content(name, foreign, pcnet_m, amodal_unet):
    is_file = name.endswith(".json")
    file = pcnet_m.weights.with_name(name if is_file else "ordering_prior.json")
    named = str(file) if is_file else name
    if foreign:
        saying(pcnet_m, ORDERING_PRIOR=named)
        steps = two_systems(amodal_unet, pcnet_m, "ORDERING", "dual_completion")
        cfg = amodal_unet.config(*steps)
    else:
        cfg = pcnet_m.config("DEOCCLUSION.ORDERING_PRIOR", named)
    found = []
    for content in ("one", "two", "one"):
        file.write_text(content)
        found.append(use_fingerprint(cfg))
    assert found[0] == found[2] != found[1]


def test_the_hash_of_use_knows_the_keys_of_rules(pcnet_m):
    """That of the config alone too, by which it is known if expected results are about it."""
    steps = ["DEOCCLUSION.ORDERING", "area"]
    larger, smaller = (
        pcnet_m.config(*steps, "DEOCCLUSION.LARGER_IN_FRONT", value) for value in ("True", "False")
    )
    assert use_fingerprint(larger) != use_fingerprint(smaller)
    own = system_of(larger)
    assert fingerprint(larger, own, "use") != fingerprint(smaller, own, "use")


# -------------------------------------------------------------------- which system


def test_the_system_of_a_config(pcnet_m):
    assert system_of(load_config(None)).name == "mask_rcnn"  # of several detectors the default
    assert system_of(pcnet_m.config("MODEL.SYSTEM", "pcnet_m")).name == "pcnet_m"
    detectron2s = load_config(None, ["MODEL.META_ARCHITECTURE", "RetinaNet"])
    assert system_of(detectron2s).name == "mask_rcnn"
    with pytest.raises(UserError, match=r"MODEL.SYSTEM = 'pcnet': use one of amodal_unet, "):
        system_of(pcnet_m.config("MODEL.SYSTEM", "pcnet"))
    with pytest.raises(UserError, match=r"MODEL.SYSTEM = 'baselines': it has no network"):
        system_of(pcnet_m.config("MODEL.SYSTEM", "baselines"))
    with pytest.raises(UserError, match=r"MODEL.SYSTEM = 'amodal_unet'.*AmodalUNet.*'PCNetM'"):
        system_of(pcnet_m.config("MODEL.SYSTEM", "amodal_unet"))
    with pytest.raises(UserError, match=r"MODEL.META_ARCHITECTURE = 'RCNN': there is no such"):
        system_of(pcnet_m.config("MODEL.META_ARCHITECTURE", "RCNN"))


def test_configs_of_version_0_1_load(pcnet_m, tmp_path):
    """The keys that they had, in a file, in its base, and as overrides."""
    old, child = tmp_path / "old.yaml", tmp_path / "child.yaml"
    old.write_text(
        "INPUT: {DATASET_MAPPER_NAME: partial_completion}\n"
        "MODEL:\n"
        "  META_ARCHITECTURE: PCNetM\n"
        "  PCNET_M: {PIXEL_MEAN: [0.1, 0.2, 0.3], WIDTH: 0.25}\n"
    )
    child.write_text("_BASE_: old.yaml\nMODEL: {PCNET_M: {PIXEL_STD: [0.4, 0.5, 0.6]}}\n")
    cfg = load_config(str(child), ["MODEL.PCNET_M.USE_RGB", "True"])
    assert system_of(cfg).name == "pcnet_m" and cfg.MODEL.PCNET_M.WIDTH == 0.25
    assert tuple(cfg.MODEL.INSTANCE.PIXEL_MEAN) == (0.1, 0.2, 0.3)
    assert build_model(cfg).pixel_std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    override = load_config(str(old), ["MODEL.PCNET_M.PIXEL_MEAN", "(0.7, 0.8, 0.9)",
                                      "INPUT.DATASET_MAPPER_NAME", "content"])  # fmt: skip
    assert tuple(override.MODEL.INSTANCE.PIXEL_MEAN) == (0.7, 0.8, 0.9)
    assert "PIXEL_MEAN" not in override.MODEL.PCNET_M


def test_another_step_among_the_overrides_is_enough():
    """What a config says for the steps that it had is not for those that are named instead."""
    cfg = method_config(None, "pcnet_m_plus_kins", None, ["DEOCCLUSION.ORDERING", "y_axis"])
    assert cfg.DEOCCLUSION.ORDERING == "y_axis" and cfg.DEOCCLUSION.ORDERING_PRIOR == ""
    assert cfg.DEOCCLUSION.COMPLETION == "og" and cfg.DEOCCLUSION.RECENTRE == 2
    # What somebody names beside it, they want; it is refused when the method is built.
    named = ["DEOCCLUSION.ORDERING", "y_axis", "DEOCCLUSION.ORDERING_PRIOR", "auto"]
    assert (
        method_config(None, "pcnet_m_plus_kins", None, named).DEOCCLUSION.ORDERING_PRIOR == "auto"
    )

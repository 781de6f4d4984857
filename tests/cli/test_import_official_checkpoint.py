"""The tool as a user meets it: files in both layouts, what is printed, what is refused."""

import re
from pathlib import Path

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer

from deocclusion_d2.config import load_config
from deocclusion_d2.inference import load_model
from deocclusion_d2.modeling.released import Module, NetworkShape, ReleasedLayout
from deocclusion_d2.systems import Network, System, systems
from tests.helpers import program_of, random_model
from tests.released import to_official
from tests.systems.pcnet_c.test_partial_conv_unet import small_network

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "import_official_checkpoint.py"


@pytest.fixture(scope="module")
def main():
    return program_of(TOOL).main


@pytest.fixture
def call(main, capsys):
    """Run the tool in this process: what it prints. It must end well."""

    def call(*arguments):
        main([str(a) for a in arguments])
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return call


@pytest.fixture
def refuse(main, capsys, tmp_path):
    """Run the tool, which must refuse: its one line. No file may appear or change."""

    def refuse(*arguments):
        before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        printed = capsys.readouterr()
        assert end.value.code == 1
        assert printed.out == ""
        assert re.fullmatch(r"error: [^\n]+\n", printed.err)
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
        return printed.err

    return refuse


def released(model_state, step=32000):
    return {"step": step, "state_dict": to_official(model_state), "optimizer": {"state": {}}}


@pytest.fixture
def pcnet_m(tmp_path):
    """A small PCNet-M as a released file."""
    path = tmp_path / "KINS_pcnet_m.pth.tar"
    torch.save(released(random_model().state_dict()), path)
    return path


@pytest.fixture
def pcnet_c(tmp_path):
    """A small PCNet-C as a released file."""
    path = tmp_path / "KINS_pcnet_c.pth.tar"
    state = {f"network.{k}": v for k, v in small_network(released=True).state_dict().items()}
    torch.save(released(state, step=450000), path)
    return path


def read(path):
    return torch.load(path, weights_only=True)


def test_help_teaches(main, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    for text in ("examples:", "--export", "--overwrite", "discriminator", "what is written:"):
        assert text in printed


def test_imported_pcnet_m_loads_and_is_the_same(call, pcnet_m, tmp_path):
    output = tmp_path / "pcnet_m.pth"
    printed = call(pcnet_m, output)
    assert f"{output}: PCNet-M, width 0.25, 2 input channels, 128 tensors, step 32000\n" in printed
    assert "config: configs/pcnet_m_kins.yaml" in printed
    # The command that is proposed has the overrides that make the weights fit.
    overrides = printed.split("AMODAL.json ")[1].split()
    assert overrides == ["MODEL.PCNET_M.WIDTH", "0.25"]
    opts = [*overrides, "MODEL.WEIGHTS", str(output), "MODEL.DEVICE", "cpu"]
    model = load_model(load_config(str(ROOT / "configs/pcnet_m_kins.yaml"), opts))
    expected = random_model().state_dict()
    assert model.state_dict().keys() == expected.keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_safetensors_hold_the_same_as_pth(call, pcnet_m, tmp_path):
    printed = [
        call(pcnet_m, tmp_path / f"ours{end}").replace(end, "") for end in (".pth", ".safetensors")
    ]
    assert printed[0] == printed[1]
    opts = ["MODEL.PCNET_M.WIDTH", "0.25", "MODEL.DEVICE", "cpu", "MODEL.WEIGHTS"]
    path = str(tmp_path / "ours.safetensors")
    model = load_model(load_config(str(ROOT / "configs/pcnet_m_kins.yaml"), [*opts, path]))
    written = read(tmp_path / "ours.pth")["model"]
    assert all(torch.equal(value, written[name]) for name, value in model.state_dict().items())
    # The other way: the released file again, step included.
    call(path, tmp_path / "again.pth.tar", "--export")
    again = read(tmp_path / "again.pth.tar")
    assert again["step"] == 32000
    assert all(
        torch.equal(v, read(pcnet_m)["state_dict"][k]) for k, v in again["state_dict"].items()
    )


@pytest.mark.parametrize("end", [".pth", ".safetensors"])
def test_category_ids_are_noted(call, refuse, pcnet_m, tmp_path, end):
    """Told from the name KINS_pcnet_m.pth.tar, or said; else nobody knows them."""
    plain = pcnet_m.rename(tmp_path / "released.pth.tar")
    ours, opts = tmp_path / f"ours{end}", ["MODEL.PCNET_M.WIDTH", "0.25", "MODEL.DEVICE", "cpu"]

    def ids(*arguments):
        printed = call(*arguments, ours, "--overwrite")
        cfg = load_config("pcnet_m_kins", [*opts, "MODEL.WEIGHTS", str(ours)])
        return printed, load_model(cfg).trained_on.category_ids

    printed, known = ids(plain)
    assert "category ids: not known" in printed and known is None
    printed, known = ids(plain, "--trained-on", "cocoa")
    assert "category ids: 1 (cocoa)\n" in printed and known == {1}
    printed, known = ids(plain.rename(tmp_path / "KINS_pcnet_m.pth.tar"))
    assert "category ids: 1 to 8 (kins, told from the name of the file)\n" in printed
    assert known == set(range(1, 9))
    assert "--trained-on is for imports" in refuse(
        ours, tmp_path / "theirs.pth", "--export", "--trained-on", "kins"
    )


def test_width_2_needs_no_overrides(call, tmp_path):
    torch.save(released(random_model(width=2.0).state_dict()), tmp_path / "released.pth")
    printed = call(tmp_path / "released.pth", tmp_path / "ours.pth")
    assert "width 2, " in printed
    assert printed.endswith("--input MODAL.json --output AMODAL.json\n")
    cfg = load_config(
        str(ROOT / "configs/pcnet_m_cocoa.yaml"),
        ["MODEL.WEIGHTS", str(tmp_path / "ours.pth"), "MODEL.DEVICE", "cpu"],
    )
    load_model(cfg)


def test_colours_are_an_override(call, tmp_path):
    torch.save(released(random_model(use_rgb=True).state_dict()), tmp_path / "released.pth")
    printed = call(tmp_path / "released.pth", tmp_path / "ours.pth")
    assert "5 input channels" in printed
    assert printed.endswith(" MODEL.PCNET_M.WIDTH 0.25 MODEL.PCNET_M.USE_RGB True\n")


def test_imported_pcnet_c_loads_and_computes_the_same(call, pcnet_c, tmp_path):
    output = tmp_path / "pcnet_c.pth"
    printed = call(pcnet_c, output)
    # 89 tensors, of which 14 are constant; and 14 gains.
    assert "PCNet-C, width 0.0625, 4 input channels, 89 tensors, step 450000\n" in printed
    assert "configs/pcnet_c_kins.yaml" in printed and "MODEL.PCNET_C.WIDTH 0.0625" in printed
    torch.manual_seed(3)
    holder = torch.nn.Module()
    holder.network = small_network()
    before = {k: v.clone() for k, v in holder.state_dict().items()}
    DetectionCheckpointer(holder).load(str(output))
    written = read(output)["model"]
    assert holder.state_dict().keys() == written.keys()
    assert all(torch.equal(v, written[k]) for k, v in holder.state_dict().items())
    assert any(not torch.equal(v, before[k]) for k, v in written.items())


@pytest.mark.parametrize("name", ["pcnet_m", "pcnet_c"])
def test_export_gives_the_released_file_again(call, name, tmp_path, request):
    source = request.getfixturevalue(name)
    call(source, tmp_path / "ours.pth")
    printed = call(tmp_path / "ours.pth", tmp_path / "again.pth.tar", "--export")
    count = {"pcnet_m": "128 tensors, step 32000", "pcnet_c": "89 tensors, step 450000"}[name]
    assert printed.endswith(f"{count}\n")
    before, after = read(source), read(tmp_path / "again.pth.tar")
    assert set(after) == {"step", "state_dict"}
    assert after["step"] == before["step"]
    assert list(after["state_dict"]) == list(before["state_dict"])
    for key, value in before["state_dict"].items():
        assert torch.equal(after["state_dict"][key], value), key


def test_checkpoint_of_a_training_is_exported(call, tmp_path):
    model = random_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpointer = DetectionCheckpointer(model, str(tmp_path), optimizer=optimizer)
    checkpointer.save("model_0000004", iteration=4)
    call(tmp_path / "model_0000004.pth", tmp_path / "exported.pth", "--export")
    exported = read(tmp_path / "exported.pth")
    assert exported["step"] == 4
    expected = model.state_dict()["network.head.weight"]
    assert torch.equal(exported["state_dict"]["module.outc.conv.weight"], expected)


def test_files_of_old_torch_versions(call, tmp_path):
    content = released(random_model().state_dict())
    state = content["state_dict"]
    content["state_dict"] = {k: v for k, v in state.items() if "num_batches" not in k}
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    call(tmp_path / "old.pth", tmp_path / "ours.pth")
    assert read(tmp_path / "ours.pth")["model"]["network.up.3.4.num_batches_tracked"] == 0


def test_existing_output_stays(call, refuse, pcnet_m, tmp_path):
    output = tmp_path / "ours.pth"
    output.write_text("precious")
    assert f"{output} exists: pass --overwrite" in refuse(pcnet_m, output)
    # Not even then: it is no checkpoint.
    assert "exists and is no checkpoint" in refuse(pcnet_m, output, "--overwrite")
    assert output.read_text() == "precious"
    torch.save({"older": torch.zeros(2)}, output)
    call(pcnet_m, output, "--overwrite")
    assert "model" in read(output)
    assert sorted(p.name for p in tmp_path.iterdir()) == [pcnet_m.name, output.name]


@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_incomplete_files_are_refused(refuse, pcnet_m, tmp_path, flags):
    content = read(pcnet_m)
    state = content["state_dict"]
    bias = state.pop("module.outc.conv.bias")
    torch.save(content, pcnet_m)
    line = refuse(pcnet_m, tmp_path / "ours.pth", *flags)
    assert line == f"error: {pcnet_m}: missing: module.outc.conv.bias\n"
    state["module.outc.conv.bias"] = bias[:1]
    state["module.outc.extra"] = bias
    torch.save(content, pcnet_m)
    assert refuse(pcnet_m, tmp_path / "ours.pth", *flags) == (
        f"error: {pcnet_m}: unexpected: module.outc.extra; "
        "wrong shape: module.outc.conv.bias has (1,) instead of (2,)\n"
    )


def test_masks_that_are_not_ones_are_refused(refuse, pcnet_c, tmp_path):
    content = read(pcnet_c)
    content["state_dict"]["module.enc_2.conv.mask_conv.weight"][0, 0, 0, 0] = 0
    torch.save(content, pcnet_c)
    line = refuse(pcnet_c, tmp_path / "ours.pth")
    assert "module.enc_2.conv.mask_conv.weight" in line


def test_discriminator_is_refused(refuse, tmp_path):
    names = [f"module.conv{i}.0.weight_{x}" for i in range(1, 6) for x in ("orig", "u", "v")]
    state = {name: torch.zeros(2) for name in names}
    torch.save({"step": 1, "state_dict": state}, tmp_path / "KINS_pcnet_c_D.pth.tar")
    assert "discriminator" in refuse(tmp_path / "KINS_pcnet_c_D.pth.tar", tmp_path / "ours.pth")


class Unsafe:
    """An object that only this process knows how to load."""


def test_other_files_are_refused(refuse, pcnet_m, tmp_path):
    output = tmp_path / "ours.pth"
    text, cut, objects, tensor = (tmp_path / f"{x}.pth" for x in ("text", "cut", "objects", "one"))
    text.write_text("not a checkpoint at all")
    cut.write_bytes(pcnet_m.read_bytes()[:5000])
    torch.save({"state_dict": {"module.a": Unsafe()}}, objects)
    torch.save(torch.zeros(3), tensor)
    for path in (text, cut):
        assert (
            f"{path} is not a readable checkpoint (it is no torch file, or a broken one)"
            in refuse(path, output)
        )
    assert "could run code" in refuse(objects, output)
    assert "it holds a Tensor, not named tensors" in refuse(tensor, output)
    assert "absent.pth does not exist" in refuse(tmp_path / "absent.pth", output)
    assert "this is not a released PCNet-M" in refuse(_saved(tmp_path, {"a": 1}), output)


def test_the_two_directions_are_told_apart(call, refuse, pcnet_m, tmp_path):
    ours = tmp_path / "ours.pth"
    call(pcnet_m, ours)
    assert "--export is the other way" in refuse(ours, tmp_path / "x.pth")
    assert "has no 'model'" in refuse(pcnet_m, tmp_path / "x.pth", "--export")
    foreign = _saved(tmp_path, {"model": {"backbone.weight": torch.zeros(1)}})
    assert "not one of our checkpoints; it holds backbone.weight" in refuse(
        foreign, tmp_path / "x.pth", "--export"
    )


def test_outputs_that_cannot_be_are_refused(refuse, pcnet_m, tmp_path):
    assert "with .safetensors or .pth at the end" in refuse(pcnet_m, tmp_path / "ours.pkl")
    assert "reads files of torch" in refuse(pcnet_m, tmp_path / "x.safetensors", "--export")
    missing = tmp_path / "no" / "folder" / "ours.pth"
    assert f"{missing} cannot be written" in refuse(pcnet_m, missing)


class ReleasedOther(ReleasedLayout):
    """Of a system that this package does not have: a convolution and a batch norm."""

    name = "Other"
    example = "  a released Other:\n    %(prog)s other.tar other.pth\n"
    released = NetworkShape(in_channels=2, width=1.0)
    in_channels = (2,)
    first = "c.weight"
    widest = "b.weight"
    channels_per_width = 8
    narrowest = 1

    def build(self, shape):
        return torch.nn.Sequential(
            torch.nn.Conv2d(shape.in_channels, int(8 * shape.width), 3),
            torch.nn.BatchNorm2d(int(8 * shape.width)),
        )

    def modules(self):
        return [Module("0", "c"), Module("1", "b")]

    def how_to_use(self, shape, weights):
        return f"use {weights}, MODEL.OTHER.WIDTH {shape.width}"


def test_a_further_system_needs_no_more_than_its_declaration(
    main, call, refuse, tmp_path, monkeypatch, capsys
):
    network = Network(
        "Other", torch.nn.Module, labels="order", train_loader=iter, released=ReleasedOther
    )
    known = {**systems(), "other": System(name="other", network=network)}
    monkeypatch.setattr("deocclusion_d2.systems.systems", lambda: known)
    small = ReleasedOther().build(NetworkShape(2, 0.5))
    state = {f"network.{k}": v for k, v in small.state_dict().items()}
    ours, theirs, again = (tmp_path / name for name in ("ours.pth", "theirs.tar", "again.pth"))
    torch.save({"model": state, "iteration": 3}, ours)
    size = "Other, width 0.5, 2 input channels, 7 tensors, step 3\n"
    assert call(ours, theirs, "--export") == f"{theirs}: {size}"
    assert list(read(theirs)["state_dict"])[:3] == [
        "module.c.weight",
        "module.c.bias",
        "module.b.weight",
    ]
    assert call(theirs, again) == f"{again}: {size}use {again}, MODEL.OTHER.WIDTH 0.5\n"
    assert all(torch.equal(v, state[k]) for k, v in read(again)["model"].items())
    foreign = _saved(tmp_path, {"a": 1})
    assert "not a released PCNet-M, Other or PCNet-C; it holds a" in refuse(
        foreign, tmp_path / "x.pth"
    )
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert "released PCNet-M, Other or PCNet-C into" in printed
    assert "  a released Other:\n" in printed


def _saved(folder, content):
    path = folder / "some.pth"
    torch.save(content, path)
    return path

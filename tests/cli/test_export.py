"""An exported network computes what it computed, and says how it is used."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from deocclusion_d2.cli import export
from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.export import METADATA, export_onnx
from deocclusion_d2.modeling.instance_network import InstanceNetwork
from tests.helpers import random_model, random_order_net

SIZE = 32

needs_exporter = pytest.mark.skipif(
    tuple(int(v) for v in torch.__version__.split(".")[:2]) < (2, 6), reason="an older torch"
)


def batch_of(model: InstanceNetwork, count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return {
        key: torch.randint(1, 4, (count,), generator=generator)
        if key == "category_id"
        else torch.randint(0, 2, (count, *one.shape[1:]), generator=generator, dtype=torch.uint8)
        for key, one in model.sample_of_inference(SIZE).items()
    }


@needs_exporter
@pytest.mark.parametrize(
    "make", [random_model, lambda: random_model(use_rgb=True), random_order_net]
)
def test_the_file_gives_what_the_network_gives(make, tmp_path):
    pytest.importorskip("onnxscript")
    openvino = pytest.importorskip("openvino")
    model = make()
    path = tmp_path / "network.onnx"
    names, outputs = export_onnx(model, path, SIZE, {"a": 1})
    read = openvino.Core().read_model(str(path))
    assert [port.any_name for port in read.inputs] == names == list(batch_of(model, 1))
    compiled = openvino.Core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 5):
        batch = batch_of(model, count)
        with torch.no_grad():
            expected = model(batch)
        results = compiled({key: values.numpy() for key, values in batch.items()})
        for name, result in zip(outputs, results.values(), strict=True):
            np.testing.assert_allclose(result, expected[name].numpy(), atol=1e-5)
            assert result.shape[0] == count and (count == 1 or result.std() > 1e-3)


@needs_exporter
def test_the_program(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    path = tmp_path / "general.onnx"
    export.main(["--output", str(path)])
    assert capsys.readouterr().out == f"{path}: modal_mask, eraser -> probability\n"
    said = {p.key: p.value for p in onnx.load(str(path)).metadata_props}
    about = json.loads(said[METADATA])
    assert (about["network"], about["patch_size"]) == ("PCNetM", 64)
    assert about["deocclusion"]["ORDER_THRESHOLD"] == 0.3
    before = path.read_bytes()
    with pytest.raises(SystemExit):
        export.main(["--output", str(path)])
    assert "pass --overwrite" in capsys.readouterr().err and path.read_bytes() == before


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--output", "net.pt"], "not a .onnx file"),
        (["--output", "net.onnx", "--config-file", "none.yaml"], "none.yaml"),
    ],
)
def test_one_line_says_why_not(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        export.main(arguments)
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@needs_exporter
def test_networks_of_several_parts_are_refused(tmp_path):
    with pytest.raises(UserError, match="Parts has no ONNX form"):
        export_onnx(Parts(torch.nn.Conv2d(1, 1, 1)), tmp_path / "a.onnx", SIZE, {})
    assert not list(tmp_path.iterdir())


class Parts(InstanceNetwork):
    """A network that does not say what its batch holds."""

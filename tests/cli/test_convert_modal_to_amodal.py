"""The tool as a user meets it: its arguments, messages, exit codes, processes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from deocclusion_d2.config import load_config
from deocclusion_d2.structures import WindowMask
from tests.helpers import program_of

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "convert_modal_to_amodal.py"
TINY = ["MODEL.PCNET_M.WIDTH", "0.25", "INPUT.INSTANCE_CROP.SIZE", "32"]


@pytest.fixture(scope="module")
def main():
    return program_of(TOOL).main


@pytest.fixture
def call(main, capsys):
    """Run the tool in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return call


@pytest.fixture
def data(tmp_path):
    """Four images of 24 x 32 px, in each an L that a bar touches."""
    corner, bar = np.zeros((2, 24, 32), bool)
    corner[4:18, 5:9] = corner[14:18, 5:22] = True
    bar[3:14, 9:15] = True
    masks = [WindowMask.from_array(m).to_rle(24, 32) for m in (corner, bar)]
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 24, "width": 32} for i in range(4)],
        "annotations": [
            {"id": 10 * i + k, "image_id": i, "category_id": 1, "segmentation": mask}
            for i in range(4)
            for k, mask in enumerate(masks)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = tmp_path / "modal.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A PCNet-M as it is before training."""
    cfg = load_config(str(ROOT / "configs/pcnet_m_kins.yaml"), [*TINY, "MODEL.DEVICE", "cpu"])
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.save({"model": build_model(cfg).state_dict()}, path)
    return path


def pcnet(weights):
    return ["--config-file", ROOT / "configs/pcnet_m_kins.yaml", "--weights", weights]


def test_help_teaches(call):
    code, out, _ = call("--help")
    assert code == 0
    for text in ("examples:", "--skip-invalid", "DEOCCLUSION.DILATION 5", "occluder_confidences"):
        assert text in out


def test_baseline(call, data, tmp_path):
    code, out, err = call("--method", "convex_r", "--input", data, "--output", tmp_path / "o.json")
    assert code == 0
    assert "8 items, format coco (told from its keys)" in out
    assert f"written: {tmp_path}/o.json" in out
    assert "converting: 100%" in err
    annotations = json.loads((tmp_path / "o.json").read_text())["annotations"]
    assert [a["occluder_ids"] for a in annotations[:2]] == [[1], []]


class TestJson:
    """One object on stdout, all else on stderr."""

    def test_what_was_done(self, call, data, tmp_path):
        output = tmp_path / "o.json"
        arguments = ["--method", "convex_r", "--input", data, "--output", output, "--json"]
        code, out, err = call(*arguments, "--segmentation", "polygons")
        assert code == 0
        said = json.loads(out)
        assert said["written"] == [str(output)] and said["warnings"] == []
        assert said["counts"]["instances"] == 8 and said["counts"]["occluded"] == 4
        written = json.loads(output.read_text())
        assert said["info"] == written["info"]["deocclusion"]
        assert all(isinstance(a["segmentation"], list) for a in written["annotations"])
        for line in ("8 items, format coco", "converting: 100%", f"written: {output}"):
            assert line in err

    def test_nothing_to_work_with_is_a_warning(self, call, data, tmp_path):
        document = json.loads(data.read_text())
        data.write_text(json.dumps({**document, "annotations": []}))
        code, out, err = call(
            "--method", "raw", "--input", data, "--output", tmp_path / "o.json", "--json"
        )
        assert code == 3
        (warning,) = json.loads(out)["warnings"]
        assert warning.startswith(f"{data}: it has no annotations") and warning in err

    def test_an_error_leaves_stdout_empty(self, call, data, tmp_path):
        code, out, err = call(
            "--method", "raw", "--input", data, "--output", data, "--json", "--overwrite"
        )
        assert (code, out) == (1, "") and err.startswith("error: ")


@pytest.mark.parametrize("method", ["pcnet", "pcnet_nog"])
def test_pcnet(call, data, weights, tmp_path, method):
    output = tmp_path / "o.json"
    arguments = [*pcnet(weights), "--input", data, "--method", method, "--num-gpus", 0]
    code, _, err = call(*arguments, "--output", output, *TINY)
    assert code == 0, err
    document = json.loads(output.read_text())
    info = document["info"]["deocclusion"]
    assert info["method"] == method and info["weights"] == "model.pth"
    assert info["patch_size"] == 32 and len(info["weights_sha256"]) == 64
    assert all("occlusion_rate" in a for a in document["annotations"])
    again = tmp_path / "again.json"
    assert call(*arguments, "--output", again, "--shard-size", 1, *TINY)[0] == 0
    assert again.read_bytes() == output.read_bytes()
    for annotation in document["annotations"]:
        confidences = annotation.get("occluder_confidences", [])
        assert len(confidences) == len(annotation["occluder_ids"])
        assert all(0 <= c <= 1 for c in confidences)
    assert info["mutual_share"] == 0.1 and any(a["occluder_ids"] for a in document["annotations"])


def test_predictions(call, data, weights, tmp_path):
    """COCO results, with the images of another JSON; the score comes from option or config."""
    scores = [0.9, 0.8, 0.6, 0.3, 0.9, 0.9, 0.9, 0.9]
    keys = ("image_id", "category_id", "segmentation")
    annotations = json.loads(data.read_text())["annotations"]
    results = tmp_path / "results.json"
    results.write_text(
        json.dumps(
            [
                {**{k: a[k] for k in keys}, "score": s}
                for a, s in zip(annotations, scores, strict=True)
            ]
        )
    )
    output = tmp_path / "o.json"
    common = ["--input", results, "--images-from", data, "--output", output]

    def ids(*arguments):
        code, out, err = call(*common, *arguments, "--overwrite")
        assert code == 0, err
        return [a["id"] for a in json.loads(output.read_text())["annotations"]], out

    assert ids("--method", "convex_r")[0] == [1, 2, 3, 5, 6, 7, 8]
    assert ids("--method", "raw", "--min-score", 0.2)[0] == [*range(1, 9)]
    pcnet_options = [*pcnet(weights), "--num-gpus", 0]
    written, out = ids(*pcnet_options, *TINY, "DEOCCLUSION.MIN_SCORE", 0.7)
    assert written == [1, 2, 5, 6, 7, 8]
    assert "8 predictions, 6 used (score 0.7 or more)" in out
    assert json.loads(output.read_text())["info"]["deocclusion"]["min_score"] == 0.7


class TestOneClearLine:
    """Every mistake: exit code 1, one line, no traceback, no output."""

    @pytest.fixture
    def fails(self, call, data, tmp_path):
        def fails(*arguments, input=data):
            output = tmp_path / "o.json"
            code, _, err = call("--input", input, "--output", output, *arguments)
            assert code == 1
            assert not output.exists()
            assert err.startswith("error: ") and err.count("\n") == 1
            return err.removeprefix("error: ").rstrip()

        return fails

    def test_input(self, fails, data, tmp_path):
        none = tmp_path / "none.json"
        assert fails("--method", "raw", input=none) == f"{none}: there is no such file"
        data.write_text('{"images": [}')
        assert fails("--method", "raw") == (
            f"{data}: not a JSON file: expecting value (line 1, column 13)"
        )

    def test_annotation(self, call, data, tmp_path):
        document = json.loads(data.read_text())
        document["annotations"][3]["segmentation"] = [[1, 1, 2, 2]]
        data.write_text(json.dumps(document))
        arguments = ["--method", "raw", "--input", data, "--output", tmp_path / "o.json"]
        code, _, err = call(*arguments)
        assert code == 1
        # The bar may stand before it, on a line of its own.
        assert err.splitlines()[-1] == (
            f"error: {data}: image 1 (1.png), annotation 11: 'segmentation': a polygon of 4 "
            "numbers has fewer than 3 points (6 numbers)"
        )
        assert not (tmp_path / "o.json").exists()
        code, out, _ = call(*arguments, "--skip-invalid")
        assert code == 0
        assert "skipped, untouched            1" in out
        written = json.loads((tmp_path / "o.json").read_text())["annotations"]
        assert written[3] == document["annotations"][3]

    def test_settings(self, fails, weights, tmp_path):
        config = ROOT / "configs/pcnet_m_kins.yaml"
        assert fails("--weights", tmp_path / "w.pth") == (
            f"pretrained network '{tmp_path}/w.pth': there is no such folder or file; use 'general'"
        )
        assert fails("--config-file", config) == "--weights is missing, and MODEL.WEIGHTS is empty"
        assert fails("--config-file", tmp_path / "c.yaml", "--weights", weights) == (
            f"config file '{tmp_path}/c.yaml' does not exist"
        )
        assert fails("--config-file", config, "--weights", tmp_path / "w.pth") == (
            f"weights {tmp_path}/w.pth: there is no such file"
        )
        assert "Non-existent" in fails(*pcnet(weights), "MODEL.NONE", "1")
        assert fails(*pcnet(weights), "MODEL.DEVICE") == (
            "config overrides are KEY VALUE pairs, 'MODEL.DEVICE' is not"
        )
        assert fails("--method", "raw", "--weights", weights).startswith(
            "--method raw uses no network: leave out --weights"
        )
        assert fails("--method", "raw", "--shard-size", 0) == "--shard-size is 0: use 1 or more"

    def test_weights_of_another_model(self, fails, weights, tmp_path):
        message = fails(*pcnet(weights), "--num-gpus", 0)
        assert "MODEL.WEIGHTS do not fit this config" in message
        broken = tmp_path / "broken.pth"
        broken.write_bytes(b"no checkpoint")
        assert str(broken) in fails(*pcnet(broken), "--num-gpus", 0, *TINY)

    def test_machines(self, fails):
        raw = ("--method", "raw")
        assert fails(*raw, "--num-gpus", -1) == "--num-gpus is -1: use 0 or more"
        assert "between 0 and 1" in fails(*raw, "--num-machines", 2, "--machine-rank", 2)
        assert "need --dist-url" in fails(*raw, "--num-machines", 2)


@pytest.mark.slow
def test_two_processes(main, data, tmp_path, capfd):
    """Same bytes as one process; and an error in one of them is one line, in all an end."""

    def convert(output, *arguments):
        with pytest.raises(SystemExit) as end:
            main(["--method", "convex", "--input", str(data), "--output", str(output), *arguments])
        return end.value.code, capfd.readouterr().err

    one, two, bad = (tmp_path / f"{name}.json" for name in ("one", "two", "bad"))
    assert convert(one)[0] == 0
    code, err = convert(two, "--num-gpus", "2", "--shard-size", "2")
    assert code == 0, err
    assert one.read_bytes() == two.read_bytes()

    document = json.loads(data.read_text())
    document["annotations"][3]["segmentation"] = {"size": [1, 1], "counts": [1]}
    data.write_text(json.dumps(document))
    code, err = convert(bad, "--num-gpus", "2", "--shard-size", "2")
    assert code == 1
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "image 1 (1.png), annotation 11: 'segmentation': " in errors[0]
    assert "Traceback" not in err
    assert not bad.exists()

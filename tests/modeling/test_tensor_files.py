"""Files of tensors: what is read of them, and that nothing runs."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from deocclusion_d2.modeling.tensor_files import (
    TensorFileError,
    read_tensor_file,
    write_safetensors,
)
from tests.malicious import WEIGHTS, Runs, write_weights

# As Detectron2's model zoo holds them: float weights, a counter, and plain values around them.
ZOO = {
    "model": OrderedDict(
        {
            "stem.conv1.weight": np.arange(24, dtype="f4").reshape(2, 3, 2, 2),
            "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "counter": np.array(7, "i8"),
            "none": np.zeros((0, 4), "f4"),
            "flags": np.array([True, False]),
            "swapped": np.array([1.5, -2.0], ">f4"),
            "half": np.array([0.5], "f2"),
        }
    ),
    "__author__": "Détectron2",
    "matching_heuristics": True,
    "more": [1, (2.5, None), np.float64(3.25), np.dtype("f4"), b"\xff"],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_arrays(tmp_path, protocol):
    path = tmp_path / "R-50.pkl"
    path.write_bytes(pickle.dumps(ZOO, protocol))
    content = read_tensor_file(path)
    assert content["__author__"] == "Détectron2" and content["matching_heuristics"] is True
    assert content["more"] == [1, (2.5, None), 3.25, np.dtype("f4"), b"\xff"]
    assert list(content["model"]) == list(ZOO["model"])
    for name, expected in ZOO["model"].items():
        array = content["model"][name]
        assert array.dtype == expected.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(array, expected)
        torch.from_numpy(array)  # writable, of this machine's byte order


def test_pickles_of_numpy_1_and_2_and_of_python_2(tmp_path):
    """By hand: the module was numpy.core once, and Python 2's bytes are text to Python 3."""
    for module, data in (("numpy.core", b"B"), ("numpy._core", b"B"), ("numpy.core", b"T")):
        raw = np.array([1.0, -2.0], "<f4").tobytes()
        # BINBYTES, or SHORT_BINSTRING as Python 2 writes it.
        text = (b"B\x08\x00\x00\x00" if data == b"B" else b"U\x08") + raw
        of_float = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNN" + b"J\xff\xff\xff\xff" * 2
        of_float += b"K\x00tb"
        array = (
            b"c" + module.encode() + b".multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
            b"(K\x01(K\x02t" + of_float + b"\x89" + text + b"tb"
        )
        path = tmp_path / "a.pkl"
        path.write_bytes(b"\x80\x02}U\x01w" + array + b"s.")
        np.testing.assert_array_equal(read_tensor_file(path)["w"], np.array([1, -2], "f4"))


@pytest.mark.parametrize("name", WEIGHTS)
def test_nothing_runs(tmp_path, name):
    path, marker = write_weights(tmp_path, name)
    with pytest.raises(TensorFileError, match=WEIGHTS[name][1]) as refused:
        read_tensor_file(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "value",
    [
        Runs(np.load, "x.npy", None, True),
        Runs(getattr, np.zeros(1), "tofile"),
        Runs(bytearray, 10**12),
        Runs(torch.Tensor, 3),
        # Records and objects, whose memory numpy reads as pointers.
        np.zeros(2, [("a", "O")]),
        np.zeros(2, [("a", "f4")]),
        np.array([None]),
        np.dtype("O"),
        np.array(["2020-01-01"], "M8[D]"),
    ],
    ids=str,
)
def test_other_names_and_types_are_refused(tmp_path, value):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": value}}, 4))
    with pytest.raises(TensorFileError, match="could run code"):
        read_tensor_file(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x80\x04]\x94h\x00a.",  # a list that holds itself
        pickle.dumps(ZOO)[:-40],
        pickle.dumps(np.zeros(4, "f4")).replace(b"K\x04\x85", b"K\x05\x85"),  # a wrong shape
        b"\x80\x02(" + b"]" * 5 + b"0" * 4 + b"Pabc\n.",
    ],
)
@pytest.mark.parametrize("end", [".pkl", ".pth", ".safetensors"])
def test_broken_files(tmp_path, data, end):
    path = tmp_path / f"a{end}"
    path.write_bytes(data)
    with pytest.raises(TensorFileError, match="is not a readable checkpoint"):
        read_tensor_file(path)


def test_lists_are_no_named_tensors(tmp_path):
    path = tmp_path / "a.pth"
    torch.save([torch.zeros(2)], path)
    with pytest.raises(TensorFileError, match="it holds a list, not named tensors"):
        read_tensor_file(path)


def test_safetensors_there_and_back(tmp_path):
    shared = torch.arange(6.0)
    model = {
        "view": shared[2:4],
        "turned": shared.reshape(2, 3).T,
        "whole": shared,
        "counter": torch.tensor(3),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    path = tmp_path / "a.safetensors"
    write_safetensors(path, model, 450000)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    content = read_tensor_file(path)
    assert content["iteration"] == 450000 and list(content) == ["model", "iteration"]
    assert content["model"].keys() == model.keys()
    for name, value in content["model"].items():
        assert value.dtype == model[name].dtype and torch.equal(value, model[name]), name
    # By hand, as the format says: length of the head, the head, the data.
    head = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(len(head).to_bytes(8, "little") + head + np.float32(2.5).tobytes())
    assert read_tensor_file(path) == {"model": {"a": torch.tensor([2.5])}}


def test_a_full_disk_leaves_what_was_there(tmp_path):
    """The limit on a file's size stands for the disk's end; it is for a process as a whole."""
    code = """
        import resource, sys
        from pathlib import Path
        import torch
        from deocclusion_d2.errors import UserError
        from deocclusion_d2.inference.weights import Checkpointer
        from deocclusion_d2.modeling.tensor_files import write_safetensors, write_torch_file
        folder = Path(sys.argv[1])
        small, large = {"a": torch.zeros(2)}, {"a": torch.zeros(10**6)}
        Checkpointer(torch.nn.Linear(2, 2), str(folder)).save("first", iteration=1)
        before = (folder / "first.pth").read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))
        for write in (
            lambda: write_torch_file(folder / "first.pth", large),
            lambda: write_safetensors(folder / "a.safetensors", large, 0),
            lambda: Checkpointer(torch.nn.Linear(999, 999), str(folder)).save("last"),
        ):
            try:
                write()
            except UserError as error:
                print(str(error).replace(sys.argv[1], ""))
        assert (folder / "first.pth").read_bytes() == before
        there = sorted(path.name for path in folder.iterdir())
        print(there, (folder / "last_checkpoint").read_text())
        """
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "/first.pth cannot be written: File too large",
        "/a.safetensors cannot be written: File too large",
        "/last.pth cannot be written: File too large",
        "['first.pth', 'last_checkpoint'] first.pth",
    ]

"""Names and shapes of released files, whichever network they hold, and what is refused."""

from __future__ import annotations

import pytest
import torch

from deocclusion_d2.errors import UserError
from deocclusion_d2.modeling.released import find_layout
from deocclusion_d2.systems import released_layouts
from tests.released import from_official, layout, refusal, small_state, to_official


@pytest.fixture(params=["pcnet_m", "pcnet_c"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def official(kind) -> dict[str, torch.Tensor]:
    return layout(kind).to_official(small_state(kind))


def test_round_trip_is_exact(kind, official):
    state = small_state(kind)
    assert find_layout(official, released_layouts()).name == layout(kind).name
    for checkpoint in (
        official,
        {"step": 7, "state_dict": official, "optimizer": {"state": {}}},
        {name.removeprefix("module."): value for name, value in official.items()},
    ):
        again = from_official(checkpoint)
        assert again.keys() == state.keys()
        for name, value in state.items():
            assert torch.equal(again[name], value), name
            assert again[name].dtype == value.dtype, name


def test_batch_norm_counters_of_old_files_may_be_absent(kind, official):
    counters = [name for name in official if name.endswith("num_batches_tracked")]
    old = {name: value for name, value in official.items() if name not in counters}
    state = from_official(old)
    zeros = [value for name, value in state.items() if name.endswith("num_batches_tracked")]
    assert len(zeros) == len(counters) > 10
    assert all(torch.equal(value, torch.tensor(0)) for value in zeros)
    # One of them alone is a gap.
    del official[counters[0]]
    with pytest.raises(UserError, match=f"^missing: {counters[0]}$"):
        from_official(official)


def test_missing_tensors_are_named(kind, official):
    names = [name for name in official if name.endswith(".running_mean")]
    for name in names[:5]:
        del official[name]
    assert refusal(official) == f"missing: {', '.join(names[:3])} and 2 more"


def test_unknown_tensors_are_named(kind, official):
    official["module.extra.bias"] = torch.zeros(1)
    assert refusal({"state_dict": official}) == "unexpected: module.extra.bias"
    # A prefix that only some have is no prefix.
    del official["module.extra.bias"]
    first = next(iter(official))
    official[first.removeprefix("module.")] = official.pop(first)
    message = refusal(official)
    assert "missing: " in message or "this is not a released" in message


def test_wrong_shapes_are_named_with_both(official, kind):
    name = "module.outc.conv.bias" if kind == "pcnet_m" else "module.dec_1.conv.input_conv.bias"
    wanted = tuple(official[name].shape)
    official[name] = torch.zeros(9)
    assert refusal(official) == f"wrong shape: {name} has (9,) instead of {wanted}"
    official[name] = 1.5
    assert refusal(official) == f"wrong shape: {name} is a float, not a tensor"


def test_all_that_is_wrong_is_one_line():
    state = to_official(small_state("pcnet_m"))
    del state["module.outc.conv.bias"]
    state["module.head.bias"] = torch.zeros(2)
    state["module.outc.conv.weight"] = torch.zeros(3, 4, 1, 1)
    assert refusal(state) == (
        "missing: module.outc.conv.bias; unexpected: module.head.bias; wrong shape: "
        "module.outc.conv.weight has (3, 4, 1, 1) instead of (2, 4, 1, 1)"
    )


def test_other_things_are_refused():
    assert "this is not a released PCNet-M or PCNet-C; it holds conv1.weight" in refusal(
        {"conv1.weight": torch.zeros(1)}
    )
    assert "it holds nothing" in refusal({"state_dict": {}})
    assert "its state_dict is a list" in refusal({"state_dict": [1]})
    assert "holds a list" in refusal([1])
    discriminator = {f"module.conv{i}.0.weight_orig": torch.zeros(1) for i in range(1, 6)}
    assert "discriminator" in refusal({"state_dict": discriminator})


def test_exports_are_checked_as_well(kind):
    state = small_state(kind)
    name = "network.stem.0.weight" if kind == "pcnet_m" else "network.encoder.0.conv.weight"
    value = state.pop(name)
    with pytest.raises(UserError, match=f"^missing: {name}$"):
        to_official(state)
    state[name] = value[..., :1]
    with pytest.raises(UserError, match=f"^wrong shape: {name} has "):
        to_official(state)
    with pytest.raises(UserError, match="^this is not one of our checkpoints; it holds backbone$"):
        to_official({"backbone": value})

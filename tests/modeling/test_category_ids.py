"""Which category ids a network knows, what stands for others, and what checkpoints note of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deocclusion_d2.errors import UserError
from deocclusion_d2.inference.weights import Checkpointer
from deocclusion_d2.modeling.category_ids import (
    KnownCategories,
    TrainedOn,
    described_ids,
    require_category_ids,
)
from deocclusion_d2.modeling.tensor_files import read_tensor_file, write_safetensors
from tests.helpers import random_model

STREET = frozenset({2, 4})


def place(row: int) -> str:
    return f"row {row}"


def test_ids_that_a_network_knows():
    known = KnownCategories(STREET)
    assert known.refused([4, 2, 2]) == []
    assert known.refused(np.array([9, 4, 0, 9, -1])) == [-1, 0, 9]
    # Where nothing is noted, all from 1 on.
    assert KnownCategories().refused([1, 90, 0]) == [0]


def test_a_map():
    ids = np.array([3, 4, 0, 17, 2])
    pairs = KnownCategories.read(((3, 4), (4, 2)), STREET)
    assert pairs.refused(ids) == [0, 17]
    assert pairs.of(np.array([3, 4, 2, 3])).tolist() == [4, 2, 2, 4]
    rest = KnownCategories.read([[3, 4], ["any", 2]], STREET)
    assert rest.refused(ids) == []
    assert rest.of(ids).tolist() == [4, 4, 2, 2, 2]
    # Known ids are no others, unless a pair names them.
    assert KnownCategories.read((("any", 7),)).of(np.array([5, 0])).tolist() == [5, 7]
    assert rest.of(np.zeros(0, np.int64)).shape == (0,)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (((3, 5),), "5 is no id of the network: it was trained with 2 and 4"),
        (((3, 0),), "0 is no id of the network"),
        (((3, 4), (3, 2)), "3 stands there twice"),
        ((3, 4), "use pairs"),
        ((("car", 4),), "use pairs"),
        (((3, "4"),), "use pairs"),
        ("any", "use pairs"),
    ],
)
def test_a_map_that_is_none(value, said):
    with pytest.raises(UserError, match=r"^DEOCCLUSION\.CATEGORY_MAP = ") as error:
        KnownCategories.read(value, STREET)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_what_is_said_of_unknown_ids():
    with pytest.raises(UserError) as error:
        require_category_ids([4, 9, 17, 9, 0], place, KnownCategories(STREET))
    said = str(error.value)
    assert said.startswith("row 1: category id 9 (also 0 and 17): ")
    assert "trained with 2 and 4 alone" in said and "((9, 2),)" in said and "\n" not in said
    require_category_ids([4, 2], place, KnownCategories(STREET))


@pytest.mark.parametrize(
    ("ids", "said"),
    [([3], "3"), ([4, 2], "2 and 4"), (range(1, 9), "1 to 8"), ([7, 1, 2], "1, 2 and 7")],
)
def test_ids_in_words(ids, said):
    assert described_ids(ids) == said


def test_many_ids_in_words():
    assert described_ids(range(0, 40, 2)) == "0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 10 more"


class TestCheckpoints:
    def save(self, folder, ids=None):
        model = random_model(use_category=True)
        if ids is not None:
            model.trained_on.add(ids)
        Checkpointer(model, str(folder)).save("model_final", iteration=7)
        return folder / "model_final.pth"

    def test_hold_the_ids(self, tmp_path):
        path = self.save(tmp_path, STREET)
        content = torch.load(path, weights_only=True)
        assert content["trained_on"] == {"category_ids": [2, 4]}
        model = random_model(use_category=True)
        Checkpointer(model, strict=True).load(str(path))
        assert model.trained_on.category_ids == STREET

    def test_of_an_untrained_network_and_of_earlier_versions(self, tmp_path):
        path = self.save(tmp_path)
        assert "trained_on" not in torch.load(path, weights_only=True)
        model = random_model(use_category=True)
        Checkpointer(model, strict=True).load(str(path))
        assert model.trained_on.category_ids is None

    def test_going_on_adds_starting_anew_does_not(self, tmp_path):
        path = self.save(tmp_path, STREET)
        for resume, ids in ((True, {2, 4, 7}), (False, {7})):
            model = random_model(use_category=True)
            model.trained_on.add({7})
            Checkpointer(model, str(tmp_path)).resume_or_load(str(path), resume=resume)
            assert model.trained_on.category_ids == ids

    def test_safetensors(self, tmp_path):
        path = tmp_path / "a.safetensors"
        write_safetensors(path, {"a": torch.ones(1)}, 3, TrainedOn(STREET).state_dict())
        assert read_tensor_file(path)["trained_on"] == {"category_ids": [2, 4]}
        write_safetensors(path, {"a": torch.ones(1)}, 3)
        assert read_tensor_file(path).keys() == {"model", "iteration"}

    @pytest.mark.parametrize("noted", [[1], {"category_ids": ["1"]}, {"category_ids": []}])
    def test_damaged_notes(self, noted):
        with pytest.raises(ValueError, match="trained_on"):
            TrainedOn().load_state_dict(noted)

    def test_notes_of_later_versions(self):
        noted = TrainedOn()
        noted.load_state_dict({"seed": 3})
        assert noted.category_ids is None

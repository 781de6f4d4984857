"""What is measured for the ordering prior, by several processes; ``test_prior_rule.py`` fits it."""

from __future__ import annotations

import numpy as np

from deocclusion_d2.systems.pcnet_m import prior_fitting
from deocclusion_d2.systems.pcnet_m.ordering import pairs_of
from deocclusion_d2.systems.pcnet_m.pair_features import FEATURES


def test_the_pairs_of_all_processes_are_those_of_one(monkeypatch):
    rng = np.random.default_rng(0)

    def images(*pairs: int) -> list[np.ndarray]:
        return [rng.normal(size=(count, len(FEATURES) + 1)) for count in pairs]

    # Two data sets; the first process has images 0 and 1 of the first, and image 0 of the second.
    first, second = [images(2, 0), images(3)], [images(1), images(0, 2)]
    monkeypatch.setattr(prior_fitting.comm, "all_gather", lambda parts: [first, second])
    measured = prior_fitting._together(first)
    assert len(measured) == 6
    values, relative, numbers = pairs_of(measured)
    # Images: two and one of the first data set, one and two of the second.
    assert numbers.tolist() == [0, 0, 2, 3, 3, 3, 5, 5]
    expected = np.concatenate([*first[0], *second[0], *first[1], *second[1]])
    assert np.array_equal(np.column_stack([values, relative]), expected)


def test_no_images():
    values, relative, numbers = pairs_of([])
    assert values.shape == (0, len(FEATURES)) and len(relative) == len(numbers) == 0

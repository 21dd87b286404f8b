"""Class partitions are even and complete, and keep similar classes together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.partition import partition
from hydrafy.errors import OptionError


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.data(), st.integers(0, 100))
def test_groups_are_even_and_every_class_is_in_one(
    classes: int, data: st.DataObject, seed: int
) -> None:
    branches = data.draw(st.integers(1, classes))
    rows = np.random.default_rng(seed).standard_normal((classes, 5))
    found = partition(rows, branches, seed=seed)
    sizes = [len(group) for group in found]
    assert len(sizes) == branches and max(sizes) - min(sizes) <= 1
    assert sorted(c for group in found for c in group) == list(range(classes))
    assert all(list(group) == sorted(group) for group in found)
    assert partition(rows, branches, seed=seed) == found


def test_similar_rows_land_together() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.permutation(np.repeat(np.arange(4), 5))
    rows = 10 * rng.standard_normal((4, 8))[kinds] + 0.1 * rng.standard_normal((20, 8))
    found = partition(rows.astype(np.float32), 4)
    assert {frozenset(group) for group in found} == {
        frozenset(np.flatnonzero(kinds == kind).tolist()) for kind in range(4)
    }


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(OptionError, match="3 classes, too few for 4 branches: set branches=3"):
        partition(np.eye(3), 4)

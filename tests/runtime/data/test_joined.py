"""Labelled images and others are read as one stream, in any order."""

import dataclasses

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.runtime.data.joined import joined
from hydrafy.train.data import UNKNOWN
from tests.train.problems import HALVES, problem, stream

FEW, MANY = problem(7), problem(12, 1)


def test_rows_are_those_of_the_first_and_then_of_the_second() -> None:
    both = joined(stream(FEW), stream(MANY))
    assert both.count == 19 and both.labels is not None
    np.testing.assert_array_equal(both.labels[:7], FEW.labels)
    assert (both.labels[7:] == UNKNOWN).all()
    rows = np.random.default_rng(0).permutation(19)
    found = np.stack([*both.read(rows)])
    np.testing.assert_array_equal(found, np.concatenate([FEW.images, MANY.images])[rows])


def test_they_have_to_be_of_one_form() -> None:
    with pytest.raises(DataError, match="both be pixels"):
        joined(stream(FEW, HALVES), stream(MANY))
    other = dataclasses.replace(MANY, images=MANY.images[:, :, :4])
    with pytest.raises(DataError, match=r"\[3, 4, 8\], those of images \[3, 8, 8\]"):
        joined(stream(FEW), stream(other))

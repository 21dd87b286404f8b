"""Batches: any number of images through a file of any batch size gives a row for each."""

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.batched import batched, portions
from tests.passes.sources import program

X = np.random.default_rng(0).standard_normal((5, 2, 3, 3)).astype(np.float32)


def pooled(batch: int | str) -> Program:
    return program(f"""g (float[{batch},2,3,3] x) => (float[{batch},2,1,1] y, float m) {{
      y = GlobalAveragePool (x)
      m = ReduceMax <keepdims = 0> (x)
    }}""")


@pytest.mark.parametrize(("batch", "sizes"), [("N", [2, 2, 1]), (3, [3, 3]), (1, [1] * 5)])
def test_each_image_has_its_row(batch: int | str, sizes: list[int]) -> None:
    net = pooled(batch)
    given = [feed["x"] for _, feed in portions(net, X, 2)]
    assert [len(x) for x in given] == sizes
    found = batched(Session(net), net, X, {}, ["y"], 2)["y"]
    np.testing.assert_allclose(found, X.mean((2, 3), keepdims=True), rtol=1e-5)


def test_what_is_one_for_a_batch_is_one_for_each_of_its_images() -> None:
    net = pooled("N")
    found = batched(Session(net), net, X, {}, ["m"], 2)["m"]
    assert found.tolist() == [X[:2].max()] * 2 + [X[2:4].max()] * 2 + [X[4:].max()]


@pytest.mark.parametrize("batch", ["N", 3, 1])
def test_what_each_image_is_fed_with_goes_along(batch: int | str) -> None:
    net = program(f"""g (float[{batch},2,3,3] x, float[M,2] t) => (float[{batch},2] y) {{
      p = GlobalAveragePool (x)
      f = Flatten (p)
      y = Add (f, t)
    }}""")
    each = np.arange(10, dtype=np.float32).reshape(5, 2)
    found = batched(Session(net), net, X, {}, ["y"], 2, {"t": each})["y"]
    np.testing.assert_allclose(found, X.mean((2, 3)) + each, rtol=1e-5)


def test_padding_repeats_the_last_image() -> None:
    *_, (count, last) = portions(pooled(3), X)
    assert count == 2
    np.testing.assert_array_equal(last["x"], X[[3, 4, 4]])


def test_a_file_for_no_image_is_refused() -> None:
    with pytest.raises(DataError, match="batches of no image"):
        list(portions(pooled(0), X))

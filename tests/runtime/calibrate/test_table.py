"""A table's arithmetic is that of a loop over images."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.runtime.calibrate.table import Table
from tests.runtime.calibrate.tables import judged, tables, thresholds

LAWS = settings(max_examples=80, deadline=None, derandomize=True)


@LAWS
@given(tables(), st.data())
def test_thresholds_are_judged_as_image_by_image(table: Table, data: st.DataObject) -> None:
    chosen = data.draw(thresholds(table.early))
    assert table.judge(chosen) == judged(table, chosen)


@LAWS
@given(tables(most=4, least=1), st.data())
def test_who_leaves_at_settled_exits_does_so_in_the_table_of_the_others(
    table: Table, data: st.DataObject
) -> None:
    settled = np.array(data.draw(thresholds(table.early)))  # those of the free do not matter
    free = sorted(data.draw(st.sets(st.integers(0, table.early - 1), max_size=2)))
    for chosen in itertools.product([-np.inf, 0.5, np.inf], repeat=len(free)):
        every = settled.copy()
        every[free] = chosen
        whole, part = table.judge(every), table.reduced(settled, free).judge(chosen)
        assert (whole.hits, whole.cost) == (part.hits, part.cost)


def test_rows_are_those_of_some_images() -> None:
    table = Table(
        np.array([[0.1], [0.9]]), np.array([[1, 0], [0, 1]], bool), np.array([[1, 5]] * 2)
    )
    assert table.rows(np.array([1])).judge([0.5]) == judged(table.rows(np.array([1])), [0.5])
    assert table.judge([0.5]).hits == 0 and table.judge([np.inf]).hits == 1
    assert table.judge([0.5]).mean == 3 and table.judge([np.inf]).top1 == 0.5

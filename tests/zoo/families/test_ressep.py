"""ResSep is as large as table 1 of the HydraNets paper says."""

import pytest

from tests.zoo.sizes import macs, parameters


@pytest.mark.parametrize(
    ("d", "w", "millions", "madds"),
    [
        (2, 0.5, 1.96, 181),
        (3, 0.5, 2.68, 290),
        (2, 0.75, 3.98, 380),
        (3, 0.75, 5.58, 620),
        (3, 1.0, 9.53, 1060),
    ],
    ids="ABCDE",
)
def test_table_1(d: int, w: float, millions: float, madds: float) -> None:
    """To the precision that the paper's description allows: see the docstring of the family."""
    assert parameters("ressep", d=d, w=w) / 1e6 == pytest.approx(millions, rel=0.006)
    assert macs("ressep", d=d, w=w) / 1e6 == pytest.approx(madds, rel=0.04)

import pytest

from hydrafy.report import numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1.00 k"), (25_557_032, "25.56 M"),
        (4_089_184_256, "4.09 G"), (234_100_000, "234.1 M"), (999_990_000, "1.00 G"),
    ],
)  # fmt: skip
def test_count(number: int, text: str) -> None:
    assert numbers.count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(12, "12 B"), (1024, "1.00 KiB"), (102_440_608, "97.69 MiB"), (2**31, "2.00 GiB")],
)
def test_size(number: int, text: str) -> None:
    assert numbers.size(number) == text


def test_shares_and_shapes() -> None:
    assert numbers.percent(0.7304) == "73.0 %"
    assert numbers.points(-0.0044) == "-0.4 points"
    assert numbers.shape((64, "N")) == "64 x N"
    assert numbers.shape(()) == "scalar"

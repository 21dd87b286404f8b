"""Ways to run gates: what a text stands for, and noise that each image has of its own."""

import numpy as np
import pytest

from hydrafy.errors import OptionError
from hydrafy.runtime.evaluate.ways import Way, noise, parse


def test_a_text_names_ways() -> None:
    text = "threshold, always-on,stochastic=3 ,ensemble=7"
    made = (Way("threshold"), Way("always-on"), Way("stochastic", 3), Way("ensemble", 7))
    assert parse(text) == made
    assert parse(",".join(map(str, made))) == made
    assert parse("ensemble,stochastic") == (Way("ensemble", 5), Way("stochastic", 5))
    assert [way.passes for way in made] == [1, 1, 1, 7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stochastc", "did you mean 'stochastic'?"),
        ("", "known are always-on, ensemble, stochastic, threshold"),
        ("threshold,", "'' is no way"),
        ("threshold=2", "it takes a single run"),
        ("stochastic=0", "it takes 1 to 1000 runs"),
        ("ensemble=1", "it takes 2 to 1000 runs"),
        ("ensemble=", "write a number of runs, ensemble=5"),
        ("ensemble=-3", "write a number of runs, ensemble=5"),
        ("stochastic=2.5", "write a number of runs, stochastic=5"),
        ("ensemble=" + 5000 * "9", "write a number of runs"),
        ("stochastic=5000", "1 to 1000 runs"),
        ("threshold,threshold", "names threshold twice"),
        ("stochastic,stochastic=5", "names stochastic=5 twice"),
    ],
)
def test_other_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(text)
    assert said in str(caught.value)


def test_an_image_has_noise_of_its_own_in_any_company() -> None:
    rows = np.array([7, 3, 10**9])
    whole = noise(5, 2, rows, 0, 6)
    assert whole.dtype == np.float32
    alone = [noise(5, 2, [int(row)], 0, 6)[0] for row in rows]
    np.testing.assert_array_equal(whole, alone)
    np.testing.assert_array_equal(noise(5, 2, rows[::-1], 0, 6), whole[::-1])
    np.testing.assert_array_equal(noise(5, 2, rows, 0, 4), whole[:, :4])


def test_seeds_runs_rows_and_inputs_are_independent() -> None:
    """Uniform noise, of which no two numbers have to do with each other."""
    rows, count = range(4000), 4000
    kinds = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**63, 0, 0)]
    each = [noise(seed, run, rows, place, 3) for seed, run, place in kinds]
    columns = np.concatenate(
        [*each, each[0][np.roll(rows, 1)], each[0][np.roll(rows, 100)]], axis=1
    )
    assert columns.min() >= 0
    assert columns.max() < 1
    sorted_ = np.sort(columns, axis=0)
    steps = np.arange(count)[:, None] / count
    assert np.abs(sorted_ - steps).max() < 1.95 / np.sqrt(count)  # Kolmogorov-Smirnov, 0.1 %
    apart = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(apart).max() < 4.5 / np.sqrt(count)

"""What is written as JSON is JSON: strict readers take it."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from hydrafy.ir.jsonable import jsonable
from hydrafy.ir.manifest import LossTerm, Manifest


@dataclass(frozen=True)
class Pair:
    one: float
    more: tuple[object, ...]


def test_numbers_that_json_lacks_are_text() -> None:
    nan, inf = float("nan"), float("inf")
    value = {"a": [1, 2.5, -inf, None, True], "b": Pair(inf, (Pair(nan, ()), np.float64(inf)))}
    assert jsonable(value) == {
        "a": [1, 2.5, "-inf", None, True],
        "b": {"one": "inf", "more": [{"one": "nan", "more": []}, "inf"]},
    }


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_manifest_is_json_whatever_its_options_are(value: float) -> None:
    losses = (LossTerm("rate", "x", 1.0, "rate", {"limit": value}),)
    text = Manifest(options={"tau": value}, losses=losses).to_json()
    json.loads(text, parse_constant=pytest.fail)
    assert Manifest.from_json(text).options == {"tau": str(value)}

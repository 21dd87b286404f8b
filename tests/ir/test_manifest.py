"""The manifest survives its JSON; damaged or later ones are refused, never half understood."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.errors import FileError
from hydrafy.ir.manifest import (
    FORMAT,
    Entry,
    Leaving,
    LossTerm,
    Machine,
    Manifest,
    Normalisation,
    Output,
    Rate,
    RuntimeInput,
    Trained,
)

words = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
groups = st.lists(st.lists(st.integers(0, 9), max_size=3).map(tuple), max_size=3).map(tuple)
plain = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | numbers | words
anything = st.recursive(
    plain, lambda x: st.lists(x, max_size=3) | st.dictionaries(words, x, max_size=3), max_leaves=6
)


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(one, max_size=3).map(tuple)


manifests = st.builds(
    Manifest,
    stage=st.sampled_from(["source", "static", "dynamic", "regions", "lowered"]),
    source=words,
    source_sha256=words,
    recipe=st.none() | words,
    options=st.dictionaries(words, plain, max_size=3),
    outputs=several(
        st.builds(Output, words, st.sampled_from(["prediction", "decision", "training"]))
    ),
    runtime_inputs=several(
        st.builds(RuntimeInput, words, numbers, numbers, st.none() | numbers, words)
    ),
    losses=several(
        st.builds(
            LossTerm,
            words,
            words,
            numbers,
            words,
            st.dictionaries(words, words | numbers | st.lists(st.integers(0, 9)), max_size=3),
        )
    ),
    partition=groups,
    exits=several(st.builds(Leaving, words, st.integers(0, 9), st.booleans())),
    groups=st.dictionaries(words, several(words), max_size=3),
    rates=several(st.builds(Rate, words, numbers)),
    normalisation=st.none() | st.builds(Normalisation, several(numbers), several(numbers)),
    journal=several(st.builds(Entry, words, several(words))),
    trained=several(
        st.builds(Trained, st.integers(1, 9), st.dictionaries(words, several(numbers), max_size=3))
    ),
    target=st.sampled_from(["portable", "native", "dense"]),
    precision=st.sampled_from(["float32", "float16", "int8"]),
    lowered_from=words,
    machine=st.none() | st.builds(Machine, words, words, st.integers(1, 64), words),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(manifests)
def test_json_keeps_everything(made: Manifest) -> None:
    assert Manifest.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"x"', "{}", "[1, 2]", "[" * 200_000], ids=lambda t: t[:9]
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="damaged"):
        Manifest.from_json(text)


def test_a_later_format_is_named() -> None:
    text = json.dumps({**json.loads(Manifest().to_json()), "format": FORMAT + 1, "new": 1})
    with pytest.raises(FileError, match=rf"format {FORMAT + 1}.*reads {FORMAT}"):
        Manifest.from_json(text)


DEFAULTS = (
    "stage",
    "source",
    "source_sha256",
    "recipe",
    "options",
    "target",
    "machine",
    "precision",
    "lowered_from",
    "trained",
    "groups",
    "exits",
)


@pytest.mark.parametrize("field", [*json.loads(Manifest().to_json())])
def test_a_manifest_that_lacks_a_field_is_refused(field: str) -> None:
    fields = json.loads(Manifest(stage="static").to_json())
    del fields[field]
    if field in DEFAULTS:
        Manifest.from_json(json.dumps(fields))
        return
    with pytest.raises(FileError, match="damaged"):
        Manifest.from_json(json.dumps(fields))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from([*json.loads(Manifest().to_json())]), anything)
def test_damage_in_one_field_is_a_file_error_or_harmless(field: str, value: object) -> None:
    fields = {**json.loads(Manifest().to_json()), field: value}
    try:
        found = Manifest.from_json(json.dumps(fields))
    except FileError:
        return
    assert Manifest.from_json(found.to_json()) == found


@pytest.mark.parametrize("field", ["stage", "target", "precision"])
def test_an_unknown_word_is_refused(field: str) -> None:
    fields = {**json.loads(Manifest().to_json()), field: "blue"}
    with pytest.raises(FileError, match=rf"{field}.*blue"):
        Manifest.from_json(json.dumps(fields))


def test_an_output_that_is_not_listed_is_a_prediction() -> None:
    made = Manifest(outputs=(Output("a", "training"), Output("b", "decision")))
    assert [made.role(name) for name in "abc"] == ["training", "decision", "prediction"]

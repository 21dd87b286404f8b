"""Classes are matched by name, and labels that do not fit are named."""

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.classes import check_trainable, classified
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Data

OURS = ("cat", "dog", "owl")
NAMED = Takes((1, 2, 2), 3, None, OURS)
UNNAMED = Takes((1, 2, 2), 3)


def match(
    labels: list[int], theirs: tuple[str, ...], takes: Takes
) -> tuple[list[int], tuple[str, ...]]:
    found, names = classified("here", len(labels), np.array(labels), theirs, takes)
    assert found is not None and found.dtype == np.int64
    return found.tolist(), names


@pytest.mark.parametrize(
    ("theirs", "takes", "labels", "names"),
    [
        (("owl", "cat"), NAMED, [2, 0, 0], OURS),  # another order, and one is missing
        (("cat", "dog", "owl"), NAMED, [0, 1, 1], OURS),
        (("cat", "owl", "emu"), NAMED, [0, 2, 2], OURS),  # an unknown class without images
        ((), NAMED, [0, 1, 1], OURS),
        (("x", "y", "z"), UNNAMED, [0, 1, 1], ("x", "y", "z")),
        ((), UNNAMED, [0, 1, 1], ()),
    ],
)
def test_labels_become_the_networks(
    theirs: tuple[str, ...], takes: Takes, labels: list[int], names: tuple[str, ...]
) -> None:
    assert match([0, 1, 1], theirs, takes) == (labels, names)


def test_two_classes_of_one_name_are_matched_by_their_order_alone() -> None:
    cranes = Takes((1, 2, 2), 3, None, ("crane", "crane", "owl"))
    assert match([0, 1, 2], ("crane", "crane", "owl"), cranes)[0] == [0, 1, 2]
    assert match([0, 0], ("owl", "crane"), cranes)[0] == [2, 2]
    with pytest.raises(DataError, match="several classes 'crane'"):
        match([0, 1], ("owl", "crane"), cranes)


@pytest.mark.parametrize(
    ("labels", "theirs", "takes", "sentence"),
    [
        ([0, 1], ("cat", "dogs"), NAMED, "here has a class 'dogs', .* did you mean 'dog'"),
        ([0, 1], ("a", "b"), UNNAMED, r"here has 2 classes \(a, b\), but the model has 3 classes"),
        ([0, 2], ("cat", "dog"), NAMED, "label 2 of here is out of range: it has 2 classes"),
        ([0, 3], (), NAMED, "label 3 of here is out of range: the model has 3 classes"),
        ([-1, 0], (), UNNAMED, "label -1 of here"),
    ],
)
def test_what_does_not_fit_is_named(
    labels: list[int], theirs: tuple[str, ...], takes: Takes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        match(labels, theirs, takes)


def test_many_classes_are_not_all_named() -> None:
    with pytest.raises(DataError, match=r"30 classes \(0, 1, .*, 9, \.\.\.\), but"):
        match([0], tuple(map(str, range(30))), UNNAMED)


def test_nothing_is_learned_from_one_class() -> None:
    x = np.zeros((3, 1, 2, 2), np.float32)
    check_trainable(stream(Data(x, np.array([0, 0, 1])), UNNAMED))
    with pytest.raises(DataError, match="one class, '1'"):
        check_trainable(stream(Data(x, np.array([1, 1, 1])), UNNAMED))
    with pytest.raises(DataError, match="one class, 'dog'"):
        check_trainable(stream(Data(x, np.array([1, 1, 1])), NAMED))
    with pytest.raises(DataError, match="no labels"):
        check_trainable(stream(x, Takes((1, 2, 2))))

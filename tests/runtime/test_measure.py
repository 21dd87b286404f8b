"""What is measured of a network on images is what it computes on them."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.errors import DataError, ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.measure import CALIBRATION, check_each_class, class_features, moments
from hydrafy.train.data import Data, Stream

RNG = np.random.default_rng(0)


def some(count: int, labels: np.ndarray | None = None) -> Stream:
    images = RNG.standard_normal((count, 3, 16, 16)).astype(np.float32)
    if labels is None:
        return stream(images, Takes((3, 16, 16)))
    return stream(Data(images, labels), Takes((3, 16, 16), 10))


def computed(program: Program, images: Stream, name: str) -> np.ndarray:
    """An inner value for all images at once, float64."""
    inner = program.clone()
    inner.graph.outputs.append(inner.values()[name])
    (batch,) = images.batches(size=10**6)
    return Session(inner).run({"input": batch.images}, [name])[name].astype(np.float64)


def test_moments_are_those_of_all_images_at_once(source: Callable[..., Program]) -> None:
    program, images, seen = source("resnet8", fold=True), some(70), list[tuple[int, int]]()
    found = moments(program, images, lambda *at: seen.append(at))
    assert len(found) == 7 and seen == [(32, 70), (64, 70), (70, 70)]
    for name, one in found.items():
        value = computed(program, images, name)
        np.testing.assert_allclose(one.mean, value.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.variance, value.var((0, 2, 3)), rtol=1e-4, atol=1e-9)


def test_many_images_are_sampled(source: Callable[..., Program]) -> None:
    seen = list[tuple[int, int]]()
    moments(source("resnet8", fold=True), some(CALIBRATION + 5), lambda *at: seen.append(at))
    assert seen[-1] == (CALIBRATION, CALIBRATION)


def test_a_network_that_lost_no_batchnorm_is_refused(source: Callable[..., Program]) -> None:
    with pytest.raises(ModelError, match="no BatchNormalization can be restored"):
        moments(source("resnet8"), some(2), lambda *_: None)


def test_numbers_that_are_not_finite_are_refused(source: Callable[..., Program]) -> None:
    program = source("resnet8", fold=True)
    bias = next(name for name in program.graph.initializers if name.endswith("bias"))
    program.set_weight(bias, np.full_like(program.weight(bias), np.inf))
    with pytest.raises(ModelError, match="not finite on these images"):
        moments(program, some(2), lambda *_: None)
    with pytest.raises(ModelError, match=r"features .* are not finite"):
        class_features(program, some(10, np.arange(10)), lambda *_: None)


def test_class_features_are_the_means_of_what_the_classifier_reads(
    source: Callable[..., Program],
) -> None:
    program, labels = source("resnet8"), RNG.permutation(np.arange(75) % 10)
    images, seen = some(75, labels), list[tuple[int, int]]()
    found = class_features(program, images, lambda *at: seen.append(at))
    read = program.graph.outputs[0].producer()
    assert read is not None and read.inputs[0] is not None
    features = computed(program, images, read.inputs[0].name or "").reshape(75, -1)
    wanted = np.stack([features[labels == c].mean(0) for c in range(10)])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert seen[-1] == (75, 75)


def test_a_class_without_images_is_named() -> None:
    check_each_class(some(20, np.arange(20) % 10), 10)
    with pytest.raises(DataError, match="class 4 has no image in the given arrays"):
        check_each_class(some(9, np.delete(np.arange(10), 4)), 10)

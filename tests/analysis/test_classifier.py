"""The final classifier is found in each of its spellings, and nothing else is taken for it."""

import numpy as np
import pytest

from hydrafy.analysis.classifier import classifier
from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from tests.train.programs import Sketch

WEIGHT = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)


def ending(kind: str) -> Program:
    s = Sketch(("N", 5))
    bias, turned = s.random("bias", 7), np.ascontiguousarray(WEIGHT.T)
    if kind == "transposed":
        return s.program(s.op("Gemm", [s.x, s.weight("w", WEIGHT), bias], "y", transB=1))
    if kind == "plain":
        return s.program(s.op("Gemm", [s.x, s.weight("w", turned), bias], "y"))
    if kind == "bare":
        return s.program(s.op("MatMul", [s.x, s.weight("w", turned)], "y"))
    product = s.op("MatMul", [s.x, s.weight("w", turned)], "product")
    order = [bias, product] if "swapped" in kind else [product, bias]
    total = s.op("Add", order, "sum")
    return s.program(s.op("Softmax", [total], "y", axis=-1) if "softmax" in kind else total)


@pytest.mark.parametrize(
    "kind", ["transposed", "plain", "bare", "added", "added swapped", "softmax", "softmax swapped"]
)
def test_the_layer_is_read_in_any_spelling(kind: str) -> None:
    program = ending(kind)
    found = classifier(program)
    assert found.node.op_type in ("Gemm", "MatMul")
    np.testing.assert_array_equal(found.rows, WEIGHT)
    wanted = np.zeros(7) if kind == "bare" else program.weight("bias")
    np.testing.assert_array_equal(found.bias, wanted)
    assert found.logits.name == ("sum" if "softmax" in kind or "added" in kind else "y")


def test_a_network_without_classifier_is_refused() -> None:
    s = Sketch(("N", 5, 4, 4))
    pooled = s.op("GlobalAveragePool", [s.conv(s.x, "conv", 10, 1)], "pool")
    program = s.program(s.op("Flatten", [pooled], "logits"))
    with pytest.raises(ModelError, match=r"fully connected layer.*'logits'"):
        classifier(program)


def test_a_weight_that_is_not_finite_is_named() -> None:
    program = ending("plain")
    program.set_weight("w", np.full((5, 7), np.nan, np.float32))
    with pytest.raises(ModelError, match="weight 'w' or its bias has values that are not finite"):
        classifier(program)


@pytest.mark.parametrize("head", ["two layers", "flat"])
def test_it_must_follow_pooled_features(head: str) -> None:
    s = Sketch(("N", 3, 4, 4))
    features = s.conv(s.x, "conv", 5, 1)
    if head == "flat":
        program = s.program(s.linear(s.op("Flatten", [features], "flat"), "fc", 7))
    else:
        inner = s.op("Relu", [s.linear(s.pooled(features, "head"), "fc1", 5)], "relu")
        program = s.program(s.linear(inner, "fc", 7))
    assert classifier(program).rows.shape[0] == 7
    with pytest.raises(ModelError, match="'fc' must follow global pooling of the features 'conv'"):
        classifier(program, features)

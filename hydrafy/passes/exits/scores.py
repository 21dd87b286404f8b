"""How sure an answer is: numbers made of its logits, from 0, all classes are alike, to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import onnx_ir as ir

from hydrafy.ir.values import dims
from hydrafy.passes.fresh import Place

Score = Literal["probability", "entropy", "margin"]


def probability(place: Place, logits: ir.Value) -> ir.Value:
    """The largest probability [N, 1]."""
    softmax = place.put("Softmax", [logits], "probabilities", axis=1)
    return place.put("ReduceMax", [softmax, _classes(place)], "score", keepdims=1)


def entropy(place: Place, logits: ir.Value) -> ir.Value:
    """1 less the entropy of the probabilities over the largest possible one, [N, 1]."""
    logs = place.put("LogSoftmax", [logits], "logs", axis=1)
    softmax = place.put("Softmax", [logits], "probabilities", axis=1)
    product = place.put("Mul", [softmax, logs], "products")
    negative = place.put("ReduceSum", [product, _classes(place)], "information", keepdims=1)
    (classes,) = dims(logits)
    most = place.weight("most", np.log(max(classes, 2)))
    share = place.put("Div", [negative, most], "share")
    rounded = place.put("Add", [share, place.weight("one", 1, np.float32)], "sum")
    return place.put("Relu", [rounded], "score")


def margin(place: Place, logits: ir.Value) -> ir.Value:
    """By how much the largest probability is over the second largest, [N, 1]."""
    softmax = place.put("Softmax", [logits], "probabilities", axis=1)
    two = place.weight("two", [2], np.int64)
    outputs = [f"{place.path}.{name}" for name in ("best", "ranks")]
    best = place.put("TopK", [softmax, two], "best", outputs=outputs, axis=1)
    first, second = (
        place.put("Gather", [best, place.weight(f"{name}.rank", [rank], np.int64)], name, axis=1)
        for rank, name in enumerate(("first", "second"))
    )
    return place.put("Sub", [first, second], "score")


def _classes(place: Place) -> ir.Value:
    return place.weight("axis", [1], np.int64)


SCORES: dict[Score, Callable[[Place, ir.Value], ir.Value]] = {
    "probability": probability,
    "entropy": entropy,
    "margin": margin,
}

"""Thresholds: values that follow from run-time inputs alone, whatever the images are."""

import onnx_ir as ir

from hydrafy.ir.values import is_constant


def is_threshold(value: ir.Value) -> bool:
    """Whether a value is a run-time input, or is computed from such and from constants.

    It has one row for all samples or one for each, as the caller feeds it.
    """
    seen: set[ir.Value] = set()
    waiting, given = [value], False
    while waiting:
        one = waiting.pop()
        if one in seen or is_constant(one):
            continue
        seen.add(one)
        node = one.producer()
        if node is not None:
            waiting += [v for v in node.inputs if v is not None]
        elif one.is_initializer():
            given = True
        else:
            return False
    return given

"""The shapes that a graph declares are possible, and agree with its weights."""

import onnx

from hydrafy.errors import ModelError
from hydrafy.ir.check.walk import Body

LARGEST = 2**31 - 1
"""Of one dimension: no runtime takes more."""

INPUT = 2**28
"""Numbers in one input whose dimensions are all fixed but the first: a gigabyte of float32."""


def check_shapes(graph: Body) -> None:
    """Does nothing where declared shapes can be, and fit the weights of the same name.

    Raises:
        ModelError: naming the value.
    """
    if isinstance(graph, onnx.FunctionProto):
        return
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        declared = value.type.tensor_type
        if declared.elem_type == onnx.TensorProto.STRING:
            raise ModelError(f"{value.name!r} is text: networks of hydrafy compute with numbers")
        dims = [d.dim_value if d.HasField("dim_value") else None for d in declared.shape.dim]
        for size in dims:
            if size is not None and not 0 <= size <= LARGEST:
                raise ModelError(
                    f"{value.name!r} has the impossible shape {dims}: an open dimension has a "
                    "name, or nothing"
                )
        weight = weights.get(value.name)
        if weight is not None and declared.HasField("shape"):
            _check_weight(value, dims, weight)
    for value in graph.input:
        numbers = 1
        for dim in value.type.tensor_type.shape.dim:
            numbers *= dim.dim_value or 1
        if numbers > INPUT:
            raise ModelError(f"input {value.name!r} holds {numbers:,} numbers: {INPUT:,} at most")


def _check_weight(
    value: onnx.ValueInfoProto, dims: list[int | None], weight: onnx.TensorProto
) -> None:
    have = list(weight.dims)
    fits = len(have) == len(dims) and all(
        d is None or d == h for d, h in zip(dims, have, strict=True)
    )
    if not fits:
        raise ModelError(f"weight {value.name!r} is declared as {dims}, its data has {have}")
    kind = value.type.tensor_type.elem_type
    if kind not in (0, weight.data_type):
        raise ModelError(
            f"weight {value.name!r} is declared with element type {kind}, its data has "
            f"{weight.data_type}"
        )

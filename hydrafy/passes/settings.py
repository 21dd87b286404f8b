"""Run-time inputs: numbers of a program that whoever runs it may override on every call."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program


def setting(
    program: Program, entry: RuntimeInput, default: np.ndarray, owner: str = ""
) -> ir.Value:
    """A new run-time input, which may be fed with one row or with a row for each sample.

    Args:
        program: what gets it.
        entry: what the manifest says of it.
        default: float32 [1, columns].
        owner: what stands before its name, with a dot, where that is taken: two recipes both have
            their threshold.
    """
    graph, manifest = program.graph, program.manifest
    taken = {*program.values(), *graph.initializers}
    name = f"{owner}.{entry.name}" if owner and entry.name in taken else entry.name
    value = build.weight(graph, name, default)
    value.shape = ir.Shape([f"{name}_rows", f"{name}_columns"])
    graph.inputs.append(value)
    own = dataclasses.replace(entry, name=name)
    program.manifest = dataclasses.replace(manifest, runtime_inputs=(*manifest.runtime_inputs, own))
    return value


def each_column(
    graph: ir.Graph, before: ir.Node, value: ir.Value, columns: int, path: str
) -> ir.Value:
    """A value that broadcasts to [rows, columns], such as what a caller feeds, with all columns.

    Args:
        graph: what it is of.
        before: the node before which the new ones stand.
        value: [rows, columns], [rows, 1] or less.
        columns: how many.
        path: what the new names begin with; the zeros that are added are `<path>.columns`.
    """
    zeros = build.weight(graph, f"{path}.columns", np.zeros((1, columns), np.int64))
    # integers, because floats would be trained
    floats = build.op("Cast", [zeros], f"{path}.columns.zero", to=int(ir.DataType.FLOAT))
    wide = build.op("Add", [value, *floats.outputs], f"{path}.each")
    graph.insert_before(before, [floats, wide])
    (found,) = wide.outputs
    found.shape = ir.Shape([path, columns])  # inference does not know, of one column
    return found

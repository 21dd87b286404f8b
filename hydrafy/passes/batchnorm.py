"""Gives convolutions the BatchNormalizations back that an exporter folded into them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of a convolution's output over images and places, float64 [C] each."""

    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class RestoreBatchNorm(Pass):
    """Puts a BatchNormalization behind convolutions, which changes nothing but their training.

    Its running statistics are the moments of what the convolution computes, and its scale and shift
    undo them: scale = sqrt(variance + epsilon), shift = mean. The convolution's bias goes, since
    the shift holds it. A channel without variance gets the scale sqrt(epsilon), so that nothing is
    ever divided by less.

    Args:
        moments: those of each convolution's output, by its name; the convolutions have biases.
    """

    name: ClassVar[str] = "restore-batchnorm"
    moments: Mapping[str, Moments]

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, values = program.graph, program.values()
        taken, notes, count = set(values), [], 0
        for name, moments in self.moments.items():
            conv = values[name].producer()
            assert conv is not None, f"{name!r} is no convolution's output"
            if conv.outputs[0].is_graph_output():
                notes.append(f"{name!r} has none restored: it is an output of the network")
                continue
            _restore(graph, conv, moments, _free(f"{name}_bn", taken))
            count += 1
        return [f"{count} BatchNormalizations are restored", *notes] if self.moments else []


def _restore(graph: ir.Graph, conv: ir.Node, moments: Moments, name: str) -> None:
    old, bias = conv.outputs[0], conv.inputs[2]
    own = np.asarray(constant(bias), np.float64)
    arrays = {
        "weight": np.sqrt(moments.variance + EPSILON),
        "bias": moments.mean,
        "running_mean": moments.mean - own,
        "running_var": moments.variance,
    }
    weights = [build.weight(graph, f"{name}.{s}", a.astype(np.float32)) for s, a in arrays.items()]
    conv.resize_inputs(2)
    norm = build.op("BatchNormalization", [old, *weights], name, epsilon=EPSILON)
    readers = [(user, place) for user, place in old.uses() if user is not norm]
    for user, place in readers:
        user.replace_input_with(place, norm.outputs[0])
    graph.insert_after(conv, norm)
    if bias is not None and not bias.uses():
        graph.initializers.pop(bias.name or "", None)


def _free(name: str, taken: set[str]) -> str:
    """The name, with underscores behind it where others have it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name

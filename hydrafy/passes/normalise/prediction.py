"""Makes the prediction a vector for each image where a file leaves it a map of one point."""

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class FlatPrediction(Pass):
    """The first output, if it is [N, classes, 1, 1], becomes [N, classes], under its name."""

    name: ClassVar[str] = "flat-prediction"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        outputs = program.graph.outputs
        value, shape = outputs[0], list(outputs[0].shape or ())
        if len(shape) != 4 or shape[2:] != [1, 1] or value.producer() is None:
            return []
        name, value.name = value.name or "", f"{value.name}.map"
        flatten = build.op("Flatten", [value], name, axis=1)
        program.graph.append(flatten)
        outputs[0] = flatten.outputs[0]
        return [f"output {name!r} is {outputs[0].shape} now, no longer {value.shape}"]

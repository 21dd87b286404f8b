"""Makes a value that only training reads an output of the program."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Expose(Pass):
    """The value becomes an output of the role `training`, unless it is an output already."""

    name: ClassVar[str] = "expose"
    value: str

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        value = program.values()[self.value]
        if value.is_graph_output():
            return []
        program.graph.outputs.append(value)
        outputs = (*program.manifest.outputs, Output(self.value, "training"))
        program.manifest = dataclasses.replace(program.manifest, outputs=outputs)
        return [f"{self.value!r} is an output for training"]

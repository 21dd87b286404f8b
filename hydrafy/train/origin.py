"""What a module remembers of the program that it was made from."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
from torch import nn

from hydrafy.ir.manifest import KEY, Manifest
from hydrafy.ir.program import Program

CHILD = "hydrafy"  # the name of the submodule that remembers


class Origin(nn.Module):
    """A submodule that computes nothing: the program, and the initializers held as tensors.

    A GraphModule's `meta` is lost when it is pickled and its plain attributes when it is copied,
    but its submodules survive both.
    """

    def __init__(self, program: Program, names: tuple[str, ...]) -> None:
        super().__init__()
        self.program = program
        self.names = names

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        manifest = self.program.manifest
        return f"{manifest.stage} program from {manifest.source or 'memory'}"

    def __deepcopy__(self, memo: dict[int, object]) -> Origin:
        return Origin(self.program.clone(), self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        # An onnx-ir model cannot be pickled; the ONNX file that it stands for can.
        return _read, (self.program.to_onnx().SerializeToString(), self.names)


def _read(content: bytes, names: tuple[str, ...]) -> Origin:
    model = ir.from_proto(onnx.load_from_string(content))
    return Origin(Program(model, Manifest.from_json(model.metadata_props[KEY])), names)

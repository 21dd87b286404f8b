"""Refuses what mixes the images of a batch, so that each row is computed from one image."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.rows import mixes_rows
from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title
from hydrafy.ir.verify import BATCH
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class SeparateImages(Pass):
    """Changes nothing but shapes: all that is computed of the images has `N` rows, by this name.

    A file for one image may well take its batch dimension for another; with more images it
    would compute something else, or nothing.
    """

    name: ClassVar[str] = "separate-images"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: naming the node that mixes images, and how.
        """
        images = set(program.data_inputs)
        for node in program.graph:
            if images.isdisjoint(node.inputs):
                continue
            why = mixes_rows(node)
            if why is not None:
                raise ModelError(
                    f"{title(node)} ({node.op_type}) mixes the images of a batch: {why}; "
                    "export the network so that it computes each image by itself"
                )
            images.update(node.outputs)
            for value in node.outputs:
                if value.shape is not None:
                    value.shape = ir.Shape([BATCH, *value.shape[1:]])
        return []

"""A model of latency: how long a network takes on one thread, foreseen from its nodes.

A node takes some time whatever it computes, some for each multiply-accumulate, and some for each
byte that it moves: `a(kind) + b(kind) * MACs + c * bytes`. What onnxruntime needs between two nodes
and for a run as a whole comes on top.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import onnx_ir as ir

from hydrafy.analysis.loads import FUSED_IN, Load, loads
from hydrafy.errors import FileError
from hydrafy.ir.program import Program


@dataclass(frozen=True)
class LatencyModel:
    """Microseconds by what is done, fitted on one machine.

    Attributes:
        node: for a node of a kind, see `hydrafy.analysis.loads`.
        mac: for a multiply-accumulate of a kind.
        byte: for a byte of a tensor that is read or written.
        weight: for a byte of weights.
        between: for a node of any kind: what passes between two of them, less what profiling took.
        scale: by which the sum over nodes is multiplied.
        run: for a run as a whole.
        block: channels in a block of onnxruntime's layout.
        onnxruntime: its version.
        processor: as the system names it.
    """

    node: Mapping[str, float]
    mac: Mapping[str, float]
    byte: float
    weight: float
    between: float
    scale: float
    run: float
    block: int
    onnxruntime: str
    processor: str

    def of(self, load: Load, share: float = 1.0, batch: int = 1) -> float:
        """Microseconds of a node alone that runs for some share of the images of a batch.

        The decisions for different images are taken to have nothing to do with each other.
        """
        ever = 1 - (1 - share) ** batch
        fixed = self.node.get(load.kind, 0.0) + self.weight * load.weights
        each = self.mac.get(load.kind, 0.0) * load.macs + self.byte * load.bytes
        return ever * fixed + share * batch * each

    def spent(self, load: Load, share: float = 1.0, batch: int = 1) -> float:
        """Microseconds of a node among others; see `of`."""
        between = 0.0 if load.kind == FUSED_IN else self.between * (1 - (1 - share) ** batch)
        return self.scale * self.of(load, share, batch) + between

    def predict(
        self, program: Program, shares: Mapping[ir.Node, float] | None = None, batch: int = 1
    ) -> float:
        """Milliseconds of a batch.

        Args:
            program: of any stage; of a dynamic one, of what it is lowered to.
            shares: of images for which nodes run, as `hydrafy.analysis.predication.need.shares`
                tells; all where it tells nothing.
            batch: images in it.
        """
        known = shares or {}
        every = ((known.get(node, 1.0), load) for node, load in loads(program, self.block))
        return (sum(self.spent(load, share, batch) for share, load in every) + self.run) / 1e3

    def to_json(self) -> str:
        """The text that is kept in a file."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @staticmethod
    def from_json(text: str) -> LatencyModel:
        """Reads what `to_json` wrote.

        Raises:
            FileError: it is something else.
        """
        try:
            return LatencyModel(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise FileError(
                "it holds no latency model: write it with hydrafy bench --fit"
            ) from error


@functools.cache
def typical() -> LatencyModel:
    """The model where none was fitted: that of a typical machine, so that it is one everywhere.

    It was fitted on an AMD EPYC with AVX-512: `hydrafy bench --fit` wrote the file.
    """
    text = resources.files(__package__).joinpath("typical.json").read_text(encoding="utf-8")
    return dataclasses.replace(LatencyModel.from_json(text), processor="a typical machine")

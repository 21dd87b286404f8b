"""Anatomy: stem, stages of residual blocks, and head of a static network, by its cuts alone."""

import itertools
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from hydrafy.analysis.cuts import between, cuts, data_values
from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims


@dataclass(frozen=True)
class Block:
    """A residual block: the nodes between two cuts of which the last is an Add or Sum.

    `kind` is `identity` where the first cut is itself an input of that sum, else `projection`.
    `entry` is the cut that the block reads, `exit` the one that its sum writes.
    """

    entry: ir.Value
    exit: ir.Value
    kind: Literal["identity", "projection"]
    nodes: tuple[ir.Node, ...]


@dataclass(frozen=True)
class Stage:
    """A run of blocks whose results have one shape (C, H, W)."""

    name: str
    shape: tuple[int, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Anatomy:
    """The parts of a residual network.

    `features` is the last cut that still has the shape of the last stage: what the head pools.
    """

    input: ir.Value
    stages: tuple[Stage, ...]
    features: ir.Value
    output: ir.Value

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, in order."""
        return tuple(block for stage in self.stages for block in stage.blocks)

    def entry(self, where: str) -> ir.Value:
        """The cut before stage `stage3`, or before its fourth block, `stage3.4`.

        Raises:
            ModelError: there is no such stage or block; what there is, is listed.
        """
        sites = self.sites()
        if where not in sites:
            have = ", ".join(f"{s.name} ({len(s.blocks)} blocks)" for s in self.stages)
            raise ModelError(f"there is no split {where!r}: the network has {have}")
        return sites[where].entry

    def sites(self) -> dict[str, Block]:
        """Every place where the network can be split, by name: the block behind it."""
        found = {}
        for stage in self.stages:
            for number, block in enumerate(stage.blocks, start=1):
                found[stage.name if number == 1 else f"{stage.name}.{number}"] = block
        return found


def anatomy(program: Program) -> Anatomy:
    """Finds the residual blocks and stages of a static program.

    Raises:
        ModelError: the network has no convolution, or no residual block.
    """
    if not any(node.op_type == "Conv" for node in program.graph):
        raise ModelError("the network has no convolution: hydrafy converts convolutional networks")
    found = cuts(program)
    blocks = [b for a, z in itertools.pairwise(found) if (b := _block(a, z))]
    if not blocks:
        raise ModelError(
            "the network has no residual stage to split: no Add or Sum joins two paths between "
            "two tensors that all paths run through"
        )
    stages: list[list[Block]] = []
    for block in blocks:
        if not stages or dims(stages[-1][-1].exit) != dims(block.exit):
            stages.append([])
        stages[-1].append(block)
    last = dims(blocks[-1].exit)
    behind = found[found.index(blocks[-1].exit) :]
    features = [
        v for v in behind if v.shape is not None and v.shape.rank() == 4 and dims(v) == last
    ]
    return Anatomy(
        input=found[0],
        stages=tuple(
            Stage(f"stage{i}", dims(stage[0].exit), tuple(stage))
            for i, stage in enumerate(stages, start=1)
        ),
        features=features[-1],
        output=program.graph.outputs[0],
    )


def _block(entry: ir.Value, end: ir.Value) -> Block | None:
    join = end.producer()
    if join is None or join.op_type not in ("Add", "Sum"):
        return None
    operands = data_values(join)
    if len(operands) < 2 or end.shape is None or end.shape.rank() != 4:
        return None
    nodes = between(entry, end)
    if not any(node.op_type == "Conv" for node in nodes):
        return None
    return Block(entry, end, "identity" if entry in operands else "projection", tuple(nodes))

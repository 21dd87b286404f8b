"""Anatomy: stem, stages of blocks, and head of a static network, by its cuts alone."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from hydrafy.analysis.cuts import between, cuts, data_values
from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims

Kind = Literal["identity", "projection", "dense", "plain", "branchy"]

JOINED = ("identity", "projection", "dense")
"""The kinds of blocks whose paths are joined with a shortcut: what ResNets and DenseNets are of."""


@dataclass(frozen=True)
class Block:
    """The nodes between two cuts, `entry` and `exit`.

    Its `kind` says how it ends: in an Add or Sum, of which the entry is itself an operand
    (`identity`) or not (`projection`, a shortcut of its own); in a Concat that the entry is handed
    to (`dense`); else it is one path of layers (`plain`), or several (`branchy`).
    """

    entry: ir.Value
    exit: ir.Value
    kind: Kind
    nodes: tuple[ir.Node, ...]


@dataclass(frozen=True)
class Stage:
    """A run of blocks whose results have one shape (C, H, W); of dense blocks, one size (H, W).

    Where layers without a shortcut lead to the first block, as in a DenseNet or a MobileNet, they
    are the stage's `transition`. `shape` is that of the stage's result.
    """

    name: str
    shape: tuple[int, ...]
    blocks: tuple[Block, ...]
    transition: Block | None = None

    @property
    def entry(self) -> ir.Value:
        """The cut that the stage reads."""
        return (self.transition or self.blocks[0]).entry

    @property
    def nodes(self) -> list[ir.Node]:
        """All nodes between the stage's entry and its last block's exit."""
        return between(self.entry, self.blocks[-1].exit)


@dataclass(frozen=True)
class Anatomy:
    """The parts of a convolutional network.

    `features` is the last cut before pooling makes it a vector: what the head pools.
    """

    input: ir.Value
    stages: tuple[Stage, ...]
    features: ir.Value
    output: ir.Value

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, in order, transitions left out."""
        return tuple(block for stage in self.stages for block in stage.blocks)

    @property
    def is_joined(self) -> bool:
        """Whether the network is made of residual or dense blocks."""
        return any(block.kind in JOINED for block in self.blocks)

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
            blocks = [stage.transition] if stage.transition else []
            for number, block in enumerate([*blocks, *stage.blocks], start=1 - len(blocks)):
                found[stage.name if block.entry is stage.entry else f"{stage.name}.{number}"] = (
                    block
                )
        return found


def anatomy(program: Program) -> Anatomy:
    """Finds the blocks and stages of a static program.

    Blocks are the spans between neighbouring cuts that end in a join with a shortcut; where there
    is none in the whole network (VGG, Inception), those that hold a convolution.

    Raises:
        ModelError: the network has no convolution, or none between two cuts.
    """
    if not any(node.op_type == "Conv" for node in program.graph):
        raise ModelError("the network has no convolution: hydrafy converts convolutional networks")
    found = cuts(program)
    spans = [b for a, z in itertools.pairwise(found) if (b := _span(a, z))]
    blocks = [b for b in spans if b.kind in JOINED] or spans
    if not blocks:
        raise ModelError(
            "the network has no stage to split: no two tensors that all of its paths run through "
            "have a convolution between them"
        )
    stages = [
        Stage(f"stage{number}", dims(run[-1].exit), tuple(run), _transition(before, run[0]))
        for number, (before, run) in enumerate(_runs(blocks), start=1)
    ]
    return Anatomy(found[0], tuple(stages), _features(found, blocks[-1]), program.graph.outputs[0])


def _span(entry: ir.Value, end: ir.Value) -> Block | None:
    """What lies between two neighbouring cuts, if it is image to image and holds a convolution."""
    if not (_is_image(entry) and _is_image(end)):
        return None
    nodes = between(entry, end)
    if not any(node.op_type == "Conv" for node in nodes):
        return None
    return Block(entry, end, _kind(entry, end, nodes), tuple(nodes))


def _kind(entry: ir.Value, end: ir.Value, nodes: Sequence[ir.Node]) -> Kind:
    join = end.producer()
    assert join is not None
    operands = data_values(join)
    if len(operands) > 1 and join.op_type in ("Add", "Sum"):
        return "identity" if entry in operands else "projection"
    if join.op_type == "Concat" and entry in operands and len(operands) > 1:
        return "dense"
    return "plain" if len(nodes) == 1 else "branchy"


def _runs(blocks: Iterable[Block]) -> Iterator[tuple[Block | None, list[Block]]]:
    """Blocks of one shape in sequence, each run with the block before it."""
    before = None
    for _, group in itertools.groupby(blocks, _shape):
        run = list(group)
        yield before, run
        before = run[-1]


def _shape(block: Block) -> tuple[int, ...]:
    """What the blocks of a stage have in common; a dense block adds channels to each result."""
    return dims(block.exit)[1:] if block.kind == "dense" else dims(block.exit)


def _transition(before: Block | None, first: Block) -> Block | None:
    """The layers between two stages, if any of them is a convolution."""
    if before is None:
        return None
    nodes = between(before.exit, first.entry)
    if not any(node.op_type == "Conv" for node in nodes):
        return None
    return Block(before.exit, first.entry, "plain", tuple(nodes))


def _features(found: Sequence[ir.Value], last: Block) -> ir.Value:
    """The last image behind the last block that is as large as its result."""
    size = dims(last.exit)[1:]
    behind = itertools.takewhile(
        lambda v: _is_image(v) and dims(v)[1:] == size and not _is_pooled(v),
        found[found.index(last.exit) + 1 :],
    )
    return [last.exit, *behind][-1]


def _is_image(value: ir.Value) -> bool:
    return value.shape is not None and value.shape.rank() == 4


def _is_pooled(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type in ops.GLOBAL

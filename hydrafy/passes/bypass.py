"""Inserts gates that let a sample bypass blocks: residual ones, dense ones, or some filters."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.anatomy import JOINED, Block, Stage, anatomy
from hydrafy.analysis.joins import join_of, producer, work
from hydrafy.errors import ModelError, nearest
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, Rate
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.filters import groups
from hydrafy.passes.fresh import Place
from hydrafy.passes.gumbel import PLAIN, Gate
from hydrafy.passes.thresholds import thresholds


@dataclass(frozen=True, eq=False)
class Site:
    """A gate to be: what it decides about, at the entry of the first of its blocks.

    Attributes:
        path: what the names of its nodes and weights begin with.
        choices: for each of its choices, or for each group of filters, the blocks by name.
        costs: MACs of what each choice lets run, for one image; those of groups of filters have
            equal shares of their block, though the layers before its last are one for all.
    """

    path: str
    choices: tuple[dict[str, Block], ...]
    costs: tuple[int, ...]

    @property
    def decision(self) -> str:
        """The name of the output that it decides, bool [N, choices]."""
        return f"{self.path}.open"

    @property
    def blocks(self) -> dict[str, Block]:
        """All of its blocks, in order."""
        return {name: block for choice in self.choices for name, block in choice.items()}


@dataclass(frozen=True)
class InsertBypass(Pass):
    """`s(x) + F(x)` becomes `s(x) + Select(open, F(x), 0)`, with a gate that looks at x.

    The shortcut s is the identity, or what changes the shape. Of a dense layer, `concat(x, H(x))`,
    what it adds is masked: `concat(x, Select(open, H(x), 0))`. (Probabilistic gates, Sections 2.1
    and 5.) Of several groups of filters each is selected by itself (S2.3).

    Args:
        blocks: names of residual or dense blocks, as `inspect` lists them; all if none is named.
        per_stage: whether one gate decides for all blocks of a stage, each by itself, at the entry
            of the first.
        span: how many blocks that follow each other are one choice.
        filters: groups of the last convolution's filters, each of which is a choice of its own.
        gate: what gates are like.
        tau: the default of the run-time input `tau` [1, choices of all gates]; 0 opens every gate.
        share: of the samples for which a gate is expected to be open.
        seed: of the gates' weights.
    """

    name: ClassVar[str] = "insert-bypass"
    blocks: tuple[str, ...] = ()
    per_stage: bool = False
    span: int = 1
    filters: int = 1
    gate: Gate = PLAIN
    tau: float = 0.5
    share: float = 0.5
    seed: int = 0

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there is no such block, or none at all, or its filters are not in groups.
        """
        sites, rng = self.sites(program), np.random.default_rng(self.seed)
        count = sum(len(site.costs) for site in sites)
        bound, columns = thresholds(
            program,
            self.tau,
            count,
            "blocks whose gate is open with a lower probability do not run",
            noise=self.gate.sampled,
        )
        decisions, predicates = [], list[str]()
        first = columns.start
        for site in sites:
            block = next(iter(site.blocks.values()))
            place = Place(program.graph, block.nodes[0], site.path, rng)
            own = range(first, first := first + len(site.costs))
            decisions.append(self.gate.decide(place, block.entry, bound, own))
            predicates += self._select(program.graph, site, decisions[-1])
        program.graph.outputs.extend(decisions)
        manifest = program.manifest
        outputs = (Output(value.name or "", "decision") for value in decisions)
        program.manifest = dataclasses.replace(
            manifest,
            stage="dynamic",
            outputs=(*manifest.outputs, *outputs),
            rates=(*manifest.rates, *(Rate(name, self.share) for name in predicates)),
        )
        return [f"a gate before {', '.join(site.blocks)}" for site in sites]

    def sites(self, program: Program) -> list[Site]:
        """The gates that a program would get: for its blocks in which nothing is selected yet.

        Raises:
            ModelError: as `apply`.
        """
        parts = anatomy(program)
        dynamic = {node for node in program.graph if ops.is_select(node)}
        found = {
            name: block
            for name, block in parts.sites().items()
            if block.kind in JOINED and dynamic.isdisjoint(block.nodes)
        }
        unknown = [name for name in self.blocks if name not in found]
        if unknown:
            raise ModelError(f"there is no block {unknown[0]!r}: {nearest(unknown[0], found)}")
        if not found and dynamic:
            raise ModelError(
                "the network is dynamic already, and no block of it is left for gates: insert them "
                "first, that is, name the recipe bypass before the others"
            )
        if not found:
            raise ModelError(
                "the network has no block that a sample could bypass: no Add or Concat joins "
                "layers with a shortcut around them"
            )
        chosen = {n: b for n, b in found.items() if n in (self.blocks or found)}
        return [site for stage in parts.stages for site in self._of_stage(stage, chosen)]

    def _of_stage(self, stage: Stage, chosen: dict[str, Block]) -> Iterator[Site]:
        names = {block: name for name, block in chosen.items()}
        runs: list[dict[str, Block]] = []
        before = None
        for block in stage.blocks:
            if block in names:
                if before is None or len(runs[-1]) == self.span:
                    runs.append({})
                runs[-1][names[block]] = block
            before = block if block in names else None
        for group in [runs] if self.per_stage and runs else [[run] for run in runs]:
            costs = (sum(map(work, run.values())) // self.filters for run in group)
            yield Site(
                f"gates.{stage.name if self.per_stage else next(iter(group[0]))}",
                tuple(group),
                tuple(cost for cost in costs for _ in range(self.filters)),
            )

    def _select(self, graph: ir.Graph, site: Site, decision: ir.Value) -> Iterator[str]:
        """Puts Selects behind blocks; the names of the predicates."""
        for number, run in enumerate(site.choices):
            name = next(iter(run))
            preds = []
            for group in range(self.filters):
                end = f".{group}" if self.filters > 1 else ""
                column = np.array(number * self.filters + group, np.int64)
                index = build.weight(graph, f"gates.{name}.column{end}", column)
                pred = build.op("Gather", [decision, index], f"gates.{name}.runs{end}", axis=1)
                graph.insert_after(producer(decision), pred)
                preds.append(pred.outputs[0])
                yield pred.outputs[0].name or ""
            for path, block in run.items():
                _bypass(graph, block, preds, f"gates.{path}")


def _bypass(graph: ir.Graph, block: Block, preds: list[ir.Value], path: str) -> None:
    """Selects what a block adds to its shortcut, group of filters by group."""
    join, place = join_of(block)
    value = join.inputs[place]
    assert value is not None
    nothing = build.weight(graph, f"{path}.nothing", np.array(0, np.float32))
    masked = []
    for number, (pred, part) in enumerate(
        zip(preds, groups(graph, value, len(preds)), strict=True)
    ):
        end = f".{number}" if len(preds) > 1 else ""
        select = build.op(
            "Select",
            [pred, part, nothing],
            f"{path}.select{end}",
            domain=ops.DOMAIN,
            gradient="straight_through",
        )
        graph.insert_before(join, select)
        masked.append(select.outputs[0])
    if len(masked) > 1:
        whole = build.op("Concat", masked, f"{path}.filters", axis=1)
        graph.insert_before(join, whole)
        masked = list(whole.outputs)
    join.replace_input_with(place, masked[0])

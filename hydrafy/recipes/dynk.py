"""DynK-Hydra: many specialised branches, of which a gate runs the few that a sample needs.

Source: DynK-Hydra (Complex & Intelligent Systems 9, 2023), on top of HydraNets (CVPR 2018).

Where we differ: branch and gate are narrow by default (w_b = 0.25, w_g = 0.125; the CIFAR networks
of the papers keep the full width, which costs more than it saves), and the gate keeps one block of
each stage (the papers: all of them). Classes are clustered by the rows of the final classifier
where there is no data. Equation 6 of DynK compares the projection with tau, its Algorithm 1 and
text the gate's weight: we follow the algorithm. The best branch runs even if it is below tau.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import onnx_ir as ir

from hydrafy.analysis.anatomy import Anatomy, Block, anatomy
from hydrafy.analysis.channels import Strength, coupling, keep, strength
from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.cost import cost, macs
from hydrafy.analysis.cuts import between
from hydrafy.analysis.layers import channels
from hydrafy.analysis.narrow import narrowed_macs
from hydrafy.analysis.partition import partition
from hydrafy.analysis.pooling import pool_that_fits, sizes
from hydrafy.errors import ModelError, nearest
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.ops import is_select
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.branches import SUM, InsertBranches
from hydrafy.passes.combine import Combine, Kind
from hydrafy.passes.declare import Declare
from hydrafy.passes.expose import Expose
from hydrafy.passes.gate import PICKED, InsertGate
from hydrafy.passes.parts import NameParts
from hydrafy.recipes.base import NOTHING, Measured, Recipe, option

KERNELS: dict[str, Callable[[int], int]] = {
    "separable": lambda channels: 9 * channels + channels**2,
    "dense": lambda channels: 9 * channels**2,
    "mean": lambda channels: 0,
}
"""The combiners, and their weights for a number of channels."""

BUDGET = 0.75  # of the source's MACs: what the default split may cost at most


@dataclass(frozen=True)
class Dynk(Recipe):
    """The options of DynK-Hydra, its passes, and its three losses (eq. 3 to 5, summed in 7)."""

    name: ClassVar[str] = "dynk"
    source: ClassVar[str] = "DynK-Hydra 2023, HydraNets 2018"
    cheaper: ClassVar[str] = "take fewer or narrower branches, a narrower gate, or a later split"

    branches: int = option(20, "number of branches (n_b)", "20; 8 on CUB-200")
    k: int = option(4, "the most branches that run for a sample", "4; 5 on ImageNet32")
    tau: float = option(0.08, "branches with a lower probability do not run", "0.01 to 0.1")
    split: str = option(
        "auto", "where the stem ends: stage3, stage3.2, or auto", "before the third stage"
    )
    branch_width: float = option(0.25, "relative width of a branch (w_b)", "1; 0.125 on CUB-200")
    gate_width: float = option(0.125, "relative width of the gate (w_g)", "1; 0.125 on CUB-200")
    gate_depth: int = option(1, "blocks of each stage in the gate; 0 keeps all", "all")
    gate_pool: int = option(2, "the gate sees the stem averaged over squares of this size", "1")
    combiner: str = option(
        "separable",
        "3x3 convolution behind the sum: separable, dense, or mean (none)",
        "dense; eq. 2: none",
    )
    seed: int = option(0, "of the clustering's starting points")

    def __post_init__(self) -> None:
        if self.branches < 1:
            raise self.refuse("branches", "is too few: at least 1 is needed")
        if not 1 <= self.k <= self.branches:
            raise self.refuse("k", f"must be between 1 and the {self.branches} branches")
        if not 0 <= self.tau <= 1:
            raise self.refuse("tau", "is no probability: it must be between 0 and 1")
        for name in ("branch_width", "gate_width"):
            if not 0 < getattr(self, name) <= 1:
                raise self.refuse(name, "must be above 0 and at most 1")
        if self.gate_pool < 1:
            raise self.refuse("gate_pool", "must be 1 (no pooling) or more")
        if self.gate_depth < 0:
            raise self.refuse("gate_depth", "must be 0 (all blocks) or more")
        if not 0 <= self.seed < 2**32:
            raise self.refuse("seed", "must be between 0 and 4294967295")
        if self.combiner not in KERNELS:
            raise self.refuse("combiner", f"is not known: {nearest(self.combiner, KERNELS)}")

    def passes(self, program: Program, measured: Measured = NOTHING) -> Iterator[Pass]:
        """Name the parts, insert the gate, the branches and the combiner, declare the losses."""
        found = _joined(program)
        last = classifier(program, found.features)
        means = measured.class_features
        groups_of_classes = partition(
            last.rows if means is None else means, self.branches, seed=self.seed
        )
        site = self.site(program) if self.split == "auto" else self.split
        entry, features = found.entry(site), found.features
        _check_free(found, site)
        yield NameParts(entry.name or "", features.name or "")
        cut, end, logits = entry.name or "", features.name or "", last.logits.name or ""
        yield Expose(logits)
        yield InsertGate(
            cut,
            end,
            groups_of_classes,
            self.k,
            self.tau,
            self.gate_width,
            self.gate_pool,
            self.skipped(found, entry),
            neutral=0.0 if self.branch_width == 1 else None,
        )
        share = self.k / self.branches
        yield InsertBranches(cut, end, PICKED, self.branches, self.branch_width, share)
        yield Combine(SUM, end, self.k, cast(Kind, self.combiner))
        options = {**dataclasses.asdict(self), "split": site}
        losses = self.losses(logits, groups_of_classes)
        yield Declare(self.name, options, losses, groups_of_classes)

    def losses(
        self, logits: str, groups_of_classes: tuple[tuple[int, ...], ...]
    ) -> tuple[LossTerm, ...]:
        """L_E, L_G and one L_branch for each branch, weighted 1, 1.5 and 0.05 (DynK, eq. 7)."""
        return (
            LossTerm("final", logits, 1.0),
            LossTerm("gate", "gate.logits", 1.5, settings={"target": "group"}),
            *(
                LossTerm(
                    f"branches.{b}", f"branches.{b}.logits", 0.05, settings={"classes": [*classes]}
                )
                for b, classes in enumerate(groups_of_classes)
            ),
        )

    def skipped(self, found: Anatomy, entry: ir.Value) -> tuple[Block, ...]:
        """The identity blocks behind the split that the gate leaves out."""
        if self.gate_depth == 0:
            return ()
        behind = set(between(entry, found.features))
        left_out = []
        for stage in found.stages:
            blocks = [b for b in stage.blocks if b.nodes[-1] in behind]
            left_out += [b for b in blocks[self.gate_depth :] if b.kind == "identity"]
        return tuple(left_out)

    @classmethod
    def fitted(cls, program: Program) -> Self:
        """The default options, with at most one branch a class."""
        classes = len(classifier(program, _joined(program).features).rows)
        return cls(branches=min(cls.branches, classes), k=min(cls.k, classes))

    def sites(self, program: Program) -> dict[str, int]:
        """MACs of one image for a split before each stage and block."""
        return dict(reversed(list(self._costs(program))))

    def site(self, program: Program) -> str:
        """The deepest split that costs at most 75 % of the source's MACs, else the cheapest."""
        budget, costs = BUDGET * cost(program).macs, dict[str, int]()
        for name, costs[name] in self._costs(program):
            if costs[name] <= budget:
                return name
        if not costs:
            _check_free(_joined(program), next(reversed(_joined(program).sites())))
        return min(reversed(costs), key=lambda name: costs[name])

    def _costs(self, program: Program) -> Iterator[tuple[str, int]]:
        """The names and MACs of all splits, the deepest first."""
        found, once = _joined(program), functools.cache(strength)
        whole = cost(program).macs
        for name, block in reversed(found.sites().items()):
            if _taken(found, block.entry):
                continue
            yield name, self.executed(whole, found, block.entry, once)

    def executed(
        self, whole: int, found: Anatomy, entry: ir.Value, strength: Strength = strength
    ) -> int:
        """MACs for one image when the network of `whole` is split at `entry` and k branches run."""
        tail = between(entry, found.features)
        size = channels(found.features)
        _, height, width = dims(found.features)
        skipped = self.skipped(found, entry)
        left_out = {node for block in skipped for node in block.nodes}
        gate = [node for node in tail if node not in left_out]
        thin = keep(coupling(tail, entry, strength=strength), self.branch_width)
        pairs = [(block.entry, block.exit) for block in skipped]
        thinner = keep(coupling(gate, entry, pairs, strength), self.gate_width)
        kept = len(thin[found.features])
        branch = narrowed_macs(tail, entry, thin)
        if kept < size:
            branch += kept * size * height * width
        rest = whole - sum(map(macs, tail))
        seen = sizes(tail, entry, pool_that_fits(tail, entry, self.gate_pool))
        scores = len(thinner[found.features]) * self.branches
        return (
            rest
            + narrowed_macs(gate, entry, thinner, seen)
            + scores
            + self.k * branch
            + KERNELS[self.combiner](size) * height * width
        )


def _joined(program: Program) -> Anatomy:
    """The anatomy of a network of residual or dense blocks.

    Raises:
        ModelError: it is made of others.
    """
    found = anatomy(program)
    if not found.is_joined:
        raise ModelError(
            "the network has no residual stage to split: no Add, Sum or Concat joins layers with a "
            "shortcut around them"
        )
    return found


def _taken(found: Anatomy, entry: ir.Value) -> bool:
    """Whether another recipe selects something behind a cut already."""
    return any(is_select(node) for node in between(entry, found.features))


def _check_free(found: Anatomy, site: str) -> None:
    """Refuses a split behind which another recipe has gates.

    Raises:
        ModelError: naming the blocks that may have gates.
    """
    if not _taken(found, found.entry(site)):
        return
    names = list(found.sites())
    stem = ",".join(names[: names.index(site)])
    remedy = (
        f"leave gates to those before it, --set bypass.blocks={stem}" if stem else "split later"
    )
    raise ModelError(
        f"dynk copies all blocks behind its split {site}, and some of them have gates of another "
        f"recipe: {remedy}"
    )

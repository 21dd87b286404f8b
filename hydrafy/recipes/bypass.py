"""Probabilistic gates: samples bypass the blocks that they do not need, or all of them do.

Source: Deep networks with probabilistic gates (2018), with ConvNet-AIG (2018) as its special case
of a loss for each gate (`loss=gate`), and stochastic depth (2016) as that of gates which learn
nothing (`gates=depth`).

Where we differ: a gate's global average pooling is followed by linear layers where ConvNet-AIG has
1x1 convolutions, which compute the same. `gate=stage` lets one small network decide for all blocks
of a stage. Stochastic depth draws for each image, where the paper draws for each batch, and scales
what it keeps in training by 1 / p, where the paper scales what is kept at inference by p: the same
family of networks, of which ours begins at the pretrained one.

Early exits (`exits=stage2,stage3`, Section 5 and S2.4) have gates like the others, which learn with
them. What they decide is to stay, so that open gates keep everybody, and a fresh network does. The
paper's gates (`exit_gate=convolutional`) alone take five times the MACs of a whole ResNet-20; so
exits have those of blocks by default, which look at each channel's mean.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.cost import cost
from hydrafy.errors import OptionError, nearest
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.bypass import InsertBypass, Site
from hydrafy.passes.declare import Declare
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR, Strided
from hydrafy.passes.exits.decisions import Learned
from hydrafy.passes.expose import Expose
from hydrafy.passes.gumbel import Convolutional, Dependent, Depth, Gate, Independent
from hydrafy.recipes.base import NOTHING, Measured, Recipe, option

WORDS = {
    "gates": ("dependent", "independent", "depth", "convolutional"),
    "gate": ("block", "stage"),
    "loss": ("batch", "gate"),
    "penalty": ("quadratic", "above"),
    "course": ("fixed", "anneal", "variable"),
    "cost": ("gates", "macs"),
    "times": ("one", "gates"),
    "exit_gate": ("dependent", "convolutional"),
    "exit_classifier": ("msdnet", "linear"),
}
"""The options that are one of some words."""

ALL, SAME, NONE = "all", "same-shape", "none"

SPREAD, SEEING, BLIND = 0.001, (0.1, 2.0), (0.1, 4.0)
"""Of a fresh gate's last layer, in ConvNet-AIG's released code: the spread of its weights, and the
biases of closed and open: open with a probability of 0.87, an independent gate with 0.98."""

COUNTS = {"span": 1000, "filters": 1024, "hidden": 65_536, "exit_width": 65_536}
"""The options that are a number from 1 on, and the most that makes sense."""

COOLEST, HOTTEST = 0.01, 100.0
"""Temperatures between which gradients are numbers."""


@dataclass(frozen=True)
class Bypass(Recipe):
    """The options of probabilistic gates, their pass and their losses."""

    name: ClassVar[str] = "bypass"
    source: ClassVar[str] = "Probabilistic gates 2018, ConvNet-AIG 2018"
    cheaper: ClassVar[str] = "lower the target, or take smaller gates and exits"

    target: float = option(0.6, "the share of gates (or MACs) that should be open", "0.4 to 0.8")
    loss: str = option("batch", "that share is of a batch, or of each gate", "batch (L_B)")
    gates: str = option(
        "dependent", "what gates see: dependent, independent, depth, convolutional", "both"
    )
    gate: str = option("block", "a gate for each block, or one for all of a stage", "block")
    blocks: str = option(ALL, f"{ALL}, {SAME}, or names: stage1.2,stage3.3", ALL)
    span: int = option(1, "how many blocks that follow each other are one choice", "1")
    filters: int = option(1, "groups of filters within a block that are choices (S2.3)", "1")
    cost: str = option("gates", "what the target is a share of: gates or macs", "gates")
    penalty: str = option(
        "quadratic", "above: fewer open gates than the target cost nothing", "both"
    )
    course: str = option("fixed", "of the target: fixed, anneal (from 1), variable", "all")
    anneal_step: float = option(0.05, "by which the target falls", "0.05")
    anneal_every: float = option(5.0, "epochs after which it falls", "5")
    weight: float = option(2.0, "of the loss for the target (lambda)", "2; 1 on ImageNet")
    times: str = option(
        "one", "multiplies that loss: one, or gates for their number", "code: gates"
    )
    temperature: float = option(1.0, "of the Gumbel softmax", "1")
    cooled: float = option(1.0, "the temperature in the last epoch", "1")
    hidden: int = option(16, "units of a gate's hidden layer", "16")
    p_last: float = option(0.5, "gates=depth: probability of the last block", "0.5")
    tau: float = option(0.5, "gates with a lower probability are closed at inference", "0.5")
    exits: str = option(
        NONE, f"early exits before stages or blocks: stage2,stage3; or {NONE}", "both"
    )
    exit_target: float = option(0.3, "the share of samples that should leave at each exit", "0.3")
    exit_classifier: str = option("msdnet", "what answers there: msdnet, linear", "msdnet")
    exit_gate: str = option("dependent", "what decides: dependent, convolutional", "convolutional")
    exit_width: int = option(128, "filters of what is convolutional there", "128")
    seed: int = option(0, "of the gates' weights")

    def __post_init__(self) -> None:
        for name, words in WORDS.items():
            word = getattr(self, name)
            if word not in words:
                raise self.refuse(name, f"is not known: {nearest(word, words)}")
        for name in ("target", "tau", "exit_target"):
            if not 0 <= getattr(self, name) <= 1:
                raise self.refuse(name, "is no share: it must be between 0 and 1")
        for name, most in COUNTS.items():
            if not 1 <= getattr(self, name) <= most:
                raise self.refuse(name, f"must be between 1 and {most}")
        for name in ("weight", "anneal_step", "anneal_every"):
            if not 0 < getattr(self, name) < math.inf:
                raise self.refuse(name, "must be above 0")
        for name in ("temperature", "cooled"):
            if not COOLEST <= getattr(self, name) <= HOTTEST:
                raise self.refuse(name, f"must be between {COOLEST:g} and {HOTTEST:g}")
        if not 0 < self.p_last <= 1:
            raise self.refuse("p_last", "must be above 0 and at most 1")
        if not 0 <= self.seed < 2**32:
            raise self.refuse("seed", "must be between 0 and 4294967295")
        if self.gates == "depth" and self.tau != 0.5:
            raise self.refuse("tau", "makes no sense: stochastic depth is always on at inference")
        if self.course == "anneal" and self.target == 1:
            raise OptionError("recipe bypass: course=anneal makes no sense with target=1")
        if len(set(self.places)) < len(self.places):
            raise self.refuse("exits", "names a place twice")

    def passes(self, program: Program, measured: Measured = NOTHING) -> Iterator[Pass]:
        """Insert the gates, declare the losses."""
        insert = self.insert(program)
        sites = insert.sites(program)
        logits = classifier(program).logits.name or ""
        yield Expose(logits)
        yield insert
        if self.places:
            yield self.leave()
        yield Declare(self.name, dataclasses.asdict(self), self.losses(logits, sites))

    @property
    def places(self) -> tuple[str, ...]:
        """The stages or blocks before which an exit stands."""
        return () if self.exits == NONE else _words(self.exits)

    def leave(self) -> InsertExits:
        """The pass that inserts the exits."""
        hidden = self.exit_width if self.exit_gate == "convolutional" else self.hidden
        gate = self.kind(self.exit_gate, hidden)
        return InsertExits(
            self.places,
            Strided(self.exit_width) if self.exit_classifier == "msdnet" else LINEAR,
            Learned(gate, self.tau, 1 - self.exit_target),
            self.seed,
        )

    def insert(self, program: Program) -> InsertBypass:
        """The pass that inserts the gates."""
        learned = self.gates != "depth"
        return InsertBypass(
            blocks=self.chosen(program),
            per_stage=self.gate == "stage",
            span=self.span,
            filters=self.filters,
            gate=self.kind(self.gates, self.hidden),
            tau=self.tau if learned else 0.0,
            share=self.target if learned else 1.0,
            seed=self.seed,
        )

    def kind(self, name: str, hidden: int) -> Gate:
        """A gate of that kind, with so many hidden units or filters."""
        if name == "depth":
            return Depth(last=self.p_last)
        heat = {"temperature": self.temperature, "cooled": self.cooled}
        if name == "independent":
            return Independent(bias=BLIND, **heat)
        made = Convolutional if name == "convolutional" else Dependent
        return made(hidden=hidden, spread=SPREAD, bias=SEEING, **heat)

    def chosen(self, program: Program) -> tuple[str, ...]:
        """The names of the blocks that get gates; nothing for all."""
        if self.blocks == ALL:
            return ()
        if self.blocks != SAME:
            return _words(self.blocks)
        found = anatomy(program).sites()
        return tuple(name for name, block in found.items() if block.kind in ("identity", "dense"))

    def losses(self, logits: str, sites: list[Site]) -> tuple[LossTerm, ...]:
        """The cross entropy, and the distances of the gates' rates from their targets."""
        final = LossTerm("final", logits, 1.0)
        return (final, *self._layers(sites), *self._leaving())

    def _layers(self, sites: list[Site]) -> Iterator[LossTerm]:
        if self.gates == "depth":
            return
        by_macs = self.cost == "macs"
        costs = [[float(c) if by_macs else 1.0 for c in site.costs] for site in sites]
        settings = {
            "decisions": [site.decision for site in sites],
            "costs": costs,
            "target": self.target,
            "scope": self.loss,
            "penalty": self.penalty,
            "course": self.course,
            "step": self.anneal_step,
            "every": self.anneal_every,
            "times": float(sum(map(len, costs))) if self.times == "gates" else 1.0,
        }
        yield LossTerm("rate", sites[0].decision, self.weight, "rate", settings)

    def _leaving(self) -> Iterator[LossTerm]:
        """Of each exit by itself; nothing where more samples leave than should (Section 5).

        An exit's rate is that of all samples, those among them that left before.
        """
        if not self.places:
            return
        decisions = self.leave().decisions
        settings = {
            "decisions": decisions,
            "costs": [[1.0]] * len(decisions),
            "target": 1 - self.exit_target,
            "scope": "gate",
            "penalty": "above",
        }
        yield LossTerm("exits", decisions[0], self.weight, "rate", settings)

    def sites(self, program: Program) -> dict[str, int]:
        """MACs of one image without what a gate guards, by the first block that it decides for."""
        whole = cost(program).macs
        return {
            next(iter(choice)): whole - spent * self.filters
            for site in self.insert(program).sites(program)
            for choice, spent in zip(site.choices, site.costs[:: self.filters], strict=True)
        }


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))

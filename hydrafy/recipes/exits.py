"""Early exits: a network answers as soon as it is sure, for each sample by itself.

Source: Improved Techniques for Training Adaptive Deep Networks (2019), for any backbone:
classifiers on the way (MSDNet's, or a linear layer), gradient equilibrium (GE), inline subnetwork
collaboration (ISC), one-for-all distillation (OFA), and exits by confidence. A source that answers
several times already, such as an MSDNet, keeps its classifiers.

With one phase of training, as `default` has it, all three work from the start; with the schedules
`exits-cifar` and `exits-imagenet` ISC and OFA belong to the second phase, in which last layers
alone are trained, as in the paper.

Where we differ: classifiers are 64 filters wide by default, since MSDNet's 128 cost half of a small
ResNet. Where answers build on each other (ISC), fresh last layers begin as zeros, so that the last
answer is still the source's. An MSDNet's classifiers have learned already, and `identity` adds what
they say: `learned` keeps the last answer, since what it adds begins as zeros.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import onnx_ir as ir

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.answers import ancestors, answers, last_layer
from hydrafy.analysis.cost import cost, macs
from hydrafy.errors import ModelError, OptionError
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.ir.values import is_constant
from hydrafy.passes.base import Pass
from hydrafy.passes.declare import Declare
from hydrafy.passes.exits.attach import AttachClassifiers
from hydrafy.passes.exits.classifiers import Head, Linear, Strided
from hydrafy.passes.exits.collaborate import Collaborate, Path
from hydrafy.passes.exits.decisions import Confidence
from hydrafy.passes.exits.equilibrium import Equilibrium
from hydrafy.passes.exits.leave import LeaveEarly
from hydrafy.passes.exits.scores import SCORES, Score
from hydrafy.recipes.base import NOTHING, Measured, Recipe, option

EVEN = "even"
DEAR = 0.25
"""The share of the source's MACs above which classifiers are said to cost much."""
WORDS = {
    "classifier": ("msdnet", "linear"),
    "equilibrium": ("yes", "no"),
    "collaboration": ("identity", "learned", "none"),
    "stop": ("yes", "no"),
    "confidence": tuple(SCORES),
}
"""The options that are one of some words."""


@dataclass(frozen=True)
class Exits(Recipe):
    """The options of early exits, their passes and their losses."""

    name: ClassVar[str] = "exits"
    source: ClassVar[str] = "Adaptive training 2019 (GE, ISC, OFA)"
    cheaper: ClassVar[str] = "take fewer exits, classifiers of less width, or classifier=linear"

    exits: int = option(3, "early exits, at even cost; the network's own end is one more", "3 to 7")
    at: str = option(EVEN, f"where: {EVEN}, or before stages or blocks: stage2,stage3.2", "all")
    classifier: str = option("msdnet", "what answers: msdnet (two convolutions), linear", "msdnet")
    width: int = option(64, "filters of its convolutions", "128")
    confidence: str = option("probability", f"how sure: {', '.join(SCORES)}", "probability")
    tau: float = option(0.9, "samples leave that are as sure as that", "from a budget")
    equilibrium: str = option("yes", "GE: a layer learns from the mean of the exits behind", "yes")
    collaboration: str = option(
        "identity", "ISC: answers build on the one before: identity, learned, none", "both"
    )
    stop: str = option("yes", "ISC: no gradient flows back to the one before", "yes; code: no")
    alpha: float = option(0.9, "OFA: the share of the cross entropy; 1 is without OFA", "code: 0.9")
    temperature: float = option(1.0, "OFA: at which the last exit is heard", "code: 1")
    seed: int = option(0, "of the classifiers' weights")

    def __post_init__(self) -> None:
        for name, words in WORDS.items():
            word = getattr(self, name)
            if word not in words:
                raise self.refuse(name, f"is not known: use {', '.join(words)}")
        if not 1 <= self.exits <= 1000:
            raise self.refuse("exits", "must be between 1 and 1000")
        if not 1 <= self.width <= 65_536:
            raise self.refuse("width", "must be between 1 and 65536")
        if not (0 <= self.tau <= Confidence.NOBODY or math.isinf(self.tau)):
            raise self.refuse("tau", f"must be from 0 to {Confidence.NOBODY}, inf or -inf")
        if not 0 < self.alpha <= 1:
            raise self.refuse("alpha", "must be above 0 and at most 1")
        if not 0.01 <= self.temperature <= 100:
            raise self.refuse("temperature", "must be between 0.01 and 100")
        if not 0 <= self.seed < 2**32:
            raise self.refuse("seed", "must be between 0 and 4294967295")

    def passes(self, program: Program, measured: Measured = NOTHING) -> Iterator[Pass]:
        """Attach classifiers, let them help each other, let samples leave, declare the losses."""
        count = len(answers(program))
        if count > 1:
            self._check_kept(count)
            at = EVEN
        else:
            places = self.places(program)
            at = ",".join(places)
            yield AttachClassifiers(places, self.head, self.seed)
        if self.equilibrium == "yes":
            yield Equilibrium()
        before = _parameters(program)
        layers = [name for one in answers(program) for name in _weights(one.logits)]
        if self.collaboration != "none":
            yield Collaborate(cast(Path, self.collaboration), self.stop == "yes", self.seed)
        classifiers = (*layers, *(name for name in _parameters(program) if name not in before))
        count = len(answers(program))
        yield LeaveEarly(Confidence(cast(Score, self.confidence), self.tau), seed=self.seed)
        options = {**dataclasses.asdict(self), "exits": count - 1, "at": at}
        groups = {"classifiers": classifiers}
        yield Declare(self.name, options, tuple(self.losses(count)), groups=groups)

    def _check_kept(self, count: int) -> None:
        """Refuses options of new exits, where a network keeps those that it has."""
        kept = {"exits": (count - 1, type(self).exits), "at": (EVEN,)}
        kept |= {name: (getattr(type(self), name),) for name in ("classifier", "width")}
        for name, possible in kept.items():
            if getattr(self, name) not in possible:
                raise self.refuse(
                    name,
                    f"makes no sense: the network answers {count} times already, and keeps these "
                    "classifiers: leave it out",
                )

    @property
    def head(self) -> Head:
        """What a fresh classifier is like."""
        spread = 1.0 if self.collaboration == "none" else 0.0
        last = Linear(spread)
        return last if self.classifier == "linear" else Strided(self.width, last)

    def losses(self, count: int) -> Iterator[LossTerm]:
        """The last answer's cross entropy, and the loss of each early exit: their sum (eq. 1)."""
        last = f"exits.{count - 1}.logits"
        yield LossTerm("final", last, 1.0)
        settings = {"last": last, "alpha": self.alpha, "temperature": self.temperature}
        for number in range(count - 1):
            yield LossTerm(f"exits.{number}", f"exits.{number}.logits", 1.0, "exit", settings)

    def places(self, program: Program) -> tuple[str, ...]:
        """The stages and blocks before which exits stand.

        Raises:
            OptionError: there are more exits than places, or their number is given twice.
        """
        if self.at != EVEN:
            return tuple(name.strip() for name in self.at.split(","))
        whole, costs = cost(program).macs, self._ways(program)
        if self.exits > len(costs):
            raise OptionError(
                f"recipe exits: exits={self.exits} are more than the {len(costs)} places that the "
                "network has for them: take fewer"
            )
        found: list[str] = []
        for number in range(self.exits):
            wanted = whole * (number + 1) / (self.exits + 1)
            names = list(costs)
            first = names.index(found[-1]) + 1 if found else 0
            free = names[first : len(names) - (self.exits - 1 - number)]
            found.append(min(free, key=lambda name: abs(costs[name] - wanted)))
        return tuple(found)

    @classmethod
    def fitted(cls, program: Program) -> Self:
        """The default options, with at most as many exits as there are places."""
        if len(answers(program)) > 1:
            return cls()
        return cls(exits=min(cls.exits, len(cls()._ways(program))))

    @classmethod
    def remark(cls, source: Program, program: Program) -> str:
        """Of classifiers that cost much: whoever stays to the end pays them all."""
        known = {node.name for node in source.graph}  # of those that pruning left, too
        new = (node for node in program.graph if node.name not in known)
        added = sum(macs(node) for node in new if (node.name or "").startswith("exits."))
        share, manifest = added / max(cost(source).macs, 1), program.manifest
        if share <= DEAR:
            return ""
        before = f"{cls.name}." if manifest.recipe != cls.name else ""
        ways, width = ["fewer exits cost less"], manifest.options[f"{before}width"]
        if manifest.options[f"{before}classifier"] == "msdnet":
            narrow = f"--set {before}width={max(width // 2, 1)} instead of {width}"
            ways = [narrow, f"--set {before}classifier=linear", f"or {ways[0]}"]
        return (
            f"the classifiers of the exits cost {share:.0%} of the source's MACs, which whoever "
            f"stays to the end pays on top: {', '.join(ways)}"
        )

    def sites(self, program: Program) -> dict[str, int]:
        """MACs of one image that leaves there, its classifier counted, by the place of each exit.

        Where the network answers several times already, by the name of each answer but the last.
        """
        *early, _ = answers(program)
        names = [one.output.name or "" for one in early]
        if not early:
            names, trial = list(self._ways(program)), program.clone()
            AttachClassifiers(tuple(names), self.head, self.seed).apply(trial)
            *early, _ = answers(trial)
        spent = (sum(map(macs, ancestors(one.logits))) for one in early)
        return dict(zip(names, spent, strict=True))

    def _ways(self, program: Program) -> dict[str, int]:
        """MACs of one image up to the place of each possible exit, its classifier left out."""
        sites = anatomy(program).sites()
        found = {
            name: sum(map(macs, ancestors(block.entry)))
            for name, block in itertools.islice(sites.items(), 1, None)
        }
        if not found:
            raise ModelError("the network has one block only, and no place for an exit before it")
        return found


def _parameters(program: Program) -> list[str]:
    """The names of all weights but the statistics of BatchNormalizations, which none trains."""
    norms = (node for node in program.graph if node.op_type == "BatchNormalization")
    statistics = {v.name for node in norms for v in node.inputs[3:] if v is not None}
    return [name for name in program.graph.initializers if name not in statistics]


def _weights(logits: ir.Value) -> list[str]:
    """The names of the weights of the layer that logits come from."""
    values = (v for node in last_layer(logits) for v in node.inputs if v is not None)
    return [v.name or "" for v in values if v.is_initializer() and is_constant(v)]

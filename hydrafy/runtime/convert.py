"""Making a static network dynamic by a recipe, and saying what that costs and changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy import recipes
from hydrafy.analysis.cost import Cost, cost, expected_macs, parameters, weights
from hydrafy.analysis.need import shares
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.runtime.read import Source, read
from hydrafy.runtime.verify import TOLERANCE, images


@dataclass(frozen=True)
class Report:
    """What a conversion made of a network.

    Attributes:
        source: the cost of the static network.
        executed: the expected cost for one image, training parts left out; parameters and bytes
            count a branch by the share of images for which it runs.
        stored: the cost of all that the file holds.
        divergence: the largest difference of the prediction from the source's over its scale,
            with the run-time inputs neutral where they have such a value.
        preserved: whether that is a rounding error.
        warnings: a sentence each.
    """

    source: Cost
    executed: Cost
    stored: Cost
    divergence: float
    preserved: bool
    warnings: tuple[str, ...]


def convert(
    source: Source, recipe: str, *, watch: base.Watch | None = None, **options: Any
) -> Program:
    """Makes a static network dynamic.

    Args:
        source: an ONNX file, an ONNX model, or a static program, which stays as it is.
        recipe: a recipe's name, as `hydrafy recipes` lists them.
        watch: called after each pass, for progress.
        options: the recipe's options, as values or as text.

    Raises:
        OptionError: an unknown recipe or option, or a value that makes no sense.
        FileError: the source cannot be read.
        ModelError: the recipe has no place in this network; it says why.
    """
    chosen = recipes.find(recipe).parse(options)
    program = read(source)
    return base.run(program, chosen.passes(program), watch)


def report(source: Program, program: Program, *, seed: int = 0) -> Report:
    """Measures what a conversion costs and how far it moved the network's function.

    Args:
        source: the static program.
        program: what `convert` made of it.
        seed: of the random probe image.
    """
    before, executed = cost(source), _executed(shares(program))
    divergence = _divergence(source, program, np.random.default_rng(seed))
    warnings = []
    if executed.macs >= before.macs:
        warnings.append(
            f"these settings save nothing: {executed.macs / before.macs:.0%} of the source's MACs "
            "run for an image; take fewer or narrower branches, a narrower gate, or a later split"
        )
    return Report(
        before, executed, cost(program), divergence, divergence <= TOLERANCE, tuple(warnings)
    )


def _executed(share: Mapping[ir.Node, float]) -> Cost:
    numbers = sum(parameters([node]) * part for node, part in share.items())
    size = sum(_bytes(node) * part for node, part in share.items())
    return Cost(expected_macs(share), round(numbers), round(size))


def _bytes(node: ir.Node) -> int:
    return sum(v.const_value.nbytes for v in weights([node]) if v.const_value is not None)


def _divergence(source: Program, program: Program, rng: np.random.Generator) -> float:
    probes = images(source, 1, rng)
    prediction = source.graph.outputs[0].name or ""
    neutral = {
        entry.name: np.full_like(program.weight(entry.name), entry.neutral)
        for entry in program.manifest.runtime_inputs
        if entry.neutral is not None
    }
    wanted = Session(source, optimise=False).run(probes, [prediction])[prediction]
    bare = base.run(program.clone(), [DropTraining()])  # less to load
    found = Session(bare, optimise=False).run({**probes, **neutral}, [prediction])[prediction]
    return float(np.abs(wanted - found).max() / max(float(np.abs(wanted).max()), 1e-6))

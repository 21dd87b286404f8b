"""What a file holds: its parts and their costs, and where it can be split or what it can skip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy import recipes
from hydrafy.analysis import anatomy as parts
from hydrafy.analysis.anatomy import Anatomy, anatomy
from hydrafy.analysis.answers import scores
from hydrafy.analysis.cost import cost, cost_of, expected
from hydrafy.analysis.cuts import between
from hydrafy.analysis.latency import LatencyModel, typical
from hydrafy.analysis.predication.need import shares
from hydrafy.analysis.predication.regions import regions
from hydrafy.analysis.signs import non_negative
from hydrafy.errors import HydrafyError, ModelError, OptionError, nearest
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime.foresee import Foreseen, foresee, source_of
from hydrafy.runtime.inspection import (
    Block,
    Inspection,
    Part,
    Port,
    Setting,
    Split,
    Stage,
)
from hydrafy.runtime.read import read


def inspect(
    file: str | Path,
    rates: Mapping[str, float] | None = None,
    latency: LatencyModel | None = None,
) -> Inspection:
    """Looks into a file of any stage; a plain ONNX file is first brought to the static form.

    Args:
        file: what to look into.
        rates: how often predicates of a dynamic file hold, 0 to 1, by name; the others hold as
            often as the recipe's options let them.
        latency: by which time is foreseen; that of a typical machine where None.

    Raises:
        FileError: the file cannot be read.
        OptionError: a rate is out of range, or of no predicate of the file.
        ModelError: it is a plain ONNX file that hydrafy does not understand.
    """
    program = Program.load(file)
    if program.stage in ("source", "static"):
        program = read(file)
    static = program.stage == "static"
    _check_rates(program, rates or {})
    share = shares(program, rates)
    found, why = _anatomy(program) if static else (None, None)
    whole, manifest = cost(program), program.manifest
    model = latency or typical()
    foreseen = None if static else _foreseen(program, Path(file).parent, rates or {}, latency)
    return Inspection(
        file=str(file),
        stage=program.stage,
        source=manifest.source,
        recipe=manifest.recipe,
        options=_options(program),
        parameters=whole.parameters,
        macs=whole.macs,
        macs_active=None if static else expected(share).macs,
        milliseconds=model.predict(program) if static else _first(foreseen),
        machine=model.processor,
        foreseen=foreseen,
        bytes=whole.bytes,
        activations=whole.activations,
        normalisation=manifest.normalisation,
        inputs=tuple(_port(v, "images") for v in program.data_inputs),
        outputs=tuple(_outputs(program)),
        runtime_inputs=tuple(_settings(program)),
        parts=tuple(_ends(found) if static else _parts(program.graph, share)),
        stages=tuple(_stages(program, found)),
        splits=tuple(_splits(program, found)),
        no_split=why,
        regions=tuple(regions(program)),
    )


def _foreseen(
    program: Program, folder: Path, rates: Mapping[str, float], latency: LatencyModel | None
) -> Foreseen | None:
    return foresee(program, source_of(program, folder), rates=rates, latency=latency)


def _first(foreseen: Foreseen | None) -> float | None:
    return foreseen.sizes[0].milliseconds if foreseen is not None else None


def _port(value: ir.Value, role: str) -> Port:
    shape = (
        ()
        if value.shape is None
        else tuple(d if isinstance(d, int) else str(d) for d in value.shape)
    )
    return Port(value.name or "", role, shape)


def _outputs(program: Program) -> Iterator[Port]:
    """All of them; of a source that answers several times one predicts."""
    outputs = list(program.graph.outputs)
    several = program.stage == "static" and scores(outputs)
    for place, value in enumerate(outputs):
        early = several and place > 0
        yield _port(value, "early answer" if early else program.manifest.role(value.name or ""))


def _options(program: Program) -> dict[str, Any]:
    """The options of a recipe; of those that are run-time inputs by now, what the file holds.

    Behind the name of their recipe they stand where there are several: the first one's run-time
    inputs are called as if there were none but it.
    """
    manifest = program.manifest
    own = f"{(manifest.recipe or '').partition('+')[0]}."
    held = {entry.name: _decimals(program, entry.name).ravel() for entry in manifest.runtime_inputs}

    def now(name: str, value: Any) -> Any:
        row = held.get(name, held.get(name.removeprefix(own)))
        if row is None or (row == value).all():
            return value
        return float(row[0]) if (row == row[0]).all() else tuple(row.tolist())

    return {name: now(name, value) for name, value in manifest.options.items()}


def _settings(program: Program) -> Iterator[Setting]:
    for entry in program.manifest.runtime_inputs:
        default = _decimals(program, entry.name)
        ends = (entry.minimum, entry.maximum)
        told = (entry.neutral, entry.meaning, entry.steps)
        yield Setting(entry.name, default.shape, default.tolist(), ends, *told)


def _decimals(program: Program, name: str) -> np.ndarray:
    """What a run-time input has as its default: 0.08, not 0.07999999821186066."""
    found: np.ndarray = program.weight(name).astype(str).astype(float)
    return found


def _anatomy(program: Program) -> tuple[Anatomy | None, str | None]:
    try:
        return anatomy(program), None
    except ModelError as error:
        return None, str(error)


def _check_rates(program: Program, rates: Mapping[str, float]) -> None:
    predicates = (node.inputs[0] for node in program.graph if ops.is_select(node))
    known = [value.name or "" for value in predicates if value is not None]
    for name, rate in rates.items():
        if name not in known:
            have = nearest(name, known) if known else "only a dynamic file has any"
            raise OptionError(f"there is no predicate {name!r}: {have}")
        if not 0 <= rate <= 1:
            raise OptionError(f"rate {name}={rate:g} is no share: it must be between 0 and 1")


def _part(
    name: str, nodes: Iterable[ir.Node], share: Mapping[ir.Node, float] | None = None
) -> Part:
    nodes = list(nodes)
    full = cost_of(nodes)
    active = full if share is None else expected({n: share.get(n, 1.0) for n in nodes})
    return Part(name, len(nodes), full.macs, active.macs, full.parameters, full.activations)


def _ends(found: Anatomy | None) -> Iterator[Part]:
    """The stem and the head of a static network."""
    if found is not None:
        yield _part("stem", between(found.input, found.stages[0].entry))
        yield _part("head", between(found.blocks[-1].exit, found.output))


def _stages(program: Program, found: Anatomy | None) -> Iterator[Stage]:
    if found is None:
        return
    positive = non_negative(program.graph)
    names = {block: name for name, block in found.sites().items()}
    for stage in found.stages:
        whole = cost_of(stage.nodes)
        blocks = [_block(names[b], b.kind, b, positive) for b in stage.blocks]
        if stage.transition is not None:
            first = _block(names[stage.transition], "transition", stage.transition, positive)
            blocks.insert(0, first)
        yield Stage(
            stage.name,
            stage.shape,
            whole.macs,
            whole.parameters,
            whole.activations,
            tuple(blocks),
        )


def _block(name: str, kind: str, block: parts.Block, positive: set[ir.Value]) -> Block:
    found = cost_of(block.nodes)
    return Block(
        name,
        kind,
        dims(block.exit),
        len(block.nodes),
        found.macs,
        found.parameters,
        found.activations,
        block.entry in positive,
    )


def _splits(program: Program, found: Anatomy | None) -> Iterator[Split]:
    """Where each recipe has a place, at its defaults as far as the network allows them."""
    whole = cost(program).macs
    for recipe in map(recipes.find, recipes.names() if found is not None else ()):
        try:
            sites = recipe.fitted(program).sites(program)
        except HydrafyError as error:
            yield Split("everywhere", recipe.name, None, None, str(error))
            continue
        for name, spent in sites.items():
            yield Split(name, recipe.name, spent, spent / whole, None)


def _parts(graph: ir.Graph, share: Mapping[ir.Node, float]) -> Iterator[Part]:
    """The nodes outside of regions by the part that their names begin with."""
    members: dict[str, list[ir.Node]] = {}
    for node in graph:
        first, _, rest = (node.name or "").partition(".")
        number = rest.partition(".")[0]
        name = f"{first}.{number}" if number.isdecimal() else first
        members.setdefault(name, []).append(node)
    working = {name: nodes for name, nodes in members.items() if cost_of(nodes).macs}
    for name, nodes in working.items():
        yield _part(name, nodes, share)
    others = [n for name, nodes in members.items() if name not in working for n in nodes]
    if others:
        yield _part("other", others, share)

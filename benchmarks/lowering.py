"""Lowered networks against static ones that do the same work: the figures of docs/performance.md.

python -m benchmarks.lowering CASE [--images N] [--repeats R] [--json]

Networks are ResNets of the zoo with random weights, images are noise, gates look at their input,
and their scores are spread so that a threshold opens as many as wanted, differently for each image.
One thread; each contender takes each image in random turn. An oracle is the static network of
exactly the work that is done for one image, its gates included, lowered as the dynamic network is.

CASE is one of: open, skipped, exits, branches, batches, half; or resnet20, resnet50, ... to choose.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

from benchmarks.branches import processor
from benchmarks.timing import batches, interleave, ratio
from hydrafy import zoo
from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.latency import typical
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.cut import Cut
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.specialise import Specialise
from hydrafy.passes.targets.anchor import AnchorRegions
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.bench.oracle import covers, oracle
from hydrafy.runtime.bench.parts import parts
from hydrafy.runtime.read import read
from hydrafy.runtime.targets import native
from hydrafy.train.data import Array

Feeds = dict[str, Array]
FORMS = ("portable", "native")


@dataclass(frozen=True)
class Row:
    """How one form of a network compares: median and quartiles of the ratio, and the aim."""

    case: str
    form: str
    milliseconds: float
    against: str
    ratio: tuple[float, float, float]
    target: float | None


@dataclass(frozen=True)
class Settings:
    """How long to measure."""

    images: int
    repeats: int


def source(name: str) -> Program:
    """A network of the zoo as a user's file, read."""
    with tempfile.TemporaryDirectory() as folder:
        return read(zoo.export(name, Path(folder) / "source.onnx", seed=0))


def noise(program: Program, count: int, seed: int = 0) -> Array:
    """Images of noise, float32 [count, C, H, W]."""
    shape = (count, *dims(program.data_inputs[0]))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def lowered(program: Program, form: str, *, single: bool) -> Program:
    """A form of a dynamic network, as `hydrafy lower` makes it where no model was fitted."""
    portable = base.run(program.clone(), lower.pipeline(single=single, latency=typical()))
    return native(portable) if form == "native" else base.run(portable, [AnchorRegions()])


def with_gates(static: Program) -> Program:
    """A static network with a gate before each residual block, spread."""
    gated = base.run(static.clone(), [InsertBypass()])
    images = noise(static, 32, seed=1)
    for output in gated.manifest.outputs:
        if output.role == "decision":
            _spread(gated, output.name.replace(".open", ".logit"), images)
    return gated


def _spread(program: Program, logit: str, images: Array) -> None:
    """Gives the scores of a gate mean 0 and unit spread before the Sigmoid."""
    name = program.data_inputs[0].name or ""
    session = Session(base.run(program.clone(), [Cut((), (logit,))]), threads=2)
    found = np.concatenate([session.run({name: x})[logit] for x in batches(images, 8)])
    program.set_weight(f"{logit}.weight", program.weight(f"{logit}.weight") / found.std())
    program.set_weight(f"{logit}.bias", np.array([-found.mean() / found.std()], np.float32))


def open_gates(static: Program, form: str) -> Program:
    """The static network that computes its gates too, and skips nothing."""
    gated = with_gates(static)
    names = [o.name for o in gated.manifest.outputs if o.role == "decision"]
    opened = Specialise({name: np.array([True]) for name in names})
    kept = [p for p in lower.pipeline() if p.name in ("drop-training", "fold-batchnorm", "expand")]
    return base.run(gated, [DropTraining(), opened, *kept])


def compare(
    case: str,
    contenders: dict[str, Callable[[int], object]],
    against: str,
    targets: dict[str, float],
    samples: int,
    repeats: int,
) -> list[Row]:
    """Times contenders in turn; each but one is a row, its ratio to that one."""
    timings, taken = interleave(contenders, samples, repeats, again=against == "oracle")
    return [
        Row(
            case,
            name,
            timings[name].median,
            f"{against}, {timings[against].median:.3f} ms",
            ratio(taken[name], taken[against]),
            targets.get(name),
        )
        for name in contenders
        if name != against
    ]


def opened(name: str, how: Settings) -> list[Row]:
    """Every block gated, all open, batch 1, against the static network plus the gates."""
    static = source(name)
    gated = with_gates(static)
    images, key = noise(static, how.images), static.data_inputs[0].name or ""
    parts, tau = batches(images, 1), {"tau": np.zeros((1, 1), np.float32)}
    plain = Session(open_gates(static, "static"), threads=1)
    alone = Session(base.run(static.clone(), [lower.FoldBatchNorm()]), threads=1)
    runs: dict[str, Callable[[int], object]] = {
        "static, gates": lambda i: plain.run({key: parts[i]}),
        "static": lambda i: alone.run({key: parts[i]}),
    }
    for form in FORMS:
        session = Session(lowered(gated, form, single=True), threads=1)
        runs[form] = lambda i, session=session: session.run({key: parts[i], **tau})
    small = name == "resnet20"
    targets = {"portable": 1.10 if small else 1.04, "native": 1.05 if small else 1.02}
    return compare(f"{name}, all open", runs, "static, gates", targets, how.images, how.repeats)


def skipped(name: str, how: Settings) -> list[Row]:
    """25, 50 and 75 % of the gates closed, batch 1, against each image's oracle."""
    static = source(name)
    gated = with_gates(static)
    images, key = noise(static, how.images), static.data_inputs[0].name or ""
    parts = batches(images, 1)
    forms = {f: Session(lowered(gated, f, single=True), threads=1) for f in FORMS}
    small = name == "resnet20"
    targets = {"portable": 1.10 if small else 1.05, "native": 1.05 if small else 1.02}
    found = []
    for rate in (0.25, 0.5, 0.75):
        tau = {"tau": np.full((1, 1), _threshold(gated, images, rate), np.float32)}
        decided = decide(gated, images, tau)
        oracles = _oracles(gated, decided)
        runs: dict[str, Callable[[int], object]] = {
            "oracle": lambda i, o=oracles: o[i].run({key: parts[i]}),
            **{
                form: lambda i, s=session, tau=tau: s.run({key: parts[i], **tau})
                for form, session in forms.items()
            },
        }
        closed = 1 - decided.rows.mean()
        case = f"{name}, {closed * 100:.0f} % of blocks skipped"
        found += compare(case, runs, "oracle", targets, how.images, how.repeats)
    return found


def _threshold(gated: Program, images: Array, closed: float) -> float:
    """The tau at which a share of all gates is closed, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        feeds = {"tau": np.full((1, 1), middle, np.float32)}
        if 1 - decide(gated, images, feeds).rows.mean() < closed:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _oracles(program: Program, decided: Any) -> list[Session]:
    """The oracle of each image; images of one decision share one."""
    made: dict[bytes, Session] = {}
    found = []
    for row in range(len(decided.rows)):
        key = decided.rows[row].tobytes()
        if key not in made:
            made[key] = Session(oracle(program, decided.of(row)), threads=1)
        found.append(made[key])
    return found


def exits(name: str, how: Settings) -> list[Row]:
    """Three exits, each taken in turn, batch 1, against the static network that ends there."""
    static = source(name)
    places = {"resnet20": ("stage2", "stage3", "stage3.3")}.get(
        name,
        ("stage2", "stage3", "stage4") if name == "resnet50" else ("stage2", "stage3", "stage3.5"),
    )
    program = base.run(static.clone(), [InsertExits(places)])
    images, key = noise(static, how.images), static.data_inputs[0].name or ""
    parts = batches(images, 1)
    forms = {f: Session(lowered(program, f, single=True), threads=1) for f in FORMS}
    target = {"resnet50": 1.03, "resnet56": 1.06}.get(name)
    found = []
    for taken in range(4):
        taus: Feeds = {
            f"exits.{i}.tau": np.full((1, 1), 0.0 if i == taken else 1.1, np.float32)
            for i in range(3)
        }
        decided = decide(program, images[:1], taus)
        net = oracle(program, decided.of(0))
        session = Session(net, threads=1)
        known = {v.name for v in net.graph.inputs}
        used = {k: v for k, v in taus.items() if k in known}
        runs: dict[str, Callable[[int], object]] = {
            "oracle": lambda i, s=session, u=used: s.run({key: parts[i], **u}),
            **{
                form: lambda i, s=s, taus=taus: s.run({key: parts[i], **taus})
                for form, s in forms.items()
            },
        }
        case = f"{name}, exit {taken + 1} of 3" if taken < 3 else f"{name}, no exit"
        targets = {} if target is None else dict.fromkeys(FORMS, target)
        found += compare(case, runs, "oracle", targets, how.images, how.repeats)
    return found


def half(name: str, how: Settings) -> list[Row]:
    """Half of the blocks skipped for each image, at random, batch 32, against the static net."""
    static = source(name)
    gated = with_gates(static)
    images, key = noise(static, max(how.images, 64)), static.data_inputs[0].name or ""
    parts = batches(images, 32)
    tau = {"tau": np.full((1, 1), _threshold(gated, images, 0.5), np.float32)}
    alone = Session(base.run(static.clone(), [lower.FoldBatchNorm()]), threads=1)
    runs: dict[str, Callable[[int], object]] = {"static": lambda i: alone.run({key: parts[i]})}
    for form in FORMS:
        session = Session(lowered(gated, form, single=False), threads=1)
        runs[form] = lambda i, session=session: session.run({key: parts[i], **tau})
    targets = {"portable": 0.70, "native": 0.62} if name == "resnet56" else {}
    case = f"{name}, half of the blocks skipped, batch 32"
    return compare(case, runs, "static", targets, len(parts), how.repeats)


def mixed(name: str, how: Settings) -> list[Row]:
    """Batch 32 with rows that go different ways, against each part on exactly its rows.

    The parts' times are those of static networks, profiled with as many rows, see
    `hydrafy.runtime.bench.parts`.
    """
    static = source(name)
    images, key = noise(static, 64), static.data_inputs[0].name or ""
    programs = {
        "each block": with_gates(static),
        "stages": with_stages(static),
    }
    found = []
    for what, program in programs.items():
        for rate in (0.25, 0.5, 0.75):
            tau = {"tau": np.full((1, 1), _threshold(program, images, rate), np.float32)}
            decided = decide(program, images, tau)
            target = 1.12 if what == "each block" else 1.05
            closed = f"{100 * (1 - decided.rows.mean()):.0f} % of rows skipped"
            found += _against_parts(
                f"{name}, {what}, {closed}", program, images, key, tau, target, how
            )
    return found


def with_stages(static: Program) -> Program:
    """A static network with one gate before the identity blocks of each stage, for all of them."""
    stages = anatomy(static).stages
    gated = base.run(
        static.clone(), [InsertBypass(tuple(f"{s.name}.2" for s in stages), onwards=True)]
    )
    images = noise(static, 32, seed=1)
    for output in gated.manifest.outputs:
        if output.role == "decision":
            _spread(gated, output.name.replace(".open", ".logit"), images)
    return gated


def _against_parts(
    case: str, program: Program, images: Array, key: str, feeds: Feeds, target: float, how: Settings
) -> list[Row]:
    size = 32
    decided = decide(program, images, feeds)
    nets = covers(program)
    profiled = parts(program, nets, images[:size], 1)
    slices = [slice(i, i + size) for i in range(0, len(images), size)]
    scale = np.array([profiled.share(decided, rows) for rows in slices])
    first = Session(nets[0][0], threads=1)
    runs: dict[str, Callable[[int], object]] = {
        "parts": lambda i: first.run({key: images[slices[i]]})
    }
    for form in FORMS:
        session = Session(lowered(program, form, single=False), threads=1)
        runs[form] = lambda i, s=session: s.run({key: images[slices[i]], **feeds})
    timings, taken = interleave(runs, len(slices), how.repeats)
    middle = timings["parts"].median * scale.mean()
    return [
        Row(
            case,
            form,
            timings[form].median,
            f"parts, {middle:.3f} ms",
            ratio(taken[form], taken["parts"] * scale),
            target,
        )
        for form in FORMS
    ]


CASES: dict[str, tuple[Callable[[str, Settings], list[Row]], tuple[str, ...]]] = {
    "open": (opened, ("resnet20", "resnet50")),
    "skipped": (skipped, ("resnet20", "resnet50")),
    "exits": (exits, ("resnet56", "resnet50")),
    "half": (half, ("resnet56",)),
    "mixed": (mixed, ("resnet20", "resnet50")),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs cases and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("case", choices=CASES, nargs="+")
    parser.add_argument("--network", action="append", help="in the place of the case's networks")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    how = Settings(given.images, given.repeats)
    rows = []
    for case in given.case:
        run, networks = CASES[case]
        for name in given.network or networks:
            found = run(name, how)
            rows += found
            if not given.json:
                _show(found)
    about = {"threads": 1, "onnxruntime": onnxruntime.__version__, "processor": processor()}
    if given.json:
        print(json.dumps({**about, "rows": [dataclasses.asdict(row) for row in rows]}))
    else:
        Console().print(", ".join(f"{k} {v}" for k, v in about.items()))


def _show(rows: list[Row]) -> None:
    table = Table()
    for column in ("case", "form", "ms", "against", "ratio", "quartiles", "target"):
        table.add_column(column)
    for row in rows:
        middle, low, high = row.ratio
        aim = "" if row.target is None else f"{row.target:.2f}"
        mark = "" if row.target is None or middle <= row.target else " missed"
        table.add_row(
            row.case,
            row.form,
            f"{row.milliseconds:.3f}",
            row.against,
            f"{middle:.3f}",
            f"{low:.3f} to {high:.3f}",
            aim + mark,
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()

"""How fast a lowered dynk network is against its static source and against its oracle.

The oracle of an image is the static graph of exactly the branches that ran for it, gate included.
"one oracle" runs the same k branches for every image: its weights stay in the cache, which those
of a network that changes its mind cannot, so that ratio is an upper bound.
Weights are random, images are noise, and the gate's scores are spread so that its picks are random;
every contender runs in stock onnxruntime, one thread, in turn. Run it as

    python -m benchmarks.branches cifar     # ResNet-20 of 32-64-128 channels, split before stage 2
    python -m benchmarks.branches resnet50  # at 224 x 224, split before stage 3
"""

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

from benchmarks.timing import batches, interleave, ratio
from hydrafy import zoo
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base, lower
from hydrafy.passes.specialise import Specialise
from hydrafy.runtime.convert import convert
from hydrafy.runtime.read import read


@dataclass(frozen=True)
class Case:
    """A source network, the options of dynk, and the targets of the ratios."""

    network: str
    source: dict[str, Any]
    options: dict[str, Any]
    oracles: int
    repeats: int
    targets: dict[str, float]


CASES = {
    "cifar": Case(
        "resnet20",
        {"width": 32, "classes": 100},
        {"branches": 20, "k": 4, "split": "stage2", "branch_width": 0.25},
        oracles=100,
        repeats=10,
        targets={"oracle, batch 1": 1.15, "static, batch 1": 0.75, "static, batch 32": 0.66},
    ),
    "resnet50": Case(
        "resnet50",
        {},
        {"branches": 20, "k": 4, "split": "stage3"},
        oracles=20,
        repeats=3,
        targets={"oracle, batch 1": 1.10},
    ),
}
TAU = {"tau": np.zeros((1, 1), np.float32)}


def main(arguments: list[str]) -> None:
    """Runs one case and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    case = CASES[given.case]
    options = {**case.options, **dict(pair.split("=", 1) for pair in given.set)}
    with tempfile.TemporaryDirectory() as folder:
        file = zoo.export(case.network, Path(folder) / "source.onnx", seed=0, **case.source)
        found = measure(case, read(file), convert(file, "dynk", **options), given.images)
    print(json.dumps(found)) if given.json else _print(given.case, options, found)


def measure(case: Case, source: Program, program: Program, count: int) -> dict[str, Any]:
    """Times a dynamic network against its source and its oracles, at batch 1 and 32."""
    shape = (count, *dims(source.data_inputs[0]))
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    name = source.data_inputs[0].name or ""
    spread_picks(program, images)
    lowered = base.run(program.clone(), lower.pipeline())
    static = Session(base.run(source.clone(), [lower.FoldBatchNorm()]), threads=1)
    dynamic = Session(lowered, threads=1)
    picks = np.concatenate(
        [dynamic.run({name: x, **TAU}, ["picked"])["picked"] for x in batches(images, 1)]
    )
    oracles = [Session(oracle(program, row), threads=1) for row in picks[: case.oracles]]
    rows: dict[str, Any] = {}
    for size in (1, 32):
        parts = batches(images, size)
        contenders = {
            "static": lambda i, parts=parts: static.run({name: parts[i]}),
            "dynamic": lambda i, parts=parts: dynamic.run({name: parts[i], **TAU}),
        }
        if size == 1:
            contenders["oracle"] = lambda i, parts=parts: oracles[i % len(oracles)].run(
                {name: parts[i], **TAU}
            )
            contenders["one oracle"] = lambda i, parts=parts: oracles[0].run(
                {name: parts[i], **TAU}
            )
        timings, taken = interleave(contenders, len(parts), case.repeats)
        rows[f"ms, batch {size}"] = {k: vars(t) for k, t in timings.items()}
        rows[f"static, batch {size}"] = ratio(taken["dynamic"], taken["static"])
        if size == 1:
            rows["one oracle, batch 1"] = ratio(taken["dynamic"], taken["one oracle"])
            some = slice(0, len(oracles))
            rows["oracle, batch 1"] = ratio(taken["dynamic"][:, some], taken["oracle"][:, some])
    return {
        "ratios": {k: v for k, v in rows.items() if not k.startswith("ms")},
        "milliseconds": {k: v for k, v in rows.items() if k.startswith("ms")},
        "targets": case.targets,
        "distinct_picks": len(np.unique(picks, axis=0)),
        "branches_run": float(picks.sum(1).mean()),
        "images": count,
        "oracles": len(oracles),
        "threads": 1,
        "onnxruntime": onnxruntime.__version__,
        "processor": processor(),
    }


def spread_picks(program: Program, images: np.ndarray) -> None:
    """Replaces the gate's last layer by a random one whose scores have one spread and no bias."""
    weight = program.weight("gate.fc.weight")
    random = np.random.default_rng(1).standard_normal(weight.shape).astype(np.float32)
    program.set_weight("gate.fc.weight", random)
    program.set_weight("gate.fc.bias", np.zeros(len(weight), np.float32))
    gate = Session(program)
    name = program.data_inputs[0].name or ""
    some = [gate.run({name: x}, ["gate.logits"])["gate.logits"] for x in batches(images, 8)]
    logits = np.concatenate(some)
    scaled = random / logits.std(0)[:, None]
    program.set_weight("gate.fc.weight", scaled)
    program.set_weight("gate.fc.bias", -logits.mean(0) / logits.std(0))


def oracle(program: Program, picked: np.ndarray) -> Program:
    """The static program of exactly the work that is done for a sample with these picks."""
    passes = [p for p in lower.pipeline() if not isinstance(p, lower.Sink)]
    return base.run(program.clone(), [Specialise({"picked": picked}), *passes])


def processor() -> str:
    """The machine's processor, as the system names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _print(name: str, options: dict[str, Any], found: dict[str, Any]) -> None:
    table = Table(title=f"{name}: {', '.join(f'{k}={v}' for k, v in options.items())}")
    for column in ("dynamic against", "ratio", "quartiles", "target"):
        table.add_column(column)
    for against, (middle, low, high) in found["ratios"].items():
        target = found["targets"].get(against)
        table.add_row(against, f"{middle:.3f}", f"{low:.3f} to {high:.3f}", f"{target or ''}")
    console = Console()
    console.print(table)
    for batch, timings in found["milliseconds"].items():
        text = ", ".join(
            f"{k} {t['median']:.3f} ({t['low']:.3f} to {t['high']:.3f}, p95 {t['p95']:.3f})"
            for k, t in timings.items()
        )
        console.print(f"{batch}: {text}")
    facts = {k: v for k, v in found.items() if not isinstance(v, dict)}
    console.print(", ".join(f"{k} {v}" for k, v in facts.items()))


if __name__ == "__main__":
    main(sys.argv[1:])

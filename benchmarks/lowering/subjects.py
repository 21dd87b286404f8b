"""Subjects: dynamic networks with gates of a given rate, and the forms that they are lowered to."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy import zoo
from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.latency import typical
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.cut import Cut
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.specialise import Specialise
from hydrafy.passes.targets.anchor import AnchorRegions
from hydrafy.runtime.bench.decided import Decided, decide
from hydrafy.runtime.bench.oracle import oracle
from hydrafy.runtime.read import read
from hydrafy.runtime.targets import native
from hydrafy.runtime.timing import batches
from hydrafy.train.data import Array

FORMS = ("portable", "native")
Feeds = dict[str, Array]


def source(name: str, **options: Any) -> Program:
    """A network of the zoo as a user's file, read."""
    with tempfile.TemporaryDirectory() as folder:
        return read(zoo.export(name, Path(folder) / "source.onnx", seed=0, **options))


def key(program: Program) -> str:
    """The name of the input for images."""
    return program.data_inputs[0].name or ""


def noise(program: Program, count: int, seed: int = 0) -> Array:
    """Images of noise, float32 [count, C, H, W]."""
    shape = (count, *dims(program.data_inputs[0]))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def lowered(program: Program, form: str, *, single: bool) -> Program:
    """A form of a dynamic network, as `hydrafy lower` makes it where no model was fitted."""
    portable = base.run(program.clone(), lower.pipeline(single=single, latency=typical()))
    return native(portable) if form == "native" else base.run(portable, [AnchorRegions()])


def sessions(program: Program, *, single: bool) -> dict[str, Session]:
    """All forms of a dynamic network, ready to run on one thread."""
    return {form: Session(lowered(program, form, single=single), threads=1) for form in FORMS}


def plain(static: Program) -> Session:
    """The static network by itself."""
    return Session(base.run(static.clone(), [lower.FoldBatchNorm()]), threads=1)


def block_gates(static: Program) -> Program:
    """A network with a gate before each residual block."""
    return _spread(base.run(static.clone(), [InsertBypass()]))


def stage_gates(static: Program) -> Program:
    """A network with one gate before the identity blocks of each stage, for all of them."""
    inner = tuple(n for n, b in anatomy(static).sites().items() if b.kind == "identity")
    return _spread(base.run(static.clone(), [InsertBypass(inner, span=len(inner))]))


def gates_alone(gated: Program) -> Program:
    """The static network that computes its gates too, and skips nothing."""
    names = [o.name for o in gated.manifest.outputs if o.role == "decision"]
    opened = Specialise({name: np.array([True]) for name in names})
    kept = [p for p in lower.pipeline() if p.name in ("fold-batchnorm", "expand")]
    return base.run(gated.clone(), [DropTraining(), opened, *kept])


def threshold(gated: Program, images: Array, closed: float) -> Feeds:
    """The tau at which a share of all gates is closed, by bisection; fed by name."""
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        if 1 - decide(gated, images, tau(middle)).rows.mean() < closed:
            low = middle
        else:
            high = middle
    return tau((low + high) / 2)


def tau(value: float) -> Feeds:
    """The run-time input of gates."""
    return {"tau": np.full((1, 1), value, np.float32)}


def oracles(program: Program, decided: Decided) -> list[Session]:
    """The oracle of each image; images of one decision share one."""
    made: dict[bytes, Session] = {}
    ways = [row.tobytes() for row in decided.rows]
    for number, way in enumerate(ways):
        if way not in made:
            made[way] = Session(oracle(program, decided.of(number)), threads=1)
    return [made[way] for way in ways]


def _spread(gated: Program) -> Program:
    """Gives the log-odds of each gate mean 0 and unit spread."""
    images, name = noise(gated, 32, seed=1), key(gated)
    for output in gated.manifest.outputs:
        if output.role != "decision":
            continue
        odds, logits = (output.name.replace(".open", end) for end in (".odds", ".logits"))
        session = Session(base.run(gated.clone(), [Cut((), (odds,))]), threads=2)
        found = np.concatenate([session.run({name: x})[odds] for x in batches(images, 8)])
        gated.set_weight(f"{logits}.weight", gated.weight(f"{logits}.weight") / found.std())
        centre = np.array([0, -found.mean() / found.std()], np.float32)
        gated.set_weight(f"{logits}.bias", centre)
    return gated

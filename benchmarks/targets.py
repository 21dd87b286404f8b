"""Times the targets and precisions of `lower` against the static network, with and without gates.

python -m benchmarks.targets FILE [--images N] [--repeats R]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

from benchmarks.branches import processor
from benchmarks.timing import batches, interleave, ratio
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.cut import Cut
from hydrafy.passes.specialise import Specialise
from hydrafy.passes.targets import dense_pipeline
from hydrafy.runtime import targets
from hydrafy.runtime.read import read

Step = Callable[[int], object]


def main() -> None:
    """Parses, measures and prints: all gates open at batch 1, half of them at batch 1 and 32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a residual network as ONNX")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    source = read(given.file)
    x = np.random.default_rng(0).standard_normal((given.images, *dims(source.data_inputs[0])))
    bench = Bench(source, x.astype(np.float32))
    for tau, size in ((0.0, 1), (0.5, 1), (0.5, 32)):
        bench.show(tau, size, given.repeats)
    version, cpu = onnxruntime.__version__, processor()
    Console().print(f"one thread, onnxruntime {version}, {cpu}, {given.images} images of noise")


class Bench:
    """A network, its gates spread so that each opens for half of the images at tau = 0.5."""

    def __init__(self, source: Program, images: np.ndarray) -> None:
        self.images, self.input = images, source.data_inputs[0].name or ""
        gated = base.run(source.clone(), [InsertBypass()])
        decisions = [o.name for o in gated.manifest.outputs if o.role == "decision"]
        for name in decisions:
            self._spread(gated, name)
        opened = Specialise({name: np.array([True]) for name in decisions})
        passes = [p for p in dense_pipeline() if p.name != "choose-densely"]
        small = targets.int8(gated, images)
        self.static = {
            "static": base.run(source.clone(), [lower.FoldBatchNorm()]),
            "static, gates": base.run(gated.clone(), [opened, *passes]),
            "static, int8": targets.int8(source, images),
        }
        self.dynamic: dict[str, Program] = {}
        for single in (True, False):
            batch = "1" if single else "any"
            exact, quantised = (
                base.run(p.clone(), lower.pipeline(single=single)) for p in (gated, small)
            )
            self.dynamic[f"portable, batch {batch}"] = exact
            self.dynamic[f"native, batch {batch}"] = targets.native(exact)
            self.dynamic[f"float16, batch {batch}"] = targets.half(exact)
            self.dynamic[f"int8, batch {batch}"] = quantised
        self.dynamic["dense, batch any"] = targets.dense(gated)
        self.sessions = {
            name: Session(p, threads=1) for name, p in {**self.static, **self.dynamic}.items()
        }

    def show(self, tau: float, size: int, repeats: int) -> None:
        """One table: milliseconds of each form, and its time over that of the static ones."""
        parts = batches(self.images, size)
        setting = {"tau": np.full((1, 1), tau, np.float32)}

        def step(name: str) -> Step:
            extra = setting if name in self.dynamic else {}
            return lambda i: self.sessions[name].run({self.input: parts[i], **extra})

        fitting = [n for n in self.sessions if size == 1 or not n.endswith("batch 1")]
        timings, taken = interleave({n: step(n) for n in fitting}, len(parts), repeats)
        table = Table(title=f"tau {tau}, batch {size}")
        for column in ("form", "ms", *(f"/ {name}" for name in self.static), "MB"):
            table.add_column(column)
        for name in fitting:
            against = [ratio(taken[name], taken[other])[0] for other in self.static]
            size_of = ({**self.static, **self.dynamic})[name].weight_bytes() / 1e6
            cells = [
                f"{timings[name].median:.3f}",
                *(f"{r:.3f}" for r in against),
                f"{size_of:.2f}",
            ]
            table.add_row(name, *cells)
        Console().print(table)

    def _spread(self, program: Program, decision: str) -> None:
        """Gives the log-odds of a gate mean 0 and unit spread."""
        odds, logits = (decision.replace(".open", end) for end in (".odds", ".logits"))
        session = Session(base.run(program.clone(), [Cut((), (odds,))]), threads=1)
        found = np.concatenate(
            [session.run({self.input: part})[odds] for part in batches(self.images, 8)]
        )
        program.set_weight(f"{logits}.weight", program.weight(f"{logits}.weight") / found.std())
        centre = np.array([0, -found.mean() / found.std()], np.float32)
        program.set_weight(f"{logits}.bias", centre)


if __name__ == "__main__":
    main()

"""How fast the module that `to_torch` makes is trained, against the network in plain PyTorch.

Both have the same layers and the same weights: the emitted one comes from the ONNX file that the
plain one was exported to. A step is forward, backward and SGD, on noise. The contenders take each
step in turn; eager and compiled ones stand beside each other, too, and so does the file that dynk
makes of the network, all of whose branches train, on all of its loss terms. Run it as

    python -m benchmarks.training                      # all cases
    python -m benchmarks.training resnet20 --no-compile
    python -m benchmarks.training --device cuda --precision bf16 --channels-last
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.branches import processor
from hydrafy import zoo
from hydrafy.analysis.cost import cost
from hydrafy.ir.values import dims
from hydrafy.runtime.convert import convert
from hydrafy.runtime.read import read
from hydrafy.runtime.timing import interleave, ratio, summary
from hydrafy.train.importer import to_torch
from hydrafy.train.losses import Losses

TARGET = 0.95
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """A network of the zoo, images in a batch, and how many steps are timed, how often."""

    batch: int
    steps: int
    repeats: int


CASES = {
    "resnet20": Case(batch=128, steps=12, repeats=3),
    "resnet56": Case(batch=128, steps=8, repeats=3),
    "resnet50": Case(batch=8, steps=8, repeats=2),
}


@dataclass(frozen=True)
class Setting:
    """What a step runs on, and in which precision."""

    device: str
    bf16: bool
    channels_last: bool


def main(arguments: list[str]) -> None:
    """Measures the cases and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--batch", type=int, help="images in a batch, in place of the case's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    unknown = set(given.cases) - set(CASES)
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}")
    torch.set_num_threads(given.threads)
    setting = Setting(given.device, given.precision == "bf16", given.channels_last)
    found = {
        "rows": [
            row
            for name in given.cases or CASES
            for row in measure(name, given.batch, setting, compiled=not given.no_compile)
        ],
        "threads": given.threads,
        **vars(setting),
        "torch": torch.__version__,
        "processor": processor(),
    }
    if setting.device.startswith("cuda"):
        found["device"] = torch.cuda.get_device_name(setting.device)
    print(json.dumps(found)) if given.json else _print(found)


def measure(
    name: str, batch: int | None, setting: Setting, *, compiled: bool
) -> list[dict[str, Any]]:
    """A row for each contender: images per second, and against the plain network of its kind."""
    case = CASES[name]
    size = batch or case.batch
    plain, emitted, dynamic, macs = contenders(name)
    images = torch.randn(size, *zoo.find(name, {}).input_shape, device=setting.device)
    labels = torch.randint(10, (size,), device=setting.device)
    steps: dict[str, Callable[[int], object]] = {}
    compiling = {}
    for kind in ("eager", "compiled") if compiled else ("eager",):
        for who, (module, loss) in {"plain": plain, "emitted": emitted, "dynk": dynamic}.items():
            if kind == "eager" or who != "dynk":
                steps[f"{who}, {kind}"], compiling[f"{who}, {kind}"] = ready(
                    module, loss, images, labels, setting, compiled=kind == "compiled"
                )
    milliseconds = interleave(list(steps.values()), case.steps, case.repeats)
    taken = dict(zip(steps, milliseconds, strict=True))
    rows = []
    for label, spent in taken.items():
        who, _, kind = label.partition(", ")
        speed = ratio(taken[f"plain, {kind}"], spent)
        rows.append(
            {
                "network": name,
                "batch": size,
                "contender": label,
                "images a second": size / summary(spent).median * 1e3,
                "speed against plain": vars(speed),
                "for each MAC": speed.median * macs[who] / macs["plain"],
                "seconds to compile": compiling[label],
            }
        )
    return rows


def contenders(
    name: str,
) -> tuple[tuple[nn.Module, Any], tuple[nn.Module, Any], tuple[nn.Module, Any], dict[str, int]]:
    """The plain, the emitted and the dynamic module, each with its loss, and MACs of an image."""
    with tempfile.TemporaryDirectory() as folder:
        static = read(zoo.export(name, Path(folder) / "source.onnx", seed=0))
    made = convert(static, "dynk", branches=5, k=2, branch_width=0.5, split="stage2")
    terms = Losses.of(made)
    macs = {who: cost(program).macs for who, program in (("plain", static), ("dynk", made))}
    first = static.graph.outputs[0].name or ""
    assert dims(static.graph.outputs[0])[-1] >= 10
    return (
        (zoo.build(name, 0), F.cross_entropy),
        (to_torch(static), lambda outputs, labels: F.cross_entropy(outputs[first], labels)),
        (to_torch(made), lambda outputs, labels: terms.total(terms(outputs, labels))),
        {**macs, "emitted": macs["plain"]},
    )


def ready(
    module: nn.Module,
    loss: Loss,
    images: torch.Tensor,
    labels: torch.Tensor,
    setting: Setting,
    *,
    compiled: bool,
) -> tuple[Callable[[int], object], float]:
    """A training step, and how many seconds its first call took beyond the second, if compiled.

    What is compiled once for a process, and kernels that two networks share, count for the first.
    """
    module = module.train().to(setting.device)
    if setting.channels_last:
        module = module.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(module.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)
    called = torch.compile(module) if compiled else module
    kind = torch.device(setting.device).type

    def step(_: int) -> None:
        with torch.autocast(kind, torch.bfloat16, enabled=setting.bf16):
            value = loss(called(images), labels)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if kind == "cuda":
            torch.cuda.synchronize()

    if not compiled:
        return step, 0.0
    with tempfile.TemporaryDirectory() as folder:  # nothing of an earlier process
        before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        spent = []
        for number in range(2):
            start = time.perf_counter()
            step(number)
            spent.append(time.perf_counter() - start)
        if before is None:
            del os.environ["TORCHINDUCTOR_CACHE_DIR"]
        else:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = before
    return step, spent[0] - spent[1]


def _print(found: dict[str, Any]) -> None:
    table = Table()
    for column in ("network", "batch", "contender", "images/s", "of plain", "quartiles", "per MAC"):
        table.add_column(column)
    table.add_column("s to compile")
    for row in found["rows"]:
        speed = row["speed against plain"]
        missed = "emitted" in row["contender"] and speed["median"] < TARGET
        table.add_row(
            row["network"],
            str(row["batch"]),
            row["contender"],
            f"{row['images a second']:.1f}",
            f"{speed['median']:.3f}{' (missed)' if missed else ''}",
            f"{speed['low']:.3f} to {speed['high']:.3f}",
            f"{row['for each MAC']:.3f}",
            f"{row['seconds to compile']:.0f}" if row["seconds to compile"] else "",
        )
    console = Console(width=110)
    console.print(table)
    facts = {key: value for key, value in found.items() if key != "rows"}
    console.print(", ".join(f"{key} {value}" for key, value in facts.items()))


if __name__ == "__main__":
    main(sys.argv[1:])

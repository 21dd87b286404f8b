"""The results of docs/results.md: recipes on real CIFAR images, from pretrained networks.

    python -m benchmarks.results dynk --data DATA --work results
    python -m benchmarks.results dynk --data DATA --work longer --epochs 190 \
        --train "--accelerator cuda --precision bf16-mixed"

DATA holds the pretrained networks (models/*.onnx), cifar10_train.npz and cifar10_test.npz, and the
load.py that decodes these.

Each step is a command of hydrafy that anybody can type; it is printed before it runs. What is there
already is not done again, and a training that was stopped goes on: run it again whenever you like,
or on a larger machine.
"""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

TRAIN, TEST = "cifar10_train.npz", "cifar10_test.npz"
PIXELS = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"


@dataclass(frozen=True)
class Step:
    """A command of hydrafy, and the file that it makes; None where it only tells something."""

    command: str
    makes: str | None = None


def dynk(epochs: int, more: str) -> Iterator[Step]:
    """ResNet-20 with five branches of half width behind its first stage, of which two run."""
    source, network = "resnet20_cifar10.onnx", "resnet20.dynk.onnx"
    options = "--set branches=5 --set k=2 --set split=stage2 --set branch_width=0.5"
    yield Step(f"convert {source} --recipe dynk {options} {PIXELS} -o {network}", network)
    how = f"--data {TRAIN} --val 0.1 --augment cifar --epochs {epochs} --batch-size 128 --seed 0"
    for name, which in (("plain", ""), ("distilled", " --distill")):
        tuned, deploy = f"resnet20.{name}.onnx", f"resnet20.{name}.deploy.onnx"
        yield Step(f"finetune {network} {how}{which} {more} -o {tuned} --resume", tuned)
        yield Step(f"lower {tuned} -o {deploy}", deploy)
    further = how.replace(f"--epochs {epochs}", f"--epochs {max(1, epochs * 4 // 5)}")
    begun, longer = "resnet20.distilled.onnx", "resnet20.longer.onnx"
    yield Step(f"finetune {begun} {further} --distill {more} -o {longer} --resume", longer)
    deploys = [f"resnet20.{name}.deploy.onnx" for name in ("plain", "distilled", "longer")]
    yield Step(f"lower {longer} -o {deploys[-1]}", deploys[-1])
    files = " ".join([source, *deploys])
    sweep = "--sweep tau=0:0.4:0.1 --csv dynk.csv --plot dynk.svg"
    yield Step(f"evaluate {files} --data {TEST} {PIXELS} {sweep}", "dynk.csv")


RECIPES = {"dynk": dynk}


@click.command()
@click.argument("recipe", type=click.Choice([*RECIPES]))
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Where files go.")
@click.option("--epochs", default=15, show_default=True)
@click.option("--train", "more", default="", help="Further options of finetune.")
def main(recipe: str, data: Path, work: Path, epochs: int, more: str) -> None:
    """Walk the road for RECIPE, and leave every file of it in WORK."""
    work.mkdir(exist_ok=True)
    _prepare(data, work)
    for step in RECIPES[recipe](epochs, more):
        if step.makes is not None and (work / step.makes).exists():
            continue
        print(f"$ hydrafy {step.command}", flush=True)
        command = [sys.executable, "-m", "hydrafy", *shlex.split(step.command)]
        subprocess.run(command, cwd=work, check=True)


def _prepare(data: Path, work: Path) -> None:
    """Brings networks and images to where the commands look for them."""
    for file in (data / "models").glob("*.onnx"):
        target = work / file.name
        if not target.exists():
            target.write_bytes(file.read_bytes())
    load = _loader(data / "load.py")
    for name in (TRAIN, TEST):
        if not (work / name).exists():
            found = load(data / name)
            classes = np.array([one.decode() for one in found["classes"]])
            labels = found["label"].astype(np.int64)
            np.savez(work / name, x=found["x"], y=labels, classes=classes)


def _loader(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("load", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load


if __name__ == "__main__":
    main()

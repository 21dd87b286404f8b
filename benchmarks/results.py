"""The results of docs/results.md: recipes on real CIFAR images, from pretrained networks.

    python -m benchmarks.results dynk --data DATA --work results
    python -m benchmarks.results bypass --data DATA --work results
    python -m benchmarks.results bypass56 --data DATA --work results
    python -m benchmarks.results exits --data DATA --work results
    python -m benchmarks.results exits56 --data DATA --work results
    python -m benchmarks.results dynk --data DATA --work longer --epochs 190 \
        --train "--accelerator cuda --precision bf16-mixed"

DATA holds the pretrained networks (models/*.onnx), cifar10_train.npz, cifar10_test.npz, the same of
CIFAR-100, and the load.py that decodes these.

Each step is a command of hydrafy that anybody can type; it is printed before it runs. What is there
already is not done again, and a training that was stopped goes on: run it again whenever you like,
or on a larger machine.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from hydrafy.ir.program import Program

ROOT = Path(__file__).parents[1]
TRAIN, TEST = "cifar10_train.npz", "cifar10_test.npz"
VAL, REST = "cifar10_val.npz", "cifar10_rest.npz"  # halves of the test images
TRAIN100, TEST100 = "cifar100_train.npz", "cifar100_test.npz"
PIXELS = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"


@dataclass(frozen=True)
class Step:
    """A command of hydrafy, and the file that it makes; None where it only tells something.

    `module` is run in hydrafy's place where the command is one of these benchmarks. `gates` is a
    file that may have become static, so that there is nothing to prune or lower: it is copied then.
    What the command prints is the file that it makes where it `tells` it.
    """

    command: str
    makes: str | None = None
    module: str = "hydrafy"
    gates: str | None = None
    tells: bool = False


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


HOW = "--optimiser sgd --learning-rate 0.02 --weight-decay 1e-4 --batch-size 128 --augment cifar"
"""Of training with gates: AdamW hardly moves them in so few epochs."""

COURSE = (
    "--set course=anneal --set penalty=above --set anneal_every=1 --set times=gates --set weight=6"
)
"""From all gates open to the target in half of the epochs, so that no gate is closed in a hurry."""

LEARN = "--distill"
MORE = f"--unlabelled {TRAIN100}"
"""Images of other things, of which the teacher tells: 20,000 of CIFAR-10 are few."""


def bypass(epochs: int, more: str) -> Iterator[Step]:
    """ResNet-20 with gates: targets, and what gates see and are asked for at one of them."""
    ways = {f"dep-{target}": f"--set target={target}" for target in (0.4, 0.5, 0.6, 0.7, 0.8)}
    ways |= {
        "ind-0.6": "--set target=0.6 --set gates=independent",
        "gate-0.6": "--set target=0.6 --set loss=gate",
        "stage-0.6": "--set target=0.6 --set gate=stage",
    }
    deploys = []
    for name, options in ways.items():
        step = (1 - float(name.rpartition("-")[2])) / (epochs // 2)
        options += f" {COURSE} --set anneal_step={step:.4f}"
        yield from _gated("resnet20", name, options, epochs, LEARN, more)
        deploys.append(f"resnet20.{name}.deploy.onnx")
    plain = f"{ways['dep-0.6']} {COURSE} --set anneal_step={0.4 / (epochs // 2):.4f}"
    yield from _gated("resnet20", "plain-0.6", plain, epochs, "", more)
    yield from _removed("resnet20", 4, epochs, more)
    files = " ".join([*deploys, "resnet20.plain-0.6.deploy.onnx", "resnet20.removed4.tuned.onnx"])
    csv = "--csv bypass20.csv --plot bypass20.svg"
    command = f"evaluate resnet20_cifar10.onnx {files} --data {TEST} {PIXELS} {csv}"
    yield Step(command, "bypass20.csv")


def bypass56(epochs: int, more: str) -> Iterator[Step]:
    """ResNet-56 with gates, three seeds, against as many blocks simply removed.

    An epoch has three and a half times as many images as one of the grid, so there are fewer. What
    the gates left is trained as long again, and the network without blocks as long as both.
    """
    epochs = max(2, epochs * 2 // 5)
    options = f"--set target=0.7 {COURSE} --set anneal_step={0.3 / (epochs // 2):.4f}"
    deploys = []
    for seed in range(3):
        name = f"seed{seed}"
        yield from _gated("resnet56", name, options, epochs, LEARN, f"{MORE} {more}", seed, epochs)
        deploys.append(f"resnet56.{name}.deploy.onnx")
        if seed == 0:
            yield from _removed("resnet56", 8, 2 * epochs, f"{MORE} {more}")
    files = " ".join([*deploys, "resnet56.removed8.tuned.onnx"])
    csv = "--csv bypass56.csv --plot bypass56.svg"
    command = f"evaluate resnet56_cifar10.onnx {files} --data {TEST} {PIXELS} {csv}"
    yield Step(command, "bypass56.csv")
    ways = "--gates threshold,always-on,stochastic=5,ensemble=5 --no-timing --csv bypass56.ways.csv"
    yield Step(f"evaluate resnet56.seed0.onnx --data {TEST} {ways}", "bypass56.ways.csv")


def _gated(
    network: str,
    name: str,
    options: str,
    epochs: int,
    learn: str,
    more: str,
    seed: int = 0,
    again: int = 0,
) -> Iterator[Step]:
    """A network with gates, trained, without those that collapsed, trained again, and lowered."""
    made, tuned, pruned, deploy = (
        f"{network}.{name}{end}.onnx" for end in (".bypass", "", ".pruned", ".deploy")
    )
    source = f"{network}_cifar10.onnx"
    yield Step(f"convert {source} --recipe bypass {options} {PIXELS} -o {made}", made)
    how = f"--data {TRAIN} {HOW} --seed {seed} {more} --resume"
    yield Step(f"finetune {made} --epochs {epochs} {learn} {how} -o {tuned}", tuned)
    yield Step(f"prune {tuned} --data {TRAIN} -o {pruned}", pruned)
    if again:
        longer = f"{network}.{name}.again.onnx"
        learn = f"--epochs {again} {LEARN} {source}"
        yield Step(f"finetune {pruned} {learn} {how} -o {longer}", longer)
        pruned = f"{network}.{name}.left.onnx"
        yield Step(f"prune {longer} --data {TRAIN} -o {pruned}", pruned, gates=longer)
    yield Step(f"lower {pruned} -o {deploy}", deploy, gates=pruned)


def _removed(network: str, count: int, epochs: int, more: str) -> Iterator[Step]:
    """A network without some blocks, trained alike."""
    source, fewer = f"{network}_cifar10.onnx", f"{network}.removed{count}.onnx"
    tuned = f"{network}.removed{count}.tuned.onnx"
    yield Step(f"{source} --count {count} -o {fewer}", fewer, "benchmarks.remove")
    learn = f"{LEARN} {source}"
    how = f"--data {TRAIN} --epochs {epochs} {HOW} {PIXELS} {learn} {more} --resume"
    yield Step(f"finetune {fewer} {how} -o {tuned}", tuned)


PIXELS100 = "--mean 0.5071,0.4865,0.4409 --std 0.2673,0.2564,0.2762"
MSDNET = "--set exits=5 --set spacing=even --set width=8 --set growth=4 --set classes=100"
TECHNIQUES = {
    "none": {"equilibrium": "no", "collaboration": "none", "alpha": "1"},
    "ge": {"equilibrium": "yes", "collaboration": "none", "alpha": "1"},
    "isc": {"equilibrium": "no", "collaboration": "learned", "alpha": "1"},
    "ofa": {"equilibrium": "no", "collaboration": "none", "alpha": "0.9"},
    "all": {"equilibrium": "yes", "collaboration": "learned", "alpha": "0.9"},
}
"""The rows of table 2 of the paper on adaptive training."""


def exits(epochs: int, more: str) -> Iterator[Step]:
    """A small MSDNet on CIFAR-100, from scratch, with and without the three techniques."""
    phases = f"{epochs * 3 // 4},{epochs - epochs * 3 // 4}"
    how = f"--data {TRAIN100} --augment cifar --schedule exits-cifar --epochs {phases}"
    for name, options in TECHNIQUES.items():
        given = " ".join(f"--set {key}={value}" for key, value in options.items())
        for seed in range(3):
            source, path = f"msdnet.seed{seed}.onnx", f"msdnet.{name}{seed}"
            yield Step(f"zoo msdnet {MSDNET} --seed {seed} -o {source}", source)
            made, tuned = f"{path}.exits.onnx", f"{path}.onnx"
            convert = f"convert {source} --recipe exits {given} {PIXELS100} -o {made}"
            yield Step(convert, made)
            train = f"finetune {made} {how} --seed {seed} {more} --resume -o {tuned}"
            yield Step(train, tuned)
            tell = f"calibrate {tuned} --data {TEST100} --budget 1 --json -o {path}.any.onnx"
            yield Step(tell, f"{path}.json", tells=True)
    yield Step(".", module="benchmarks.ablation")


def exits56(epochs: int, more: str) -> Iterator[Step]:
    """ResNet-56 with three early exits, over budgets, against smaller static networks."""
    source, made, tuned = "resnet56_cifar10.onnx", "resnet56.exits.onnx", "resnet56.early.onnx"
    yield Step(f"convert {source} --recipe exits {PIXELS} -o {made}", made)
    how = f"--data {TRAIN} --epochs {epochs} {HOW} --seed 0 {LEARN} {more} --resume"
    yield Step(f"finetune {made} {how} -o {tuned}", tuned)
    deploys = []
    for budget in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        chosen = f"resnet56.early.{budget}.onnx"
        yield Step(f"calibrate {tuned} --data {VAL} --budget {budget} -o {chosen}", chosen)
        deploys.append(f"resnet56.early.{budget}.deploy.onnx")
        yield Step(f"lower {chosen} -o {deploys[-1]}", deploys[-1])
    static = " ".join(f"resnet{depth}_cifar10.onnx" for depth in (56, 32, 20))
    files = f"{static} {' '.join(deploys)}"
    csv = "--csv exits56.csv --plot exits56.svg"
    yield Step(f"evaluate {files} --data {REST} {PIXELS} {csv}", "exits56.csv")


RECIPES = {
    "dynk": dynk, "bypass": bypass, "bypass56": bypass56, "exits": exits, "exits56": exits56
}  # fmt: skip


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
        if step.gates is not None and Program.load(work / step.gates).stage == "static":
            shutil.copy(work / step.gates, work / str(step.makes))
            continue
        print(f"$ {step.module} {step.command}", flush=True)
        command = [sys.executable, "-m", step.module, *shlex.split(step.command)]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": paths}
        told = subprocess.PIPE if step.tells else None
        done = subprocess.run(command, cwd=work, check=True, env=env, stdout=told, text=True)
        if step.tells:
            (work / str(step.makes)).write_text(done.stdout)


def _prepare(data: Path, work: Path) -> None:
    """Brings networks and images to where the commands look for them."""
    for file in (data / "models").glob("*.onnx"):
        target = work / file.name
        if not target.exists():
            target.write_bytes(file.read_bytes())
    load = _loader(data / "load.py")
    for name in (TRAIN, TEST, TRAIN100, TEST100):
        if not (work / name).exists():
            found = load(data / name)
            classes = np.array([one.decode() for one in found["classes"]])
            labels = found["label"].astype(np.int64)
            np.savez(work / name, x=found["x"], y=labels, classes=classes)
    test = np.load(work / TEST)
    for name, part in ((VAL, slice(0, None, 2)), (REST, slice(1, None, 2))):
        if not (work / name).exists():
            x, y = (test[key][part] for key in ("x", "y"))
            np.savez(work / name, x=x, y=y, classes=test["classes"])


def _loader(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("load", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load


if __name__ == "__main__":
    main()

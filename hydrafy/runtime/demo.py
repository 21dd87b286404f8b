"""The whole road on handwritten digits: train, export, convert, fine-tune, lower, compare."""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy.analysis.cost import cost, expected
from hydrafy.analysis.need import shares
from hydrafy.errors import FileError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.digits import DIGITS
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read

NETWORK: Mapping[str, Any] = {"channels": 1, "classes": 10, "width": 48, "size": 16}
RECIPE: Mapping[str, Any] = {
    "branches": 5, "k": 2, "split": "stage2", "branch_width": 0.25, "gate_width": 0.25,
}  # fmt: skip
EPOCHS = {"static": 8, "dynamic": 10}
RUNS = {1: 300, 32: 30}  # how often each network is timed, by batch size
SEED = 0

Progress = Callable[[str, float, float], None]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Side:
    """One of the two networks: its file and what was measured on the test images.

    `macs` is the mean for one image, `milliseconds` the median for one image by batch size.
    """

    file: Path
    accuracy: float
    macs: int
    milliseconds: Mapping[int, float]


@dataclass(frozen=True)
class DemoResult:
    """Static against dynamic.

    Attributes:
        images: how many test images there are.
        static: the source network.
        dynamic: the lowered one.
        ratios: the dynamic network's time over the static one's by batch size, medians of pairs.
        branches: how many branches ran for an image, on average.
        seconds: what it all took.
    """

    images: int
    static: Side
    dynamic: Side
    ratios: Mapping[int, float]
    branches: float
    seconds: float


def demo(folder: str | os.PathLike[str], progress: Progress, *, force: bool = False) -> DemoResult:
    """Walks the road and measures where it leads; every file on the way is left in `folder`.

    Args:
        folder: where to write.
        progress: called with what is going on, how much of it is done, and of how much.
        force: whether the folder may exist; its files are overwritten.

    Raises:
        FileError: the folder exists and `force` is not set, or it cannot be written.
    """
    from hydrafy import zoo
    from hydrafy.train.finetune import finetune
    from hydrafy.train.fit import Options, fit
    from hydrafy.train.history import Step
    from hydrafy.train.losses import Losses

    def training(what: str) -> Callable[[Step], None]:
        return lambda step: progress(
            f"{what}: loss {step.loss:.3f}, top-1 {step.accuracy:.1%}",
            (step.epoch - 1) * step.batches + step.batch,
            step.epochs * step.batches,
        )

    start = time.perf_counter()
    place = _made(Path(folder), force)
    files = {name: place / f"digits{name}.onnx" for name in ("", ".dynk", ".tuned", ".deploy")}
    shape = (NETWORK["channels"], NETWORK["size"], NETWORK["size"])
    digits = stream(DIGITS, Takes(shape, NETWORK["classes"])).gather()
    test = stream(DIGITS, Takes(shape, NETWORK["classes"]), "test").gather()

    network = zoo.build("resnet8", SEED, **NETWORK)
    cross_entropy = Losses((LossTerm("final", "logits", 1.0),))
    options = Options(EPOCHS["static"], learning_rate=3e-3, seed=SEED, augment=("crop",))
    what = training("training the static network")
    history = fit(network, cross_entropy, digits.images, digits.labels, options, what)
    _unless(history.interrupted)
    progress("exporting with torch.onnx", 0, 0)
    source = zoo.export_onnx(network, files[""], shape, force=force)

    progress("converting with dynk", 0, 0)
    static = read(source)
    dynamic = convert(static, "dynk", **RECIPE)
    dynamic.save(files[".dynk"], force=force)
    tuned, history = finetune(
        dynamic,
        digits,
        epochs=EPOCHS["dynamic"],
        seed=SEED,
        augment=("crop",),
        progress=training("fine-tuning the dynamic network"),
    )
    _unless(history.interrupted)
    tuned.save(files[".tuned"], force=force)
    progress("lowering", 0, 0)
    lowered = lower_program(tuned)[0]
    lowered.save(files[".deploy"], force=force)

    before, after = Session(source, threads=1), Session(files[".deploy"], threads=1)
    times = _times(before, after, test.images, progress)
    right = test.labels
    picked = after.run({"input": test.images}, ["picked"])["picked"]
    return DemoResult(
        images=len(test),
        static=Side(source, _top1(before, test.images, right), cost(static).macs, times[0]),
        dynamic=Side(
            files[".deploy"], _top1(after, test.images, right), _executed(tuned, picked), times[1]
        ),
        ratios=times[2],
        branches=float(picked.sum(1).mean()),
        seconds=time.perf_counter() - start,
    )


def _made(folder: Path, force: bool) -> Path:
    if folder.exists() and not (force and folder.is_dir()):
        raise FileError(f"{folder} exists: name another folder with -o, or add --force")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def _unless(interrupted: bool) -> None:
    if interrupted:
        raise KeyboardInterrupt


def _top1(session: Session, images: Array, labels: Array) -> float:
    scores = session.run({"input": images}, ["logits"])["logits"]
    return float((scores.argmax(1) == labels).mean())


def _executed(program: Program, picked: Array) -> int:
    """MACs for one image, the mean over images whose picks were [N, branches]."""
    often = dict(zip((r.predicate for r in program.manifest.rates), picked.mean(0), strict=True))
    rates = tuple(
        dataclasses.replace(rate, share=float(often[rate.predicate]))
        for rate in program.manifest.rates
    )
    measured = dataclasses.replace(program.manifest, rates=rates)
    return expected(shares(Program(program.model, measured))).macs


def _times(
    static: Session, dynamic: Session, images: Array, progress: Progress
) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
    """Medians by batch size: milliseconds an image of both, run in turns, and of their ratios."""
    found: tuple[dict[int, float], dict[int, float], dict[int, float]] = ({}, {}, {})
    for size, runs in RUNS.items():
        pairs = []
        for number in range(-3, runs):  # the first three warm up
            progress(f"timing at batch {size}", max(number, 0), runs)
            rows = np.arange(number * size, (number + 1) * size) % len(images)
            pairs.append([_clock(session, images[rows]) for session in (static, dynamic)])
        kept = pairs[3:]
        found[0][size] = statistics.median(a for a, _ in kept) * 1e3 / size
        found[1][size] = statistics.median(b for _, b in kept) * 1e3 / size
        found[2][size] = statistics.median(b / a for a, b in kept)
    return found


def _clock(session: Session, images: Array) -> float:
    start = time.perf_counter()
    session.run({"input": images}, ["logits"])
    return time.perf_counter() - start

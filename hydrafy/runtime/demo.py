"""The whole road on handwritten digits: train, export, convert, fine-tune, lower, compare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydrafy.errors import FileError
from hydrafy.ir.manifest import LossTerm
from hydrafy.runtime.convert import convert
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.digits import DIGITS
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.evaluate import evaluate
from hydrafy.runtime.evaluate.evaluation import Result
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read

NETWORK: Mapping[str, Any] = {"channels": 1, "classes": 10, "width": 48, "size": 16}
RECIPE: Mapping[str, Any] = {
    "branches": 5, "k": 2, "split": "stage2", "branch_width": 0.25, "gate_width": 0.25,
}  # fmt: skip
EPOCHS = {"static": 8, "dynamic": 10}
BATCHES = (1, 32)  # sizes at which the networks are timed
SEED = 0

Progress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class Side:
    """One of the two networks: its file and what was measured on the test images.

    `macs` is the mean for one image, `milliseconds` that for one image by batch size.
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
        ratios: the dynamic network's time over the static one's by batch size, of all images.
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
    from hydrafy.train.fit import fit
    from hydrafy.train.history import Epoch, Step
    from hydrafy.train.loader import Examples
    from hydrafy.train.losses import Losses
    from hydrafy.train.options import Options
    from hydrafy.train.schedule_files import DEFAULT, find

    def training(what: str) -> Callable[[Step | Epoch], None]:
        def watch(event: Step | Epoch) -> None:
            if isinstance(event, Step):
                progress(
                    f"{what}: loss {event.loss:.3f}, top-1 {event.accuracy:.1%}",
                    (event.epoch - 1) * event.batches + event.batch,
                    event.epochs * event.batches,
                )

        return watch

    def options(which: str, **values: Any) -> Options:
        schedule = find(DEFAULT).change(epochs=[EPOCHS[which]], **values)
        return Options(schedule, SEED, ("crop",))

    start = time.perf_counter()
    place = _made(Path(folder), force)
    files = {name: place / f"digits{name}.onnx" for name in ("", ".dynk", ".tuned", ".deploy")}
    shape = (NETWORK["channels"], NETWORK["size"], NETWORK["size"])
    digits = stream(DIGITS, Takes(shape, NETWORK["classes"]))

    network = zoo.build("resnet8", SEED, **NETWORK)
    cross_entropy = Losses((LossTerm("final", "logits", 1.0),))
    history = fit(
        network,
        cross_entropy,
        Examples(digits),
        options("static", learning_rate=3e-3),
        watch=training("training the static network"),
    )
    _unless(history.interrupted)
    progress("exporting with torch.onnx", 0, 0)
    source = zoo.export_onnx(network, files[""], shape, force=force)

    progress("converting with dynk", 0, 0)
    static = read(source)
    dynamic = convert(static, "dynk", **RECIPE)
    dynamic.save(files[".dynk"], force=force)
    found = finetune(
        dynamic,
        digits,
        options("dynamic"),
        watch=training("fine-tuning the dynamic network"),
    )
    _unless(found.history.interrupted)
    tuned = found.program
    tuned.save(files[".tuned"], force=force)
    progress("lowering", 0, 0)
    lowered = lower_program(tuned)[0]
    lowered.save(files[".deploy"], force=force)

    both = evaluate((source, files[".deploy"]), DIGITS, batches=BATCHES, progress=progress)
    before, after = both.results
    return DemoResult(
        images=both.images,
        static=_side(before),
        dynamic=_side(after),
        ratios={size: one.ratio.mean for size, one in after.latencies.items()},
        branches=sum(after.decisions["picked"]),
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


def _side(found: Result) -> Side:
    times = {size: one.milliseconds.mean for size, one in found.latencies.items()}
    return Side(Path(found.file), found.top1, round(found.macs or 0), times)

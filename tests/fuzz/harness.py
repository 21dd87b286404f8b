"""Feeds damaged copies of real models to a worker process, and notices what becomes of it."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType

import onnx

from tests.fuzz.mutations import damage, damage_bytes

EXPORTS = Path(__file__).parents[1] / "exports"
SECONDS = 30.0  # for one file; whole ones take less than one


@dataclass(frozen=True)
class Outcome:
    """How a file fared, in the words of the worker, and the message."""

    kind: str
    message: str


class Worker:
    """The worker process; it is started again after it died.

    Args:
        program: what Python runs.
    """

    def __init__(self, program: Sequence[str] = ("-m", "tests.fuzz.worker")) -> None:
        self._program = program
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stop()

    def attempt(self, file: Path) -> Outcome:
        """What the worker makes of a file; its death, or more time than `SECONDS`, is a failure."""
        process = self._process = self._process or self._started()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(str(file)) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        answer = process.stdout.readline() if ready else ""
        if answer:
            found = json.loads(answer)
            return Outcome(found["outcome"], found["message"])
        code = process.wait(5) if ready else None
        self._stop()
        return Outcome("failed", f"died with code {code}" if ready else f"over {SECONDS} s")

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def mutant(sources: Mapping[str, Path], chance: Random) -> bytes:
    """A damaged copy of one of the sources: of its model mostly, of its bytes otherwise."""
    content = sources[chance.choice(sorted(sources))].read_bytes()
    if chance.random() < 0.1:
        return damage_bytes(content, chance)
    model = onnx.ModelProto()
    model.ParseFromString(content)
    damage(model, chance)
    return model.SerializeToString()


def networks(folder: Path) -> dict[str, Path]:
    """Small networks as many exporters write them, and what hydrafy makes of one."""
    from hydrafy import convert, lower, zoo

    small = {"width": 4, "size": 16}
    file = zoo.export("resnet8", folder / "resnet8.onnx", **small)
    noisy = zoo.export("resnet8", folder / "noisy.onnx", **small, exporter="dynamo", fold=False)
    folded = zoo.export("resnet8", folder / "folded.onnx", **small, fold=True, dynamic_batch=False)
    made = convert(file, "dynk", branches=3, k=1)
    onnx.save(lower(made), folder / "lowered.onnx")
    foreign = {path.stem: path for path in EXPORTS.glob("*.onnx")}
    return {
        **foreign,
        "resnet8": file, "noisy": noisy, "folded": folded,
        "dynamic": made.save(folder / "dynamic.onnx"), "lowered": folder / "lowered.onnx",
    }  # fmt: skip

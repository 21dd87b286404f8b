"""The forms of a dynamic network for other runtimes, for this machine alone, and for fewer bits."""

from collections.abc import Iterator

import numpy as np

from hydrafy.errors import DataError, ModelError
from hydrafy.execute.machine import this_machine
from hydrafy.ir.program import Program
from hydrafy.passes import base, targets
from hydrafy.passes.targets.half import HalfPrecision
from hydrafy.passes.targets.macs import NoteMacs, by_name


def dense(dynamic: Program, *, watch: base.Watch | None = None) -> Program:
    """A dynamic program in standard ops without control flow: every row computes everything.

    Args:
        dynamic: stays as it is.
        watch: called after each pass.
    """
    return base.run(dynamic.clone(), targets.dense_pipeline(), watch)


def native(lowered: Program, *, watch: base.Watch | None = None) -> Program:
    """A lowered program with the blocked kernels of this machine, within regions and between.

    Args:
        lowered: of the target `portable`; stays as it is.
        watch: called after each pass.

    Raises:
        ModelError: onnxruntime has no blocked kernels for this machine's processor.
    """
    machine = this_machine()
    if machine.block < 2:
        raise ModelError(
            f"onnxruntime has no blocked kernels for this processor ({machine.processor}): "
            "lower with --target portable"
        )
    passes = [*targets.native_pipeline(machine.block), NoteMacs(by_name(lowered))]
    return base.run(lowered.clone(), passes, watch)


def half(lowered: Program, *, watch: base.Watch | None = None) -> Program:
    """A lowered program in float16, its gates, inputs and outputs in float32.

    On a CPU that saves room in the file, no time: onnxruntime computes in float32 there, and casts.

    Args:
        lowered: of the target `portable` or `dense`; stays as it is.
        watch: called after each pass.

    Raises:
        ModelError: the program is for this machine's kernels, or a weight is too large.
    """
    if lowered.manifest.target == "native":
        raise ModelError(
            "onnxruntime's blocked kernels compute in float32: lower with --target portable or "
            "dense, or without --precision"
        )
    return base.run(lowered.clone(), [HalfPrecision()], watch)


BATCH = 32  # images that ranges are measured on at once


def int8(dynamic: Program, images: np.ndarray, *, watch: base.Watch | None = None) -> Program:
    """A dynamic program whose network is quantised to int8, its gates in float32: to be lowered.

    Ranges are the extremes over the images, with the run-time inputs at their defaults and at
    their neutral values. (onnxruntime's static quantisation: QDQ, weights by channel.)

    Args:
        dynamic: stays as it is.
        images: float32 [N, ...], normalised, in the layout of the network's input.
        watch: called after each pass.

    Raises:
        DataError: there are no images.
    """
    if not len(images):
        raise DataError("ranges for int8 are measured on images: give at least one, better 100")
    feeds = tuple(_calibration(dynamic, images))
    return base.run(dynamic.clone(), targets.int8_pipeline(feeds), watch)


def _calibration(program: Program, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    source = program.data_inputs[0].name or ""
    entries = program.manifest.runtime_inputs
    defaults = {entry.name: program.weight(entry.name) for entry in entries}
    neutral = {
        entry.name: np.full_like(defaults[entry.name], entry.neutral)
        for entry in entries
        if entry.neutral is not None
    }
    shares = {entry.name for entry in entries if (entry.minimum, entry.maximum) == (0, 1)}
    for given in (defaults, {**defaults, **neutral}):
        settings = {k: _between(v) if k in shares else v for k, v in given.items()}
        for start in range(0, len(images), BATCH):
            yield {source: images[start : start + BATCH], **settings}


def _between(shares: np.ndarray) -> np.ndarray:
    """Shares that are neither 0 nor 1: log-odds of those are infinite, which makes no range."""
    found: np.ndarray = np.clip(shares, np.finfo(np.float32).tiny, np.nextafter(np.float32(1), 0))
    return found

"""Lowering a dynamic network to plain ONNX, and proving that it computes the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import onnx

from hydrafy.analysis.latency import LatencyModel, typical
from hydrafy.errors import DataError, ModelError, OptionError, nearest
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes import lower as passes
from hydrafy.passes.anytime import Anytime
from hydrafy.passes.lower.note_exits import NoteExits
from hydrafy.passes.targets.anchor import AnchorRegions
from hydrafy.runtime import targets
from hydrafy.runtime.verify import Verification, verify_lowered

Target = Literal["portable", "native", "dense"]
Precision = Literal["float32", "float16", "int8"]


@dataclass(frozen=True)
class Lowering:
    """What a network is lowered to.

    Attributes:
        target: `portable` runs anywhere; `native` has the blocked kernels of this machine, and
            runs fastest, on its kind of processor only; `dense` has no control flow, for runtimes
            without it.
        precision: of the network; its gates stay in float32.
        single: whether batches are of one image, so that regions are plain Ifs, without rows to
            gather: the fastest form at that size, and the only size of the file.
        anytime: whether a run-time input `budget` stops a network with exits early.

    Raises:
        OptionError: one of them is unknown, or they exclude each other.
    """

    target: Target = "portable"
    precision: Precision = "float32"
    single: bool = False
    anytime: bool = False

    def __post_init__(self) -> None:
        for name, words in (("target", get_args(Target)), ("precision", get_args(Precision))):
            value = getattr(self, name)
            if value not in words:
                raise OptionError(f"there is no {name} {value!r}: {nearest(value, words)}")
        if self.target == "native" and self.precision != "float32":
            raise OptionError(
                "the blocked kernels of target native compute in float32, not in "
                f"{self.precision}: use --target portable"
            )


PORTABLE = Lowering()


def lower(
    program: Program,
    how: Lowering = PORTABLE,
    *,
    images: np.ndarray | None = None,
    latency: LatencyModel | None = None,
    watch: base.Watch | None = None,
) -> onnx.ModelProto:
    """Lowers a dynamic program to an ONNX model with control flow that stock onnxruntime runs.

    The program stays as it is. The result is compared with it before it is returned; one of int8
    with what the quantised network computes densely.

    Args:
        program: a dynamic program.
        how: to what.
        images: for int8, those that ranges are measured on: float32 [N, ...], normalised, in the
            layout of the network's input.
        latency: by which it is foreseen whether a region pays; that of a typical machine where
            None, so that a network is lowered to the same file everywhere.
        watch: called after each pass.

    Raises:
        ModelError: the program is not dynamic, or not made for that target, or has no exits.
        DataError: there are no images for int8.
        VerifyError: the result does not compute what the program does.
    """
    lowered, _ = lower_program(program, how, images=images, latency=latency, watch=watch)
    return lowered.to_onnx()


def lower_program(
    program: Program,
    how: Lowering = PORTABLE,
    *,
    images: np.ndarray | None = None,
    latency: LatencyModel | None = None,
    watch: base.Watch | None = None,
) -> tuple[Program, Verification]:
    """Like `lower`, but returns the lowered program and what the comparison found."""
    if program.stage == "lowered":
        raise ModelError("the network is lowered already: lower the file that it was made from")
    if program.stage != "dynamic":
        raise ModelError(
            "the network is static, there is nothing to skip: it runs as it is, or convert it first"
        )
    first = [NoteExits(), *([Anytime()] if how.anytime else [])]
    program = base.run(program.clone(), first, watch)
    if how.precision == "int8":
        if images is None:
            raise DataError("ranges for int8 are measured on images: name some, --data IMAGES")
        program = targets.int8(program, images, watch=watch)
    lowered = unproven(program, how, latency=latency, watch=watch)
    return lowered, verify_lowered(program, lowered)


def unproven(
    program: Program,
    how: Lowering = PORTABLE,
    *,
    latency: LatencyModel | None = None,
    watch: base.Watch | None = None,
) -> Program:
    """Like `lower`, but the result is compared with nothing.

    For int8 the program is quantised before, and it has its budget already.
    """
    if how.target == "dense":
        lowered = targets.dense(program, watch=watch)
    else:
        chosen = passes.pipeline(single=how.single, latency=latency or typical())
        lowered = base.run(program.clone(), chosen, watch)
    if how.target == "native":
        return targets.native(lowered, watch=watch)
    if how.precision == "float16":
        return targets.half(lowered, watch=watch)
    if how.target == "portable" and how.precision == "float32":
        return base.run(lowered, [AnchorRegions()], watch)
    return lowered

"""Compares two forms of one network, on probes that reach both sides of every predicate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hydrafy.errors import ModelError, VerifyError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.runtime.anytime import behind
from hydrafy.runtime.verify.compare import TOLERANCE, Array, tolerance
from hydrafy.runtime.verify.flow import flow, poisoned
from hydrafy.runtime.verify.gates import decide, gates
from hydrafy.runtime.verify.pictures import check_fit, images_in
from hydrafy.runtime.verify.plain import Plain
from hydrafy.runtime.verify.possible import sides
from hydrafy.runtime.verify.probes import images, probes
from hydrafy.runtime.verify.whole import Whole

__all__ = ["TOLERANCE", "Verification", "check_fit", "images", "verify", "verify_lowered"]

FEW = (0,)
"""Further batch sizes of the flow when a network is lowered."""

MANY = tuple(range(10))
"""The same when two files are compared."""


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes:
        batches: the batch sizes that whole networks were run on.
        rows: images compared, over all probes.
        worst: the largest difference of an output, over its scale.
        near_threshold: images for which rounding of a score flipped a decision.
        reached: predicates that probes made true for some rows and false for others, unless what
            other predicates say leaves only one of both.
        decided: rows of scores for which the gates of both forms decided, and agreed.
        limit: how much an output was allowed to differ, over its scale.
    """

    batches: tuple[int, ...]
    rows: int
    worst: float
    near_threshold: int
    reached: int
    decided: int
    limit: float = TOLERANCE


def verify_lowered(dense: Program, lowered: Program, *, seed: int = 0) -> Verification:
    """Compares a dynamic program with another form of it, as far as lowering has to wait for it.

    The flow: with the decisions given, so that both sides of every predicate are reached. The
    gates: with the scores given, ties and scores equal to the threshold among them, for many
    settings of the run-time inputs; they must agree exactly. The whole: images in, with the
    run-time inputs at their defaults, at both ends of their range and in between; a decision may
    differ only where rounding of the scores explains it.

    Raises:
        VerifyError: an output, a score or a decision differs, a side of a predicate was not
            reached, or a form does not run.
    """
    return _dynamic(dense, lowered, FEW, None, tolerance(lowered), seed)


def verify(
    one: Program,
    two: Program,
    *,
    pictures: Array | None = None,
    limit: float | None = None,
    seed: int = 0,
) -> Verification:
    """Compares two files of one network, of any stages and in any order.

    Where one is dynamic, it is the reference: flow, gates and whole are compared as in lowering,
    on batches of 0 to 9 in any order, and an image of NaNs must leave the other ones alone.
    Otherwise outputs are compared, decisions among them. A static network is compared with run-time
    inputs at their neutral values.

    Args:
        one: a program of any stage but `regions`.
        two: another one.
        pictures: images for both, in the layout of their inputs; noise if there are none.
        limit: how much an output may differ, over its scale; by the files' precision if None.
        seed: of the noise.

    Raises:
        ModelError: the two take different images, or have no output in common.
        VerifyError: they differ, with the first output that does and the region it comes from.
    """
    check_fit(one, two)
    allowed = tolerance(one, two) if limit is None else limit
    stages = {one.stage, two.stage}
    if "dynamic" in stages and not stages & {"source", "static"}:
        dense, other = (one, two) if one.stage == "dynamic" else (two, one)
        return _dynamic(behind(other, dense), other, MANY, pictures, allowed, seed)
    rng = np.random.default_rng(seed)
    try:
        pair = Plain(one, two)
        reached, most = pair.flow(allowed, rng) if stages == {"lowered"} else (0, 0.0)
        ran = images_in(pair, one, two, pictures, allowed, rng)
    except ModelError as error:
        raise VerifyError(f"the files cannot be compared: {error}") from error
    rows, worst = sum(ran.batches), max(most, ran.worst)
    return Verification(ran.batches, rows, worst, ran.flipped, reached, 0, allowed)


def _dynamic(
    dense: Program,
    form: Program,
    sizes: tuple[int, ...],
    pictures: Array | None,
    limit: float,
    seed: int,
) -> Verification:
    reference, other = (base.run(p.clone(), [DropTraining()]) for p in (dense, form))
    rng = np.random.default_rng(seed)
    try:
        known = probes(reference, rng)
        ran = flow(reference, other, known, sizes, limit, rng)
        if sizes is MANY:
            poisoned(reference, other, known[0], limit, rng)
        alone = gates(reference)
        decided = decide(alone, reference, other, rng) if alone else 0
        whole = Whole.of(reference, other, alone)
        seen = images_in(whole, reference, other, pictures, limit, rng)
    except ModelError as error:  # the input was fine: this is ours
        raise VerifyError(f"the lowered file cannot be proven: {error}") from error
    batches = (*ran.batches, *seen.batches)
    return Verification(
        batches,
        sum(batches),
        max(ran.worst, seen.worst),
        seen.flipped,
        len({name for name, _ in sides(reference)}),
        decided,
        limit,
    )

"""Batches whose images go different ways, against each part on exactly the rows that need it."""

import numpy as np

from benchmarks.lowering import subjects
from benchmarks.lowering.branches import CASES, spread_picks
from benchmarks.lowering.contest import Contender, Row, Settings
from benchmarks.timing import interleave, ratio
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.bench.oracle import covers
from hydrafy.runtime.bench.parts import parts
from hydrafy.runtime.convert import convert

SIZE = 32
SINGLE, LONG = 1.12, 1.05  # targets of single blocks, and of stages and branches


def mixed(name: str, how: Settings) -> list[Row]:
    """Gates before each block and before stages, a part of them closed; and branches."""
    static = subjects.source(name)
    images = subjects.noise(static, 2 * SIZE)
    found = []
    for what, make, target in (
        ("blocks", subjects.block_gates, SINGLE),
        ("stages", subjects.stage_gates, LONG),
    ):
        program = make(static)
        for rate in (0.25, 0.5, 0.75):
            feeds = subjects.threshold(program, images, rate)
            case = f"{name}, {what}, {100 * rate:.0f} % of rows skipped"
            found += against_parts(case, program, images, feeds, target, how)
    return found


def mixed_branches(name: str, how: Settings) -> list[Row]:
    """Twenty branches of which each image has four."""
    network, options, recipe = CASES[name]
    static = subjects.source(network, **options)
    images = subjects.noise(static, 2 * SIZE)
    program = convert(static, "dynk", branches=20, k=4, tau=0.0, **recipe)
    spread_picks(program, images)
    case = f"{name}, 4 of 20 branches"
    return against_parts(case, program, images, subjects.tau(0.0), LONG, how)


def against_parts(
    case: str,
    program: Program,
    images: subjects.Array,
    feeds: subjects.Feeds,
    target: float,
    how: Settings,
) -> list[Row]:
    """All forms on batches of `SIZE`, against each part on the rows that need it.

    Args:
        case: what is measured.
        program: a dynamic network.
        images: of two batches or more.
        feeds: run-time inputs of a batch, one row each or one for each of its images.
        target: of the ratio.
        how: how often.
    """
    key = subjects.key(program)
    decided, nets = decide(program, images, feeds), covers(program)
    profiled = parts(program, nets, images[:SIZE], 1)
    slices = [slice(i, i + SIZE) for i in range(0, len(images), SIZE)]
    scale = np.array([profiled.share(decided, rows) for rows in slices])

    def contender(session: Session, given: subjects.Feeds) -> Contender:
        return lambda number: session.run({key: images[slices[number]], **given})

    runs = {"parts": contender(Session(nets[0][0], threads=1), {})}
    for form, session in subjects.sessions(program, single=False).items():
        runs[form] = contender(session, feeds)
    timings, taken = interleave(runs, len(slices), how.repeats)
    middle = timings["parts"].median * scale.mean()
    return [
        Row(
            f"{case}, batch {SIZE}",
            form,
            ratio(taken[form], taken["parts"] * scale),
            target,
            f"{timings[form].median:.2f} / {middle:.2f} ms",
        )
        for form in subjects.FORMS
    ]

"""The recipe's exits: one of them taken by all images, and each by some images of a batch."""

import numpy as np

from benchmarks.lowering import subjects
from benchmarks.lowering.contest import Contender, Row, Settings, contest
from benchmarks.lowering.mixed import LONG, SIZE, against_parts
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.anytime import Anytime
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.bench.oracle import oracle
from hydrafy.runtime.convert import convert
from hydrafy.runtime.timing import batches

COUNTS = {"resnet20": (8,), "resnet56": (3, 8), "resnet50": (3,)}
TARGETS = {"resnet20": 1.06, "resnet56": 1.06, "resnet50": 1.03}


def exits(name: str, how: Settings) -> list[Row]:
    """All images leave at the first exit, at the last one, or at none: batch 1, against oracles."""
    static, found = subjects.source(name), list[Row]()
    images, key = subjects.noise(static, how.images), subjects.key(static)
    parts, targets = batches(images, 1), dict.fromkeys(subjects.FORMS, TARGETS[name])
    for count in COUNTS[name]:
        program = convert(static, "exits", exits=count)
        sessions = subjects.sessions(program, single=True)
        for taken in (0, count - 1, count):
            feeds = _leaving(count, [taken])
            net = oracle(program, decide(program, images[:1], feeds).of(0))
            rival = _contender(Session(net, threads=1), key, parts, feeds)
            forms = {f: _contender(session, key, parts, feeds) for f, session in sessions.items()}
            which = f"exit {taken + 1} of {count}" if taken < count else f"none of {count} exits"
            case = f"{name}, {which} taken"
            found += contest(case, forms, ("oracle", rival), targets, len(parts), how.repeats)
    return found


def mixed_exits(name: str, how: Settings) -> list[Row]:
    """Batches whose images leave at all exits alike, against each part on exactly its rows."""
    static, found = subjects.source(name), list[Row]()
    images = subjects.noise(static, 2 * SIZE)
    for count in COUNTS[name]:
        program = convert(static, "exits", exits=count)
        taken = np.random.default_rng(0).permutation(np.arange(SIZE) % (count + 1))
        case = f"{name}, images leave at {count} exits and at the end"
        feeds = _leaving(count, taken.tolist())
        found += against_parts(case, program, images, feeds, LONG, how)
    return found


def budgets(name: str, how: Settings) -> list[Row]:
    """What a budget costs: a file that has one, against the same without, batch 1."""
    static, found = subjects.source(name), list[Row]()
    images, key = subjects.noise(static, how.images), subjects.key(static)
    parts = batches(images, 1)
    for count in COUNTS[name]:
        plain = convert(static, "exits", exits=count)
        without = subjects.sessions(plain, single=True)
        limited = subjects.sessions(_anytime(plain), single=True)
        for taken in (0, count):
            feeds = _leaving(count, [taken])
            which = f"exit 1 of {count}" if taken < count else f"none of {count} exits"
            for form in subjects.FORMS:
                mine = {form: _contender(limited[form], key, parts, feeds)}
                rival = _contender(without[form], key, parts, feeds)
                case = f"{name}, {which} taken, with a budget"
                found += contest(case, mine, ("without", rival), {}, len(parts), how.repeats)
    return found


def _anytime(program: Program) -> Program:
    return base.run(program.clone(), [Anytime()])


def _leaving(count: int, taken: list[int]) -> subjects.Feeds:
    """Thresholds at which each image leaves at one exit, by its number, or at none."""
    rows = np.full((len(taken), count + 1), np.inf, np.float32)
    rows[np.arange(len(taken)), taken] = -np.inf
    return {"tau": rows[:, :count]}


def _contender(
    session: Session, key: str, parts: list[subjects.Array], feeds: subjects.Feeds
) -> Contender:
    taken = {name: array for name, array in feeds.items() if name in session.settings}
    return lambda number: session.run({key: parts[number], **taken})

"""Blocks that images bypass, one image at a time, and half of them in batches."""

import functools

from benchmarks.lowering import subjects
from benchmarks.lowering.contest import Contender, Row, Settings, contest
from hydrafy.execute.session import Session
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.timing import batches

OPEN = {"resnet20": (1.10, 1.05), "resnet50": (1.04, 1.02)}
SKIPPED = {"resnet20": (1.10, 1.05), "resnet50": (1.05, 1.02)}
HALF = {"resnet56": (0.70, 0.62)}


def opened(name: str, how: Settings) -> list[Row]:
    """Every block gated, all open, batch 1, against the static network plus the gates."""
    static = subjects.source(name)
    gated = subjects.block_gates(static)
    parts, key = batches(subjects.noise(static, how.images), 1), subjects.key(static)
    forms: dict[str, Contender] = {
        form: functools.partial(_run, session, key, parts, subjects.tau(0.0))
        for form, session in subjects.sessions(gated, single=True).items()
    }
    forms["static alone"] = functools.partial(_run, subjects.plain(static), key, parts, {})
    rival = Session(subjects.gates_alone(gated), threads=1)
    against = "static, gates", functools.partial(_run, rival, key, parts, {})
    targets = _targets(OPEN, name)
    return contest(f"{name}, all open", forms, against, targets, len(parts), how.repeats)


def skipped(name: str, how: Settings) -> list[Row]:
    """25, 50 and 75 % of the gates closed, batch 1, against each image's oracle."""
    static = subjects.source(name)
    gated = subjects.block_gates(static)
    images, key = subjects.noise(static, how.images), subjects.key(static)
    parts, sessions = batches(images, 1), subjects.sessions(gated, single=True)
    found = []
    for rate in (0.25, 0.5, 0.75):
        feeds = subjects.threshold(gated, images, rate)
        decided = decide(gated, images, feeds)
        oracles = subjects.oracles(gated, decided)
        forms = {
            form: functools.partial(_run, session, key, parts, feeds)
            for form, session in sessions.items()
        }
        against = "oracle", functools.partial(_each, oracles, key, parts)
        case = f"{name}, {100 * (1 - decided.rows.mean()):.0f} % of blocks skipped"
        targets = _targets(SKIPPED, name)
        found += contest(case, forms, against, targets, len(parts), how.repeats)
    return found


def half(name: str, how: Settings) -> list[Row]:
    """Half of the blocks skipped for each image, at random, batch 32, against the static net."""
    static = subjects.source(name)
    gated = subjects.block_gates(static)
    images, key = subjects.noise(static, 64), subjects.key(static)
    parts, feeds = batches(images, 32), subjects.threshold(gated, images, 0.5)
    forms = {
        form: functools.partial(_run, session, key, parts, feeds)
        for form, session in subjects.sessions(gated, single=False).items()
    }
    against = "static", functools.partial(_run, subjects.plain(static), key, parts, {})
    case = f"{name}, half of the blocks skipped, batch 32"
    return contest(case, forms, against, _targets(HALF, name), len(parts), how.repeats)


def _targets(known: dict[str, tuple[float, float]], name: str) -> dict[str, float]:
    return dict(zip(subjects.FORMS, known.get(name, ()), strict=False))


def _run(
    session: Session, key: str, parts: list[subjects.Array], feeds: subjects.Feeds, number: int
) -> None:
    session.run({key: parts[number], **feeds})


def _each(oracles: list[Session], key: str, parts: list[subjects.Array], number: int) -> None:
    oracles[number].run({key: parts[number]})

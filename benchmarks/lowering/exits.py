"""Early exits, each of them taken in turn."""

import numpy as np

from benchmarks.lowering import subjects
from benchmarks.lowering.contest import Contender, Row, Settings, contest
from hydrafy.execute.session import Session
from hydrafy.passes import base
from hydrafy.passes.exits import InsertExits
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.bench.oracle import oracle
from hydrafy.runtime.timing import batches

PLACES = {
    "resnet50": ("stage2", "stage3", "stage4"),
    "resnet56": ("stage2", "stage3", "stage3.5"),
}
TARGETS = {"resnet50": 1.03, "resnet56": 1.06}
BEYOND = 1.1  # no probability reaches it


def exits(name: str, how: Settings) -> list[Row]:
    """Three exits, batch 1, against the static network that ends where images leave."""
    static = subjects.source(name)
    program = base.run(static.clone(), [InsertExits(PLACES[name])])
    images, key = subjects.noise(static, how.images), subjects.key(static)
    parts, sessions = batches(images, 1), subjects.sessions(program, single=True)
    found = []
    for taken in range(4):
        feeds = {
            f"exits.{number}.tau": np.full((1, 1), 0.0 if number == taken else BEYOND, np.float32)
            for number in range(3)
        }
        net = oracle(program, decide(program, images[:1], feeds).of(0))
        given = {v.name for v in net.graph.inputs}
        rival = _contender(
            Session(net, threads=1), key, parts, {k: v for k, v in feeds.items() if k in given}
        )
        forms = {f: _contender(session, key, parts, feeds) for f, session in sessions.items()}
        case = f"{name}, exit {taken + 1} of 3" if taken < 3 else f"{name}, no exit taken"
        targets = dict.fromkeys(subjects.FORMS, TARGETS[name])
        found += contest(case, forms, ("oracle", rival), targets, len(parts), how.repeats)
    return found


def _contender(
    session: Session, key: str, parts: list[subjects.Array], feeds: subjects.Feeds
) -> Contender:
    return lambda number: session.run({key: parts[number], **feeds})

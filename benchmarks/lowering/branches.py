"""Twenty branches, of which a gate picks some for each image."""

from typing import Any

from benchmarks.branches import spread_picks
from benchmarks.lowering import subjects
from benchmarks.lowering.contest import Contender, Row, Settings, contest
from hydrafy.execute.session import Session
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.convert import convert
from hydrafy.runtime.timing import batches

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "hydra-res-d1": (
        "resnet8",
        {"classes": 100},
        {
            "split": "stage3",
            "branch_width": 1.0,
            "gate_width": 1.0,
            "gate_depth": 0,
            "gate_pool": 1,
            "combiner": "mean",
        },
    ),
    "resnet50": ("resnet50", {}, {"split": "stage3"}),
}
TARGET = 1.05


def branches(name: str, how: Settings) -> list[Row]:
    """k = 1, 4 and 10 of 20, batch 1, against each image's oracle; k run for every image."""
    network, options, recipe = CASES[name]
    static = subjects.source(network, **options)
    images, key = subjects.noise(static, how.images), subjects.key(static)
    parts, found = batches(images, 1), []
    for k in (1, 4, 10):
        program = convert(static.clone(), "dynk", branches=20, k=k, tau=0.0, **recipe)
        spread_picks(program, images)
        decided = decide(program, images, subjects.tau(0.0))
        forms = {
            form: _contender([session] * len(parts), key, parts)
            for form, session in subjects.sessions(program, single=True).items()
        }
        rival = _contender(subjects.oracles(program, decided), key, parts)
        case = f"{name}, {decided.rows.sum(1).mean():.0f} of 20 branches"
        targets = dict.fromkeys(subjects.FORMS, TARGET)
        found += contest(case, forms, ("oracle", rival), targets, len(parts), how.repeats)
    return found


def _contender(runs: list[Session], key: str, parts: list[subjects.Array]) -> Contender:
    """Each image in a session of its own."""
    return lambda number: runs[number].run({key: parts[number], **subjects.tau(0.0)})

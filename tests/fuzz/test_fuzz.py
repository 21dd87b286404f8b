"""Whatever becomes of a file, it is read, or refused in one sentence: no crash, hang or bloat."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.harness import Worker, mutant, networks


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return networks(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as running:
        yield running


def test_the_sources_themselves_are_read(sources: dict[str, Path], worker: Worker) -> None:
    """Else the fuzzer would test nothing but the refusal of its sources."""
    kinds = {name: worker.attempt(file).kind for name, file in sources.items()}
    ours = {name: kinds.pop(name) for name in ("dynamic", "lowered")}
    assert set(ours.values()) == {"inspected"}
    counts = Counter(kinds.values())
    assert counts["converted"] > 8 and counts.total() == counts["converted"] + counts["inspected"]


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,  # the worker has one
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_models_are_read_or_refused(
    sources: dict[str, Path], worker: Worker, tmp_path: Path, seed: int
) -> None:
    """`python -m tests.fuzz --seed SEED` begins with what went wrong."""
    file = tmp_path / "mutant.onnx"
    file.write_bytes(mutant(sources, Random(seed)))
    outcome = worker.attempt(file)
    assert outcome.kind != "failed", outcome.message


def test_damage_is_of_all_kinds(sources: dict[str, Path]) -> None:
    """That the mutations change something, and leave some models whole enough to be checked on."""
    counts: Counter[str] = Counter()
    whole = {file.read_bytes() for file in sources.values()}
    for seed in range(60):
        content = mutant(sources, Random(seed))
        counts["changed"] += content not in whole
        try:
            counts["parsed"] += bool(onnx.load_from_string(content).graph.node)
        except Exception:
            counts["garbage"] += 1
    assert counts["changed"] > 50 and counts["parsed"] > 40 and counts["garbage"] > 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "died with code -11"),
        ("bytearray(7 << 30)", "MemoryError"),
        ("raise KeyError('x')", "KeyError"),
        ("raise hydrafy.errors.ModelError('two\\nlines')", "not one line"),
        ("raise hydrafy.errors.VerifyError('ours')", "ours"),
        ("while True: pass", "over 1.0 s"),
    ],
)
def test_the_harness_notices(
    body: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does something bad instead of reading the file."""
    bad = (
        "import hydrafy.errors, tests.fuzz.worker as worker\n"
        f"def bad(file):\n    {body}\n"
        "worker.inspect = bad\nworker.main()\n"
    )
    if message.startswith("over"):
        monkeypatch.setattr("tests.fuzz.harness.SECONDS", 1.0)
    with Worker(["-c", bad]) as running:
        outcome = running.attempt(tmp_path / "any.onnx")
        assert outcome.kind == "failed" and message in outcome.message

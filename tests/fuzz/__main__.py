"""Fuzzes for as long as one wants, with random seeds, and keeps each file that goes wrong.

python -m tests.fuzz [--minutes M] [--seed S] [--keep FOLDER]
"""

import argparse
import itertools
import secrets
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.fuzz.harness import Worker, mutant, networks


def main() -> None:
    """Runs until the time is up, or Ctrl-C; says what was found."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=float("inf"))
    words.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    words.add_argument("--keep", type=Path, default=Path("fuzz"))
    chosen = words.parse_args()
    print(f"seeds from {chosen.seed} on; files that go wrong are kept in {chosen.keep}/")
    counts: Counter[str] = Counter()
    end = time.monotonic() + 60 * chosen.minutes
    with tempfile.TemporaryDirectory() as name, Worker() as worker:
        sources = networks(Path(name))
        file = Path(name) / "mutant.onnx"
        for seed in itertools.count(chosen.seed):
            if time.monotonic() > end:
                break
            content = mutant(sources, Random(seed))
            file.write_bytes(content)
            outcome = worker.attempt(file)
            counts[outcome.kind] += 1
            if outcome.kind == "failed":
                chosen.keep.mkdir(exist_ok=True)
                (chosen.keep / f"{seed}.onnx").write_bytes(content)
                print(f"\nseed {seed} {outcome.kind}: {outcome.message}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in counts.most_common()))


if __name__ == "__main__":
    main()

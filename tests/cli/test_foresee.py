"""`convert`, `lower` and `inspect` foresee the same verdict, in tables and as JSON."""

import json
from pathlib import Path

from tests.cli.conftest import Invoke

Road = dict[str, Path]
FEW = ("--recipe", "dynk", "--set", "branches=3", "--set", "k=2", "--set", "split=stage2")
HERE = "one thread of a typical machine (`hydrafy bench --fit` measures this one)"


def verdicts(hydrafy: Invoke, *words: object) -> list[str]:
    done = hydrafy(*words, "--json")
    assert done.exit_code == 0, done.stderr
    return [size["verdict"] for size in json.loads(done.stdout)["foreseen"]["sizes"]]


def test_all_verbs_foresee_the_same(hydrafy: Invoke, road: Road) -> None:
    folder = road["static"].parent
    dynamic, deploy = folder / "again.onnx", folder / "again.deploy.onnx"
    told = [
        verdicts(hydrafy, "convert", road["static"], *FEW, "-o", dynamic),
        verdicts(hydrafy, "lower", dynamic, "-o", deploy),
        verdicts(hydrafy, "inspect", dynamic),
        verdicts(hydrafy, "inspect", deploy),
    ]
    assert told[0][0].startswith("Batch 1: ") and told[0][1].startswith("Batch 32: ")
    assert all(one == told[0] for one in told)
    words = hydrafy("inspect", deploy).stdout
    assert HERE in words and told[0][0][:30] in words


def test_tables_tell_it_too(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    dynamic = tmp_path / "net.onnx"
    done = hydrafy("convert", road["static"], *FEW, "-o", dynamic)
    assert HERE in done.stdout and "Batch 32: " in done.stdout
    done = hydrafy("lower", dynamic)
    assert HERE in done.stdout and "No verdict" in done.stdout  # the source is elsewhere

"""The public names stay, and nothing loads before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

import hydrafy
from tests.cli.conftest import Invoke

HEAVY = ("torch", "onnxruntime", "onnx", "sklearn", "rich")


def loaded_by(code: str) -> set[str]:
    """Which of the heavy libraries a program loads."""
    program = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=Path(hydrafy.__file__).parents[1],
    )  # fmt: skip
    return set(HEAVY) & set(done.stdout.splitlines())


def test_every_public_name_is_there() -> None:
    for name in ("read", "convert", "load", "Program", "to_torch", "from_torch", "lower"):
        assert name in dir(hydrafy)
        assert callable(getattr(hydrafy, name))
    assert hydrafy.load is hydrafy.Program.load
    with pytest.raises(AttributeError, match="no attribute 'konvert'"):
        _ = hydrafy.konvert


def test_importing_loads_nothing() -> None:
    assert loaded_by("import hydrafy, hydrafy.cli") == set()


@pytest.mark.parametrize("verb", ["inspect", "lower", "explain", "run"])
def test_no_verb_but_training_loads_torch(
    hydrafy: Invoke, road: dict[str, Path], tmp_path: Path, verb: str
) -> None:
    words = [verb, str(road["dynamic"])]
    words += {"lower": ["-o", str(tmp_path / "o.onnx")], "run": [str(road["image"])]}.get(verb, [])
    code = (
        "from click.testing import CliRunner\n"
        "from hydrafy.cli import main\n"
        f"assert CliRunner().invoke(main, {words!r}).exit_code == 0"
    )
    assert "torch" not in loaded_by(code)

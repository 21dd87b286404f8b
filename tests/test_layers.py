"""Imports go down only: every import in the package is checked against the order of the layers."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("__main__",),
    ("cli",),
    ("report",),
    ("runtime",),
    ("train", "zoo"),
    ("recipes",),
    ("passes",),
    ("analysis",),
    ("execute",),
    ("ir",),
    ("errors",),
)  # from the top; layers in one tuple are siblings
RANK = {name: height for height, names in enumerate(reversed(LAYERS)) for name in names}
TORCH = {"train", "zoo"}  # the layers that may import torch
FACE = "hydrafy"  # hydrafy/__init__.py, which names every layer but loads it late


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, its line, and whether importing the file loads it."""

    name: str
    line: int
    late: bool


def imports(source: str, module: str, *, package: bool) -> Iterator[Import]:
    """Every import in `source`, those in functions and under TYPE_CHECKING included (as late)."""
    yield from _walk(ast.parse(source), module if package else module.rpartition(".")[0], False)


def _walk(node: ast.AST, package: str, late: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, late) for alias in node.names)
        return
    if isinstance(node, ast.ImportFrom):
        origin = _origin(node, package)
        yield Import(origin, node.lineno, late)
        # `from hydrafy import train` and `from hydrafy.passes import lower` import modules, too
        yield from (Import(f"{origin}.{alias.name}", node.lineno, late) for alias in node.names)
        return
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from _walk(child, package, True)
        for child in node.orelse:
            yield from _walk(child, package, late)
        return
    late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, package, late)


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def offences(source: str, module: str, *, package: bool = False) -> list[str]:
    """What `source`, the text of `module`, imports against the rules; one line for each."""
    found = (
        (one.line, reason)
        for one in imports(source, module, package=package)
        if (reason := _offence(one, module))
    )
    return [f"{module}:{line} {reason}" for line, reason in sorted(set(found))]


def _offence(one: Import, module: str) -> str | None:
    top, layer = one.name.partition(".")[0], _layer(module)
    if top == "torch":
        return None if layer in TORCH else "imports torch"
    if top != "hydrafy":
        return None
    target = _layer(one.name)
    if module == FACE:
        return None if one.late or target is None else f"loads {target} at once"
    if layer is None:
        return "belongs to no layer"
    if target is None:  # a name of hydrafy/__init__.py
        return None if one.name == FACE else f"imports the public face ({one.name})"
    if layer == "recipes" and f"{one.name}.".startswith("hydrafy.passes.lower"):
        return "is a recipe and imports lowering"
    if target != layer and RANK[target] >= RANK[layer]:
        return f"imports {target}, which is not below {layer}"
    return None


def _layer(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK else None


def modules() -> list[tuple[Path, str]]:
    """Every file of the package, with the dotted name of its module."""
    found = []
    for file in sorted((ROOT / "hydrafy").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found.append((file, ".".join(p for p in parts if p != "__init__")))
    return found


@pytest.mark.parametrize(("file", "module"), modules(), ids=lambda value: str(value)[-40:])
def test_imports_go_down_only(file: Path, module: str) -> None:
    assert offences(file.read_text(), module, package=file.name == "__init__.py") == []


def test_every_layer_is_in_the_order() -> None:
    names = {module.split(".")[1] for _, module in modules() if "." in module}
    assert names <= set(RANK), f"{names - set(RANK)} have no place in LAYERS"


OFFENDING = [
    ("hydrafy.ir.program", "import torch"),
    ("hydrafy.recipes.dynk", "def f():\n    import torch.nn"),
    ("hydrafy.analysis.cuts", "from hydrafy.passes.base import Pass"),
    ("hydrafy.analysis.cuts", "from ..passes import base"),
    ("hydrafy.analysis.cuts", "from .. import passes"),
    ("hydrafy.ir.verify", "if TYPE_CHECKING:\n    from hydrafy.analysis.cuts import cuts"),
    ("hydrafy.ir.verify", "class A:\n    def f(self):\n        import hydrafy.cli"),
    ("hydrafy.train.losses", "from hydrafy.zoo import build"),
    ("hydrafy.zoo.export", "from hydrafy import train"),
    ("hydrafy.recipes.dynk", "from hydrafy.passes.lower.sink import Sink"),
    ("hydrafy.recipes.dynk", "from hydrafy.passes import lower"),
    ("hydrafy.recipes.dynk", "import hydrafy.passes.lower"),
    ("hydrafy.recipes.dynk", "from hydrafy.passes.lowering import x"),
    ("hydrafy.runtime.bench", "from hydrafy import convert"),
    ("hydrafy.elsewhere", "from hydrafy.ir import ops"),
    ("hydrafy", "from hydrafy.ir.program import Program"),
    ("hydrafy", "if TYPE_CHECKING:\n    pass\nelse:\n    from hydrafy import train"),
    ("hydrafy", "def f():\n    import torch"),
]


@pytest.mark.parametrize(("module", "source"), OFFENDING)
def test_an_offence_is_found(module: str, source: str) -> None:
    assert len(offences(source, module, package=module == FACE)) > 0


ALLOWED = [
    ("hydrafy.ir.verify", "from hydrafy.ir.program import Program\nfrom . import ops"),
    ("hydrafy.passes.lower.sink", "from ..base import Pass\nfrom hydrafy.analysis import need"),
    ("hydrafy.recipes.dynk", "from hydrafy.passes.clone import Clone"),
    ("hydrafy.train.module", "import torch\nfrom torch import nn"),
    ("hydrafy.cli", "def f():\n    from hydrafy.train import loop\n    import hydrafy"),
    ("hydrafy", "def __getattr__(name):\n    from hydrafy.train import to_torch"),
    ("hydrafy", "if TYPE_CHECKING:\n    from hydrafy.ir.program import Program"),
]


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert offences(source, module, package=module == FACE) == []


def test_help_does_not_load_torch() -> None:
    program = (
        "import sys\n"
        "from hydrafy.cli import main\n"
        "sys.argv = ['hydrafy', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as done:\n"
        "    assert not done.code, done.code\n"
        "print('TORCH' if 'torch' in sys.modules else 'LIGHT')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "LIGHT"

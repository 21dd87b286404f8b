"""Whatever an exporter wrote, the program that is read computes the same and looks the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.cost import cost
from hydrafy.errors import FileError, ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.text import text
from hydrafy.runtime.convert import convert
from hydrafy.runtime.read import read

MODES = [
    {"exporter": exporter, "fold": fold, "dynamic_batch": dynamic}
    for exporter in ("torchscript", "dynamo")
    for fold in (False, True)
    for dynamic in (False, True)
]
NAMES = [("resnet8", {}), ("bottleneck", {})]


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(str(v) for v in m.values()))
@pytest.mark.parametrize(("name", "options"), NAMES, ids=lambda v: v if isinstance(v, str) else "")
def test_every_export_is_understood_alike(
    zoo_file: Callable[..., Path], name: str, options: dict[str, object], mode: dict[str, object]
) -> None:
    file = zoo_file(name, **options, **mode)
    plain = read(zoo_file(name, **options))
    program = read(file)
    x = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    original, found = Session(file, threads=1), Session(program, threads=1)
    one = [original.run({"input": x[n : n + 1]})["logits"] for n in range(3)]
    wanted = np.concatenate(one)
    scale = np.abs(wanted).max()
    for batch in (1, 3):
        logits = found.run({"input": x[:batch]})["logits"]
        assert logits.shape == wanted[:batch].shape
        assert np.abs(logits - wanted[:batch]).max() <= 1e-5 * scale
    assert describe(program) == describe(plain)
    assert cost(program).macs == cost(plain).macs
    if not mode["fold"]:
        assert cost(program).parameters == cost(plain).parameters
    shapes = [v.shape for n in program.graph for v in n.outputs]
    assert all(s is not None and s[0] == "N" for s in shapes), text(program)
    weights = {n for n in program.graph.initializers if n.endswith(".weight") and ".bn" not in n}
    assert {"fc.weight"} <= weights or name == "bottleneck"
    if name == "resnet8":
        assert {f"layer{n}.0.conv{c}.weight" for n in (1, 2, 3) for c in (1, 2)} <= weights


def describe(program: Program) -> list[object]:
    return [(s.shape, [b.kind for b in s.blocks]) for s in anatomy(program).stages]


def test_the_manifest_says_where_it_came_from(zoo_file: Callable[..., Path]) -> None:
    file = zoo_file("resnet8")
    manifest = read(file).manifest
    assert (manifest.stage, manifest.source, len(manifest.source_sha256)) == (
        "static",
        file.name,
        64,
    )
    assert [(o.name, o.role) for o in manifest.outputs] == [("logits", "prediction")]
    assert {entry.by for entry in manifest.journal} >= {"fold-constants", "name-layers"}


def test_all_kinds_of_sources_are_read_and_left_alone(
    zoo_file: Callable[..., Path], tmp_path: Path
) -> None:
    file = zoo_file("resnet8")
    proto, model = onnx.load(file), ir.load(file)
    before, also = proto.SerializeToString(), ir.to_proto(model).SerializeToString()
    program = read(file)
    stated = text(program)
    assert text(read(str(file))) == text(read(proto)) == text(read(model)) == stated
    assert proto.SerializeToString() == before
    assert ir.to_proto(model).SerializeToString() == also
    again = read(program)
    assert again is not program and text(again) == stated
    again.graph.remove(again.graph[-1], safe=False)
    assert text(program) == stated
    saved = program.save(tmp_path / "static.onnx")
    reread = read(saved)
    assert text(reread) == stated
    assert reread.manifest.source_sha256 == program.manifest.source_sha256


def test_a_dynamic_network_is_no_source(source: Callable[..., Program], tmp_path: Path) -> None:
    program = convert(source("resnet8"), "dynk", branches=3, k=1)
    for form in (program, program.save(tmp_path / "x.onnx"), program.to_onnx()):
        with pytest.raises(ModelError, match=r"dynamic already \(recipe dynk\)"):
            read(form)


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no file .*none\.onnx"):
        read(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(FileError, match=r"bad\.onnx"):
        read(tmp_path / "bad.onnx")


@pytest.mark.parametrize(
    "name", ["resnet20_cifar10", "resnet56_cifar10", "resnet8_mlperftiny_cifar10"]
)
def test_pretrained_networks_compute_what_their_files_do(data: Path, name: str) -> None:
    file = data / "models" / f"{name}.onnx"
    program = read(file)
    x = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    wanted = Session(file).run({Session(file).inputs.copy().popitem()[0]: x})
    found = Session(program).run({program.data_inputs[0].name or "": x})
    for a, b in zip(wanted.values(), found.values(), strict=True):
        assert np.abs(a - b).max() <= 1e-5 * np.abs(a).max()

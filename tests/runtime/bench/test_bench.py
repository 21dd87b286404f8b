"""bench: what is timed against what, what it tells, and which files it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.executed import work
from hydrafy.errors import FileError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.anytime import Anytime
from hydrafy.passes.specialise import Specialise
from hydrafy.runtime import bench as module
from hydrafy.runtime.batched import batched
from hydrafy.runtime.bench import bench
from hydrafy.runtime.bench.attribution import ROWS
from hydrafy.runtime.bench.contest import contest
from hydrafy.runtime.bench.given import given
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import Lowering, unproven
from hydrafy.runtime.spent import spent
from hydrafy.train.data import Data
from tests.passes.dynamic import IMAGES, layers, nested
from tests.train.programs import Sketch


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks, each dense, lowered, and as a static net; and one of other images."""
    folder = tmp_path_factory.mktemp("bench")
    for name, program in (("nested", nested()), ("layers", layers())):
        program.save(folder / f"{name}.onnx")
        base.run(program.clone(), lower.pipeline()).save(folder / f"{name}.deploy.onnx")
    static().save(folder / "static.onnx")
    static(classes=4).save(folder / "four.onnx")
    static(size=16).save(folder / "large.onnx")
    return folder


def static(classes: int = 3, size: int = 8) -> Program:
    s = Sketch(("N", 3, size, size))
    y = s.conv(s.conv(s.x, "a", 8, 3), "b", 8, 3)
    return s.program(s.linear(s.pooled(y, "head"), "fc", classes))


def test_all_is_told_at_each_batch_size(folder: Path) -> None:
    told: list[str] = []
    found = bench(
        folder / "layers.deploy.onnx",
        folder / "static.onnx",
        batches=(1, 4),
        progress=lambda what, done, of: told.append(what),
    )
    assert (found.noise, found.images, found.threads) == (True, 128, 1)
    assert found.dense == str(folder / "layers.onnx")
    assert set(found.predicates) == {"first.on", "second.on"}
    assert [one.batch for one in found.sizes] == [1, 4]
    for one in found.sizes:
        assert 0 < one.static.low <= one.static.median <= one.static.high <= one.static.p95
        assert one.ratio.low <= one.ratio.median <= one.ratio.high
        assert one.ratio.mean > 0 and one.static.mean > 0
        assert one.oracle is not None and one.oracle.median > 0
        skipped = [point.skipped for point in one.forced]
        assert skipped[0] == 0 and skipped[-1] == 1 and skipped == sorted(skipped)
        assert 0.1 < skipped[1] < skipped[2] < skipped[3] < 0.9
        assert sum(part.share for part in one.parts) == pytest.approx(1)
        assert {"stem", "gates", "head", ROWS} <= {part.name for part in one.parts}
        assert one.verdict.startswith(f"Batch {one.batch}: ")
    assert "the one decision" in found.sizes[0].oracle_is  # noise is all alike
    assert {"timing at batch 1", "timing at batch 4", "profiling at batch 4"} <= set(told)


def test_rates_and_macs_are_those_of_the_images(folder: Path) -> None:
    found = bench(
        folder / "nested.deploy.onnx",
        folder / "static.onnx",
        data=Data(IMAGES, np.zeros(40, np.int64)),
        batches=(1, 8),
    )
    assert "3 most common decisions" in found.sizes[0].oracle_is
    assert "exactly the rows" in found.sizes[1].oracle_is
    assert not found.noise
    assert found.images == 128  # the 40 come again
    whole = sum(one.macs for one in work(nested()))
    assert 0 < found.macs < whole
    assert found.sizes[0].forced == ()  # the inner gate's decision is no output
    assert found.sizes[0].wins_from is None
    assert "wins" not in found.sizes[0].verdict
    inner = found.predicates["inner.on"]
    assert 0 < inner < 1


def test_the_skipped_share_is_of_what_can_be_skipped(folder: Path) -> None:
    closed = {name: np.array([False, True]) for name in ("first", "second")}
    rest = base.run(layers(), [Specialise(closed), *lower.pipeline()])
    found = bench(folder / "layers.deploy.onnx", folder / "static.onnx", batches=(2,))
    always = sum(one.macs for one in work(rest))
    whole = sum(one.macs for one in work(layers()))
    assert found.skipped == pytest.approx(1 - (found.macs - always) / (whole - always))


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    deploy, plain = folder / "layers.deploy.onnx", folder / "static.onnx"
    with pytest.raises(ModelError, match=r"gives scores \[3\].*four\.onnx \[4\]"):
        bench(deploy, folder / "four.onnx")
    with pytest.raises(ModelError, match=r"takes images \[3, 8, 8\].*\[3, 16, 16\]"):
        bench(deploy, folder / "large.onnx")
    with pytest.raises(ModelError, match=r"layers\.onnx is dynamic, but has to be lowered"):
        bench(folder / "layers.onnx", plain)
    with pytest.raises(ModelError, match=r"layers\.onnx is dynamic, but has to be static"):
        bench(deploy, folder / "layers.onnx")
    with pytest.raises(ModelError, match=r"was not lowered from .*nested\.onnx"):
        bench(deploy, plain, dense=folder / "nested.onnx")
    moved = tmp_path / "net.deploy.onnx"
    moved.write_bytes(deploy.read_bytes())
    with pytest.raises(FileError, match="name it with --dense"):
        bench(moved, plain)


def test_a_file_for_one_batch_size_is_timed_at_that(folder: Path, tmp_path: Path) -> None:
    single = Program.load(folder / "layers.deploy.onnx")
    single.data_inputs[0].shape = ir.Shape([1, 3, 8, 8])
    file = single.save(tmp_path / "single.onnx")
    found = bench(file, folder / "static.onnx", dense=folder / "layers.onnx", batches=(1,))
    assert len(found.sizes[0].forced) == 5
    with pytest.raises(OptionError, match="made for batches of 1, not of 8"):
        bench(file, folder / "static.onnx", dense=folder / "layers.onnx", batches=(1, 8))


def test_a_tree_of_ifs_is_told_branch_by_branch_and_at_no_other_rate(folder: Path) -> None:
    s = Sketch()
    nothing, stem = s.weight("nothing", np.array(0, np.float32)), s.conv(s.x, "stem", 8, 3)
    scores = s.op("Softmax", [s.linear(s.pooled(stem, "in"), "gate.fc", 3)], "scores")
    picked = s.op("TopKGate", [scores, s.weight("tau", np.zeros((1, 1), "f"))], "picked", k=1)
    chosen = [
        s.op(
            "Select",
            [
                s.op("Gather", [picked, s.weight(f"i{i}", np.array(i))], f"on.{i}", axis=1),
                s.conv(stem, f"branch.{i}", 8, 3),
                nothing,
            ],
            f"select.{i}",
        )
        for i in range(3)
    ]
    total = s.op("Relu", [s.op("Sum", chosen, "total")], "total.relu")
    head = s.linear(s.pooled(s.conv(total, "tail", 8, 3), "head"), "head.fc", 3)
    outputs = (Output("head.fc", "prediction"), Output("picked", "decision"))
    program = s.program(head, picked, manifest=Manifest(stage="dynamic", outputs=outputs))
    program.save(folder / "tree.onnx")
    base.run(program.clone(), lower.pipeline(single=True)).save(folder / "tree.deploy.onnx")
    found = bench(folder / "tree.deploy.onnx", folder / "static.onnx", batches=(1,))
    (size,) = found.sizes
    assert size.forced == () and size.wins_from is None
    assert found.predicates.keys() == {"on.0", "on.1", "on.2"}
    assert sum(found.predicates.values()) == pytest.approx(1)
    shown = {part.name for part in size.parts}
    assert shown & set(found.predicates) and not [
        name for name in shown if name.startswith("total")
    ]


@pytest.mark.parametrize(
    ("recipes", "options", "single", "least"),
    [
        (("bypass", "exits"), {"bypass.blocks": "stage2.2,stage3.2"}, False, 0),
        (("dynk", "exits"), {"dynk.branches": 3, "dynk.k": 1}, True, 0.1),  # a tree: one runs
    ],
)
def test_decisions_are_given_to_exits_and_gates_alike(
    source: Callable[..., Program],
    zoo_file: Callable[..., Path],
    tmp_path: Path,
    recipes: tuple[str, ...],
    options: dict[str, object],
    single: bool,
    least: float,
) -> None:
    """All gates open and nobody leaves, or everybody does: an exit lets run what does not leave."""
    few = {**options, "exits.at": "stage2", "exits.classifier": "linear"}
    dynamic = convert(source("resnet14"), recipes, **few)
    dynamic.save(tmp_path / "net.onnx")
    deploy = unproven(dynamic, Lowering(single=single)).save(tmp_path / "net.deploy.onnx")
    found = bench(deploy, zoo_file("resnet14"), batches=(1,))
    skipped = [point.skipped for point in found.sizes[0].forced]
    assert len(set(skipped)) == 5 and skipped[-1] == 1
    assert skipped[0] == 0 if not least else least < skipped[0] < 0.9


@pytest.mark.parametrize(
    "how", [Lowering(), Lowering(single=True), Lowering(anytime=True), Lowering("dense")]
)
def test_what_is_given_is_obeyed_behind_other_exits(
    source: Callable[..., Program], zoo_file: Callable[..., Path], tmp_path: Path, how: Lowering
) -> None:
    """Gates in regions as well: what a lowered network says is what was asked of the dense one."""
    dynamic = convert(source("resnet14"), "exits", classifier="linear")
    dynamic.save(tmp_path / "net.onnx")
    whole = base.run(dynamic.clone(), [Anytime()]) if how.anytime else dynamic
    deploy = unproven(whole, how).save(tmp_path / "net.deploy.onnx")
    found = contest(deploy, zoo_file("resnet14"), None, 32, settings={"tau": 0.5})
    taking, every = given(found, spent(dynamic), 0)
    names = [f"exits.{number}" for number in range(4)]
    logits = [f"{name}.logits" for name in names]
    of = batched(Session(dynamic), dynamic, found.images, {}, logits)
    answers = np.stack([of[name] for name in logits])
    ways = set[int]()
    for one in every:
        leave = [one.decided.found[f"{name}.sure"][:, 0] for name in names[:-1]]
        at = np.array([*leave, np.ones(32, bool)]).argmax(0)
        score = found.deploy.scores
        said = batched(Session(taking), taking, found.images, {}, [score], each=one.feeds)[score]
        np.testing.assert_allclose(said, answers[at, np.arange(32)], rtol=1e-4, atol=1e-4)
        ways.update(at.tolist())
    assert ways == {0, 1, 2, 3}


def test_options_that_make_no_sense_are_refused(folder: Path) -> None:
    files = (folder / "layers.deploy.onnx", folder / "static.onnx")
    with pytest.raises(OptionError, match="batch size 0"):
        bench(*files, batches=(0,))
    with pytest.raises(OptionError, match="no batch size"):
        bench(*files, batches=())
    with pytest.raises(OptionError, match="threads = -1"):
        bench(*files, threads=-1)
    with pytest.raises(OptionError, match="seed = -1"):
        bench(*files, seed=-1)
    with pytest.raises(OptionError, match="no run-time input 'tau': none is known"):
        bench(*files, settings={"tau": 1})

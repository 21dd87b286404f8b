"""Evaluation: what it says of files is what counting by hand gives, whatever their stage."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.analysis.cost import cost, macs
from hydrafy.analysis.predication.need import alive
from hydrafy.errors import DataError, FileError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Output, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.runtime.convert import convert
from hydrafy.runtime.evaluate import evaluate, times
from hydrafy.runtime.evaluate.evaluation import Evaluation, Result
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read
from hydrafy.train.data import Data
from tests.passes.sources import model, weight
from tests.train.problems import problem, static
from tests.train.programs import Sketch

IMAGES, BRANCHES = 75, 4
OPTIONS = {"branches": BRANCHES, "k": 2, "tau": 0.2, "split": "stage2"}


@pytest.fixture(scope="module")
def images() -> Data:
    """Noise of many strengths, so that the gate changes its mind."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((IMAGES, 3, 16, 16)) * rng.uniform(0.1, 4, (IMAGES, 1, 1, 1))
    return Data(noise.astype(np.float32), np.arange(IMAGES) % 9)  # no image of class 9


@pytest.fixture(scope="module")
def files(
    zoo_file: Callable[..., Path], images: Data, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One network as a plain file, dynamic and lowered; its gate chooses every branch at times."""
    folder = tmp_path_factory.mktemp("evaluated")
    program = convert(zoo_file("resnet8"), "dynk", **OPTIONS)
    _spread(program, images)
    return {
        "source": zoo_file("resnet8"),
        "dynamic": program.save(folder / "net.dynk.onnx"),
        "lowered": lower_program(program)[0].save(folder / "net.deploy.onnx"),
    }


def _spread(program: Program, images: Data) -> None:
    """Gives the gate a random last layer whose scores have one mean and one spread."""
    shape = program.weight("gate.fc.weight").shape
    random = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    program.set_weight("gate.fc.weight", random)
    program.set_weight("gate.fc.bias", np.zeros(len(random), np.float32))
    logits = Session(program).run({"input": images.images}, ["gate.logits"])["gate.logits"]
    program.set_weight("gate.fc.weight", random / logits.std(0)[:, None])
    program.set_weight("gate.fc.bias", -logits.mean(0) / logits.std(0))


@pytest.fixture(scope="module")
def found(files: dict[str, Path], images: Data) -> Evaluation:
    return evaluate(list(files.values()), images, batches=())


def run(file: Path, images: Data, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    return Session(file, threads=1).run({"input": images.images, **feeds})


def only(found: Evaluation) -> Result:
    (one,) = found.results
    return one


def test_accuracy_is_that_of_the_scores(
    found: Evaluation, files: dict[str, Path], images: Data
) -> None:
    assert found.images == IMAGES
    assert (found.damaged, found.threads) == (0, 1)
    for file, one in zip(files.values(), found.results, strict=True):
        order = np.argsort(-run(file, images)["logits"], axis=1, kind="stable")
        right = order[:, 0] == images.labels
        assert one.file == str(file)
        assert one.top1 == right.mean()
        assert one.top5 == (order[:, :5] == images.labels[:, None]).any(1).mean()
        each = [right[images.labels == label].mean() for label in range(9)]
        assert one.classes == pytest.approx((*each, None))
        assert one.latencies == {}


def test_macs_are_those_of_what_ran_for_each_image(
    found: Evaluation, files: dict[str, Path], images: Data
) -> None:
    static, dynamic, lowered = found.results
    program = Program.load(files["dynamic"])
    spent = {node.name or "": macs(node) for node in alive(program)}
    picked = run(files["dynamic"], images)["picked"]
    assert len(np.unique(picked, axis=0)) > 3
    shared = sum(n for name, n in spent.items() if not name.startswith("branches."))
    each = [
        sum(n for name, n in spent.items() if name.startswith(f"branches.{b}."))
        for b in range(BRANCHES)
    ]
    by_hand = [shared + sum(each[b] for b in np.flatnonzero(row)) for row in picked]
    assert dynamic.macs == pytest.approx(np.mean(by_hand), rel=1e-12)
    assert lowered.macs == dynamic.macs
    assert dynamic.stored_macs == lowered.stored_macs == sum(spent.values())
    assert static.macs == static.stored_macs == cost(read(files["source"])).macs


def test_rates_are_how_often_a_gate_chose(
    found: Evaluation, files: dict[str, Path], images: Data
) -> None:
    static, dynamic, lowered = found.results
    rates = run(files["dynamic"], images)["picked"].mean(0)
    assert 0 < rates.min() < rates.max() < 1
    assert (static.decisions, static.predicates, static.parts) == ({}, {}, ())
    for one in (dynamic, lowered):
        assert one.decisions == {"picked": pytest.approx(tuple(rates))}
        named = {f"branches.{b}.picked": pytest.approx(rate) for b, rate in enumerate(rates)}
        assert one.predicates == named
        assert {part.conditions: part.share for part in one.parts} == {
            (name,): rate for name, rate in named.items()
        }
    assert (static.stage, dynamic.stage, lowered.stage) == ("source", "dynamic", "lowered")


def test_a_sweep_walks_the_files_that_have_the_input(files: dict[str, Path], images: Data) -> None:
    found = evaluate(list(files.values()), images, sweep="tau=0:1:0.5", batches=())
    walked = [(Path(one.file), dict(one.settings)) for one in found.results]
    values = [{"tau": 0.0}, {"tau": 0.5}, {"tau": 1.0}]
    assert walked == [
        (files["source"], {}),
        *((files["dynamic"], value) for value in values),
        *((files["lowered"], value) for value in values),
    ]
    for one in found.results[1:]:
        tau = np.full((1, 1), one.settings["tau"], np.float32)
        wanted = run(Path(one.file), images, tau=tau)
        assert one.top1 == (wanted["logits"].argmax(1) == images.labels).mean()
        assert sum(one.decisions["picked"]) == pytest.approx(wanted["picked"].sum(1).mean())
    assert sum(found.results[1].decisions["picked"]) == 2  # all scores are over 0
    assert sum(found.results[3].decisions["picked"]) == pytest.approx(1)


def test_a_setting_is_for_the_files_that_have_it(files: dict[str, Path], images: Data) -> None:
    found = evaluate(list(files.values()), images, settings={"tau": "1"}, batches=())
    assert [dict(one.settings) for one in found.results] == [{}, {"tau": 1.0}, {"tau": 1.0}]
    assert sum(found.results[2].decisions["picked"]) == pytest.approx(1)


def test_a_limit_takes_the_same_images_each_time(files: dict[str, Path], images: Data) -> None:
    first = evaluate(files["lowered"], images, limit=20, batches=())
    assert first.images == 20
    assert evaluate(files["lowered"], images, limit=20, batches=()) == first
    assert evaluate(files["lowered"], images, limit=999, batches=()).images == IMAGES


def test_times_are_of_all_files_at_each_batch_size(
    files: dict[str, Path], images: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "SECONDS", 0.0)
    told: list[str] = []
    paths = [files["source"], files["lowered"]]
    found = evaluate(
        paths, images, sweep="tau=0:1:1", batches=(1, 200), limit=5,
        progress=lambda what, done, of: told.append(what),
    )  # fmt: skip
    assert len(found.results) == 3
    for one in found.results:
        assert list(one.latencies) == [1, 200]
        for taken in one.latencies.values():
            ms = taken.milliseconds
            assert 0 < ms.low <= ms.median <= ms.high <= ms.p95
            assert 0 < taken.ratio.low <= taken.ratio.median <= taken.ratio.high
    assert all(taken.ratio.mean == 1 for taken in found.results[0].latencies.values())
    assert {"evaluating: 5 of 5 images", "timing at batch 1", "timing at batch 200"} <= set(told)


def nested() -> Program:
    """A region that holds a gate of its own: `outer ? (inner ? f(g) : g) : s`, 3 classes."""
    s = Sketch()
    stem = s.conv(s.x, "stem", 4, 3)

    def gate(x: ir.Value, name: str) -> ir.Value:
        scores = s.op(
            "Softmax", [s.linear(s.pooled(x, f"{name}.in"), f"{name}.fc", 2)], f"{name}.p"
        )
        chosen = s.op(
            "TopKGate", [scores, s.weight(f"{name}.tau", np.zeros((1, 1), np.float32))], name, k=1
        )
        return s.op("Gather", [chosen, s.weight(f"{name}.0", np.array(0))], f"{name}.on", axis=1)

    outer = gate(stem, "outer")
    g = s.conv(stem, "g", 4, 3)
    f = s.op("Select", [gate(g, "inner"), s.conv(g, "f", 4, 3), g], "inner.select")
    y = s.op("Select", [outer, f, stem], "outer.select")
    head = s.linear(s.pooled(y, "head"), "head.fc", 3)
    outputs = (Output("head.fc", "prediction"),)
    return s.program(head, manifest=Manifest(stage="dynamic", outputs=outputs))


def test_predicates_that_are_no_output_are_watched(tmp_path: Path) -> None:
    program = nested()
    file = program.save(tmp_path / "nested.onnx")
    images = Data(weight(40, 3, 8, 8) + 4 * weight(40, 3, 1, 1, seed=1), LABELS)
    one = only(evaluate(file, images, batches=()))
    program.graph.outputs.extend(program.values()[name] for name in ("outer.on", "inner.on"))
    session = Session(program, threads=1).run({"x": images.images})
    outer, inner = session["outer.on"], session["inner.on"]
    assert 0 < (outer & inner).mean() < outer.mean() < 1
    spent = {node.name: macs(node) for node in program.graph}
    always = spent["stem"] + spent["outer.fc"] + spent["head.fc"]
    by_hand = always + outer * (spent["g"] + spent["inner.fc"]) + (outer & inner) * spent["f"]
    assert one.macs == pytest.approx(by_hand.mean(), rel=1e-12)
    assert {p.conditions: p.share for p in one.parts} == {
        ("outer.on",): pytest.approx(outer.mean()),
        ("inner.on", "outer.on"): pytest.approx((outer & inner).mean()),
    }


LABELS = np.arange(40) % 3


def test_a_predicate_inside_of_a_region_is_named_and_not_counted(tmp_path: Path) -> None:
    dense, lowered = nested(), base.run(nested(), lower.pipeline())
    files = [dense.save(tmp_path / "a.onnx"), lowered.save(tmp_path / "b.onnx")]
    images = Data(weight(40, 3, 8, 8) + 4 * weight(40, 3, 1, 1, seed=1), LABELS)
    said: list[str] = []
    found = evaluate(files, images, batches=(), say=said.append)
    one, other = found.results
    assert other.top1 == one.top1
    assert (other.macs, other.stored_macs, other.parts) == (None, None, ())
    (remark,) = said
    assert "b.onnx" in remark and "'inner.on'" in remark and "evaluate the dynamic file" in remark


def plain(batch: int | str = "N", output: str = "float[N,3] y") -> onnx.ModelProto:
    return model(
        f"""g (float[{batch},2,4,4] x) => ({output.replace("N", str(batch))}) {{
          c = Conv <kernel_shape = [1, 1]> (x, w)
          p = GlobalAveragePool (c)
          f = Flatten (p)
          y = Identity (f)
        }}""",
        w=weight(3, 2, 1, 1),
    )


@pytest.mark.parametrize("batch", ["N", 1, 4, 100])
def test_a_plain_file_of_any_batch_size(
    tmp_path: Path, batch: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "SECONDS", 0.0)
    onnx.save(plain(batch), tmp_path / "net.onnx")
    images = Data(weight(41, 2, 4, 4), np.arange(41) % 3)
    one = only(evaluate(tmp_path / "net.onnx", images, batches=(3,)))
    scores = np.einsum("oi,nihw->no", weight(3, 2, 1, 1)[:, :, 0, 0], images.images)
    assert one.top1 == (scores.argmax(1) == images.labels).mean()
    assert one.top5 == 1
    assert one.macs == 3 * 2 * 16
    assert one.latencies[3].milliseconds.median > 0


def test_channels_last_are_fed_as_the_file_takes_them(tmp_path: Path) -> None:
    net = model(
        """g (float[N,4,5,2] x) => (float[N,3] y) {
          t = Transpose <perm = [0, 3, 1, 2]> (x)
          c = Conv <kernel_shape = [1, 1]> (t, w)
          p = GlobalAveragePool (c)
          y = Flatten (p)
        }""",
        w=weight(3, 2, 1, 1),
    )
    onnx.save(net, tmp_path / "net.onnx")
    images = Data(weight(30, 2, 4, 5), np.arange(30) % 3)
    scores = np.einsum("oi,nihw->no", weight(3, 2, 1, 1)[:, :, 0, 0], images.images)
    one = only(evaluate(tmp_path / "net.onnx", images, batches=()))
    assert one.top1 == (scores.argmax(1) == images.labels).mean()


def test_a_plain_file_that_hydrafy_cannot_read_is_measured_without_macs(tmp_path: Path) -> None:
    net = plain()
    net.graph.node[-1].op_type = "Hardmax"
    onnx.save(net, tmp_path / "net.onnx")
    said: list[str] = []
    images = Data(weight(30, 2, 4, 4), np.arange(30) % 3)
    one = only(evaluate(tmp_path / "net.onnx", images, batches=(), say=said.append))
    assert one.macs is None
    assert 0 < one.top1 < 1
    assert "MACs are not counted" in said[-1] and "Hardmax" in said[-1]


def test_classes_are_told_in_one_order_whatever_that_of_a_file(tmp_path: Path) -> None:
    names = tuple("abcdef")
    files = []
    for order in (slice(None), slice(None, None, -1)):
        program = static()
        program.manifest = dataclasses.replace(program.manifest, classes=names[order])
        for weights in ("fc.weight", "fc.bias"):
            program.set_weight(weights, program.weight(weights)[order].copy())
        files.append(program.save(tmp_path / f"{len(files)}.onnx"))
    data = problem(60)
    archive = tmp_path / "named.npz"
    np.savez(archive, x=data.images, y=data.labels, classes=np.array(names))
    found = evaluate(files, archive, batches=())
    one, other = found.results
    assert found.names == names and one.top1 == other.top1
    assert one.classes == other.classes != one.classes[::-1]


def test_damaged_pictures_are_counted(zoo_file: Callable[..., Path], tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(200):
        place = tmp_path / "val" / f"c{number % 10}" / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(place)
    (tmp_path / "val" / "c3" / "003.png").write_bytes(b"no picture")
    found = evaluate(zoo_file("resnet8"), tmp_path / "val", batches=())
    assert (found.images, found.damaged) == (199, 1)
    assert found.names == tuple(f"c{n}" for n in range(10))
    for number in (13, 23):
        (tmp_path / "val" / "c3" / f"{number:03}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="3 of the 200 images"):
        evaluate(zoo_file("resnet8"), tmp_path / "val", batches=())


def test_what_makes_no_sense_is_refused(files: dict[str, Path], images: Data) -> None:
    one = files["lowered"]
    with pytest.raises(OptionError, match="no file to evaluate"):
        evaluate([], images)
    with pytest.raises(OptionError, match="batch size 0"):
        evaluate(one, images, batches=(1, 0))
    with pytest.raises(OptionError, match=r"batch size 99999 .* use 1 to 4096"):
        evaluate(one, images, batches=(99999,))
    with pytest.raises(OptionError, match="threads = -1"):
        evaluate(one, images, threads=-1)
    with pytest.raises(OptionError, match="limit = 0"):
        evaluate(one, images, limit=0)
    with pytest.raises(OptionError, match=r"'taw': did you mean 'tau'\?"):
        evaluate(one, images, sweep="taw=0:1:1")
    with pytest.raises(OptionError, match="no file has a run-time input 'tau': none is known"):
        evaluate(files["source"], images, sweep="tau=0:1:1")
    with pytest.raises(OptionError, match=r"tau=2\.0 is out of range: use 0 to 1"):
        evaluate(one, images, sweep="tau=0:2:1")
    with pytest.raises(OptionError, match="both set and swept"):
        evaluate(one, images, sweep="tau=0:1:1", settings={"tau": 0})
    with pytest.raises(FileError, match=r"there is no file nothing\.onnx"):
        evaluate("nothing.onnx", images)
    with pytest.raises(DataError, match="label 10"):
        evaluate(one, Data(images.images, images.labels + 2))


@pytest.mark.parametrize("output", ["float[N,3,1,1] p", "float[N,1] z", "int64[N,3] i"])
def test_what_is_no_classifier_is_refused(tmp_path: Path, output: str) -> None:
    net = plain(output=output)
    net.graph.node.append(onnx.helper.make_node("ReduceMax", ["y"], ["z"], axes=[1]))
    net.graph.node[-1].ClearField("attribute")
    net.graph.node.append(onnx.helper.make_node("Cast", ["y"], ["i"], to=7))
    onnx.save(net, tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"net\.onnx: output .* a classifier is needed"):
        evaluate(tmp_path / "net.onnx", Data(weight(3, 2, 4, 4), np.arange(3)))


@pytest.mark.parametrize(
    ("target", "said"), [([1, 3], "onnxruntime cannot run"), ([3, -1], "3 rows"), ([0, 3], "")]
)
def test_a_file_that_fails_on_a_batch_is_named(
    tmp_path: Path, target: list[int], said: str
) -> None:
    """Exporters write such reshapes: they hold for the batch of one image that they saw."""
    net = plain()
    net.graph.node[-1].CopyFrom(onnx.helper.make_node("Reshape", ["f", "target"], ["y"]))
    net.graph.initializer.append(onnx.numpy_helper.from_array(np.array(target), "target"))
    onnx.save(net, tmp_path / "net.onnx")
    images = Data(weight(30, 2, 4, 4), np.arange(30) % 3)
    if not said:
        assert evaluate(tmp_path / "net.onnx", images, batches=()).images == 30
        return
    with pytest.raises(ModelError, match=said) as caught:
        evaluate(tmp_path / "net.onnx", images, batches=())
    assert "net.onnx" in str(caught.value)


def test_a_predicate_of_the_whole_batch_counts_for_each_image(tmp_path: Path) -> None:
    """The caller says which of two networks runs."""
    s = Sketch()
    rich = s.weight("rich", np.array(False), overridable=True)
    small, large = s.conv(s.x, "small", 4, 1), s.conv(s.x, "large", 4, 3)
    y = s.op("Select", [rich, large, small], "chosen")
    head = s.linear(s.pooled(y, "head"), "head.fc", 3)
    manifest = Manifest(
        stage="dynamic",
        outputs=(Output("head.fc", "prediction"),),
        runtime_inputs=(RuntimeInput("rich", 0, 1, None, "whether the larger network runs"),),
    )
    program = s.program(head, manifest=manifest)
    files = [program.save(tmp_path / "a.onnx")]
    files.append(base.run(program, lower.pipeline()).save(tmp_path / "b.onnx"))
    images = Data(weight(40, 3, 8, 8), LABELS)
    found = evaluate(files, images, sweep="rich=0:1:1", batches=())
    one = 8 * 8 * 3 * 4
    wanted = [one + 12, 9 * one + 12] * 2
    assert [result.macs for result in found.results] == wanted
    assert [result.predicates["rich"] for result in found.results] == [0, 1, 0, 1]


@pytest.mark.parametrize(("name", "top1"), [("resnet20_cifar10.onnx", 0.91)])
def test_a_trained_network_is_as_good_as_its_authors_say(
    data: Path, name: str, top1: float, tmp_path: Path
) -> None:
    """On the first 1,000 test images of CIFAR-10, as the folder's README states."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("load", data / "load.py")
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    small = load.load_small(str(data / "cifar10_small.npz"))
    np.savez(tmp_path / "x.npz", x=small["x_test"], y=small["label_test"])
    found = evaluate(data / "models" / name, tmp_path / "x.npz", batches=())
    assert found.images == 1000
    assert only(found).top1 == pytest.approx(top1, abs=1e-9)

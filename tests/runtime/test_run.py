"""What `run` says of images is what onnxruntime computes, for files of every stage."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.analysis.exits import exits
from hydrafy.errors import ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Confidence, Decision, Learned
from hydrafy.runtime.calibrate.observed import compared
from hydrafy.runtime.convert import convert
from hydrafy.runtime.evaluate import evaluate
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.runtime.read import read
from hydrafy.runtime.run import overrides, probabilities, run
from hydrafy.train.data import Data
from tests.runtime.calibrate.networks import noise, spread

Zoo = Callable[..., Path]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """More images than one batch of `run` holds."""
    images = np.random.default_rng(0).standard_normal((35, 3, 16, 16)).astype(np.float32)
    path = tmp_path_factory.mktemp("images") / "x.npy"
    np.save(path, images)
    return path, images


@pytest.fixture(scope="module")
def dynamic(zoo_file: Zoo) -> Program:
    return convert(zoo_file("resnet8"), "dynk", branches=4, k=2, tau=0.0, split="stage2")


@pytest.mark.parametrize("stage", ["source", "dynamic", "lowered"])
def test_scores_are_those_of_onnxruntime(
    zoo_file: Zoo, dynamic: Program, batch: tuple[Path, np.ndarray], tmp_path: Path, stage: str
) -> None:
    file = zoo_file("resnet8")
    if stage != "source":
        program = dynamic if stage == "dynamic" else lower_program(dynamic)[0]
        file = program.save(tmp_path / "net.onnx")
    wanted = Session(file).run({"input": batch[1]})
    found = run(file, [batch[0]]).predictions
    assert [p.path for p in found] == [f"{batch[0]}[{i}]" for i in range(35)]
    assert [p.top[0].label for p in found] == wanted["logits"].argmax(1).tolist()
    scores = np.sort(wanted["logits"], axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose([[t.score for t in p.top] for p in found], scores, atol=1e-4)
    if stage == "source":
        assert all(p.choices == () for p in found)
    else:
        assert [p.choices for p in found] == [
            tuple(f"picked[{number}]" for number in np.flatnonzero(row)) for row in wanted["picked"]
        ]


def test_a_file_of_fixed_batch_runs_image_by_image(
    zoo_file: Zoo, batch: tuple[Path, np.ndarray]
) -> None:
    free = run(zoo_file("resnet8"), [batch[0]]).predictions
    fixed = run(zoo_file("resnet8", dynamic_batch=False), [batch[0]]).predictions
    np.testing.assert_allclose(
        [p.top[0].score for p in fixed], [p.top[0].score for p in free], atol=1e-4
    )


def test_fewer_classes_than_five(zoo_file: Zoo, batch: tuple[Path, np.ndarray]) -> None:
    found = run(zoo_file("resnet8", classes=3), [batch[0]]).predictions
    assert all(sum(t.probability for t in p.top) == pytest.approx(1) for p in found)


def test_classes_are_named_where_the_file_knows_them(
    zoo_file: Zoo, batch: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    program = read(zoo_file("resnet8", classes=3))
    program.manifest = dataclasses.replace(program.manifest, classes=("cat", "dog", "bird"))
    found = run(program.save(tmp_path / "named.onnx"), [batch[0]]).predictions
    assert {(top.label, top.title) for one in found for top in one.top} == {
        *enumerate(("cat", "dog", "bird"))
    }


def test_of_several_answers_the_last_one_counts(
    zoo_file: Zoo, batch: tuple[Path, np.ndarray]
) -> None:
    file = zoo_file("msdnet", exits=3, classes=10)
    wanted = Session(file).run({"input": batch[1]})["exit3"].argmax(1).tolist()
    assert [one.top[0].label for one in run(file, [batch[0]]).predictions] == wanted


def test_run_time_inputs_are_checked_and_keep_their_shape(dynamic: Program) -> None:
    feeds = overrides(dynamic, {"tau": "0.25"})
    assert feeds["tau"].shape == (1, 1)
    assert feeds["tau"].dtype == np.float32
    assert feeds["tau"].item() == 0.25
    assert overrides(dynamic, {"tau": "-inf"})["tau"].item() == -np.inf
    bad = ({"tua": 0}, {"tau": -0.1}, {"tau": 1.5}, {"tau": "nan"}, {"tau": "much"})
    for settings in (*bad, {"tau": "0.1,0.2"}, {"tau": "0.1,"}):
        with pytest.raises(OptionError):
            overrides(dynamic, settings)


def test_a_run_time_input_may_have_a_number_for_each_column(source: Callable[..., Program]) -> None:
    program = convert(source("resnet20"), "exits", at="stage2,stage3")
    assert overrides(program, {"tau": "0.5,inf"})["tau"].tolist() == [[0.5, np.inf]]
    assert overrides(program, {"tau": 0.5})["tau"].tolist() == [[0.5, 0.5]]
    with pytest.raises(OptionError, match="3 numbers, but the input has 2 columns"):
        overrides(program, {"tau": "1,1,1"})


def test_probabilities() -> None:
    scores = np.array([[1000.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(probabilities(scores), [[1, 0, 0], [1 / 3] * 3])
    already = np.array([[0.2, 0.8]], np.float32)
    np.testing.assert_allclose(probabilities(already), already)


@pytest.mark.parametrize("decision", [Confidence(), Learned()], ids=["confidence", "learned"])
def test_exits_are_told_by_number_in_every_form(
    source: Callable[..., Program], tmp_path: Path, decision: Decision
) -> None:
    images = noise(24)
    insert = InsertExits(("stage2", "stage3"), LINEAR, decision)
    dynamic = spread(base.run(source("resnet8"), [insert]))
    early = exits(dynamic).early
    names = [v.name for one in early for v in (one.logits, one.score)] + ["exits.2.logits"]
    seen = Session(base.run(dynamic.clone(), [Cut((), tuple(names))])).run({"input": images})
    middles = [float(np.median(compared(one.gate, seen)[:, 0])) for one in early]
    tau = ",".join(f"{middle:.9f}" for middle in middles)
    np.save(tmp_path / "x.npy", images)
    dynamic.save(tmp_path / "a.onnx")
    found = run(tmp_path / "a.onnx", [tmp_path / "x.npy"], settings={"tau": tau})
    assert found.exits == 3 and found.leaving == tuple(insert.decisions)
    places = [one.left_at for one in found.predictions]
    assert set(places) == {1, 2, 3}
    best = [seen[f"exits.{place - 1}.logits"][row].argmax() for row, place in enumerate(places)]
    assert [one.top[0].label for one in found.predictions] == best
    for how in (Lowering(), Lowering("dense"), Lowering(single=True)):
        lowered, _ = lower_program(dynamic, how)
        file = lowered.save(tmp_path / "b.onnx", force=True)
        again = run(file, [tmp_path / "x.npy"], settings={"tau": tau})
        assert [one.left_at for one in again.predictions] == places
        assert again.leaving == found.leaving
        data = Data(images, np.zeros(24, np.int64))
        (result,) = evaluate(file, data, settings={"tau": tau}, batches=()).results
        assert result.leaves == tuple(places.count(number) / 24 for number in (1, 2, 3))
        assert {*insert.decisions} < {*result.leaving} <= {*result.decisions, *result.predicates}


def test_without_exits_nothing_leaves(
    zoo_file: Zoo, batch: tuple[Path, np.ndarray], dynamic: Program, tmp_path: Path
) -> None:
    for file in (zoo_file("resnet8"), dynamic.save(tmp_path / "a.onnx")):
        found = run(file, [batch[0]])
        assert (found.exits, found.leaving) == (None, ())
        assert all(one.left_at is None for one in found.predictions)


def test_a_network_that_takes_no_images_is_refused(tmp_path: Path, zoo_file: Zoo) -> None:
    import onnx

    model = onnx.load(zoo_file("resnet8"))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, tmp_path / "open.onnx")
    with pytest.raises(ModelError, match="fixed"):
        run(tmp_path / "open.onnx", [tmp_path / "x.npy"])

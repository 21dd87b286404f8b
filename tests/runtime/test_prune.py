"""Pruning measures on images what runs, removes what hardly does, and says what that changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy import zoo
from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.cost import cost
from hydrafy.analysis.predication.executed import work
from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.cut import Cut
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Learned
from hydrafy.passes.prune import Prune
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.convert import convert
from hydrafy.runtime.finetune import finetune
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.prune import prune
from hydrafy.runtime.read import read
from tests.train.problems import options

COUNT = 200
STAY = Learned()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Of many brightnesses, so that gates differ."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((COUNT, 3, 16, 16)) + 3 * rng.standard_normal((COUNT, 3, 1, 1))
    return array.astype(np.float32)


@pytest.fixture(scope="module")
def data(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "calibration.npz"
    np.savez(file, x=images, y=np.arange(COUNT) % 10)
    return file


@pytest.fixture(scope="module")
def bypassed(source: Callable[..., Program], tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = base.run(source("resnet20"), [InsertBypass(seed=2)])
    return program.save(tmp_path_factory.mktemp("net") / "bypassed.onnx")


def scores(program: Program, images: np.ndarray) -> np.ndarray:
    return Session(program).run({program.data_inputs[0].name or "": images})["logits"]


def test_layers_go_by_how_often_they_run(bypassed: Path, data: Path, images: np.ndarray) -> None:
    program = Program.load(bypassed)
    decided = decide(program, images, {})
    rates = dict(zip((p.name for p in decided.predicates), decided.rows.mean(0), strict=True))
    ordered = sorted(rates.values())
    below, above = ordered[1], ordered[-2]
    assert 0 < below < above < 1  # bounds that are met count, and images do not all agree
    said: list[str] = []
    found = prune(bypassed, data, below=below, above=above, say=said.append)
    fates = {layer.predicate: layer.fate for layer in found.layers}
    assert fates == {
        name: "removed" if rate <= below else "always" if rate >= above else "gated"
        for name, rate in rates.items()
    }
    assert {layer.predicate: layer.activation for layer in found.layers} == rates
    settled = {name: fate == "always" for name, fate in fates.items() if fate != "gated"}
    columns = [i for i, p in enumerate(decided.predicates) if p.name in settled]
    agree = (decided.rows[:, columns] == list(settled.values())).all(1)
    assert 0 < agree.sum() < COUNT and found.agreement == agree.mean()
    wanted = scores(program, images)
    np.testing.assert_allclose(scores(found.program, images)[agree], wanted[agree], atol=1e-4)
    labels = np.arange(COUNT) % 10
    assert found.before.accuracy == (wanted.argmax(1) == labels).mean()
    assert found.after.accuracy == (scores(found.program, images).argmax(1) == labels).mean()
    assert said == [] and (found.images, found.damaged) == (COUNT, 0)


def test_costs_are_those_of_what_ran(bypassed: Path, data: Path, images: np.ndarray) -> None:
    program = Program.load(bypassed)
    found = prune(bypassed, data, below=0.3, above=0.7)
    for form, net in ((found.before, program), (found.after, found.program)):
        decided = decide(net, images, {})
        ran = sum(one.macs * int(one.runs(decided.found, COUNT).sum()) for one in work(net))
        assert form.macs == ran / COUNT
        whole = cost(net)
        assert (form.stored_macs, form.parameters, form.bytes) == (
            whole.macs, whole.parameters, whole.bytes,
        )  # fmt: skip
    assert found.after.stored_macs < found.before.stored_macs
    assert found.after.parameters < found.before.parameters


def test_the_journal_tells_what_went_and_why(bypassed: Path, data: Path) -> None:
    found = prune(bypassed, data, below=0.3, above=0.7)
    entry = found.program.manifest.journal[-1]
    assert entry.by == "prune"
    layer = next(one for one in found.layers if one.fate == "removed")
    assert (
        f"{layer.predicate!r} never holds (for {layer.activation:.2%} of 200 images): "
        "what it lets run went"
    ) in entry.notes


def test_what_is_left_can_be_trained(
    source: Callable[..., Program], data: Path, tmp_path: Path
) -> None:
    program = convert(source("resnet20"), "bypass")  # with loss terms
    first, second, *_ = (rate.predicate for rate in program.manifest.rates)
    left = base.run(program, [Prune({first: False, second: True})])
    tuned = finetune(left.save(tmp_path / "pruned.onnx"), data, options(), recalibrate=False)
    assert tuned.program.stage == "dynamic"
    assert len(tuned.program.manifest.losses[-1].settings["decisions"]) == 7


def test_a_threshold_may_be_set(bypassed: Path, data: Path) -> None:
    said: list[str] = []
    opened = prune(bypassed, data, settings={"tau": 0})
    assert {layer.fate for layer in opened.layers} == {"always"}
    assert opened.program.stage == "static" and opened.agreement == 1
    assert len(anatomy(opened.program).blocks) == 9
    closed = prune(bypassed, data, settings={"tau": 1}, say=said.append)
    assert {layer.fate for layer in closed.layers} == {"removed"}
    assert said == [
        "Every gated layer was removed: of the blocks only what no gate guarded is left."
    ]
    assert closed.after.macs == closed.after.stored_macs < opened.after.macs / 20
    with pytest.raises(OptionError, match="no run-time input 'tow': known are tau"):
        prune(bypassed, data, settings={"tow": 1})


def test_labels_are_not_needed(bypassed: Path, images: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=images)
    said: list[str] = []
    found = prune(bypassed, tmp_path / "x.npz", limit=50, say=said.append)
    assert found.before.accuracy is found.after.accuracy is None and found.images == 50
    assert said[0].startswith("Accuracy is not measured: ") and "'y'" in said[0]


def test_a_network_in_which_nothing_collapsed_stays_as_it_is(bypassed: Path, data: Path) -> None:
    said: list[str] = []
    found = prune(bypassed, data, below=0, above=1, say=said.append)
    assert {layer.fate for layer in found.layers} == {"gated"}
    assert "nothing was removed" in said[-1]
    assert found.before == found.after and found.agreement == 1


def test_gates_behind_an_exit_count_for_those_who_get_there(
    source: Callable[..., Program], data: Path, images: np.ndarray, tmp_path: Path
) -> None:
    first, second = (f"exits.{i}.predicate" for i in range(2))
    program = base.run(source("resnet20"), [InsertExits(("stage2", "stage3"))])
    scores = tuple(f"exits.{number}.score" for number in range(2))
    found = Session(base.run(program.clone(), [Cut((), scores)])).run({"input": images})
    pairs = zip(found.values(), (0.3, 0.6), strict=True)
    tau = [np.quantile(score, share) for score, share in pairs]
    program.set_weight("tau", np.array([tau], np.float32))
    program.save(tmp_path / "exits.onnx")
    decided = decide(program, images, {})
    rows = dict(zip((p.name for p in decided.predicates), decided.rows.T, strict=True))
    left, sure = rows[first], rows[second]
    assert 0 < left.sum() < COUNT
    result = prune(tmp_path / "exits.onnx", data)
    assert result.layers == () and result.exits[0].fate == "kept"
    rate = {one.predicate: one.left for one in result.exits}
    assert rate[first] == left.mean()
    assert rate[second] == sure[~left].mean() != sure.mean()


@pytest.fixture
def leaving(source: Callable[..., Program], tmp_path: Path) -> Callable[..., Path]:
    """`leaving(tau, collaboration)`: a network with exits before its second and third stage."""

    def made(tau: tuple[float, float], collaboration: str = "none") -> Path:
        options = {"at": "stage2,stage3", "classifier": "linear", "collaboration": collaboration}
        program = convert(source("resnet8"), "exits", **options)
        program.set_weight("tau", np.array([tau], np.float32))
        return program.save(tmp_path / "leaving.onnx")

    return made


def test_an_exit_that_nobody_takes_goes_with_its_classifier(
    leaving: Callable[..., Path], data: Path
) -> None:
    said: list[str] = []
    found = prune(leaving((np.inf, np.inf)), data, limit=20, say=said.append)
    assert [(one.left, one.fate) for one in found.exits] == [(0, "removed"), (0, "removed")]
    assert [one.macs for one in found.exits] == [8 * 10, 16 * 10]  # of linear layers
    assert found.before.stored_macs - found.after.stored_macs == 24 * 10
    assert said == [] and found.agreement == 1
    first = found.program.manifest.journal[-1].notes[0]
    assert first.endswith("no exit any more, and its classifier went")


def test_at_an_exit_that_everybody_takes_the_network_ends(
    leaving: Callable[..., Path], data: Path
) -> None:
    said: list[str] = []
    found = prune(leaving((np.inf, -np.inf)), data, limit=20, say=said.append)
    never, end = found.exits
    assert (never.fate, end.left, end.fate) == ("removed", 1, "end")
    assert end.macs > 16 * 10
    assert found.before.stored_macs - found.after.stored_macs == never.macs + end.macs
    assert said == ["The network ends at 'exits.1.predicate' now."]
    assert found.program.stage == "static" and found.agreement == 1
    first = found.program.manifest.journal[-1].notes[0]
    assert first.startswith("'exits.1.predicate' always") and "what is behind it went" in first


def test_what_lies_behind_the_end_goes_whatever_it_decides(
    source: Callable[..., Program], leaving: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    first, second = prune(leaving((-np.inf, 0.5)), data, limit=20).exits
    assert (first.fate, second.left, second.fate) == ("end", None, "behind")
    passes = [InsertBypass(blocks=("stage1.2", "stage3.2")), InsertExits(("stage2",), LINEAR, STAY)]
    program = base.run(source("resnet14"), passes)
    tau = program.weight("tau").copy()
    tau[0, -1] = 1  # of the exit, whose gate says who stays
    program.set_weight("tau", tau)
    found = prune(program.save(tmp_path / "gated.onnx"), data, limit=20)
    assert [(one.left, one.fate) for one in found.exits] == [(1, "end")]
    gates = {one.predicate: one for one in found.layers}
    gone = gates["gates.stage3.2.runs"]
    assert (gone.activation, gone.fate) == (None, "removed")
    assert gates["gates.stage1.2.runs"].activation is not None


def test_a_classifier_that_others_build_on_stays(leaving: Callable[..., Path], data: Path) -> None:
    said: list[str] = []
    found = prune(leaving((np.inf, np.inf), "identity"), data, limit=20, say=said.append)
    assert [(one.fate, one.macs) for one in found.exits] == [("built on", 0)] * 2
    assert found.before.stored_macs == found.after.stored_macs
    assert said == [
        f"'exits.{number}.predicate' is no exit any more, but its classifier stays, for a later "
        "answer is made of what it says (collaboration)."
        for number in range(2)
    ]
    assert "its classifier, which stays" in found.program.manifest.journal[-1].notes[0]


@pytest.mark.parametrize(
    ("below", "above"), [(0.5, 0.5), (0.9, 0.1), (-0.1, 1), (0, 1.1), (np.nan, 1)]
)
def test_bounds_that_make_no_sense(bypassed: Path, data: Path, below: float, above: float) -> None:
    with pytest.raises(OptionError, match="0 <= below < above <= 1"):
        prune(bypassed, data, below=below, above=above)


def test_what_cannot_be_pruned(
    bypassed: Path, zoo_file: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no dynamic network, so nothing in it is gated"):
        prune(zoo_file("resnet20"), data)
    lowered, _ = lower_program(Program.load(bypassed))
    lowered.save(tmp_path / "lowered.onnx")
    with pytest.raises(ModelError, match="prune the dynamic file it was lowered from"):
        prune(tmp_path / "lowered.onnx", data)
    with pytest.raises(OptionError, match="limit = 0"):
        prune(bypassed, data, limit=0)
    np.savez(tmp_path / "small.npz", x=np.zeros((2, 3, 8, 8), np.float32))
    with pytest.raises(DataError, match="resize them first"):
        prune(bypassed, tmp_path / "small.npz")


def test_resnet50_loses_what_the_paper_says(tmp_path: Path) -> None:
    """Table of S4 (independent gates, per batch): 873,463,808 MACs go with 4 of 16 blocks, then 1
    and 2 more; its identity blocks cost 218,365,952 each."""
    file = zoo.export("resnet50", tmp_path / "resnet50.onnx", settled=False)
    program = base.run(read(file), [InsertBypass()])
    gates = [rate.predicate for rate in program.manifest.rates]
    blocks = [name for name in gates if name.removesuffix(".runs")[-2] == "."]
    assert (len(gates), len(blocks)) == (16, 12)
    whole = base.run(program.clone(), [Prune(dict.fromkeys(gates, True))])
    assert cost(whole).macs == cost(read(file)).macs == 4_089_184_256
    table = {4: 2_932_012_776, 5: 2_713_646_824, 6: 2_495_280_872}
    for count, macs in table.items():
        settled = {name: name not in blocks[:count] for name in gates}
        made = base.run(program.clone(), [Prune(settled)])
        assert cost(whole).macs - cost(made).macs == count * 218_365_952 == 3_805_476_584 - macs
        assert made.stage == "static" and len(anatomy(made).blocks) == 16 - count

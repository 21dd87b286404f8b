"""Gates that are open by chance, judged in each way: counting by hand finds the same."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Normalisation
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.gumbel import Independent
from hydrafy.runtime.convert import convert
from hydrafy.runtime.evaluate import evaluate, times
from hydrafy.runtime.evaluate.entrant import Entrant
from hydrafy.runtime.evaluate.evaluation import Evaluation, Result
from hydrafy.runtime.evaluate.ways import noise
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.runtime.run import probabilities
from hydrafy.train.data import Data

IMAGES = 60
GATES = ("gates.stage1", "gates.stage2", "gates.stage3")
LOWERED = 2 * 8192 - 3 * 16  # MACs: two shortcuts become convolutions, three gates lose a logit
WAYS = "threshold,always-on,stochastic=3,ensemble=4"


@pytest.fixture(scope="module")
def images() -> Data:
    """Noise of many strengths, so that gates change their minds; none of class 9."""
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((IMAGES, 3, 16, 16)) * rng.uniform(0.1, 4, (IMAGES, 1, 1, 1))
    return Data(pixels.astype(np.float32), np.arange(IMAGES) % 9)


@pytest.fixture(scope="module")
def gated(source: Callable[..., Program], images: Data) -> Program:
    return spread(base.run(source("resnet8"), [InsertBypass()]), images.images)


def spread(program: Program, pixels: np.ndarray) -> Program:
    """Gives the log-odds of each gate a mean of 0 and a deviation of 1.5 on some images."""
    for name in GATES:
        probe = program.clone()
        odds = probe.values()[f"{name}.odds"]
        probe.graph.outputs.append(odds)
        seen = Session(probe, threads=1).run({"input": pixels}, [odds.name or ""])[odds.name or ""]
        weight = f"{name}.logits.weight"
        program.set_weight(weight, program.weight(weight) * np.float32(1.5 / seen.std()))
        shift = np.array([seen.mean() / seen.std() * 1.5, 0], np.float32)
        program.set_weight(f"{name}.logits.bias", shift)
    return program


@pytest.fixture(scope="module")
def files(
    gated: Program, zoo_file: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One network as a plain file, gated, lowered, and lowered for single images."""
    folder = tmp_path_factory.mktemp("gated")
    single = lower_program(gated, Lowering(single=True))[0]
    return {
        "source": zoo_file("resnet8"),
        "gated": gated.save(folder / "net.gated.onnx"),
        "lowered": lower_program(gated)[0].save(folder / "net.deploy.onnx"),
        "single": single.save(folder / "net.single.onnx"),
    }


@pytest.fixture(scope="module")
def found(files: dict[str, Path], images: Data) -> Evaluation:
    return evaluate(list(files.values()), images, gates=WAYS, seed=3, batches=())


def of(found: Evaluation, file: Path, gates: str) -> Result:
    (one,) = (o for o in found.results if o.file == str(file) and o.gates == gates)
    return one


def run(file: Path, images: Data, tau: np.ndarray) -> dict[str, np.ndarray]:
    return Session(file, threads=1).run({"input": images.images, "tau": tau.astype(np.float32)})


def drawn(number: int) -> np.ndarray:
    return noise(3, number, range(IMAGES), 0, len(GATES))


def test_files_with_such_gates_have_a_result_for_each_way(
    found: Evaluation, files: dict[str, Path]
) -> None:
    ways = WAYS.split(",")
    assert (found.images, found.seed) == (IMAGES, 3)
    assert [(one.file, one.gates) for one in found.results] == [
        (str(files["source"]), ""),
        *((str(file), way) for file in [*files.values()][1:] for way in ways),
    ]


def test_always_on_is_the_source(found: Evaluation, files: dict[str, Path]) -> None:
    for name in ("gated", "lowered", "single"):
        one = of(found, files[name], "always-on")
        assert (one.top1, one.top5) == (found.results[0].top1, found.results[0].top5)
        assert set(one.predicates.values()) == {1.0}
        conditions = [part.conditions[0] for part in one.parts if not part.share]
        assert all(condition.startswith("not ") for condition in conditions)


def test_all_stages_tell_the_same(found: Evaluation, files: dict[str, Path]) -> None:
    for way in WAYS.split(","):
        one = of(found, files["gated"], way)
        assert one.macs is not None
        assert len({*one.decisions.values()}) == (1 if way == "always-on" else 3)
        for name in ("lowered", "single"):
            other = of(found, files[name], way)
            assert other.decisions == one.decisions
            for field in ("top1", "spread", "top5", "classes"):
                assert getattr(other, field) == getattr(one, field), (way, name, field)
            assert other.macs is not None
            assert other.macs - one.macs == pytest.approx(LOWERED * (4 if "ensemble" in way else 1))
            assert len(other.class_rates) == len(one.class_rates) == len(GATES)
            assert [*other.class_rates.values()] == [*one.class_rates.values()]


def test_stochastic_is_the_mean_of_runs_and_their_spread(
    found: Evaluation, gated: Program, files: dict[str, Path], images: Data
) -> None:
    one = of(found, files["gated"], "stochastic=3")
    runs = [run(files["gated"], images, drawn(number)) for number in range(3)]
    tops = [(r["logits"].argmax(1) == images.labels).mean() for r in runs]
    assert one.top1 == pytest.approx(np.mean(tops))
    assert one.spread == pytest.approx(np.std(tops, ddof=1))
    for name in GATES:
        chosen = np.mean([r[f"{name}.open"][:, 0].mean() for r in runs])
        assert one.decisions[f"{name}.open"] == (pytest.approx(chosen),)
        assert one.predicates[f"{name}.runs"] == pytest.approx(chosen)
    assert len({r["gates.stage2.open"].tobytes() for r in runs}) == 3
    assert of(found, files["gated"], "threshold").spread is None


def test_an_ensemble_adds_up_what_runs_say(gated: Program, images: Data, tmp_path: Path) -> None:
    """Of a network that is sure of itself: its mean probabilities are not those of mean scores."""
    sure = gated.clone()
    sure.set_weight("fc.weight", sure.weight("fc.weight") * np.float32(100))
    file = sure.save(tmp_path / "sure.onnx")
    one = evaluate(file, images, gates="ensemble=4", seed=3, batches=()).results[0]
    scores = np.stack([run(file, images, drawn(number))["logits"] for number in range(4)])
    said = np.mean([probabilities(each) for each in scores], axis=0).argmax(1)
    assert (said != scores.mean(0).argmax(1)).mean() > 0.1
    each = [(said == images.labels)[images.labels == label].mean() for label in range(9)]
    assert one.classes == pytest.approx((*each, None))
    assert one.spread is None


def test_an_ensemble_pays_for_all_runs(
    found: Evaluation, files: dict[str, Path], images: Data
) -> None:
    one = of(found, files["gated"], "ensemble=4")
    each = evaluate(files["gated"], images, gates="stochastic=4", seed=3, batches=()).results[0]
    assert one.macs == pytest.approx(4 * (each.macs or 0))
    assert one.decisions == each.decisions
    assert one.class_rates == each.class_rates
    assert one.stored_macs == 4 * (of(found, files["gated"], "threshold").stored_macs or 0)


def test_macs_are_those_of_the_blocks_that_ran(
    found: Evaluation, gated: Program, files: dict[str, Path], images: Data
) -> None:
    one = of(found, files["gated"], "stochastic=3")
    shares = {part.conditions: (part.share, part.macs) for part in one.parts}
    skipped = sum((1 - share) * cost for share, cost in shares.values())
    assert one.macs == pytest.approx((one.stored_macs or 0) - skipped)
    assert {share for share, _ in shares.values()} == set(one.predicates.values())


def test_images_meet_the_same_chance_in_any_company(files: dict[str, Path], images: Data) -> None:
    """Alone, among others, in batches of one or of many, and whatever else is evaluated."""
    half = Data(images.images[:17], images.labels[:17])
    given = {"gates": "stochastic=2", "batches": ()}
    few = evaluate(files["lowered"], half, **given).results[0]
    one = evaluate([files["single"], files["lowered"]], half, **given).results
    by_hand = [
        run(files["gated"], half, noise(0, number, range(17), 0, 3))["gates.stage1.open"].mean()
        for number in range(2)
    ]
    assert few.decisions["gates.stage1.open"] == (pytest.approx(np.mean(by_hand)),)
    assert [o.decisions for o in one] == [few.decisions] * 2
    again = evaluate(files["lowered"], half, **given).results[0]
    assert again == few
    other = evaluate(files["lowered"], half, **given, seed=1).results[0]
    assert other.decisions != few.decisions


def test_gates_open_with_their_probability(source: Callable[..., Program], tmp_path: Path) -> None:
    """Independent gates of three probabilities, and the first of those that look, to 3 sigma."""
    images = Data(
        np.random.default_rng(1).standard_normal((400, 3, 16, 16)).astype(np.float32),
        np.zeros(400, np.int64),
    )
    fixed = base.run(source("resnet8"), [InsertBypass(gate=Independent())])
    odds = (-1.5, 0.25, 2.0)
    for name, value in zip(GATES, odds, strict=True):
        fixed.set_weight(f"{name}.logits.weight", np.array([[0, value]], np.float32))
    looking = spread(base.run(source("resnet8"), [InsertBypass()]), images.images)
    files = [fixed.save(tmp_path / "a.onnx"), looking.save(tmp_path / "b.onnx")]
    one, other = evaluate(files, images, gates="stochastic=8", batches=()).results
    wanted = {name: np.full(400, 1 / (1 + np.exp(-v))) for name, v in zip(GATES, odds, strict=True)}
    first = looking.values()["gates.stage1.odds"]
    looking.graph.outputs.append(first)
    seen = Session(looking, threads=1).run({"input": images.images}, [first.name or ""])
    chance = 1 / (1 + np.exp(-seen[first.name or ""][:, 0].astype(np.float64)))
    assert chance.std() > 0.05
    for result, name, each in [
        *((one, name, each) for name, each in wanted.items()),
        (other, "gates.stage1", chance),
    ]:
        sigma = np.sqrt((each * (1 - each)).sum() / 8) / 400
        (rate,) = result.decisions[f"{name}.open"]
        assert abs(rate - each.mean()) < 3 * sigma, name


def test_class_rates_are_those_of_the_images_of_a_class(
    found: Evaluation, files: dict[str, Path], images: Data
) -> None:
    one = of(found, files["gated"], "threshold")
    chosen = run(files["gated"], images, np.full((1, 1), 0.5))
    for name in GATES:
        opened = chosen[f"{name}.open"][:, 0]
        each = [opened[images.labels == label].mean() for label in range(9)]
        assert one.class_rates[f"{name}.runs"] == pytest.approx((*each, None))
    assert len({*one.class_rates["gates.stage2.runs"]}) > 3


def test_a_choice_without_a_region_has_its_class_rates_too(
    gated: Program, images: Data, tmp_path: Path
) -> None:
    dense = lower_program(gated, Lowering("dense"))[0].save(tmp_path / "dense.onnx")
    files = [gated.save(tmp_path / "gated.onnx"), dense]
    one, other = evaluate(files, images, batches=()).results
    assert [*one.class_rates] == [f"{name}.runs" for name in GATES]
    assert [*other.class_rates] == [f"{name}.open[0]" for name in GATES]
    assert [*other.class_rates.values()] == [*one.class_rates.values()]
    assert other.macs == other.stored_macs


def test_what_is_set_or_swept_is_for_the_threshold(files: dict[str, Path], images: Data) -> None:
    two = [files["source"], files["gated"]]
    ways = "always-on,threshold,ensemble=2"
    found = evaluate(two, images, gates=ways, sweep="tau=0:1:0.5", batches=()).results
    assert [(one.gates, dict(one.settings)) for one in found] == [
        ("", {}),
        ("always-on", {}),
        ("threshold", {"tau": 0.0}),
        ("threshold", {"tau": 0.5}),
        ("threshold", {"tau": 1.0}),
        ("ensemble=2", {}),
    ]
    assert dataclasses.replace(found[2], settings={}, gates="always-on") == found[1]
    assert set(found[4].predicates.values()) == {0.0}
    plain = evaluate(two, images, gates=ways, batches=()).results
    fixed = evaluate(two, images, gates=ways, settings={"tau": 1}, batches=()).results
    assert fixed[2].top1 == found[4].top1
    assert (fixed[1], fixed[3]) == (plain[1], plain[3])
    with pytest.raises(OptionError, match="'tau' is set, but only the way threshold reads it"):
        evaluate(two, images, gates="ensemble", settings={"tau": 1}, batches=())


def test_files_without_such_gates_are_refused_where_there_is_no_other(
    zoo_file: Callable[..., Path], images: Data, tmp_path: Path
) -> None:
    dynk = convert(zoo_file("resnet8"), "dynk", branches=3, k=2, split="stage2")
    two = [zoo_file("resnet8"), dynk.save(tmp_path / "dynk.onnx")]
    with pytest.raises(OptionError, match="no file has gates that can be open by chance"):
        evaluate(two, images, gates="threshold,stochastic", batches=())
    assert [one.gates for one in evaluate(two, images, gates="threshold", batches=()).results] == [
        "",
        "",
    ]
    with pytest.raises(OptionError, match="seed"):
        evaluate(two, images, seed=-1, batches=())
    with pytest.raises(OptionError, match="no way to run gates"):
        evaluate(two, images, gates=(), batches=())


class Counting(Session):
    """A session that keeps what it was fed with."""

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        self.fed.append(feeds["tau"])
        return super().run(feeds, outputs)

    fed: list[np.ndarray]


@pytest.mark.parametrize("name", ["gated", "single"])
def test_what_is_timed_are_all_runs_of_an_answer(
    name: str, files: dict[str, Path], images: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise is drawn before, other noise for other images."""
    kept: list[Counting] = []

    def session(self: Entrant, threads: int = 0) -> Counting:
        kept.append(Counting(self.file, threads=threads))
        kept[0].fed = []
        return kept[0]

    monkeypatch.setattr(Entrant, "session", session)
    monkeypatch.setattr(times, "SECONDS", 0.0)
    one = evaluate(files[name], images, gates="ensemble=3", batches=(2,)).results[0]
    assert one.latencies[2].milliseconds.median > 0
    rows = {array.tobytes() for array in kept[0].fed}
    each = 2 if name == "single" else 1
    assert {len(array) for array in kept[0].fed} == {2 // each}
    expected = {
        noise(0, number, [row] if each == 2 else [row, row + 1], 0, 3).tobytes()
        for number in range(3)
        for row in range(0, 6, 3 - each)
    }
    assert rows == expected


def test_a_trained_network_with_fresh_gates(data: Path, tmp_path: Path) -> None:
    """All open it is its source, by chance it loses, and an ensemble of chances less."""
    source = data / "models" / "resnet20_cifar10.onnx"
    program = convert(source, "bypass")
    pictures = np.load(data / "imagenet_samples_16_raw.npz")["x"]
    crops = np.stack(
        [p[i : i + 32, j : j + 32] for p in pictures for i in (40, 90) for j in (60, 120)]
    )
    norm = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pixels = norm.apply(crops.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    said = Session(source, threads=1).run({"input": pixels})["logits"].argmax(1)
    files = [program.save(tmp_path / "a.onnx"), lower_program(program)[0].save(tmp_path / "b.onnx")]
    found = evaluate(files, Data(pixels, said), gates=WAYS, batches=()).results
    dynamic, lowered = found[:4], found[4:]
    threshold, opened, stochastic, ensemble = dynamic
    assert threshold.top1 == opened.top1 == 1
    assert 0 < stochastic.top1 < ensemble.top1 < 1
    for one, other in zip(dynamic, lowered, strict=True):
        assert other.decisions == one.decisions
        assert (other.top1, other.spread, other.classes) == (one.top1, one.spread, one.classes)
    opening = 1 / (1 + np.exp(0.1 - 2))  # of fresh gates
    rates = [shares[0] for shares in stochastic.decisions.values()]
    sigma = np.sqrt(opening * (1 - opening) / (9 * 3 * len(said)))
    assert abs(np.mean(rates) - opening) < 3 * sigma

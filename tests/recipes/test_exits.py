"""What exits makes of a network: at first the same answer at its end; exits, losses, groups."""

import dataclasses
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.answers import ancestors
from hydrafy.analysis.cost import cost, macs
from hydrafy.analysis.exits import exits
from hydrafy.errors import HydrafyError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.prune import Prune
from hydrafy.recipes.exits import Exits
from hydrafy.runtime.convert import convert, report
from hydrafy.runtime.finetune import finetune as finetune_file
from hydrafy.runtime.lower import lower_program
from hydrafy.train.converters.last_phase import LastPhase
from hydrafy.train.data import Data, Stream
from hydrafy.train.finetune import finetune
from hydrafy.train.fit import fit
from hydrafy.train.history import Epoch, Step
from hydrafy.train.importer import to_torch
from hydrafy.train.loader import Examples
from hydrafy.train.losses import Losses
from hydrafy.train.options import Options
from hydrafy.train.schedule_files import find
from tests.train.problems import options as training
from tests.train.problems import problem, stream
from tests.train.programs import Sketch

Source = Callable[..., Program]
X = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)


def separable(s: Sketch, x: ir.Value, path: str, out: int, stride: int) -> ir.Value:
    """A depthwise and a pointwise convolution, as in a MobileNet."""
    size = x.shape[1]
    weight = s.random(f"{path}.deep.weight", size, 1, 3, 3)
    deep = s.op("Conv", [x, weight], f"{path}.deep", group=size, pads=[1] * 4, strides=[stride] * 2)
    return s.op("Relu", [s.conv(deep, f"{path}.point", out, 1)], f"{path}.relu")


def plain(s: Sketch, x: ir.Value, path: str, out: int, stride: int) -> ir.Value:
    """A convolution, and a pooling that halves the image, as in a VGG."""
    x = s.op("Relu", [s.conv(x, path, out, 3)], f"{path}.relu")
    size = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return s.op("MaxPool", [x], f"{path}.pool", **size) if stride == 2 else x


def chain(block: Callable[..., ir.Value]) -> Program:
    """A network without shortcuts, of six blocks."""
    s = Sketch(("N", 3, 16, 16))
    x = s.x
    for number, (out, stride) in enumerate(((8, 1), (8, 1), (12, 2), (12, 1), (16, 2), (16, 1))):
        x = block(s, x, f"b{number}", out, stride)
    return s.program(s.linear(s.pooled(x, "head"), "fc", 6))


def networks(source: Source, name: str) -> Program:
    return {"vgg": lambda: chain(plain), "mobilenet": lambda: chain(separable)}.get(
        name, lambda: source(name)
    )()


NETWORKS = ["resnet20", "bottleneck", "resnext20_2x8d", "densenet22", "vgg", "mobilenet"]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("collaboration", ["identity", "learned", "none"])
def test_the_end_of_a_fresh_network_is_its_source(
    source: Source, network: str, collaboration: str
) -> None:
    static = networks(source, network)
    made = convert(static, "exits", exits=2, collaboration=collaboration)
    feeds = {static.data_inputs[0].name or "": X}
    output = static.graph.outputs[0].name or ""
    everybody = np.full((1, 1), np.inf, np.float32)
    found = Session(made).run({**feeds, "tau": everybody})
    np.testing.assert_allclose(found[output], Session(static).run(feeds)[output], atol=1e-5)
    lower_program(made)  # proven here


@pytest.mark.parametrize("network", NETWORKS)
def test_exits_stand_at_even_cost(source: Source, network: str) -> None:
    static = networks(source, network)
    recipe = Exits(exits=2)
    places, (_, *blocks) = recipe.places(static), anatomy(static).sites().items()
    costs = {name: sum(map(macs, ancestors(block.entry))) for name, block in blocks}
    whole, free = cost(static).macs, [*costs.values()]
    best = min(
        abs(one - whole / 3) + abs(other - whole * 2 / 3) for one, other in combinations(free, 2)
    )
    spent = [costs[name] for name in places]
    assert spent[0] < spent[1]
    assert abs(spent[0] - whole / 3) + abs(spent[1] - whole * 2 / 3) == best
    made = convert(static, "exits", exits=2, collaboration="none")
    assert made.weight("tau").shape == (1, 2)
    assert made.manifest.options["at"] == ",".join(places)
    sites = recipe.sites(static)
    assert [*sites] == [*costs]
    answers = (ancestors(one.logits) for one in exits(made).early)
    assert [sites[name] for name in places] == [sum(map(macs, nodes)) for nodes in answers]


def test_a_source_that_answers_several_times_keeps_its_classifiers(source: Source) -> None:
    static = source("msdnet", exits=4)
    made = convert(static, "exits", collaboration="none")
    assert made.weight("tau").shape == (1, 3)
    wanted = Session(static).run({"input": X})
    for number in range(4):
        tau = np.full((1, 3), np.inf, np.float32)
        tau[0, number:] = -np.inf
        found = Session(made).run({"input": X, "tau": tau})
        prediction = made.graph.outputs[0].name or ""
        np.testing.assert_allclose(found[prediction], wanted[f"exit{number + 1}"], atol=1e-6)
    lower_program(made)


@pytest.mark.parametrize(
    "option", [{"at": "stage2"}, {"exits": 7}, {"classifier": "linear"}, {"width": 16}]
)
def test_new_classifiers_beside_those_that_are_there_are_refused(
    source: Source, option: dict[str, object]
) -> None:
    (name,) = option
    with pytest.raises(OptionError, match=f"{name}=.* makes no sense: .* answers 4 times already"):
        convert(source("msdnet", exits=4), "exits", **option)


def test_an_early_answer_of_the_source_is_a_site(source: Source) -> None:
    static = source("msdnet", exits=4)
    sites = Exits.fitted(static).sites(static)
    assert list(sites) == ["exit1", "exit2", "exit3"]
    assert 0 < sites["exit1"] < sites["exit2"] < sites["exit3"] < cost(static).macs
    assert convert(static, "exits").manifest.options["exits"] == 3


@pytest.mark.parametrize("collaboration", ["learned", "none"])
def test_the_last_of_several_answers_is_kept(source: Source, collaboration: str) -> None:
    static = source("msdnet", exits=3)
    made = convert(static, "exits", collaboration=collaboration)
    assert report(static, made).preserved


def test_losses_and_groups_are_declared(source: Source) -> None:
    made = convert(source("resnet20"), "exits", at="stage3,stage2", alpha=0.7, temperature=2)
    last, *early = made.manifest.losses
    assert (last.name, last.output, last.kind) == ("final", "exits.2.logits", "cross_entropy")
    assert [(t.name, t.output, t.kind, t.weight) for t in early] == [
        (f"exits.{i}", f"exits.{i}.logits", "exit", 1.0) for i in range(2)
    ]
    assert early[0].settings == {"last": "exits.2.logits", "alpha": 0.7, "temperature": 2.0}
    assert made.manifest.groups["classifiers"] == (
        *(f"exits.{i}.logits.{end}" for i in range(2) for end in ("weight", "bias")),
        "fc.weight",
        "fc.bias",
    )
    learned = convert(source("resnet20"), "exits", at="stage2", collaboration="learned")
    assert "exits.1.transfer.hidden.weight" in learned.manifest.groups["classifiers"]


PHASES = find("exits-cifar").change(epochs=[1, 1], batch_size=16, learning_rate=0.01)


def test_the_second_phase_trains_last_layers_only(source: Source) -> None:
    """Backbone and statistics stay as they are."""
    made = convert(source("resnet8"), "exits", at="stage3", width=4, alpha=1, collaboration="none")
    short = dataclasses.replace(PHASES, phases=PHASES.phases[:1])
    first, both = (
        finetune(made, images(), Options(schedule), recalibrate=False).program
        for schedule in (short, PHASES)
    )
    group = set(made.manifest.groups["classifiers"])
    for name in first.graph.initializers:
        same = np.array_equal(first.weight(name), both.weight(name))
        assert same == (name not in group), name
    assert not np.array_equal(first.weight("conv1.weight"), made.weight("conv1.weight"))


def test_the_second_phase_trains_the_learned_path_too(source: Source) -> None:
    """With its BatchNormalization's statistics; those of backbone and classifier stay."""
    made = convert(source("resnet8"), "exits", at="stage3", width=4, collaboration="learned")
    module, phases = to_torch(made), Options(PHASES.known(made.manifest.groups))
    states: list[dict[str, torch.Tensor]] = []

    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Epoch):
            states.append({name: value.clone() for name, value in module.state_dict().items()})

    fit(module, Losses.of(made), Examples(images()), phases, watch=watch)
    first, second = states
    moved = {name for name, value in first.items() if not torch.equal(value, second[name])}
    last = {f"{layer}.{end}" for layer in ("exits.0.logits", "fc") for end in ("weight", "bias")}
    path = {name for name in first if name.startswith("exits.1.transfer.")}
    assert moved == last | path
    assert {f"exits.1.transfer.norm.running_{what}" for what in ("mean", "var")} < path
    assert {"bn1.running_mean", "exits.0.norm.0.running_mean"} < {*first}


def test_collaboration_belongs_to_the_last_phase(source: Source) -> None:
    made = convert(source("resnet8"), "exits", at="stage3", width=4)
    module, losses = to_torch(made), Losses.of(made)
    (late,) = (part for part in module.modules() if isinstance(part, LastPhase))
    found: list[bool] = []

    def watch(event: Step | Epoch) -> None:
        found.append(late.on)

    fit(
        module, losses, Examples(images()), Options(PHASES.known(made.manifest.groups)), watch=watch
    )
    assert found == [False] * 5 + [True] * 5 and late.on  # four batches, and the epoch's end


def images() -> Stream:
    pixels = np.random.default_rng(3).standard_normal((64, 3, 16, 16)).astype(np.float32)
    return stream(Data(pixels, np.arange(64) % 10))


def test_a_schedule_of_groups_needs_a_network_that_has_them(
    zoo_file: Callable[..., Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((8, 3, 16, 16), np.uint8), y=np.arange(8))
    with pytest.raises(OptionError, match=r"speaks of @classifiers.* are: none"):
        finetune_file(zoo_file("resnet8"), tmp_path / "data.npz", Options(find("exits-cifar")))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"exits": 9}, "more than the 8 places"),
        ({"exits": 0}, "must be between 1"),
        ({"width": 0}, "must be between 1"),
        ({"at": "stage2,stage2"}, "same place"),
        ({"at": "stage7"}, "there is no split 'stage7'"),
        ({"at": "logits"}, "behind the last block"),
        ({"tau": "nan"}, "must be from 0 to 1.1, inf or -inf"),
        ({"tau": 2}, "must be from 0 to 1.1"),
        ({"tau": "much"}, "must be a number"),
        ({"confidence": "margins"}, "use probability, entropy, margin"),
        ({"alpha": 0}, "above 0"),
        ({"temperature": 0}, "between 0.01"),
        ({"collaboration": "yes"}, "not known"),
        ({"seed": -1}, "must be between 0"),
    ],
)
def test_options_that_make_no_sense(source: Source, options: dict[str, Any], why: str) -> None:
    with pytest.raises(HydrafyError, match=why):
        convert(source("resnet20"), "exits", **options)


def test_exits_behind_gates_and_branches(source: Source) -> None:
    """One network with all three recipes, trained, lowered and proven."""
    few = {"bypass.blocks": "stage1.2", "dynk.branches": 3, "dynk.k": 1, "exits.at": "stage2"}
    made = convert(source("resnet14"), ("bypass", "dynk", "exits"), **few)
    assert [e.name for e in made.manifest.runtime_inputs] == ["tau", "dynk.tau", "exits.tau"]
    names = [term.name for term in made.manifest.losses]
    assert names[:3] == ["final", "rate", "gate"] and names[-1] == "exits.0"
    assert made.manifest.losses[0].output == "exits.1.logits"
    tuned = finetune(made, images(), training(1, batch_size=16))
    assert set(tuned.history.epochs[0].step.terms) == set(names)
    lower_program(tuned.program)


@pytest.mark.parametrize(("number", "taken"), [(0, False), (1, False), (1, True)])
def test_exits_that_are_settled_go_and_the_rest_is_trained_on(
    source: Source, number: int, taken: bool
) -> None:
    made = convert(source("resnet14"), "exits", at="stage2,stage3", collaboration="none")
    left = base.run(made, [Prune({f"exits.{number}.predicate": taken})])
    assert left.stage == "dynamic"
    phases = Options(PHASES)
    tuned = finetune(left, images(), phases).history.epochs[-1].step
    assert len(tuned.terms) == 2
    lower_program(left)


def test_classifiers_that_were_there_before_do_not_count(source: Source) -> None:
    made = convert(source("resnet20"), "exits", at="stage2,stage3", collaboration="identity")
    base.run(made, [Prune({f"exits.{number}.predicate": False for number in range(2)})])
    assert made.stage == "static"
    again = convert(made.clone(), "exits", exits=1, classifier="linear")
    assert not any("classifiers of the exits" in one for one in report(made, again).warnings)


def test_classifiers_that_cost_much_are_told_of(source: Source) -> None:
    static = source("resnet20")
    made = convert(static, "exits", exits=2)
    start = "the classifiers of the exits cost"
    (said,) = (one for one in report(static, made).warnings if one.startswith(start))
    assert "--set width=32 instead of 64" in said and "--set classifier=linear" in said
    heads = [node for node in made.graph if (node.name or "").startswith("exits.")]
    share = sum(map(macs, heads)) / cost(static).macs
    assert f" {share:.0%} of the source's MACs" in said and share > 0.25
    for modest in ({"classifier": "linear"}, {"width": 4}):
        found = report(static, convert(static, "exits", exits=2, **modest)).warnings
        assert not any(one.startswith(start) for one in found)
    options = {"dynk.branches": 4, "dynk.split": "stage3", "exits.at": "stage2"}
    both = convert(static, ["dynk", "exits"], **options)
    assert any("--set exits.width=32" in one for one in report(static, both).warnings)


def test_exits_are_named_last(source: Source) -> None:
    with pytest.raises(ModelError, match="do not go together"):
        convert(source("resnet14"), ("bypass", "exits"), **{"bypass.exits": "stage3"})
    with pytest.raises(ModelError, match="name that recipe last"):
        convert(
            source("resnet14"),
            ("exits", "dynk"),
            **{"dynk.branches": 3, "dynk.k": 1},
        )


def test_training_makes_exits_right(source: Source) -> None:
    data = problem(256)
    s = Sketch(("N", 3, 8, 8))
    x = s.op("Relu", [s.batchnorm(s.conv(s.x, "a", 8, 3), "an")], "a.relu")
    y = s.op("Relu", [s.batchnorm(s.conv(x, "b", 8, 3), "bn")], "b.relu")
    static = s.program(s.linear(s.op("Flatten", [y], "flat"), "fc", 6))
    made = convert(static, "exits", exits=1, classifier="msdnet", width=16)
    test = problem(120, 1)
    options = training(12, learning_rate=0.02)
    tuned = finetune(made, stream(data), options, validation=stream(test))
    told = tuned.validation
    assert told is not None
    (early,) = told.exits.values()
    for tau, top1 in ((-np.inf, early), (0.9, told.top1)):
        bound = np.full((1, 1), tau, np.float32)
        (found, *_) = Session(tuned.program).run({"x": test.images, "tau": bound}).values()
        assert (found.argmax(1) == test.labels).mean() == pytest.approx(top1)
        assert top1 > 0.6

"""The fit: it finds what times were made of, and foresees a network that it was not given."""

from dataclasses import dataclass

import numpy as np
import pytest

from hydrafy.analysis.latency import LatencyModel
from hydrafy.analysis.loads import COMPUTE, KINDS
from hydrafy.execute.profile import Event
from hydrafy.ir.program import Program
from hydrafy.runtime.bench.fit import Measured, Sample, block_of, fit, fitted, load_of, measure

SMALL = (
    Sample("resnet8", (("size", 16),), (1, 4)),
    Sample("resnet8", (("width", 32), ("shortcut", "B")), (1, 4)),
)


@dataclass(frozen=True)
class Kind:
    """How an event of a kind looks, and what it is made to take."""

    op: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]


def made(model: LatencyModel, program: Program) -> list[Measured]:
    """Networks whose times follow a model exactly: events of all kinds, of three sizes."""
    found = []
    for n in (1, 2, 3):
        image = (n, 16, 8 * n, 8)
        shapes = [
            Kind("Conv", (image, (16, 16, 3, 3)), image),
            Kind("Conv", (image, (16, 16, 1, 1)), image),
            Kind("Conv", (image, (16, 1, 3, 3)), image),
            Kind("Conv", ((n, 3, 8 * n, 8), (16, 3, 3, 3)), image),
            Kind("Gemm", ((n, 64 * n),), (n, 10)),
            Kind("MaxPool", (image,), image),
            Kind("Add", (image, image), image),
            Kind("Flatten", (image,), image),
            Kind("ReorderInput", (image,), image),
            Kind("If", (), image),
            Kind("GatherND", (image,), image),
        ]
        events = [Event(k.op, k.op, 0.0, (), k.inputs, (k.output,)) for k in shapes]
        nodes = tuple((event, model.of(load_of(event, 16))) for event in events)
        found.append(Measured(program, n, nodes, model.predict(program, batch=n)))
    return found


def test_the_numbers_that_times_were_made_of_are_found() -> None:
    program = SMALL[0].program()
    rng = np.random.default_rng(0)
    model = LatencyModel(
        node={kind: float(x) for kind, x in zip(KINDS, rng.uniform(1, 9, len(KINDS)), strict=True)},
        mac={k: float(x) for k, x in zip(COMPUTE, rng.uniform(1e-3, 9e-3, 5), strict=True)},
        byte=2e-4,
        weight=3e-4,
        between=0.0,
        scale=1.0,
        run=25.0,
        block=16,
        onnxruntime="1",
        processor="a",
    )
    found = fitted(made(model, program))
    assert found.block == 16
    assert found.mac == pytest.approx(model.mac, rel=1e-2)
    assert found.byte == pytest.approx(model.byte, rel=1e-2)
    assert found.node == pytest.approx(model.node, rel=1e-2)
    for batch in (1, 2, 3):
        wanted = model.predict(program, batch=batch)
        assert found.predict(program, batch=batch) == pytest.approx(wanted, rel=1e-2)


def test_nothing_is_negative_and_another_network_is_foreseen() -> None:
    told: list[str] = []
    model = fit(SMALL, progress=lambda what, done, of: told.append(what))
    every = [*model.node.values(), *model.mac.values(), model.byte, model.weight, model.run]
    assert min(every) >= 0 and model.scale > 0
    other = Sample("resnet14", (("width", 32),)).program()
    measured = measure(other, 2).milliseconds
    assert 1 / 3 < model.predict(other, batch=2) / measured < 3  # on a machine that others use
    assert told == ["measuring networks"] * 2


def test_convolutions_out_of_blocks_do_not_tell_their_size() -> None:
    wide = Event("a_nchwc", "Conv", 1.0, (), ((1, 3, 8, 8), (16, 3, 3, 3)), ())
    odd = Event("b", "Conv", 1.0, (), ((1, 3, 8, 8), (12, 3, 3, 3)), ())
    narrow = Event("c_nchwc", "Conv", 1.0, (), ((1, 3, 8, 8), (8, 3, 3, 3)), ())
    program = SMALL[0].program()
    assert block_of([Measured(program, 1, ((wide, 1.0), (odd, 1.0)), 1.0)]) == 16
    assert block_of([Measured(program, 1, ((wide, 1.0), (narrow, 1.0)), 1.0)]) == 8


def test_gates_of_a_sample_are_open() -> None:
    program = Sample("resnet8", (("size", 16),), bypassed=True).program()
    assert program.stage == "lowered"
    ran = measure(program, 1).nodes
    assert sum(event.op == "If" for event, _ in ran) == 3
    assert any(event.regions and event.op == "Conv" for event, _ in ran)

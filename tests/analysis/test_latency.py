"""The latency model: sums over nodes, shares of images, and the file that it is kept in."""

import dataclasses

import pytest

from hydrafy.analysis.latency import LatencyModel, typical
from hydrafy.analysis.loads import COMPUTE, KINDS, Load
from hydrafy.errors import FileError
from tests.train.programs import Sketch

MODEL = LatencyModel(
    node={"spatial": 5.0, "copy": 2.0},
    mac={"spatial": 0.001},
    byte=0.01,
    weight=0.1,
    between=1.0,
    scale=2.0,
    run=10.0,
    block=8,
    onnxruntime="1",
    processor="a",
)


def test_a_node_takes_what_its_kind_and_its_size_say() -> None:
    load = Load("spatial", macs=1000, bytes=100, weights=10)
    assert MODEL.of(load) == pytest.approx(5 + 1 + 1 + 1)
    assert MODEL.of(load, batch=4) == pytest.approx(5 + 1 + 4 * (1 + 1))
    assert MODEL.of(load, 0.5) == pytest.approx(4)
    ever = 1 - 0.5**4
    assert MODEL.of(load, 0.5, 4) == pytest.approx(ever * 6 + 2 * 2)
    assert MODEL.of(load, 0, 4) == 0


def test_a_program_takes_the_sum_of_its_nodes() -> None:
    s = Sketch(("N", 8, 4, 4))
    conv = s.conv(s.x, "a", 8, 3)
    program = s.program(s.op("Pad", [conv, s.weight("pads", [0, 0, 1, 1, 0, 0, 1, 1])], "pad"))
    macs, image = 16 * 8 * 8 * 9, 4 * 8 * 16
    nodes = 5 + 0.001 * macs + 0.01 * 2 * image + 0.1 * 4 * (8 * 8 * 9 + 8)
    moved = 2 + 0.01 * (image + 4 * 8 * 36) + 0.01 * 2 * image  # Pad, and back from blocks
    assert MODEL.predict(program) == pytest.approx((2 * (nodes + moved) + 3 + 10) / 1e3)
    skipped = {node: 0.0 for node in program.graph if node.op_type == "Conv"}
    assert MODEL.predict(program, skipped) == pytest.approx((2 * moved + 2 + 10) / 1e3)


def test_it_is_kept_as_text() -> None:
    assert LatencyModel.from_json(MODEL.to_json()) == MODEL
    for text in ("", "[]", '{"node": {}}', MODEL.to_json().replace("byte", "bite")):
        with pytest.raises(FileError, match="hydrafy bench --fit"):
            LatencyModel.from_json(text)
    assert dataclasses.replace(MODEL, run=1.0) != MODEL


def test_a_typical_one_is_in_the_package() -> None:
    model = typical()
    assert model.processor == "a typical machine"
    assert set(model.node) == set(KINDS) and set(model.mac) == set(COMPUTE)
    assert min(model.node.values()) >= 0 and min(model.mac.values()) > 0

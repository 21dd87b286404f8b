"""The verifier names each broken invariant; every fault here was put in by hand."""

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.errors import VerifyError
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import LossTerm, Output, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.ir.verify import faults, verify
from tests.train.programs import Sketch, dynamic


def node(program: Program, name: str) -> ir.Node:
    return next(n for n in program.graph.all_nodes() if n.name == name)


def change(program: Program, **fields: object) -> None:
    program.manifest = dataclasses.replace(program.manifest, **fields)


def use_before_definition(program: Program) -> None:
    late = node(program, "sum")
    program.graph.remove(late)
    program.graph.insert_before(program.graph[0], late)


def same_name(program: Program) -> None:
    node(program, "stem").outputs[0].name = "sum"


def nameless(program: Program) -> None:
    node(program, "stem").outputs[0].name = None


def lost_output(program: Program) -> None:
    change(program, outputs=(*program.manifest.outputs, Output("gone", "training")))


def lost_loss(program: Program) -> None:
    change(program, losses=(LossTerm("l", "sum", 1.0),))


def lost_input(program: Program) -> None:
    change(program, runtime_inputs=(RuntimeInput("budget", 0, 1, None, ""),))


def fixed_input(program: Program) -> None:
    program.graph.inputs.pop()


def float_predicate(program: Program) -> None:
    node(program, "branches.0.picked").outputs[0].type = ir.TensorType(ir.DataType.FLOAT)


def matrix_predicate(program: Program) -> None:
    node(program, "branches.0.select").replace_input_with(0, node(program, "picked").outputs[0])


def other_shape(program: Program) -> None:
    node(program, "branches.0.select").outputs[0].shape = ir.Shape(["N", 1, 1, 1])


def has_a_third_side(program: Program) -> None:
    node = next(n for n in program.graph if n.op_type == "Select")
    node.resize_inputs(4)
    node.replace_input_with(3, node.inputs[2])


def lacks_a_side(program: Program) -> None:
    node(program, "branches.0.select").replace_input_with(2, None)


def bad_gradient(program: Program) -> None:
    attributes = node(program, "branches.0.select").attributes
    attributes["gradient"] = ir.AttrString("gradient", "soft")


def unknown_op(program: Program) -> None:
    node(program, "stem").op_type = "Hardmax"


def unknown_domain(program: Program) -> None:
    node(program, "stem").domain = "com.example"


def unknown_own_op(program: Program) -> None:
    node(program, "picked").op_type = "BottomKGate"


def static_with_select(program: Program) -> None:
    change(program, stage="static")


def untyped(program: Program) -> None:
    node(program, "stem").outputs[0].type = None


def unshaped(program: Program) -> None:
    node(program, "stem").outputs[0].shape = None


def survivor(program: Program) -> None:
    change(program, stage="lowered", outputs=(), losses=())


def training_output(program: Program) -> None:
    change(program, stage="lowered")
    for call in list(program.graph):
        call.domain = ""


def computed_nowhere(program: Program) -> None:
    program.graph.outputs.append(ir.val("ghost", ir.DataType.FLOAT, ["N"]))


FAULTS: list[tuple[Callable[[Program], None], str]] = [
    (use_before_definition, r"node 'sum' reads 'branches\.\d\.select' before it is computed"),
    (same_name, "two values are named 'sum'"),
    (nameless, "a value has no name"),
    (lost_output, "lists output 'gone', which the graph has not"),
    (lost_loss, "loss term 'l' reads 'sum', which is no output"),
    (lost_input, "run-time input 'budget' must be both"),
    (fixed_input, "run-time input 'tau' must be both"),
    (float_predicate, r"predicate of Select 'branches\.0\.select' is not bool"),
    (matrix_predicate, r"predicate of Select 'branches\.0\.select' is not bool"),
    (other_shape, r"Select 'branches\.0\.select' has the shape \[N,1,1,1\], its a \[N,8,8,8\]"),
    (has_a_third_side, "Select '.*' lacks an input, or has too many"),
    (lacks_a_side, r"Select 'branches\.0\.select' lacks an input"),
    (bad_gradient, r"Select 'branches\.0\.select' has gradient=soft"),
    (unknown_op, r"node 'stem' is .*::Hardmax"),
    (unknown_domain, r"node 'stem' is .*com\.example::Relu"),
    (unknown_own_op, r"node 'picked' is .*hydrafy::BottomKGate"),
    (static_with_select, r"node 'picked' is a TopKGate: a static program has none"),
    (untyped, "value 'stem' of node 'stem' has no type"),
    (unshaped, "value 'stem' of node 'stem' has no shape"),
    (survivor, "node 'picked' of domain 'hydrafy' survived the lowering"),
    (training_output, "the training output 'gate.fc' survived the lowering"),
    (computed_nowhere, "output 'ghost' is computed nowhere"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_fault_is_named(damage: Callable[[Program], None], message: str) -> None:
    program = dynamic()
    assert list(faults(program)) == []
    damage(program)
    with pytest.raises(VerifyError, match=f"after the test: .*{message}"):
        verify(program, by="the test")


@pytest.mark.parametrize("shape", [["M", 3], [None, 3], [1, 3], []], ids=str)
def test_what_a_static_program_computes_has_a_row_for_each_image(shape: list[object]) -> None:
    s = Sketch(("N", 3))
    constant = s.op("Relu", [s.random("w", 2, 3)], "constant")
    program = s.program(s.op("Relu", [s.x], "rows"), constant)
    assert list(faults(program)) == []
    program.graph[1].outputs[0].shape = ir.Shape(shape)
    program.graph[1].name = None
    (fault,) = faults(program)
    assert fault.startswith("node 'rows' makes [")
    assert fault.endswith("] of the images, not a row for each")
    change(program, stage="source")
    assert list(faults(program)) == []


def test_faults_inside_of_regions_are_found() -> None:
    program = dynamic()
    change(program, stage="source")
    inner = build.op("Relu", [node(program, "stem").outputs[0]], "inner")
    region = ir.Graph([], [inner.outputs[0]], nodes=[inner], name="region")
    flag = build.weight(program.graph, "flag", np.array(True))
    branch = ir.Node("", "If", [flag], [ir.AttrGraph("then_branch", region)], name="if")
    branch.outputs[0].name = "chosen"
    program.graph.insert_before(program.graph[0], branch)  # before the stem is computed
    assert list(faults(program)) == ["node 'inner' reads 'stem' before it is computed"]
    program.graph.remove(branch)
    program.graph.insert_after(node(program, "stem"), branch)
    assert list(faults(program)) == []
    inner.outputs[0].name = "sum"
    assert list(faults(program)) == ["two values are named 'sum'"]


def test_a_source_may_hold_anything() -> None:
    program = dynamic()
    unknown_op(program)
    change(program, stage="source")
    assert list(faults(program)) == []


@pytest.mark.parametrize("name", ops.names())
def test_the_vocabulary_is_valid_onnx(name: str) -> None:
    assert ops.function(name).identifier()[:2] == (ops.DOMAIN, name)
    assert ops.function(name) is not ops.function(name)

"""What is wrong with a model is said in one sentence, before anything is computed or allocated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from hydrafy.errors import FileError, HydrafyError, ModelError
from hydrafy.ir.check import check

NETWORK = """
<ir_version: 9, opset_import: ["": 18]>
net (float[N, 3, 8, 8] x) => (float[N, 4] y) {
  [first] a = Conv <pads = [1, 1, 1, 1]> (x, w)
  [second] b = Relu (a)
  [third] y = GlobalAveragePool (b)
}"""

Damage = Callable[[onnx.ModelProto], None]


def network() -> onnx.ModelProto:
    model = onnx.parser.parse_model(NETWORK)
    weight = np.zeros((4, 3, 3, 3), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    return model


def node(model: onnx.ModelProto, place: int) -> onnx.NodeProto:
    return model.graph.node[place]


def weight(model: onnx.ModelProto) -> TensorProto:
    return model.graph.initializer[0]


def changed(path: str, value: object) -> Damage:
    """Sets the field that a path of names and places leads to."""

    def change(model: onnx.ModelProto) -> None:
        *way, last = path.split(".")
        here: object = model
        for step in way:
            here = here[int(step)] if step.isdecimal() else getattr(here, step)  # type: ignore[index]
        if last.isdecimal():
            here[int(last)] = value  # type: ignore[index]
        else:
            setattr(here, last, value)

    change.__name__ = f"{path}={str(value)[:20]}"
    return change


def cycle(model: onnx.ModelProto) -> None:
    node(model, 0).input[0] = "b"


def long_cycle(model: onnx.ModelProto) -> None:
    for place in range(9):
        model.graph.node.append(helper.make_node("Relu", [f"c{place}"], [f"c{(place + 1) % 9}"]))


def weight_goes(model: onnx.ModelProto) -> None:
    del model.graph.initializer[:]


def weight_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(weight(model))


def input_twice(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def no_output(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "thin")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))


def nested(levels: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        for _ in range(levels):
            graph = graph.node.add(op_type="If").attribute.add(name="then_branch", type=5).g

    return change


def not_utf8(model: onnx.ModelProto) -> None:
    model.graph.node[1].name = "secret"
    content = model.SerializeToString().replace(b"secret", b"\xff\xfe\xfd\xfc\xfb\xfa")
    model.ParseFromString(content)


def weight_not_utf8(model: onnx.ModelProto) -> None:
    weight(model).name = "secret"
    content = model.SerializeToString().replace(b"secret", b"\xff\xfe\xfd\xfc\xfb\xfa")
    model.ParseFromString(content)


def opset_twice(model: onnx.ModelProto) -> None:
    model.opset_import.append(model.opset_import[0])


def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def call(model: onnx.ModelProto, name: str, *body: str) -> None:
    """Adds function `name` of domain acme, whose body calls others of it."""
    nodes = [
        helper.make_node(inner, [f"v{place}"], [f"v{place + 1}"], domain="acme")
        for place, inner in enumerate(body)
    ]
    opsets = [helper.make_opsetid("acme", 1)]
    made = helper.make_function("acme", name, ["v0"], [f"v{len(body)}"], nodes, opsets)
    model.functions.append(made)


def recursion(model: onnx.ModelProto) -> None:
    call(model, "Ping", "Pong")
    call(model, "Pong", "Ping")


def billions(model: onnx.ModelProto) -> None:
    for place in range(60):
        call(model, f"F{place}", f"F{place + 1}", f"F{place + 1}")
    node(model, 1).op_type, node(model, 1).domain = "F0", "acme"


def function_twice(model: onnx.ModelProto) -> None:
    call(model, "F", "Other")
    call(model, "F", "Other")


def standard_function(model: onnx.ModelProto) -> None:
    call(model, "Relu", "Other")
    model.functions[0].domain = ""


def foreign_attribute(model: onnx.ModelProto) -> None:
    node(model, 0).attribute[0].ref_attr_name = "pads"


def no_attribute(model: onnx.ModelProto) -> None:
    node(model, 1).op_type = "Concat"


def odd_attribute(model: onnx.ModelProto) -> None:
    node(model, 1).attribute.append(helper.make_attribute("alpha", 1.0))


def textual_attribute(model: onnx.ModelProto) -> None:
    node(model, 0).attribute[0].CopyFrom(helper.make_attribute("pads", "same"))


def binary_attribute(model: onnx.ModelProto) -> None:
    node(model, 0).attribute.append(helper.make_attribute("auto_pad", b"\xff\xfe"))


def attribute_twice(model: onnx.ModelProto) -> None:
    node(model, 0).attribute.append(node(model, 0).attribute[0])


def other_domain_without_version(model: onnx.ModelProto) -> None:
    node(model, 1).domain = "acme"


def declared(dims: list[int], kind: int = TensorProto.FLOAT) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        model.graph.value_info.append(helper.make_tensor_value_info("w", kind, dims))

    return change


def typed(field: str, count: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        weight(model).ClearField("raw_data")
        getattr(weight(model), field).extend([0] * count)

    return change


def both_kinds_of_data(model: onnx.ModelProto) -> None:
    weight(model).float_data.append(1)


def no_data(model: onnx.ModelProto) -> None:
    weight(model).ClearField("raw_data")


def constant(model: onnx.ModelProto) -> None:
    value = TensorProto(dims=[2**40, 2**40], data_type=1, raw_data=b"1234")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], "huge", value=value))


def text(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], "said", value_string="hello"))


def segment(model: onnx.ModelProto) -> None:
    weight(model).segment.end = 5


INPUT = "graph.input.0.type.tensor_type.shape.dim"

GRAPHS: list[tuple[Damage, str]] = [
    (cycle, r"the graph has a cycle, so it cannot be run: node 'first' \(Conv\) > node 'second'"),
    (long_cycle, r"the graph has a cycle, .* and 6 more"),
    (weight_goes, r"node 'first' \(Conv\) reads 'w', which is no input, no weight and no node's"),
    (weight_twice, "two weights are named 'w': rename one of them"),
    (input_twice, "two inputs are named 'x'"),
    (no_output, "the model has no output"),
    (sparse, "weight 'thin' is sparse"),
    (nested(34), "nests graphs within graphs too deep"),
    (nested(400), "nests graphs within graphs too deep"),
    (not_utf8, r"name b'\\xff.*' of a NodeProto is not UTF-8"),
    (weight_not_utf8, r"the name b'\\xff.*' of a weight is not UTF-8"),
    (changed("graph.node.1.output.0", "a"), "two values are named 'a'"),
    (changed("graph.node.1.output.0", "w"), "two values are named 'w'"),
    (changed("graph.node.1.output.0", "x"), "two values are named 'x'"),
    (changed("graph.output.0.name", "z"), "output 'z' is computed nowhere"),
    (changed("graph.input.0.name", ""), "has no name"),
    (changed("ir_version", 99), "IR version 99, the installed onnx knows 1 to"),
    (changed("ir_version", 0), "IR version 0"),
    (changed("opset_import.0.version", 999), "opset 999, the installed onnx knows 1 to"),
    (changed("opset_import.0.version", -1), "opset -1"),
    (opset_twice, "two opsets of domain ''"),
    (recursion, "functions call each other in a circle: acme::P.ng > acme::P.ng > acme::P.ng"),
    (billions, "the model has 2,305,843,009,213,693,953 nodes"),
    (function_twice, "two functions are named acme::F"),
    (standard_function, "function Relu takes the place of a standard op"),
    (foreign_attribute, r"node 'first' \(Conv\) has a function's attribute"),
    (no_attribute, r"node 'second' \(Concat\) is malformed: Required attribute 'axis' is missing"),
    (odd_attribute, r"node 'second' .*: Unrecognized attribute: alpha"),
    (textual_attribute, r"node 'first' .* Mismatched attribute type .*pads"),
    (binary_attribute, r"attribute 'auto_pad' is b'\\xff\\xfe', which is not UTF-8"),
    (attribute_twice, r"node 'first' .* 'pads' appeared multiple times"),
    (other_domain_without_version, "node 'second' .*: No opset import for domain 'acme'"),
    (changed("graph.node.1.op_type", "Twist"), r"node 'second' \(Twist\) .*: No Op registered"),
    (changed("graph.node.1.op_type", "If"), r"node 'second' \(If\) is malformed"),
    (declared([4, 3, 3, 5]), r"weight 'w' is declared as \[4, 3, 3, 5\], its data has \[4"),
    (declared([4, 3]), r"weight 'w' is declared as \[4, 3\]"),
    (declared([4, 3, 3, 3], TensorProto.INT8), "weight 'w' is declared with element type 3"),
    (changed(f"{INPUT}.2.dim_value", -8), r"'x' has the impossible shape \[None, 3, -8, 8\]"),
    (changed(f"{INPUT}.2.dim_value", 2**40), "'x' has the impossible shape"),
    (changed(f"{INPUT}.2.dim_value", 2**30), r"input 'x' holds 25,769,803,776 numbers"),
    (changed("graph.input.0.type.tensor_type.elem_type", TensorProto.STRING), "'x' is text"),
    (changed("graph.initializer.0.dims.0", -4), r"weight 'w' has the impossible shape \[-4"),
    (changed("graph.initializer.0.data_type", 99), "weight 'w' has the unknown element type 99"),
    (changed("graph.initializer.0.data_type", 0), "weight 'w' has no element type"),
    (text, r"node 'said' \(Constant\) is text or sparse"),
    (segment, "weight 'w' is stored in segments"),
]  # fmt: skip

DATA: list[tuple[Damage, str]] = [
    (no_opset, "no opset is stated"),
    (no_data, r"weight 'w' of shape \[4, 3, 3, 3\] needs 108 in float_data, the file has nothing"),
    (changed("graph.initializer.0.raw_data", b"1" * 431), "needs 432 in raw_data, .* has 431 in"),
    (changed("graph.initializer.0.raw_data", b"1" * 433), "needs 432 in raw_data, .* has 433 in"),
    (changed("graph.initializer.0.raw_data", b""), "needs 432 in raw_data, .* has 0 in raw_data"),
    (changed("graph.initializer.0.dims.0", 2**62), "needs 498062089990157893632 in raw_data"),
    (changed("graph.initializer.0.data_type", TensorProto.INT4), "needs 54 in raw_data"),
    (typed("float_data", 107), "needs 108 in float_data, the file has 107"),
    (typed("int32_data", 108), "needs 108 in float_data, the file has 108 in int32_data"),
    (both_kinds_of_data, "needs 432 in raw_data, the file has 1 in float_data and 432 in raw_data"),
    (constant, r"attribute 'value' of node 'huge' \(Constant\) .* needs 48357\d+ in raw_data"),
]


@pytest.mark.parametrize(("damage", "message"), GRAPHS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_malformed_graph_is_refused(damage: Damage, message: str) -> None:
    assert refused(damage, ModelError, message)


@pytest.mark.parametrize(("damage", "message"), DATA, ids=lambda x: getattr(x, "__name__", ""))
def test_data_that_does_not_fit_is_refused(damage: Damage, message: str) -> None:
    assert refused(damage, FileError, message)


def refused(damage: Damage, kind: type[HydrafyError], message: str) -> bool:
    model = network()
    check(model)
    damage(model)
    with pytest.raises(kind, match=message) as caught:
        check(model)
    return type(caught.value) is kind and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "field", "count"),
    [
        (TensorProto.FLOAT, "float_data", 108),
        (TensorProto.FLOAT16, "int32_data", 108),
        (TensorProto.BOOL, "int32_data", 108),
        (TensorProto.INT64, "int64_data", 108),
        (TensorProto.UINT32, "uint64_data", 108),
        (TensorProto.DOUBLE, "double_data", 108),
        (TensorProto.COMPLEX64, "float_data", 216),
        (TensorProto.INT4, "int32_data", 54),
    ],
)
def test_typed_data_is_counted_as_onnx_does(kind: int, field: str, count: int) -> None:
    for off in (0, 1):
        model = network()
        weight(model).data_type = kind
        typed(field, count - off)(model)
        if off:
            with pytest.raises(FileError, match=f"needs {count} in {field}"):
                check(model)
        else:
            check(model)


def test_what_exporters_write_is_accepted() -> None:
    """Nodes in any order, weights that are inputs, empty weights, optional inputs left out."""
    model = network()
    first = onnx.NodeProto()
    first.CopyFrom(node(model, 0))
    del model.graph.node[0]
    model.graph.node.append(first)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3]))
    model.graph.initializer.append(TensorProto(name="none", dims=[0, 5], data_type=1))
    clip = helper.make_node("Clip", ["b", "", "none"], ["clipped"])
    model.graph.node.append(clip)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    check(model)


def test_branches_of_an_if_may_share_names_but_not_with_what_is_around_them() -> None:
    def branch(name: str) -> onnx.GraphProto:
        result = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        return helper.make_graph([helper.make_node("Relu", ["b"], [name])], "branch", [], result)

    for name, message in (("inner", None), ("a", "two values are named 'a'")):
        model = network()
        model.graph.input.append(helper.make_tensor_value_info("p", TensorProto.BOOL, []))
        both = {"then_branch": branch(name), "else_branch": branch(name)}
        model.graph.node.append(helper.make_node("If", ["p"], ["chosen"], **both))
        if message is None:
            check(model)
        else:
            with pytest.raises(ModelError, match=message):
                check(model)


def outside(location: str, offset: str = "0", length: str = "432") -> onnx.ModelProto:
    model = network()
    weight(model).ClearField("raw_data")
    weight(model).data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        weight(model).external_data.add(key=key, value=value)
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `model` of 432 bytes and of links, next to a file that is none of its business."""
    (tmp_path / "secret").write_bytes(bytes(432))
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "w.bin").write_bytes(bytes(432))
    (inside / "sub").mkdir()
    (inside / "sub" / "w.bin").write_bytes(bytes(432))
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "up").symlink_to(tmp_path)
    (inside / "near").symlink_to("w.bin")
    (inside / "round").symlink_to("round")
    return inside


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin", "./w.bin", "near"])
def test_weights_next_to_the_model_are_accepted(folder: Path, location: str) -> None:
    check(outside(location), folder)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("{folder}/w.bin", "outside of the model's folder"),
        ("/etc/passwd", "outside of the model's folder"),
        ("../secret", "outside of the model's folder"),
        ("sub/../w.bin", "outside of the model's folder"),
        ("link", "outside of the model's folder"),
        ("up/secret", "outside of the model's folder"),
        ("w\0.bin", "null byte"),
        ("", "outside of the model's folder"),
        ("none.bin", "'none.bin', which is missing"),
        ("x" * 5000, "File name too long"),
        ("round", "[Ss]ymlink loop|levels of symbolic"),
        ("sub", "'sub', which is no file"),
    ],
)
def test_other_places_are_never_opened(folder: Path, location: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        check(outside(location.format(folder=folder)), folder)


@pytest.mark.parametrize(
    ("offset", "length", "message"),
    [
        ("1", "432", r"w\.bin is too short for weight 'w'"),
        ("9223372036854775807", "432", "is too short"),
        ("0", "431", r"needs 432 bytes, the file has 431"),
        ("0", "9223372036854775807", "needs 432 bytes"),
        ("-1", "432", "at '-1', which is no place"),
        ("0x10", "432", "at '0x10', which is no place"),
        ("9" * 5000, "432", "which is no place"),
        ("0", "٤٣٢", "which is no place"),
    ],
)
def test_parts_of_a_file_that_are_not_there_are_refused(
    folder: Path, offset: str, length: str, message: str
) -> None:
    with pytest.raises(FileError, match=message):
        check(outside("w.bin", offset, length), folder)


def test_one_weight_lies_in_one_place(folder: Path) -> None:
    model = outside("w.bin")
    weight(model).external_data.add(key="location", value="../secret")
    with pytest.raises(FileError, match="in two places"):
        check(model, folder)
    model = outside("w.bin")
    weight(model).data_type = TensorProto.STRING
    with pytest.raises(ModelError, match="weight 'w' is text"):
        check(model, folder)


def test_a_model_in_memory_has_no_folder() -> None:
    with pytest.raises(FileError, match=r"'w\.bin' and was not loaded: give the path"):
        check(outside("w.bin"))

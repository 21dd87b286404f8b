"""Ways to damage a model, each by one small change at a place that chance chooses."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.helper

Mutation = Callable[[onnx.ModelProto, Random], None]

SIZES = (0, 1, 2, 3, 7, 64, -1, -2, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, 0.5, 1e-45, 3e38, float("nan"), float("inf"), float("-inf"))
OPS = (
    "Relu", "Conv", "Gemm", "MatMul", "Add", "Concat", "Reshape", "Flatten", "Identity", "Slice",
    "Pad", "Expand", "Tile", "Range", "ConstantOfShape", "Resize", "Shape", "Gather", "Transpose",
    "Loop", "If", "NonZero", "Cast", "BatchNormalization", "GlobalAveragePool", "MaxPool", "Sum",
    "ReduceMean", "Softmax", "Squeeze", "Unsqueeze", "Split", "Dropout", "Clip", "TopK", "OneHot",
    "Constant", "CastLike", "QuantizeLinear", "DequantizeLinear", "GroupNormalization", "Where",
    "InstanceNormalization", "Einsum", "SequenceEmpty", "RandomNormal", "StringNormalizer", "LSTM",
    "Twist", "",
)  # fmt: skip


def damage(model: onnx.ModelProto, chance: Random) -> None:
    """Changes a model in one to four places."""
    if chance.random() < 0.3:
        chance.choice(SHALLOW)(model, chance)
    else:
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            chance.choice(DEEP)(model, chance)


def drop_node(model: onnx.ModelProto, chance: Random) -> None:
    if model.graph.node:
        del model.graph.node[chance.randrange(len(model.graph.node))]


def repeat_node(model: onnx.ModelProto, chance: Random) -> None:
    node = _one(model.graph.node, chance)
    if node is not None:
        copy = model.graph.node.add()
        copy.CopyFrom(node)
        if chance.random() < 0.7:
            copy.output[:] = [f"{name}.again" for name in copy.output]


def skip_node(model: onnx.ModelProto, chance: Random) -> None:
    """Removes a node; what read its result reads its input."""
    node = _one([n for n in model.graph.node if n.input and n.output], chance)
    if node is not None:
        for reader in model.graph.node:
            reader.input[:] = [node.input[0] if v == node.output[0] else v for v in reader.input]
        model.graph.node.remove(node)


def bridge_node(model: onnx.ModelProto, chance: Random) -> None:
    """A node of any op, well-formed by itself, between a value and one that reads it."""
    reader = _one([n for n in model.graph.node if n.input], chance)
    op = chance.choice(OPS)
    if reader is None or not onnx.defs.has(op):
        return
    schema = onnx.defs.get_schema(op, 18)
    place = chance.randrange(len(reader.input))
    count = chance.randint(schema.min_input, min(schema.max_input, 5))
    inputs = [reader.input[place], *chance.choices(_names(model)[:-1], k=max(count - 1, 0))]
    made = onnx.helper.make_node(op, inputs[:count], [f"bridge{chance.random()}"], "bridge")
    for name, attribute in schema.attributes.items():
        if attribute.required or chance.random() < 0.3:
            kind = onnx.AttributeProto.AttributeType.Name(attribute.type.value)
            made.attribute.append(onnx.helper.make_attribute(name, _of_kind(kind, chance)))
    model.graph.node.insert(list(model.graph.node).index(reader), made)
    reader.input[place] = made.output[0]


def rename_node(model: onnx.ModelProto, chance: Random) -> None:
    node = _one(model.graph.node, chance)
    if node is not None:
        node.name = chance.choice(("", "x", "a\nb", "../../up", "\0", "né", "layer1", "9" * 999))


def rename_value(model: onnx.ModelProto, chance: Random) -> None:
    """Renames a value everywhere, sometimes to a name that is taken."""
    names = _names(model)
    old, new = chance.choice(names), chance.choice((*names, "", "a b", "é\n", "for", "input"))
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for entry in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        entry.name = new if entry.name == old else entry.name


def rewire(model: onnx.ModelProto, chance: Random) -> None:
    node = _one(model.graph.node, chance)
    if node is not None and node.input:
        node.input[chance.randrange(len(node.input))] = chance.choice((*_names(model), "", "none"))


def change_inputs(model: onnx.ModelProto, chance: Random) -> None:
    node = _one(model.graph.node, chance)
    if node is None:
        return
    if node.input and chance.random() < 0.5:
        del node.input[chance.randrange(len(node.input))]
    else:
        node.input.append(chance.choice((*_names(model), "")))


def change_outputs(model: onnx.ModelProto, chance: Random) -> None:
    node = _one(model.graph.node, chance)
    if node is not None:
        del node.output[chance.choice((0, 1)) :]
        node.output.extend(chance.sample(("extra", "more", "", "x"), chance.randrange(3)))


def change_op(model: onnx.ModelProto, chance: Random) -> None:
    node = _one(model.graph.node, chance)
    if node is not None:
        node.op_type = chance.choice(OPS)
        node.domain = chance.choice(("", "", "", "acme", "hydrafy", "com.microsoft", "ai.onnx"))
        if chance.random() < 0.5:
            del node.attribute[:]


def change_attribute(model: onnx.ModelProto, chance: Random) -> None:
    node = _one([n for n in model.graph.node if n.attribute], chance)
    if node is None:
        return
    attribute = node.attribute[chance.randrange(len(node.attribute))]
    if chance.random() < 0.2:
        node.attribute.remove(attribute)
    elif chance.random() < 0.2:
        attribute.type = chance.choice(onnx.AttributeProto.AttributeType.values())
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = chance.choice(SIZES)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = chance.choice(FLOATS)
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = chance.choice((b"", b"same", b"\xff\xfe", b"SAME_UPPER", b"reflect"))
    elif attribute.type == onnx.AttributeProto.INTS:
        if attribute.ints and chance.random() < 0.6:
            attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(SIZES)
        else:
            attribute.ints[:] = chance.choices(SIZES, k=chance.randrange(5))
    elif attribute.type == onnx.AttributeProto.TENSOR:
        _change_tensor(attribute.t, chance)


def add_attribute(model: onnx.ModelProto, chance: Random) -> None:
    """An attribute that the op knows, mostly."""
    node = _one([n for n in model.graph.node if onnx.defs.has(n.op_type, n.domain)], chance)
    if node is not None:
        known = onnx.defs.get_schema(node.op_type, 18, node.domain).attributes
        free = set(known) - {a.name for a in node.attribute} if chance.random() < 0.9 else ()
        name = chance.choice(sorted(free) or ["odd"])
        kind = known[name].type.value if name in known else 2
        text = onnx.AttributeProto.AttributeType.Name(kind)
        node.attribute.append(onnx.helper.make_attribute(name, _of_kind(text, chance)))


def drop_weight(model: onnx.ModelProto, chance: Random) -> None:
    if model.graph.initializer:
        del model.graph.initializer[chance.randrange(len(model.graph.initializer))]


def change_weight(model: onnx.ModelProto, chance: Random) -> None:
    weight = _one(model.graph.initializer, chance)
    if weight is not None:
        _change_tensor(weight, chance)


def reshape_weight(model: onnx.ModelProto, chance: Random) -> None:
    """Another shape of as many numbers."""
    weight = _one([w for w in model.graph.initializer if w.dims], chance)
    if weight is not None:
        dims = list(weight.dims)
        chance.shuffle(dims)
        weight.dims[:] = chance.choice((dims, [1, *dims], [*dims, 1], [dims[0], *dims[1:]][::-1]))


def fill_weight(model: onnx.ModelProto, chance: Random) -> None:
    """Weights that are not numbers, or small integers that a shape is made of."""
    weight = _one([w for w in model.graph.initializer if w.HasField("raw_data")], chance)
    if weight is not None and weight.data_type in (1, 7):
        count = len(weight.raw_data) // (4 if weight.data_type == 1 else 8)
        kind, options = (np.float32, FLOATS) if weight.data_type == 1 else (np.int64, SIZES)
        weight.raw_data = np.full(count, chance.choice(options), kind).tobytes()


def drop_port(model: onnx.ModelProto, chance: Random) -> None:
    ports = chance.choice((model.graph.input, model.graph.output))
    if ports:
        del ports[chance.randrange(len(ports))]


def add_port(model: onnx.ModelProto, chance: Random) -> None:
    ports = chance.choice((model.graph.input, model.graph.output))
    dims = chance.choices((*SIZES, "N", None), k=chance.randrange(6))
    name = chance.choice((*_names(model), "new"))
    kind = chance.choice(onnx.TensorProto.DataType.values())
    port = ports.add(name=name)
    port.type.tensor_type.elem_type = kind
    for size in dims:
        _set_dim(port.type.tensor_type.shape.dim.add(), size)


def change_shape(model: onnx.ModelProto, chance: Random) -> None:
    graph = model.graph
    value = _one([*graph.input, *graph.output, *graph.value_info], chance)
    if value is None:
        return
    dims = value.type.tensor_type.shape.dim
    if chance.random() < 0.2:
        value.type.tensor_type.elem_type = chance.choice(onnx.TensorProto.DataType.values())
    elif chance.random() < 0.2:
        value.type.ClearField("tensor_type")
    elif dims and chance.random() < 0.8:
        _set_dim(dims[chance.randrange(len(dims))], chance.choice((*SIZES, "M", None)))
    else:
        _set_dim(dims.add(), chance.choice((*SIZES, "M", None)))


def change_version(model: onnx.ModelProto, chance: Random) -> None:
    if chance.random() < 0.2:
        model.ir_version = chance.choice(SIZES[:10])
    elif chance.random() < 0.3 or not model.opset_import:
        model.opset_import.add(domain=chance.choice(("", "acme")), version=chance.randrange(30))
    else:
        model.opset_import[0].version = chance.choice((*range(1, 30), -1, 2**40))


def change_manifest(model: onnx.ModelProto, chance: Random) -> None:
    for entry in model.metadata_props:
        text = list(entry.value)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(text) or 1)
            text[place : place + chance.randrange(9)] = chance.choice(("", "9", "[", '"', "null"))
        entry.value = "".join(text)


def call_function(model: onnx.ModelProto, chance: Random) -> None:
    """Moves an op into a function, which may call itself."""
    node = _one([n for n in model.graph.node if n.input and n.output], chance)
    if node is not None:
        body = onnx.NodeProto()
        body.CopyFrom(node)
        opsets = [
            onnx.helper.make_opsetid("", chance.choice((9, *[model.opset_import[0].version] * 5)))
        ]
        if chance.random() < 0.1:
            body.domain, body.op_type = "pkg", "Moved"
        inputs = list(dict.fromkeys(filter(None, node.input)))
        moved = onnx.helper.make_function("pkg", "Moved", inputs, node.output, [body], opsets)
        model.functions.append(moved)
        model.opset_import.add(domain="pkg", version=1)
        node.domain, node.op_type, node.input[:] = "pkg", "Moved", inputs
        del node.attribute[:]


def move_out(model: onnx.ModelProto, chance: Random) -> None:
    """Says that a weight lies in another file."""
    weight = _one(model.graph.initializer, chance)
    if weight is not None:
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        places = ("/dev/zero", "../x", "x.bin", "", "/etc/passwd", ".", "source.onnx")
        weight.external_data.add(key="location", value=chance.choice(places))
        weight.external_data.add(key="offset", value=str(chance.choice(SIZES)))


def nest(model: onnx.ModelProto, chance: Random) -> None:
    """Hides a node in the branches of an If, or of one If in another."""
    node = _one([n for n in model.graph.node if n.output], chance)
    if node is None:
        return
    flag = onnx.helper.make_tensor(f"flag{chance.random()}", onnx.TensorProto.BOOL, [], [1])
    model.graph.initializer.append(flag)
    for _ in range(chance.choice((1, 2, 25))):
        ports = [onnx.ValueInfoProto(name=name) for name in node.output]
        graph = onnx.helper.make_graph([node], "branch", [], ports)
        empty = onnx.helper.make_graph([], "empty", [], ports)
        outer = onnx.helper.make_node(
            "If", [flag.name], [f"{name}.out" for name in node.output],
            then_branch=graph, else_branch=empty,
        )  # fmt: skip
        names = dict(zip(node.output, outer.output, strict=True))
        for reader in model.graph.node:
            reader.input[:] = [names.get(name, name) for name in reader.input]
        place = list(model.graph.node).index(node) if node in model.graph.node else 0
        model.graph.node[place].CopyFrom(outer)
        node = model.graph.node[place]


SHALLOW: Sequence[Mutation] = (
    drop_node, repeat_node, rename_value, rewire, change_inputs, change_outputs, drop_weight,
    change_weight, drop_port, add_port, change_version, change_manifest, move_out, change_op,
)  # fmt: skip
"""What the first look at a model mostly notices."""

DEEP: Sequence[Mutation] = (
    skip_node, bridge_node, bridge_node, bridge_node, rename_node, change_attribute,
    change_attribute, change_attribute, add_attribute, reshape_weight, fill_weight, change_shape,
    call_function, nest,
)  # fmt: skip
"""What leaves models that are whole as far as ONNX can tell."""


def damage_bytes(content: bytes, chance: Random) -> bytes:
    """Changes a file without a look at what it means."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3, 30))):
        place = chance.randrange(len(changed) or 1)
        how = chance.randrange(5)
        if how == 0:
            changed[place : place + 1] = bytes([chance.randrange(256)])
        elif how == 1:
            del changed[place : place + chance.choice((1, 4, 100))]
        elif how == 2:
            changed[place:place] = chance.randbytes(chance.choice((1, 4, 100)))
        elif how == 3:
            start = chance.randrange(len(changed) or 1)
            changed[place:place] = changed[start : start + chance.choice((8, 200, 4000))]
        else:
            del changed[place:]
    return bytes(changed)


def _change_tensor(tensor: onnx.TensorProto, chance: Random) -> None:
    how = chance.randrange(4)
    if how == 0:
        tensor.data_type = chance.choice(onnx.TensorProto.DataType.values())
    elif how == 1 and tensor.dims:
        tensor.dims[chance.randrange(len(tensor.dims))] = chance.choice(SIZES)
    elif how == 2:
        tensor.dims.append(chance.choice(SIZES))
    else:
        tensor.raw_data = tensor.raw_data[: chance.randrange(len(tensor.raw_data) + 1)]


def _of_kind(kind: str, chance: Random) -> Any:
    """A value for an attribute of a kind."""
    sizes = (*SIZES, 1, 1, 1, 2, 2, 3)
    if kind == "INTS":
        return chance.choices(sizes, k=chance.choice((1, 2, 2, 4, 4, 5)))
    if kind == "FLOAT":
        return chance.choice(FLOATS)
    if kind == "FLOATS":
        return chance.choices(FLOATS, k=2)
    if kind == "STRING":
        return chance.choice(("SAME_UPPER", "VALID", "reflect", "linear", "", "ij,jk->ik"))
    if kind == "STRINGS":
        return ["text", ""]
    if kind == "TENSOR":
        shape = [1] * chance.randrange(3)
        return onnx.helper.make_tensor("value", 7, shape, [chance.choice(sizes)])
    if kind == "GRAPH":
        return onnx.GraphProto(name="empty")
    return chance.choice(sizes)


def _names(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    computed = [name for node in graph.node for name in node.output]
    return [*computed, *(entry.name for entry in (*graph.initializer, *graph.input)), "none"]


def _one(entries: Sequence[Any], chance: Random) -> Any:
    return entries[chance.randrange(len(entries))] if len(entries) else None


def _set_dim(dim: onnx.TensorShapeProto.Dimension, size: int | str | None) -> None:
    dim.Clear()
    if isinstance(size, int):
        dim.dim_value = size
    elif size is not None:
        dim.dim_param = size

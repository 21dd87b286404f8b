import copy
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import fx, nn

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.passes import base, normalise
from hydrafy.train.exporter import from_torch
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, dynamic, images


@pytest.mark.parametrize("name", ["resnet20_cifar10", "micronet_v2_pr60_cifar100"])
def test_a_pretrained_network_computes_in_torch_what_it_does_in_onnxruntime(
    data: Path, name: str
) -> None:
    program = base.run(Program.load(data / "models" / f"{name}.onnx"), normalise.pipeline())
    program.data_inputs[0].name = "x"
    agree(program, sizes=(0, 1, 3))


@pytest.mark.parametrize("tau", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_dynamic_program_computes_in_eval_mode_what_onnxruntime_does(k: int, tau: float) -> None:
    agree(dynamic(k=k, tau=tau), sizes=(0, 1, 2, 9))


def test_predictions_come_first_in_both_modes() -> None:
    program = dynamic()
    module, x = to_torch(program), torch.from_numpy(images(program, 4))
    order = ["head.fc", "picked", "gate.fc", *(f"branches.{b}.fc" for b in range(3))]
    assert list(module.train()(x)) == order
    assert list(module.eval()(x)) == order


def test_parameters_and_buffers_have_the_initializers_names() -> None:
    program = dynamic()
    module = to_torch(program)
    weights = {n for n, v in program.graph.initializers.items() if v.const_value.numpy().ndim}
    statistics = {n for n in weights if "running" in n}
    buffers = {n for n, _ in module.named_buffers() if not n.endswith("num_batches_tracked")}
    assert {n for n, _ in module.named_parameters()} == weights - statistics - {"tau"}
    assert buffers == statistics | {"tau"}
    for name in weights:
        np.testing.assert_array_equal(module.state_dict()[name].numpy(), program.weight(name))


def test_there_is_one_fx_node_for_each_onnx_node() -> None:
    program = dynamic()
    module = to_torch(program)
    calls = [n for n in module.graph.nodes if n.op in ("call_module", "call_function")]
    assert len(calls) == len(list(program.graph))
    assert isinstance(module.get_submodule("branches.0.conv"), nn.Conv2d)
    assert isinstance(module.get_submodule("stem.bn"), nn.BatchNorm2d)
    module.graph.lint()


def test_training_the_module_does_not_change_the_program() -> None:
    program = dynamic()
    before = program.weight("head.fc.bias").copy()
    module = to_torch(program)
    with torch.no_grad():
        module.get_parameter("head.fc.bias").add_(1)
    np.testing.assert_array_equal(program.weight("head.fc.bias"), before)


def test_torchs_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    to_torch(dynamic())
    assert torch.equal(torch.get_rng_state(), before)


def pickled(module: fx.GraphModule) -> fx.GraphModule:
    return pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled, lambda m: pickled(pickled(m))])
def test_a_copy_computes_the_same_and_still_knows_its_program(
    duplicate: Callable[[fx.GraphModule], fx.GraphModule],
) -> None:
    program = dynamic(tau=0.3)
    module = to_torch(program).eval()
    twin = duplicate(module)
    agree(program, module=twin)
    with torch.no_grad():
        twin.get_parameter("head.fc.bias").zero_()
    assert (from_torch(twin).weight("head.fc.bias") == 0).all()
    assert (from_torch(module).weight("head.fc.bias") != 0).all()


def test_it_compiles_as_one_graph() -> None:
    program = dynamic(k=2)
    module = to_torch(program).eval()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    x = torch.from_numpy(images(program, 4))
    torch.testing.assert_close(compiled(x)["head.fc"], module(x)["head.fc"])
    assert from_torch(compiled).manifest == program.manifest


def test_batchnorms_can_be_made_synchronous() -> None:
    program = dynamic()
    module = nn.SyncBatchNorm.convert_sync_batchnorm(to_torch(program))
    assert isinstance(module.get_submodule("stem.bn"), nn.SyncBatchNorm)
    agree(program, module=module)


@pytest.mark.parametrize(
    ("stage", "remedy"), [("source", "hydrafy.read"), ("lowered", "dynamic file")]
)
def test_only_static_and_dynamic_programs_are_taken(stage: str, remedy: str) -> None:
    program = dynamic()
    program.manifest = dataclasses.replace(program.manifest, stage=stage)
    with pytest.raises(ModelError, match=remedy):
        to_torch(program)


@pytest.mark.parametrize("name", ["input.1", "class", "im age", "0", "self", "torch", "dict"])
def test_the_input_may_have_any_name(name: str) -> None:
    s = Sketch()
    s.x.name = name
    program = s.program(s.op("Relu", [s.conv(s.x, "conv", 4, 3)], "y"))
    module = to_torch(program).eval()
    x = images(program, 2)
    wanted = Session(program).run({name: x})["y"]
    np.testing.assert_allclose(module(torch.from_numpy(x))["y"].detach(), wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["lambda", "self", "torch", "1.for", "is.0"])
def test_a_node_without_weights_may_have_any_name(name: str) -> None:
    s = Sketch()
    relu = s.op("Relu", [s.x], name)
    pool = s.op("MaxPool", [relu], f"{name}.in", kernel_shape=[2, 2])
    agree(s.program(s.conv(pool, "conv", 4, 3)))


@pytest.mark.parametrize(
    "name", ["a..b", "train", "layer.forward.weight", ".a", "lambda.weight", "a.class", "None"]
)
def test_a_name_that_torch_cannot_hold_is_refused(name: str) -> None:
    s = Sketch()
    program = s.program(s.op("Add", [s.x, s.random(name, 3, 1, 1)], "y"))
    with pytest.raises(ModelError, match="rename it"):
        to_torch(program)


def test_a_name_inside_of_another_is_refused() -> None:
    s = Sketch()
    once = s.op("Add", [s.x, s.random("a", 3, 1, 1)], "once")
    program = s.program(s.op("Add", [once, s.random("a.b", 3, 1, 1)], "y"))
    with pytest.raises(ModelError, match=r"'a\.b'.*'a'"):
        to_torch(program)


def test_an_op_outside_of_the_vocabulary_is_refused() -> None:
    s = Sketch()
    y = s.op("Exp", [s.x], "y")
    s.graph.outputs.append(y)
    with pytest.raises(ModelError, match=r"node 'y' \(Exp\)"):
        to_torch(Program(ir.Model(s.graph, ir_version=10), Manifest(stage="static")))

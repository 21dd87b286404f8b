import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.errors import ModelError
from hydrafy.ir.text import text
from hydrafy.train.exporter import from_torch
from hydrafy.train.importer import to_torch
from hydrafy.train.losses import Losses
from tests.train.programs import agree, dynamic, images


def serialised(program) -> bytes:
    return program.to_onnx().SerializeToString(deterministic=True)


def test_there_and_back_is_the_same_program() -> None:
    program = dynamic(k=2, tau=0.1)
    back = from_torch(to_torch(program))
    assert text(back) == text(program)
    assert serialised(back) == serialised(program)


def test_after_a_training_step_the_program_has_the_modules_weights() -> None:
    program = dynamic(k=2)
    module, losses = to_torch(program), Losses.of(program)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    x, labels = torch.from_numpy(images(program, 12)), torch.arange(12) % 6
    losses.total(losses(module(x), labels)).backward()
    optimiser.step()
    module.tau.fill_(0.25)
    trained = from_torch(module)
    for name, parameter in module.named_parameters():
        assert np.array_equal(trained.weight(name), parameter.detach().numpy()), name
        assert not np.array_equal(trained.weight(name), program.weight(name)), name
    assert not np.array_equal(
        trained.weight("stem.bn.running_mean"), program.weight("stem.bn.running_mean")
    )
    assert trained.weight("tau") == np.float32(0.25)
    assert program.weight("tau") == 0
    agree(trained, module=module)


def test_training_goes_on_without_changing_what_was_taken() -> None:
    module = to_torch(dynamic())
    taken = from_torch(module)
    before = taken.weight("head.fc.bias").copy()
    with torch.no_grad():
        module.get_parameter("head.fc.bias").add_(1)
    np.testing.assert_array_equal(taken.weight("head.fc.bias"), before)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_the_program_keeps_its_types(kind: torch.dtype) -> None:
    trained = from_torch(to_torch(dynamic()).to(kind))
    assert trained.weight("head.fc.weight").dtype == np.float32
    agree(trained)


def test_a_run_time_input_may_come_back_in_another_shape() -> None:
    program = dynamic()
    program.graph.initializers["tau"].shape = type(program.data_inputs[0].shape)(["n", "gates"])
    module = to_torch(program)
    module.tau = torch.full((1, 3), 0.2)
    agree(from_torch(module))


def test_a_module_from_elsewhere_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Linear was not made by hydrafy\.to_torch"):
        from_torch(nn.Linear(2, 2))


def test_a_weight_that_was_replaced_is_named() -> None:
    module = to_torch(dynamic())
    module.get_submodule("head").fc = nn.Linear(8, 4)
    with pytest.raises(ModelError, match=r"'head.fc.weight' has the shape \[4, 8\]"):
        from_torch(module)
    module.get_submodule("head").fc = nn.Identity()
    with pytest.raises(ModelError, match=r"lost its weight 'head.fc.weight'"):
        from_torch(module)

import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, single


@pytest.mark.parametrize("to", [1, 6, 7, 9, 10, 11])
def test_cast_agrees_with_onnxruntime(to: int) -> None:
    agree(single("Cast", (3, 4), to=to))


def test_identity() -> None:
    agree(single("Identity", (3, 4)))


def test_a_type_that_torch_lacks_is_refused() -> None:
    s = Sketch()
    with pytest.raises(ModelError, match="STRING"):
        to_torch(s.program(s.op("Cast", [s.x], "y", to=8)))

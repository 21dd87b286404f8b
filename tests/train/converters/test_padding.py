import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import agree, single


@pytest.mark.parametrize(
    ("pads", "rest"),
    [
        ([0, 0, 1, 2, 0, 0, 3, 0], ()),
        ([0, 2, 0, 0, 0, 1, 0, 0], (np.float32(1.5),)),
        ([0, 0, 1, 0, 0, 0, -1, 0], ()),
        ([1, 2, 0, 1], (np.float32(0.5), np.array([3, -3]))),
        ([2, 2], (None, np.array([1]))),
    ],
)
def test_pad_by_a_constant_agrees_with_onnxruntime(pads: list, rest: tuple) -> None:
    constants = [v if v is None else np.asarray(v) for v in rest]
    agree(single("Pad", (3, 5, 4), np.array(pads), *constants))


@pytest.mark.parametrize(("mode", "opset"), [("reflect", 18), ("edge", 18), ("wrap", 19)])
def test_pad_by_what_is_there_agrees_with_onnxruntime(mode: str, opset: int) -> None:
    pads = np.array([0, 0, 1, 2, 0, 0, 3, 0])
    agree(single("Pad", (3, 5, 4), pads, mode=mode, opset=opset), sizes=(1, 5))


def test_channels_are_not_reflected() -> None:
    program = single("Pad", (3, 5, 4), np.array([0, 1, 0, 0, 0, 0, 0, 0]), mode="reflect")
    with pytest.raises(ModelError, match="spatial axes only"):
        to_torch(program)

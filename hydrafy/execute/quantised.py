"""onnxruntime's own static quantisation of a model, its ranges measured on given inputs."""

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx

from hydrafy.ir.program import Program

Feeds = Mapping[str, np.ndarray]


class _Reader:
    """Inputs one after the other, as the calibrator asks for them."""

    def __init__(self, feeds: Iterable[Feeds]) -> None:
        self._coming = iter(feeds)

    def get_next(self) -> Feeds | None:
        return next(self._coming, None)


def quantised(program: Program, feeds: Iterable[Feeds], kept: Collection[str]) -> onnx.ModelProto:
    """The model with QuantizeLinear and DequantizeLinear around each op that has an int8 kernel.

    Activations are uint8, weights int8 by channel; ranges are the extremes that were seen.

    Args:
        program: its inputs that have a default lose it, so that ranges are measured as they vary.
        feeds: arrays for all inputs, those with a default included.
        kept: names of nodes that stay float32.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    proto = program.to_onnx()
    given = {value.name for value in proto.graph.input}
    defaults = [tensor for tensor in proto.graph.initializer if tensor.name in given]
    for tensor in defaults:
        proto.graph.initializer.remove(tensor)
    with tempfile.TemporaryDirectory(prefix="hydrafy-") as folder, _quiet():
        file = Path(folder) / "quantised.onnx"
        quantize_static(
            proto,
            file,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(kept),
        )
        found = onnx.load(file)
    found.graph.initializer.extend(defaults)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises through the root logger to simplify the model, which is done here."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)

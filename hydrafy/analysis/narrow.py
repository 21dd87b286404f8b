"""What a narrow copy of a part of a network will cost, before it is made."""

import math
from collections.abc import Iterable, Mapping

import onnx_ir as ir

from hydrafy.analysis.channels import Kept
from hydrafy.analysis.cost import macs
from hydrafy.analysis.layers import channels, is_channel_pad, is_full
from hydrafy.analysis.pooling import Size
from hydrafy.ir.values import dims


def narrowed_macs(
    nodes: Iterable[ir.Node],
    entry: ir.Value,
    kept: Kept,
    sizes: Mapping[ir.Value, Size] | None = None,
) -> int:
    """MACs for one image of the nodes after narrowing, as `passes.template` does it.

    Args:
        nodes: what is copied.
        entry: the cut that they start from.
        kept: the channels that stay.
        sizes: height and width of the copies' images, where they are not those of the originals.
    """
    total = 0
    for node in nodes:
        full, source, out = macs(node), node.inputs[0], node.outputs[0]
        if source is not None and is_channel_pad(node) and len(kept[out]) < channels(out):
            have = channels(source) if source is entry else len(kept[source])
            total += have * len(kept[out]) * _positions(out, sizes)
            continue
        if not full or node.op_type != "Conv" or source is None:
            total += full
            continue
        share = len(kept[out]) / channels(out)
        if is_full(node) and source is not entry:
            share *= len(kept[source]) / channels(source)
        share *= _positions(out, sizes) / _positions(out)
        total += round(full * share)
    return total


def _positions(image: ir.Value, sizes: Mapping[ir.Value, Size] | None = None) -> int:
    return math.prod(dims(image)[1:] if sizes is None else sizes[image])

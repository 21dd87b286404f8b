"""What a narrow copy of a part of a network will cost, before it is made."""

import math
from collections.abc import Iterable

import onnx_ir as ir

from hydrafy.analysis.channels import Kept
from hydrafy.analysis.cost import macs
from hydrafy.analysis.layers import channels, is_channel_pad, is_full
from hydrafy.ir.values import dims


def narrowed_macs(nodes: Iterable[ir.Node], entry: ir.Value, kept: Kept, pool: int = 1) -> int:
    """MACs for one image of the nodes after narrowing, as `passes.template` does it.

    Args:
        nodes: what is copied.
        entry: the cut that they start from.
        kept: the channels that stay.
        pool: the copy reads the entry averaged over squares of this size. Sizes of later values
            follow as behind convolutions that are padded to keep, or to divide, their input.
    """
    total = 0
    for node in nodes:
        full, source, out = macs(node), node.inputs[0], node.outputs[0]
        if source is not None and is_channel_pad(node) and len(kept[out]) < channels(out):
            have = channels(source) if source is entry else len(kept[source])
            total += have * len(kept[out]) * math.prod(_pooled(out, entry, pool))
            continue
        if not full or node.op_type != "Conv" or source is None:
            total += full
            continue
        share = len(kept[out]) / channels(out)
        if is_full(node) and source is not entry:
            share *= len(kept[source]) / channels(source)
        share *= math.prod(_pooled(out, entry, pool)) / math.prod(dims(out)[1:])
        total += round(full * share)
    return total


def _pooled(value: ir.Value, entry: ir.Value, pool: int) -> list[int]:
    """Height and width of a value when its distant entry is pooled."""
    sizes = zip(dims(entry)[1:], dims(value)[1:], strict=True)
    return [math.ceil((whole // pool) / math.ceil(whole / size)) for whole, size in sizes]

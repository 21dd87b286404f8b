"""Inserts the branches: narrow copies of the tail, each behind a Select, and their sum."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hydrafy.analysis.channels import coupling, keep
from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.cuts import between
from hydrafy.analysis.layers import channels
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, Rate
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.classifier import classify
from hydrafy.passes.parts import in_part
from hydrafy.passes.template import Template

SUM = "branches.sum"


@dataclass(frozen=True)
class InsertBranches(Pass):
    """Copies the tail `count` times and sums, for each sample, the copies that were picked.

    A narrowed copy ends in a 1x1 projection back to the source's channels, which starts by
    putting each kept channel in its old place; at width 1 there is none. Each branch also gets a
    classifier of its own for training. (HydraNets, Section 3 and eq. 1; DynK, Section 3.3.)

    Args:
        entry: the cut before the tail.
        features: the cut behind it.
        picked: a bool value [N, count].
        count: the number of branches.
        width: relative width of the copies (w_b).
        share: how often a branch is expected to run.
    """

    name: ClassVar[str] = "insert-branches"
    entry: str
    features: str
    picked: str
    count: int
    width: float
    share: float

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        values = program.values()
        entry, features, picked = (values[n] for n in (self.entry, self.features, self.picked))
        nodes = between(entry, features)
        kept = keep(coupling(nodes, entry), self.width)
        template = Template(nodes, entry, kept)
        last = classifier(program, features)
        nothing = build.weight(graph, "nothing", np.zeros((), np.float32))
        projection = _projection(kept[features], channels(features))
        selected, outputs, rates = [], [], []
        for branch in range(self.count):
            part = f"branches.{branch}"
            result = template.stamp(graph, functools.partial(in_part, part))[features]
            if projection is not None:
                weight = build.weight(graph, f"{part}.projection.weight", projection)
                back = build.op("Conv", [result, weight], f"{part}.projection", kernel_shape=[1, 1])
                graph.append(back)
                result = back.outputs[0]
            outputs.append(classify(graph, result, last.rows, last.bias, part))
            index = build.weight(graph, f"{part}.index", np.array(branch, np.int64))
            pred = build.op("Gather", [picked, index], f"{part}.picked", axis=1)
            select = build.op(
                "Select",
                [pred.outputs[0], result, nothing],
                f"{part}.selected",
                domain=ops.DOMAIN,
                gradient="none",
            )
            graph.extend([pred, select])
            selected.append(select.outputs[0])
            rates.append(Rate(pred.outputs[0].name or "", self.share))
        graph.append(build.op("Sum", selected, SUM))
        graph.outputs.extend(outputs)
        manifest = program.manifest
        program.manifest = dataclasses.replace(
            manifest,
            outputs=(*manifest.outputs, *(Output(v.name or "", "training") for v in outputs)),
            rates=(*manifest.rates, *rates),
        )
        return [f"{self.count} branches of width {self.width:g} behind {features.name!r}"]


def _projection(kept: np.ndarray, channels: int) -> np.ndarray | None:
    if len(kept) == channels:
        return None
    return np.ascontiguousarray(np.eye(channels, dtype=np.float32)[:, kept, None, None])

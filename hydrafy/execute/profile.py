"""Profiles: what onnxruntime ran, node by node, in which regions, and how long each node took."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy.execute.session import Model, Session

SUFFIX = "_kernel_time"
RUN = "model_run"
CONTROL = ("If", "Loop", "Scan")


@dataclass(frozen=True)
class Event:
    """One node of one run.

    Attributes:
        name: of the node, as onnxruntime's optimiser left it.
        op: its operator.
        microseconds: that it took itself: of an If, until its first node began and from when its
            last one ended.
        regions: the nodes with control flow that it ran inside of, the outermost first.
        inputs: shapes; constants that were packed or folded may be missing.
        outputs: shapes.
    """

    name: str
    op: str
    microseconds: float
    regions: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Trace:
    """One run: how long it took as a whole, in microseconds, and its nodes."""

    microseconds: float
    events: tuple[Event, ...]


def profile(
    model: Model,
    feeds: Iterable[Mapping[str, np.ndarray]],
    *,
    threads: int = 1,
    outputs: Sequence[str] | None = None,
) -> list[Trace]:
    """Runs a model on each of some feeds, profiled.

    onnxruntime's clock has a resolution of one microsecond and rounds down, and the profiling
    itself costs about one for each node: use shares rather than sums.

    Args:
        model: what to run.
        feeds: of each run.
        threads: of onnxruntime within a node.
        outputs: the wanted outputs; all of them where none is named.

    Raises:
        ModelError: onnxruntime cannot load or run the model.
    """
    with tempfile.TemporaryDirectory(prefix="hydrafy-") as folder:
        session = Session(model, threads=threads, profile=str(Path(folder) / "profile"))
        for given in feeds:
            session.run(given, outputs)
        found = json.loads(session.stop().read_text())
    timed = sorted((one for one in found if one.get("ph") == "X"), key=lambda one: one["ts"])
    runs = [one for one in timed if one["name"] == RUN]
    nodes = [one for one in timed if one["cat"] == "Node" and one["name"].endswith(SUFFIX)]
    return [Trace(run["dur"], tuple(_events([n for n in nodes if _holds(run, n)]))) for run in runs]


def _holds(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    """Whether one thing went on during another; ends are less exact than beginnings."""
    return bool(outer["ts"] <= inner["ts"] < outer["ts"] + outer["dur"])


def _events(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    """The events of one run; what began within the time of an If ran inside of it."""
    begun: dict[int, float] = {}
    ended: dict[int, float] = {}
    inside: list[tuple[str, ...]] = [()] * len(nodes)
    around: list[int] = []
    for i in sorted(range(len(nodes)), key=lambda i: (nodes[i]["ts"], -nodes[i]["dur"])):
        while around and not _holds(nodes[around[-1]], nodes[i]):
            around.pop()
        inside[i] = tuple(_name(nodes[j]) for j in around)
        if around:
            begun.setdefault(around[-1], nodes[i]["ts"])
            ended[around[-1]] = nodes[i]["ts"] + nodes[i]["dur"]
        if nodes[i]["args"]["op_name"] in CONTROL:
            around.append(i)
    for i, (node, regions) in enumerate(zip(nodes, inside, strict=True)):
        given, spent = node["args"], node["dur"] - (ended.get(i, 0.0) - begun.get(i, 0.0))
        inputs, outputs = (_shapes(given[f"{side}_type_shape"]) for side in ("input", "output"))
        yield Event(_name(node), given["op_name"], max(spent, 0.0), regions, inputs, outputs)


def _name(node: Mapping[str, Any]) -> str:
    return str(node["name"]).removesuffix(SUFFIX)


def _shapes(given: Sequence[Mapping[str, Sequence[int]]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(shape) for one in given for shape in one.values())

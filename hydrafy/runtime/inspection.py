"""What is told of a file: ports, parts, stages and blocks, places to split, regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydrafy.analysis.predication.regions import Region
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime.foresee import Foreseen


@dataclass(frozen=True)
class Port:
    """A graph input or output, and what it is for.

    The role of an input is `images`; of several answers of a static network the last one is the
    `prediction`, and each that comes before it an `early answer`.
    """

    name: str
    role: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Setting:
    """A run-time input: an initializer that a caller may override on every call.

    `steps` are the values from which on more of the network runs, where they are known.
    """

    name: str
    shape: tuple[int, ...]
    default: Any
    range: tuple[float, float]
    neutral: float | None
    meaning: str
    steps: tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """Nodes that belong together: MACs for one image if all run, and the expected ones.

    `activations` are the bytes of all that the nodes compute for one image.
    """

    name: str
    nodes: int
    macs: int
    macs_active: int
    parameters: int
    activations: int


@dataclass(frozen=True)
class Block:
    """A block of a static network, and the shape (C, H, W) of its result.

    Its `kind` is identity, projection, dense, plain or branchy, or it is a transition between two
    stages. `non_negative` tells whether its input provably never is below zero.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    nodes: int
    macs: int
    parameters: int
    activations: int
    non_negative: bool


@dataclass(frozen=True)
class Stage:
    """A run of blocks whose results have one shape (C, H, W); of dense blocks, one size (H, W)."""

    name: str
    shape: tuple[int, ...]
    macs: int
    parameters: int
    activations: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Split:
    """A place for a recipe: expected MACs for one image at default options, or why not there."""

    name: str
    recipe: str
    macs: int | None
    share: float | None
    refusal: str | None


@dataclass(frozen=True)
class Inspection:
    """What a file holds.

    Attributes:
        stage: `static`, `dynamic` or `lowered`.
        options: of the recipe; thresholds are those that the file holds now, one for each column
            where they differ.
        parameters: trainable numbers (weights, biases, scales and shifts).
        macs: of the whole graph, for one image.
        macs_active: for one image when as much runs as the recipe's options take, or the given
            rates; None for a static file.
        milliseconds: foreseen for one image alone on one thread, with those rates; None of a
            network that is not in float32.
        machine: for which that is foreseen.
        foreseen: more of it, for a dynamic or lowered file; its source is what lies beside it.
        activations: bytes of all results that are computed for one image if nothing is skipped.
        no_split: why the file can be split nowhere.
    """

    file: str
    stage: str
    source: str
    recipe: str | None
    options: Mapping[str, Any]
    parameters: int
    macs: int
    macs_active: int | None
    milliseconds: float | None
    machine: str
    foreseen: Foreseen | None
    bytes: int
    activations: int
    normalisation: Normalisation | None
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    runtime_inputs: tuple[Setting, ...]
    parts: tuple[Part, ...]
    stages: tuple[Stage, ...]
    splits: tuple[Split, ...]
    no_split: str | None
    regions: tuple[Region, ...]

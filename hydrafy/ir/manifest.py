"""The manifest: what a file says of itself beyond its graph, as JSON in the model's metadata.

It travels in the file, so that fine-tuning, lowering and running need no other.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hydrafy.errors import FileError
from hydrafy.ir.jsonable import jsonable

KEY = "hydrafy"
FORMAT = 1

Stage = Literal["source", "static", "dynamic", "regions", "lowered"]
Role = Literal["prediction", "decision", "training"]
Target = Literal["portable", "native", "dense"]
Precision = Literal["float32", "float16", "int8"]


@dataclass(frozen=True)
class Output:
    """A graph output and what it is for.

    Roles: `prediction` is what the source computed, `decision` a bool [N, choices] that says what
    ran for each sample, `training` feeds a loss term only and is dropped by lowering.
    """

    name: str
    role: Role


@dataclass(frozen=True)
class RuntimeInput:
    """An initializer that is also a graph input, so that a caller may override it on every call.

    `neutral` is the value at which the network computes what its source computed; None where no
    such value is needed or exists. Range: `minimum` to `maximum`, both included. Where `noise` is
    set it is a bound on probabilities: fed with uniform noise, a number for each image and each
    column of its default [1, columns], it makes every gate open by chance, as in training. `steps`
    are values, ascending, from which on more of the network runs, where they are known.
    """

    name: str
    minimum: float
    maximum: float
    neutral: float | None
    meaning: str
    noise: bool = False
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class LossTerm:
    """One term of the training loss, as data: `weight` times what its kind makes of an output.

    `kind` names a file of `hydrafy.train.losses`, which also says what `settings` there are: plain
    JSON values.
    """

    name: str
    output: str
    weight: float
    kind: str = "cross_entropy"
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Rate:
    """How often a predicate is expected to hold for one image: a value's name and a share."""

    predicate: str
    share: float


@dataclass(frozen=True)
class Leaving:
    """How samples leave at an exit: where a column of a decision holds, or where it does not."""

    decision: str
    column: int
    leaves: bool


@dataclass(frozen=True)
class Entry:
    """What one pass did: a sentence for each change, or for each site that it refused."""

    by: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """How often the decisions of a network chose in an epoch of its training, on its images.

    `number` counts from 1 in each training; `rates` has a share, of few digits, for each choice of
    each decision.
    """

    number: int
    rates: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Normalisation:
    """Per channel, `(pixel / 255 - mean) / std`: how images become the network's input."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Float32 images [..., C, H, W], their pixels scaled to 0..1 before, as the network's."""
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (self.mean, self.std))
        scaled: np.ndarray = (images - mean) / std
        return scaled


def scaled(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes as float32 from 0 to 1, [N, C, H, W] where they are that or [N, H, W, C].

    Args:
        pixels: uint8; of any other shape they are scaled only.
        shape: (C, H, W) of the network's input.
    """
    last = (*shape[1:], shape[0])
    if pixels.ndim == 4 and pixels.shape[1:] == last and pixels.shape[1:] != shape:
        pixels = pixels.transpose(0, 3, 1, 2)
    return pixels.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Machine:
    """What can run a file that holds onnxruntime's own kernels.

    Attributes:
        onnxruntime: its version; another one may store such kernels' weights in another order.
        architecture: of the processor, as Python's `platform.machine` names it.
        block: channels in a block of the blocked layout; it tells families of processors apart.
        processor: as the system names it, for the reader; others of its family will do.
    """

    onnxruntime: str
    architecture: str
    block: int
    processor: str


@dataclass(frozen=True)
class Manifest:
    """All that a program knows besides its graph.

    `target` says what a lowered program is for, `machine` where a native one runs, and `precision`
    in what the network computes; its gates, inputs and outputs are float32 always. `lowered_from`
    names the dynamic file that a lowered one was made of, without its folder. `trained` has the
    epochs of all trainings, one behind the other. `groups` are names of weights that belong
    together, so that a schedule can speak of them as `@name`. `exits` are the early ones of a
    lowered program, in the order in which samples get to them; those of a dynamic one are told by
    its graph.
    """

    stage: Stage = "source"
    source: str = ""
    source_sha256: str = ""
    recipe: str | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    runtime_inputs: tuple[RuntimeInput, ...] = ()
    losses: tuple[LossTerm, ...] = ()
    partition: tuple[tuple[int, ...], ...] = ()
    groups: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    exits: tuple[Leaving, ...] = ()
    normalisation: Normalisation | None = None
    classes: tuple[str, ...] = ()
    journal: tuple[Entry, ...] = ()
    trained: tuple[Trained, ...] = ()
    target: Target = "portable"
    machine: Machine | None = None
    precision: Precision = "float32"
    lowered_from: str = ""

    def role(self, name: str) -> Role:
        """The role of output `name`; an output that is not listed is a prediction."""
        return next((o.role for o in self.outputs if o.name == name), "prediction")

    def to_json(self) -> str:
        """The text that is stored in the model's metadata."""
        fields = {"format": FORMAT, **jsonable(self)}
        return json.dumps(fields, sort_keys=True, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> "Manifest":
        """Reads what `to_json` wrote.

        Raises:
            FileError: the text is no manifest, or one of a later format.
        """
        try:
            fields = json.loads(text)
            written = fields.pop("format")
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise FileError("the model's hydrafy manifest is damaged: convert it again") from error
        if written != FORMAT:
            raise FileError(
                f"the file's manifest has format {written}, this hydrafy reads {FORMAT}: "
                "use the hydrafy that wrote it, or convert the source again"
            )
        try:
            return _manifest(fields)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise FileError(
                f"the model's hydrafy manifest is damaged ({error}): convert it again"
            ) from error


def _manifest(fields: dict[str, Any]) -> Manifest:
    norm, machine = fields.pop("normalisation"), fields.pop("machine", None)
    for key, kind in (("stage", Stage), ("target", Target), ("precision", Precision)):
        known = get_args(kind)
        if fields.get(key, known[0]) not in known:
            raise ValueError(f"its {key} is {fields[key]!r}")
    return Manifest(
        outputs=tuple(Output(**o) for o in fields.pop("outputs")),
        runtime_inputs=tuple(_runtime_input(i) for i in fields.pop("runtime_inputs")),
        losses=tuple(LossTerm(**t) for t in fields.pop("losses")),
        partition=tuple(tuple(group) for group in fields.pop("partition")),
        groups={name: tuple(v) for name, v in fields.pop("groups", {}).items()},
        rates=tuple(Rate(**r) for r in fields.pop("rates")),
        exits=tuple(Leaving(**e) for e in fields.pop("exits", ())),
        normalisation=norm and Normalisation(tuple(norm["mean"]), tuple(norm["std"])),
        machine=machine and Machine(**machine),
        classes=tuple(fields.pop("classes")),
        journal=tuple(Entry(e["by"], tuple(e["notes"])) for e in fields.pop("journal")),
        trained=tuple(_trained(e) for e in fields.pop("trained", ())),
        **fields,
    )


def _runtime_input(fields: dict[str, Any]) -> RuntimeInput:
    return RuntimeInput(**{**fields, "steps": tuple(fields.get("steps", ()))})


def _trained(fields: dict[str, Any]) -> Trained:
    return Trained(fields["number"], {name: tuple(v) for name, v in fields["rates"].items()})

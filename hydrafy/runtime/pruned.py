"""What pruning found out and did: layer by layer, exit by exit, and for the network as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hydrafy.ir.program import Program

Fate = Literal["removed", "always", "gated"]
Outcome = Literal["removed", "built on", "end", "behind", "kept"]


@dataclass(frozen=True)
class Layer:
    """What one predicate lets run.

    Attributes:
        predicate: its name.
        activation: how often it held, of the images that got to it; None if none did.
        macs: of what runs only if it holds, for one image.
        fate: `removed`, `always` (it stays, its gate went), or `gated` as before.
    """

    predicate: str
    activation: float | None
    macs: int
    fate: Fate


@dataclass(frozen=True)
class PrunedExit:
    """An early exit.

    Attributes:
        predicate: the name of what decides there.
        left: the share of the images that left there, of those that got there; None if none did.
        macs: what the network has less of if that is settled: of the exit's classifier, or of all
            that is behind an `end`; for one image, if nothing is skipped. Of an exit that is
            `kept`, what it would be without it.
        fate: `removed` with its classifier, for too few leave there; `built on` where too few do,
            but a later answer is made of this one, so that its classifier stays; `end` of the
            network, for nearly all leave there; `behind` such an end, and so removed; or `kept`.
    """

    predicate: str
    left: float | None
    macs: int
    fate: Outcome


@dataclass(frozen=True)
class Form:
    """What a network is worth, before or after.

    Attributes:
        accuracy: top-1 on the images; None without labels.
        macs: executed for an image, the mean of all.
        stored_macs: of one image if nothing were skipped, gates and what only training needs
            included.
        parameters: trainable numbers.
        bytes: of all weights.
    """

    accuracy: float | None
    macs: float
    stored_macs: int
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Pruned:
    """A pruned program, and what led to it.

    Attributes:
        program: static if nothing dynamic is left.
        layers: what could be skipped, in the order of the nodes.
        exits: where images could leave, the earliest first.
        before: of the dynamic file, on these images.
        after: of what is left of it.
        agreement: the share of images for which nothing was decided otherwise than was settled:
            for these the network computes what it did.
        images: how many there were.
        damaged: how many more could not be read.
    """

    program: Program
    layers: tuple[Layer, ...]
    exits: tuple[PrunedExit, ...]
    before: Form
    after: Form
    agreement: float
    images: int
    damaged: int

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what the user might not expect."""
        told = [_of_exit(one) for one in self.exits]
        return tuple(filter(None, [_of_all(self.layers, self.exits), *told]))


def _of_all(layers: tuple[Layer, ...], exits: tuple[PrunedExit, ...]) -> str:
    if {one.fate for one in layers} <= {"gated"} and {one.fate for one in exits} <= {"kept"}:
        if not exits:
            what = "No layer is as often open or closed as the bounds ask for"
        elif not layers:
            what = "No exit is left by as many or as few as the bounds ask for"
        else:
            what = "No layer and no exit is as often taken or passed by as the bounds ask for"
        return f"{what}: nothing was removed."
    closed = layers and all(one.fate == "removed" for one in layers)
    if closed and all(one.fate != "end" for one in exits):
        return "Every gated layer was removed: of the blocks only what no gate guarded is left."
    return ""


def _of_exit(one: PrunedExit) -> str:
    if one.fate == "built on":
        return (
            f"{one.predicate!r} is no exit any more, but its classifier stays, for a later answer "
            "is made of what it says (collaboration)."
        )
    if one.fate == "end":
        return f"The network ends at {one.predicate!r} now."
    return ""

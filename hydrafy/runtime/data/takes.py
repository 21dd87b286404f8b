"""What images and labels have to fit: the size of a network's input, its classes, its pixels."""

from dataclasses import dataclass

from hydrafy.ir.manifest import Normalisation


@dataclass(frozen=True)
class Takes:
    """What a network takes: what images and labels have to fit.

    Attributes:
        shape: (C, H, W) of an image.
        classes: how many there are; None where labels do not matter.
        normalisation: what the network expects of pixels; None means 0..1.
        names: of the classes, in the order of the network's scores; empty where nobody knows them.
        resize: of pictures, the shorter side before the middle is cropped, over the network's size.
    """

    shape: tuple[int, int, int]
    classes: int | None = None
    normalisation: Normalisation | None = None
    names: tuple[str, ...] = ()
    resize: float = 1.0

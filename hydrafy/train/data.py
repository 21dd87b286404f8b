"""Images and their classes, in memory: what a network is trained on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrafy.ir.manifest import Normalisation

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Data:
    """Images as a network takes them, and their classes.

    `images` is float32 [N, C, H, W], `labels` int64 [N]; `normalisation` is what the pixels went
    through, None where they were scaled to 0..1 only, or came as floats.
    """

    images: Array
    labels: Array
    normalisation: Normalisation | None = None

    def __len__(self) -> int:
        return len(self.labels)

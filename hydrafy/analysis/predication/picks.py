"""Picks: how many columns of a decision hold for an image, at least and at most."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.ir.values import dims

TOP_K = "TopKGate"


@dataclass(frozen=True)
class Picks:
    """Bounds of the number of columns that hold; both are kept whatever the scores are, NaN too."""

    least: int
    most: int

    @property
    def exactly_one(self) -> bool:
        """Whether exactly one column holds."""
        return self.least == self.most == 1

    def count(self, columns: int) -> int:
        """How many decisions about so many columns can be made."""
        return sum(math.comb(columns, size) for size in range(self.least, self.most + 1))

    def every(self, columns: int) -> Iterator[tuple[int, ...]]:
        """All decisions that can be made, a 0 or 1 for each column."""
        for size in range(self.least, self.most + 1):
            for held in itertools.combinations(range(columns), size):
                yield tuple(int(column in held) for column in range(columns))

    def bring(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Decisions, bool [N, columns], changed at random until each row can be made."""
        order = rng.random(rows.shape) + rows  # what held already goes first
        rank = (-order).argsort(1).argsort(1)
        brought: np.ndarray = (rows & (rank < self.most)) | (rank < self.least)
        return brought


def picks(value: ir.Value) -> Picks | None:
    """Of the columns of a decision, bool [N, columns], in a dynamic program; None: any number."""
    node = value.producer()
    if node is None or node.op_type != TOP_K:
        return None
    (columns,) = dims(value)
    return Picks(1, min(node.attributes["k"].as_int(), columns))  # the best one always

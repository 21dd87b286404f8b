"""Runs files that are made for one image on many, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hydrafy.execute.session import Session


class Rows:
    """A session of any file, which takes any number of rows."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fixed = [n for n, shape in session.inputs.items() if shape and shape[0] == 1]

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs, in the file's order."""
        return self.session.outputs

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """As `Session.run`; arrays with a row for each image are taken apart if they have to be."""
        counts = {len(feeds[name]) for name in self.fixed if name in feeds}
        if counts <= {1}:
            return self.session.run(feeds, outputs)
        (count,) = counts
        parts = [self.session.run(_row(feeds, count, row), outputs) for row in range(count)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _row(feeds: Mapping[str, np.ndarray], count: int, row: int) -> dict[str, np.ndarray]:
    return {
        name: array[row : row + 1] if array.ndim and len(array) == count else array
        for name, array in feeds.items()
    }

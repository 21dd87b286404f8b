"""Images through a session, in batches of the size that the file fixes, if it does."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from hydrafy.errors import DataError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.feed import feed
from hydrafy.train.data import Array

BATCH = 32
NOTHING: Mapping[str, Array] = MappingProxyType({})


def batched(
    session: Session,
    program: Program,
    images: Array,
    feeds: Mapping[str, Array],
    outputs: Sequence[str],
    size: int = BATCH,
    each: Mapping[str, Array] = NOTHING,
) -> dict[str, Array]:
    """The outputs for all images, a row for each; what is one for a whole batch, for each row.

    Args:
        session: of the program, or of a probe of it.
        program: whose input the images are for.
        images: [N, C, H, W].
        feeds: values of run-time inputs.
        outputs: which are wanted.
        size: of a batch, where the file leaves it open.
        each: values of run-time inputs, with a row for each image; they go before `feeds`.

    Raises:
        DataError: the file is made for batches of no image.
        ModelError: onnxruntime cannot run the network.
    """
    parts = []
    for count, given in portions(program, images, size, each):
        found = session.run({**feeds, **given}, outputs)
        parts.append({name: _rows(array, count) for name, array in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in outputs}


def portions(
    program: Program, images: Array, size: int = BATCH, each: Mapping[str, Array] = NOTHING
) -> Iterator[tuple[int, dict[str, Array]]]:
    """What a session of the program is fed with, batch by batch, and how many images are in it.

    The rows behind those, where the file fixes the size of a batch, are copies of the last image.

    Args:
        program: whose input the images are for.
        images: [N, C, H, W].
        size: of a batch, where the file leaves it open.
        each: values of run-time inputs, with a row for each image.

    Raises:
        DataError: the file is made for batches of no image.
    """
    shape = program.data_inputs[0].shape
    fixed = shape[0] if shape is not None else None
    size = fixed if isinstance(fixed, int) else size
    if size < 1:
        raise DataError("the file is made for batches of no image: export it again")
    least = size if isinstance(fixed, int) else 0
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        others = {name: _filled(rows[part], least) for name, rows in each.items()}
        yield len(images[part]), {**feed(program, _filled(images[part], least)), **others}


def _filled(rows: Array, least: int) -> Array:
    """As many rows at least, the last one repeated."""
    missing = least - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing > 0 else rows


def _rows(array: Array, count: int) -> Array:
    return array[:count] if array.ndim else np.repeat(array, count)

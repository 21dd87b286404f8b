"""Two files of one network, compared on images or on noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrafy.errors import DataError, OptionError
from hydrafy.ir.program import Program
from hydrafy.runtime import verify
from hydrafy.runtime.feed import feed, opened
from hydrafy.train.data import Array, Damaged

LIMIT = 256  # images of a source, by default


@dataclass(frozen=True)
class Compared:
    """Two files, what was put through them, and what came of it.

    Attributes:
        files: their paths.
        stages: what they are.
        data: where the images came from; empty for noise.
        verification: what was compared.
    """

    files: tuple[str, str]
    stages: tuple[str, str]
    data: str
    verification: verify.Verification


def verify_files(
    one: str | Path,
    two: str | Path,
    *,
    data: str | None = None,
    limit: int = LIMIT,
    tolerance: float | None = None,
    seed: int = 0,
) -> Compared:
    """Compares two files of one network, of any stages and in any order.

    Args:
        one: a source, a static, dynamic or lowered file.
        two: another one.
        data: images, as `hydrafy.runtime.data.stream` takes them; noise if None.
        limit: how many of them, drawn from all.
        tolerance: how much an output may differ, over its scale.
        seed: of the noise.

    Raises:
        FileError: a file or an image cannot be read.
        OptionError: the limit or the tolerance makes no sense.
        DataError: the images do not fit the network.
        ModelError: the files do not fit each other.
        VerifyError: they differ.
    """
    if limit < 1:
        raise OptionError(f"limit {limit} makes no sense: use 1 or more images")
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise OptionError(f"tolerance {tolerance:g} makes no sense: use a small positive number")
    programs = Program.load(one), Program.load(two)
    verify.check_fit(*programs)
    pictures = None if data is None else _pictures(programs, data, limit)
    found = verify.verify(*programs, pictures=pictures, limit=tolerance, seed=seed)
    stages = programs[0].stage, programs[1].stage
    return Compared((str(one), str(two)), stages, data or "", found)


def _pictures(programs: tuple[Program, Program], data: str, limit: int) -> Array:
    """Images in the layout of the programs' inputs, normalised as one of the files records it."""
    told = [program for program in programs if program.manifest.normalisation is not None]
    program = (*told, *programs)[0]
    stream = opened(program, data, labelled=False, split="test").stream
    parts = [b.images for b in stream.batches(stream.sample(limit), damaged=Damaged(stream))]
    if not parts:
        raise DataError(f"{stream.name} holds no images that can be read")
    (pictures,) = feed(program, np.concatenate(parts)).values()
    return pictures

"""The network that is distilled: which one it is, and whether a student can learn from it."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from hydrafy.analysis.images import image_shape
from hydrafy.errors import DataError, FileError, ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime.feed import feed
from hydrafy.train.data import Damaged, Stream

SOME = 64  # images, on which probabilities are told from logits


def find(student: Program, folder: Path, named: str) -> Path:
    """The file of the network to be distilled: the one that was named, else the student's source.

    Args:
        student: it bears the name and hash of its source.
        folder: where it lies, and its source perhaps as well; else that is looked for here.
        named: a file, or nothing.

    Raises:
        FileError: it is not there, or was changed since.
    """
    if named:
        return Path(named)
    manifest = student.manifest
    places = (folder / manifest.source, Path(manifest.source))
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise FileError(
            f"the network that this one was made from, {manifest.source or 'unknown'}, is not "
            "there any more: name it, --distill FILE"
        )
    if hashlib.sha256(file.read_bytes()).hexdigest() != manifest.source_sha256:
        raise FileError(
            f"{file} is not the network any more that this one was made from: name the one to "
            "learn from, --distill FILE"
        )
    return file


def says_probabilities(program: Program, images: Stream, classes: int) -> bool:
    """Whether a network to learn from says probabilities; else what it says are logits.

    Args:
        program: it was read by `hydrafy.runtime.read`.
        images: what the student is trained on; those that are looked at go through the network's
            own normalisation.
        classes: of the student.

    Raises:
        ModelError: the network says something else than one score for each class.
        DataError: the images or their classes do not fit it, or too many are damaged.
    """
    if image_shape(program) != images.shape:
        raise DataError(
            f"the network to learn from takes images of {list(image_shape(program))}, those of "
            f"{images.name} are {list(images.shape)}: it must take the same ones"
        )
    if program.manifest.classes and images.classes not in ((), program.manifest.classes):
        raise DataError(
            f"the network to learn from has other classes than {images.name}, or has them in "
            "another order: name another one, --distill FILE"
        )
    said = dims(program.graph.outputs[0])
    if said != (classes,):
        raise ModelError(
            f"the network to learn from says {list(said)} of an image, but {classes} scores are "
            "needed: name another one, --distill FILE"
        )
    own = program.manifest.normalisation
    if own is not None and images.normalisation is not None:
        images = dataclasses.replace(images, normalisation=own)
    some = next(images.batches(images.sample(SOME), SOME, Damaged(images))).images
    name = program.graph.outputs[0].name or ""
    scores = Session(program).run(feed(program, some), [name])[name]
    return bool((scores >= 0).all() and np.allclose(scores.sum(1), 1, atol=1e-3))

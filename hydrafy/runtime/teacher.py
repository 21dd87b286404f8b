"""What a network that is distilled says of the training images: run once, and kept in a file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hydrafy.analysis.images import image_shape
from hydrafy.errors import DataError, FileError, ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.files import beside
from hydrafy.ir.program import Program
from hydrafy.runtime.data.fingerprint import fingerprint
from hydrafy.runtime.feed import feed, prediction
from hydrafy.runtime.read import read
from hydrafy.train.data import Array, Damaged, Stream

BATCH = 64
LEAST = 1e-12  # a probability whose logarithm is taken is no smaller
Counted = Callable[[int, int], None]


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


def logits(
    file: Path, images: Stream, classes: int, folder: Path | None, counted: Counted
) -> Array:
    """The logits of a network for all images, without augmentation: float32 [count, classes].

    Rows of damaged images are zeros. What a network says as probabilities is brought back to
    logits by their logarithms.

    Args:
        file: a static network, as any exporter wrote it.
        images: their pixels are normalised as this network records it, else as the student does.
        classes: of the student.
        folder: where the logits are kept, so that the same ones are not computed again; nowhere if
            None.
        counted: for progress: how many images are done, and of how many.

    Raises:
        ModelError: the network says something else than one score for each class.
        DataError: the images or their classes do not fit it, or too many are damaged.
        FileError: the logits cannot be kept, or those that were kept are damaged.
    """
    program = read(file)
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
    own = program.manifest.normalisation
    if own is not None and images.normalisation is not None:
        images = dataclasses.replace(images, normalisation=own)
    kept = None if folder is None else folder / f"teacher-{_key(file, images)}.npy"
    if kept is not None and kept.exists():
        return _kept(kept)
    said = _said(program, images, classes, counted)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with beside(kept) as place:
            np.save(place, said)
    return said


def _said(program: Program, images: Stream, classes: int, counted: Counted) -> Array:
    """The logits of a network, as it is run."""
    name = prediction(program).name or ""
    session, seen = Session(program), np.zeros(images.count, bool)
    said = np.zeros((images.count, classes), np.float32)
    for batch in images.batches(size=BATCH, damaged=Damaged(images)):
        scores = session.run(feed(program, batch.images), [name])[name]
        if scores.shape[1:] != (classes,):
            raise ModelError(
                f"the network to learn from says {list(scores.shape[1:])} of an image, but "
                f"{classes} scores are needed: name another one, --distill FILE"
            )
        said[batch.rows], seen[batch.rows] = scores, True
        counted(int(seen.sum()), images.count)
    if (said >= 0).all() and np.allclose(said[seen].sum(1), 1, atol=1e-3):
        said[seen] = np.log(np.maximum(said[seen], LEAST))
    return said


def _kept(file: Path) -> Array:
    try:
        found: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"{file} is damaged: remove it, and it is computed again") from error
    return found


def _key(file: Path, images: Stream) -> str:
    """What the logits depend on, in a few letters."""
    parts = file.read_bytes() + fingerprint(images).encode()
    return hashlib.sha256(parts).hexdigest()[:12]

"""An entrant of an evaluation: a file, its images, what of it is run, watched and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from hydrafy.analysis.cost import MACS
from hydrafy.analysis.images import image_shape
from hydrafy.analysis.leaving import leavings
from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.predicates import Predicate
from hydrafy.errors import FileError, HydrafyError, ModelError, VerifyError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Leaving
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime import data
from hydrafy.runtime.batched import batched
from hydrafy.runtime.evaluate import watched
from hydrafy.runtime.evaluate.counts import Counts, count
from hydrafy.runtime.feed import judged, opened
from hydrafy.runtime.read import read
from hydrafy.runtime.spent import spent
from hydrafy.train.data import Array, Batch, Stream

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)


@dataclass(frozen=True, eq=False)
class Entrant:
    """A file that is evaluated.

    Attributes:
        file: its path.
        program: what is in it.
        stream: the images as it takes them, and their labels.
        prediction: the output with the scores, [N, classes].
        decisions: outputs that say what ran.
        exits: its early ones, told by some of these.
        works: its MACs by condition; None where they cannot be counted.
        predicates: what lets its parts run, and other choices; none where MACs are not counted.
        remarks: for the user.
    """

    file: Path
    program: Program
    stream: Stream
    prediction: str
    decisions: tuple[str, ...]
    exits: tuple[Leaving, ...]
    works: tuple[Work, ...] | None
    predicates: tuple[Predicate, ...]
    remarks: tuple[str, ...]

    @property
    def noisy(self) -> tuple[str, ...]:
        """The run-time inputs that are bounds on probabilities, to be fed with noise or not."""
        return tuple(e.name for e in self.program.manifest.runtime_inputs if e.noise)

    @property
    def watched(self) -> tuple[str, ...]:
        """All that is computed for an image: scores, decisions, what predicates are read from."""
        given = self.program.graph.initializers
        read_from = (v for p in self.predicates for v in p.values if v not in given)
        return tuple(dict.fromkeys((self.prediction, *self.decisions, *read_from)))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes, in the order of its scores; empty where nobody knows them."""
        return self.stream.classes or self.program.manifest.classes

    @property
    def takes(self) -> object:
        """Equal for files that take the same images."""
        return image_shape(self.program), self.stream.normalisation

    @property
    def batch(self) -> int | None:
        """The size of a batch that the file fixes; None where it is open."""
        shape = self.program.data_inputs[0].shape
        fixed = shape[0] if shape is not None else None
        return fixed if isinstance(fixed, int) else None

    def session(self, threads: int = 0) -> Session:
        """The file as it stands, to be timed."""
        return Session(self.file, threads=threads)

    def probe(self) -> Session:
        """A session that gives all that is watched."""
        have = {v.name for v in self.program.graph.outputs}
        if have.issuperset(self.watched):
            return self.session()
        return Session(base.run(self.program.clone(), [Cut((), self.watched)]))

    def run(
        self,
        probe: Session,
        batch: Batch,
        feeds: Mapping[str, Array],
        each: Mapping[str, Array],
    ) -> dict[str, Array]:
        """All that is watched of a batch, by name, and the values that predicates are read from.

        Args:
            probe: as `probe` makes it.
            batch: images, normalised, and their rows.
            feeds: values of run-time inputs.
            each: values of others, with a row for each image.

        Raises:
            ModelError: onnxruntime cannot run the network, or it gives no row for each image.
        """
        size = len(batch.rows)
        try:
            found = batched(probe, self.program, batch.images, feeds, self.watched, size, each)
        except HydrafyError as error:
            raise type(error)(f"{self.file}: {error}") from error
        for value in (v for p in self.predicates for v in p.values if v not in found):
            given = {**feeds, **each}  # a run-time input
            found[value] = given.get(value, self.program.weight(value))
        if len(rows := found[self.prediction]) != size:
            raise ModelError(f"{self.file} gives {len(rows)} rows of scores for {size} images")
        return found

    def count(self, rows: Array, scores: Array, found: Mapping[str, Array]) -> Counts:
        """What there is to count of a batch.

        Args:
            rows: of the images in the stream.
            scores: [n, classes].
            found: as `run` gives it.
        """
        assert self.stream.labels is not None, "the stream was opened for a classifier"
        labels, works = self.stream.labels[rows], self.works or ()
        return count(scores, labels, works, self.predicates, self.decisions, self.exits, found)


def enter(
    file: Path,
    source: data.Source,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Entrant:
    """Opens a file and the images for it.

    Args:
        file: an ONNX classifier of any stage.
        source: of labelled images, as `hydrafy.runtime.data.stream` takes it.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.

    Raises:
        FileError: the file or the images cannot be read.
        ModelError: the file is no classifier of images.
        DataError: the images or labels do not fit.
    """
    program = Program.load(file)
    own = program.manifest.normalisation is not None
    try:
        scores = _prediction(file, program)
        images = opened(
            program,
            source,
            mean=None if own else mean,
            std=None if own else std,
            split="test",
        )
    except FileError:
        raise
    except HydrafyError as error:
        raise type(error)(f"{file}: {error}") from error
    works, why = _works(file, program)
    predicates = () if works is None else watched.predicates(program, works)
    role = program.manifest.role
    names = [v.name or "" for v in program.graph.outputs]
    remarks = [images.remark] if images.remark else []
    remarks += [f"Its MACs are not counted: {why}."] if why else []
    return Entrant(
        file,
        program,
        images.stream,
        scores,
        tuple(n for n in names if role(n) == "decision"),
        leavings(program),
        works,
        predicates,
        tuple(remarks),
    )


def _prediction(file: Path, program: Program) -> str:
    """The name of the output with the scores."""
    value = judged(file, program)
    shape = value.shape
    fits = shape is not None and shape.rank() == 2 and isinstance(shape[1], int) and shape[1] > 1
    if not fits or value.dtype not in FLOATS:
        raise ModelError(
            f"output {value.name!r} is {value.dtype} {value.shape}: a classifier is needed, with "
            "scores [N, classes]"
        )
    return value.name or ""


def _works(file: Path, program: Program) -> tuple[tuple[Work, ...] | None, str]:
    """The MACs by condition, or None and why they cannot be counted."""
    own = [n for n in program.graph.all_nodes() if n.op_type == "Conv" and n.domain != ""]
    if any(MACS not in node.metadata_props for node in own):
        return None, "its kernels are onnxruntime's own: lower the network again"
    try:
        counted = read(file) if program.stage == "source" else program
        works = spent(counted)
        _check_readable(program, works)
    except VerifyError:
        raise
    except HydrafyError as error:
        return None, str(error).removesuffix(".")
    return works, ""


def _check_readable(program: Program, works: Sequence[Work]) -> None:
    """Refuses predicates that are computed inside of a region, where nobody can read them."""
    known = set(watched.readable(program))
    for one in works:
        for condition in one.conditions:
            if not known.issuperset(condition.predicate.values):
                raise ModelError(
                    f"predicate {condition.predicate.name!r} is computed inside of a region, "
                    "where it cannot be read: evaluate the dynamic file"
                )

"""What a pass is, and how passes run: one after the other, verified and journalled each time."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from hydrafy.errors import HydrafyError, VerifyError
from hydrafy.ir.manifest import Entry
from hydrafy.ir.program import Program
from hydrafy.ir.verify import verify

Watch = Callable[["Pass", Program], None]


class Pass(ABC):
    """A change to a program. Subclasses are frozen dataclasses whose fields are their options.

    `apply` changes the program in place and returns a sentence for each change that it made and
    for each site that it refused; no sentence means that nothing was there to do.
    """

    name: ClassVar[str]

    @abstractmethod
    def apply(self, program: Program) -> list[str]:
        """Changes the program; says what was changed, where, and why not elsewhere."""


def run(program: Program, passes: Iterable[Pass], watch: Watch | None = None) -> Program:
    """Runs passes over a program, in place; each result is verified and goes to the journal.

    Args:
        program: what to change.
        passes: what to run, in this order.
        watch: called after each pass, for progress, timing or printing.

    Raises:
        VerifyError: a pass left a program that breaks an invariant, or failed, or the choice of
            a pass did; the pass and the passes before it are named.
        HydrafyError: what a pass itself raises for a network that it cannot treat.
    """
    before: list[str] = []
    coming = iter(passes)
    while True:
        by = "the choice of the next pass"
        try:
            item = next(coming, None)  # a recipe may look at the program in between
            if item is None:
                return program
            by = f"pass {item.name}"
            notes = item.apply(program)
            verify(program, by=item.name)
        except HydrafyError:
            raise
        except Exception as error:  # a defect of ours: say whose, keep the cause
            done = ", ".join(before) or "no other pass"
            kind = type(error).__name__
            raise VerifyError(f"{by} failed after {done}: {kind}: {error}") from error
        if notes:
            entry = Entry(item.name, tuple(notes))
            journal = (*program.manifest.journal, entry)
            program.manifest = dataclasses.replace(program.manifest, journal=journal)
        before.append(item.name)
        if watch is not None:
            watch(item, program)

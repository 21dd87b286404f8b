"""What can go wrong, as a few classes whose message is one sentence for a person.

A message says what is wrong, at which file, node or option, and what to do. The command line
prints it and exits with code 2 (`VerifyError`: 1, because the input was fine and we were not).
"""

import difflib
from collections.abc import Iterable

LISTED = 20  # known words in a message, at most


class HydrafyError(Exception):
    """Base of every error that a user may see."""


class FileError(HydrafyError):
    """A file cannot be read or written."""


class ModelError(HydrafyError):
    """A network is malformed, or lacks the structure that was asked for."""


class OptionError(HydrafyError):
    """An option is unknown or has a value that makes no sense."""


class DataError(HydrafyError):
    """Images or labels cannot be used with the network at hand."""


class VerifyError(HydrafyError):
    """A program broke an invariant, or two forms of a network disagree."""


def first_line(error: BaseException) -> str:
    """What a library's error says, in one line; its class where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def nearest(word: str, known: Iterable[str]) -> str:
    """The clause that helps after an unknown `word`: the nearest known one, else what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    return f"known are {listed}" if names else "none is known"

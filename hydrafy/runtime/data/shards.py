"""The files that a pattern names, as shards of data are named: `train-{000..041}.tar`."""

import glob
import itertools
import os
import re

from hydrafy.errors import FileError

RANGE = re.compile(r"(\d+)\.\.(\d+)")
BRACES = re.compile(r"\{([^{}]+)\}")


def named(pattern: str) -> list[str]:
    """The files of a pattern that exist, sorted within each choice of the braces.

    Args:
        pattern: a path; `{000..011}` stands for each number from one to the other with as many
            digits, `{a,b}` for either, and `*`, `?`, `[...]` for what they stand for in a shell.
            A file of exactly that name comes before all that.

    Raises:
        FileError: some numbers of a row name no file, but others do.
    """
    if os.path.isfile(pattern):
        return [pattern]
    texts = BRACES.split(pattern)  # what is within braces stands at the odd places
    choices = [_choices(text) if at % 2 else [text] for at, text in enumerate(texts)]
    paths = ["".join(parts) for parts in itertools.product(*choices)]
    found = {path: sorted(glob.glob(path)) for path in paths}
    missing = [path for path, files in found.items() if not files]
    numbers = all(RANGE.fullmatch(text) for text in texts[1::2])
    if numbers and missing and len(missing) < len(paths):
        raise FileError(
            f"{len(missing)} of the {len(paths)} files of {pattern} are not there, the first is "
            f"{missing[0]}: name those that are"
        )
    return [file for files in found.values() for file in files]


def _choices(text: str) -> list[str]:
    numbers = RANGE.fullmatch(text)
    if numbers is None:
        return text.split(",")
    first, last = numbers.groups()
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]

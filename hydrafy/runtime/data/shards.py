"""The files that a pattern names, as shards of data are named: `train-{000..041}.tar`."""

import glob
import itertools
import os
import re

RANGE = re.compile(r"(\d+)\.\.(\d+)")
BRACES = re.compile(r"\{([^{}]+)\}")


def named(pattern: str) -> list[str]:
    """The files of a pattern that exist, sorted within each choice of the braces.

    Args:
        pattern: a path; `{000..011}` stands for each number from one to the other with as many
            digits, `{a,b}` for either, and `*`, `?`, `[...]` for what they stand for in a shell.
            A file of exactly that name comes before all that.
    """
    if os.path.isfile(pattern):
        return [pattern]
    texts = BRACES.split(pattern)  # what is within braces stands at the odd places
    choices = [_choices(text) if at % 2 else [text] for at, text in enumerate(texts)]
    paths = ("".join(parts) for parts in itertools.product(*choices))
    return [file for path in paths for file in sorted(glob.glob(path))]


def _choices(text: str) -> list[str]:
    numbers = RANGE.fullmatch(text)
    if numbers is None:
        return text.split(",")
    first, last = numbers.groups()
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]

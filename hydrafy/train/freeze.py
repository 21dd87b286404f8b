"""Parts of a module that a phase of a schedule leaves as they are, their statistics included."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from hydrafy.errors import OptionError, nearest
from hydrafy.train.norms import frozen
from hydrafy.train.schedule import Phase


def freeze(module: nn.Module, phase: Phase) -> None:
    """Settles which parameters are trained in a phase, whatever the phase before had said.

    A pattern matches a parameter by its name or by that of a part which holds it, and `*` stands
    for any text: `stem`, `stem.*`, `branches.*.fc`, `*.bias`.

    Args:
        module: what `to_torch` returned, so that parameters bear the names of the program.
        phase: its `frozen` or `trained`; without either, all parameters are trained.

    Raises:
        OptionError: a pattern matches nothing (the nearest part is named), or all is frozen.
    """
    parameters = dict(module.named_parameters())
    for pattern in (*phase.frozen, *phase.trained):
        if not any(_matches(name, (pattern,)) for name in parameters):
            raise OptionError(
                f"{pattern!r} matches no parameter of the network: {_hint(pattern, parameters)}"
            )
    for name, parameter in parameters.items():
        matched = _matches(name, phase.trained or phase.frozen)
        parameter.requires_grad_(matched if phase.trained else not matched)
    if parameters and not any(p.requires_grad for p in parameters.values()):
        raise OptionError("all parameters are frozen: leave some to be trained")


def still(module: nn.Module) -> None:
    """Puts BatchNorms whose weights are frozen into eval mode, so that statistics stay as well.

    To be called after each `module.train()`, which undoes it. The released code for adaptive
    training lets them drift; a frozen backbone would then change under classifiers that it feeds.
    """
    for path in frozen(module):
        module.get_submodule(path).eval()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(part, pattern) for part in _parts(name) for pattern in patterns)


def _parts(name: str) -> list[str]:
    """`a.b.c` as `a`, `a.b`, `a.b.c`."""
    words = name.split(".")
    return [".".join(words[: count + 1]) for count in range(len(words))]


def _hint(pattern: str, names: Iterable[str]) -> str:
    """The nearest of the parts that are named as deep as the pattern is."""
    word = pattern.removesuffix(".*")
    depth = word.count(".") + 1
    parts = {part for name in names for part in _parts(name) if part.count(".") < depth}
    return nearest(word, parts)

"""Progress on stderr: a bar or a spinner while something takes longer than a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import click

Tick = Callable[[str, float, float], None]
"""Says what is going on, how much of it is done, and of how much; 0 where nobody knows."""


@contextlib.contextmanager
def progress(what: str, *, log: bool = False) -> Iterator[Tick]:
    """Shows a bar until the block ends; nothing of it stays on the screen.

    Args:
        what: the first description.
        log: whether, where stderr is no terminal, the last words on each step (what stands before
            a colon names it) become a line; for what takes minutes.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, markup=False)
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)
        last = ""

        def say() -> None:
            if last and log and bar.disable:
                click.echo(last, err=True)

        def tick(description: str, done: float = 0, total: float = 0) -> None:
            nonlocal last
            bar.update(task, description=description, completed=done, total=total or None)
            if description.partition(":")[0] != last.partition(":")[0]:
                say()
            last = description

        yield tick
        say()

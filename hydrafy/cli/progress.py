"""Progress on stderr: a bar or a spinner while something takes longer than a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """Says what is going on, how much of it is done, and of how much.

    Args:
        bar: where it is drawn.
        what: the first description.
        log: whether, where stderr is no terminal, the last words on each step (what stands before
            a colon names it) become a line; for what takes minutes.
    """

    def __init__(self, bar: Progress, what: str, log: bool) -> None:
        self.bar, self.log, self.last = bar, log, ""
        self.task = bar.add_task(what, total=None)

    def __call__(self, description: str, done: float = 0, total: float = 0) -> None:
        """Draws it anew; 0 where nobody knows."""
        self.bar.update(self.task, description=description, completed=done, total=total or None)
        if description.partition(":")[0] != self.last.partition(":")[0]:
            self.close()
        self.last = description

    def say(self, line: str) -> None:
        """Leaves a line on the screen, above the bar."""
        if self.bar.disable:
            click.echo(line, err=True)
        else:
            self.bar.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leaves the last words on a step, if nobody saw the bar."""
        if self.last and self.log and self.bar.disable:
            click.echo(self.last, err=True)


@contextlib.contextmanager
def progress(what: str, *, log: bool = False) -> Iterator[Bar]:
    """Shows a bar until the block ends; nothing of it stays on the screen. See `Bar`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    console = Console(stderr=True, markup=False)
    what_is_left = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # of a narrow terminal
    bar = Progress(
        SpinnerColumn(),
        BarColumn(16),
        TimeElapsedColumn(),
        TextColumn("gone,", style="dim"),
        TimeRemainingColumn(),
        TextColumn("left:", style="dim"),
        TextColumn("{task.description}", markup=False, table_column=what_is_left),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )
    with bar:
        made = Bar(bar, what, log)
        yield made
        made.close()

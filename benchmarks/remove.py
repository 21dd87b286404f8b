"""Blocks simply removed from a pretrained network: what skipping by chance or by need has to beat.

    python -m benchmarks.remove resnet56_cifar10.onnx --count 10 -o removed.onnx

Those that go keep the shape, and are the last ones of each stage in turn.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from hydrafy.analysis.anatomy import anatomy
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.prune import Prune
from hydrafy.runtime.read import read


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--count", type=int, required=True, help="How many blocks go.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--force", is_flag=True)
def main(source: Path, count: int, output: Path, force: bool) -> None:
    """Write SOURCE without some of its blocks."""
    program = read(source)
    names = last_of_each_stage(program, count)
    removed = [InsertBypass(names), Prune({f"gates.{name}.runs": False for name in names})]
    base.run(program, removed).save(output, force=force)
    click.echo(f"wrote {output}, without {', '.join(names)}")


def last_of_each_stage(program: Program, count: int) -> tuple[str, ...]:
    """The names of so many blocks that keep the shape, from the end of each stage in turn."""
    parts = anatomy(program)
    names = {block: name for name, block in parts.sites().items()}
    stages = [[b for b in stage.blocks[::-1] if b.kind == "identity"] for stage in parts.stages]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*stages))
    found = [names[block] for block in turns if block is not None]
    if count > len(found):
        raise click.UsageError(f"only {len(found)} blocks keep the shape")
    return tuple(found[:count])


if __name__ == "__main__":
    main()

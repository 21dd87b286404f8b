"""The verb `lower`: a dynamic network becomes plain ONNX with control flow."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.options import as_json, emit, existing, named, output
from hydrafy.cli.progress import progress


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@output("FILE with `deploy` before .onnx")
@as_json
def lower(file: Path, target: Path | None, force: bool, plain: bool) -> None:
    """Lower a dynamic network to what onnxruntime skips by, and prove that it computes the same."""
    from hydrafy.ir.files import check_target
    from hydrafy.ir.program import Program
    from hydrafy.runtime.inspect import regions
    from hydrafy.runtime.lower import lower_program

    target = target or named(existing(file), "deploy")
    check_target(target, force=force, source=file)
    with progress("lowering") as tick:
        tick(f"reading {file}", 0, 0)
        dynamic = Program.load(file)
        lowered, checked = lower_program(
            dynamic, watch=lambda item, _: tick(f"after {item.name}", 0, 0)
        )
        lowered.save(target, force=force)
    found = list(regions(lowered))
    before, after = dynamic.weight_bytes(), lowered.weight_bytes()
    if plain:
        emit({"output": target, "regions": found, "bytes": after, "verification": checked})
        return
    from hydrafy.report import tables

    tables.show(tables.lowering(len(found), before, after, checked))
    click.echo(f"wrote {target}")

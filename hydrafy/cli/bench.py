"""The verb `bench`: a lowered network side by side with a static one and with its oracle."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.latency import keep
from hydrafy.cli.options import as_json, assigned, batch_sizes, emit, existing, pixels, settings
from hydrafy.cli.progress import progress
from hydrafy.errors import OptionError


@click.command()
@click.argument("deploy", required=False, type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="STATIC",
    help="A static ONNX classifier of the same images and classes.",
)  # fmt: skip
@click.option(
    "--dense", type=click.Path(path_type=Path), metavar="DYNAMIC",
    help="What DEPLOY was lowered from; by default the file beside it that it names.",
)  # fmt: skip
@click.option(
    "--data", metavar="FOLDER|FILE.npz|digits",
    help="Images, for gates decide by them; noise by default.",
)  # fmt: skip
@settings("A run-time input, for example tau=0.1")
@click.option(
    "--batch", default="1,8,32", show_default=True, metavar="SIZE,...", help="Batch sizes."
)
@click.option(
    "--threads", type=int, default=1, show_default=True,
    help="Of onnxruntime; 0 lets it choose.",
)  # fmt: skip
@click.option(
    "--seed", type=int, default=0, show_default=True,
    help="Of the noise, and of decisions that are given.",
)  # fmt: skip
@pixels
@click.option(
    "--fit", is_flag=True,
    help="Bench no file, but fit the model of latency on this machine, by which `inspect` foresees "
    "times; it takes a minute or two.",
)  # fmt: skip
@as_json
def bench(
    deploy: Path | None,
    against: Path | None,
    dense: Path | None,
    data: str | None,
    assignments: tuple[str, ...],
    batch: str,
    threads: int,
    seed: int,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    fit: bool,
    plain: bool,
) -> None:
    """Time a lowered network against a static one, and tell when and by how much it wins."""
    if fit:
        _fit(deploy, plain)
        return
    if deploy is None or against is None:
        raise click.UsageError("name a lowered file, and a static one with --against")
    from hydrafy.runtime import bench as runtime

    with progress("benching", log=True) as tick:
        found = runtime.bench(
            existing(deploy),
            existing(against),
            dense=None if dense is None else existing(dense),
            data=data,
            batches=batch_sizes(batch),
            threads=threads,
            settings=assigned(assignments),
            seed=seed,
            mean=mean,
            std=std,
            progress=tick,
        )
    if plain:
        emit(found)
        return
    from hydrafy.report import tables
    from hydrafy.report.bench import bench as report

    tables.show(report(found))


def _fit(deploy: Path | None, plain: bool) -> None:
    if deploy is not None:
        raise OptionError(f"--fit benches no file: leave out {deploy}, or --fit")

    from hydrafy.runtime.bench import fit as fitting

    with progress("fitting", log=True) as tick:
        model = fitting.fit(progress=tick)
    file = keep(model)
    if plain:
        emit(model)
    else:
        click.echo(f"wrote {file}")

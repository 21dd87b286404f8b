"""The verb `bench`: a lowered network side by side with a static one and with its oracle."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.options import as_json, assigned, batch_sizes, emit, existing, pixels, settings
from hydrafy.cli.progress import progress


@click.command()
@click.argument("deploy", type=click.Path(path_type=Path))
@click.option(
    "--against", required=True, type=click.Path(path_type=Path), metavar="STATIC",
    help="A static ONNX classifier of the same images and classes.",
)  # fmt: skip
@click.option(
    "--dense", type=click.Path(path_type=Path), metavar="DYNAMIC",
    help="What DEPLOY was lowered from; the file beside it without `deploy` by default.",
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
@as_json
def bench(
    deploy: Path,
    against: Path,
    dense: Path | None,
    data: str | None,
    assignments: tuple[str, ...],
    batch: str,
    threads: int,
    seed: int,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plain: bool,
) -> None:
    """Time a lowered network against a static one, and tell when and by how much it wins."""
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

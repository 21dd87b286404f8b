"""The verb `lower`: a dynamic network becomes plain ONNX with control flow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hydrafy.cli.latency import kept
from hydrafy.cli.options import IMAGES, as_json, emit, existing, named, output, pixels
from hydrafy.cli.progress import progress
from hydrafy.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from hydrafy.ir.program import Program
    from hydrafy.runtime.lower import Lowering

RANGES = 512  # images that ranges of int8 are measured on


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--target", "kind", default="portable", show_default=True, metavar="portable|native|dense",
    help="native: this machine's blocked kernels, fastest, for its kind of processor only; dense: "
    "without control flow.",
)  # fmt: skip
@click.option(
    "--batch", default="any", show_default=True, metavar="any|1",
    help="1: a file for single images, without rows to gather.",
)  # fmt: skip
@click.option(
    "--precision", default="float32", show_default=True, metavar="float32|float16|int8",
    help="Of the network; gates stay in float32.",
)  # fmt: skip
@click.option(
    "--anytime", is_flag=True,
    help="A network with exits gets a run-time input `budget`, on every call the share of all MACs "
    "that an answer may take, for the batch or for each image.",
)  # fmt: skip
@click.option(
    "--data", metavar="FOLDER|FILE|digits", help=f"For int8, to measure ranges on. {IMAGES}."
)
@pixels
@click.option(
    "--external-data", is_flag=True,
    help="Weights go to a file beside it, OUTPUT.data: onnxruntime maps it, opens the network "
    "faster, and takes less memory.",
)  # fmt: skip
@output("FILE with `deploy` before .onnx")
@as_json
def lower(
    file: Path,
    target: Path | None,
    force: bool,
    plain: bool,
    kind: Any,
    batch: str,
    precision: Any,
    anytime: bool,
    data: str | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    external_data: bool,
) -> None:
    """Lower a dynamic network to what onnxruntime skips by, and prove that it computes the same."""
    from hydrafy.analysis.predication.regions import regions
    from hydrafy.analysis.predication.unskipped import unskipped
    from hydrafy.ir.files import check_target
    from hydrafy.ir.program import Program
    from hydrafy.runtime.foresee import foresee, source_of
    from hydrafy.runtime.lower import Lowering, lower_program

    target = target or named(existing(file), "deploy")
    check_target(target, force=force, source=file)
    if external_data:
        check_target(target.with_name(f"{target.name}.data"), force=force)
    if external_data and kind == "native":
        raise OptionError(
            "blocked kernels are slower with mapped weights: leave out one of the two"
        )
    if batch not in ("any", "1"):
        raise OptionError(f"--batch {batch} makes no sense: it is any, or 1")
    how = Lowering(kind, precision, batch == "1", anytime)
    with progress("lowering") as tick:
        tick(f"reading {file}", 0, 0)
        dynamic = Program.load(file)
        images = None if data is None else _images(dynamic, data, mean, std)
        latency = kept()
        lowered, checked = lower_program(
            dynamic,
            how,
            images=images,
            latency=latency,
            watch=lambda item, _: tick(f"after {item.name}", 0, 0),
        )
        foreseen = foresee(lowered, source_of(dynamic, file.parent), latency=latency)
        lowered.manifest = dataclasses.replace(lowered.manifest, lowered_from=file.name)
        lowered.save(target, force=force, inline=0 if external_data else None)
    found = list(regions(lowered))
    dense = [] if kind == "dense" else unskipped(dynamic, lowered)
    before, after = dynamic.weight_bytes(), lowered.weight_bytes()
    if plain:
        told = {
            "regions": found,
            "not_skipped_by": dense,
            "bytes": after,
            "verification": checked,
            "foreseen": foreseen,
        }
        emit({"output": target, **told})
        return
    from hydrafy.report import tables
    from hydrafy.report.foresight import foresight

    tables.show(tables.lowering(len(found), before, after, checked))
    if foreseen is not None:
        tables.show(foresight(foreseen))
    for remark in _remarks(how, dense, target):
        click.echo(remark)
    click.echo(f"wrote {target}")


def _remarks(how: Lowering, dense: list[str], target: Path) -> Iterator[str]:
    """What the proof and the name of a form do not tell."""
    if dense:
        yield (
            f"Nothing is skipped by {', '.join(dense)}: what depends on that runs for every image "
            f"that gets there; `hydrafy explain {target}` says why."
        )
    if how.precision == "int8":
        yield (
            "Proven against the quantised network, which differs from the float one: `hydrafy "
            "evaluate` compares their accuracy."
        )
    if how.precision == "float16":
        yield "float16 saves room; on a CPU it is slower than float32."


def _images(
    program: Program, data: str, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> np.ndarray:
    """Some images as the network takes them, [N, ...] in its layout."""
    import numpy as np

    from hydrafy.runtime.feed import feed, opened
    from hydrafy.train.data import Damaged

    source = opened(program, data, labelled=False, mean=mean, std=std)
    if source.remark:
        click.echo(source.remark, err=True)
    images, damaged = source.stream, Damaged(source.stream)
    batches = images.batches(images.sample(RANGES), damaged=damaged)
    whole = np.concatenate([batch.images for batch in batches])
    return next(iter(feed(program, whole).values()))

"""The verb `finetune`: trains a dynamic network on images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hydrafy.cli.app import STOPPED
from hydrafy.cli.options import as_json, emit, existing, named, output, pixels
from hydrafy.cli.progress import progress

if TYPE_CHECKING:
    from hydrafy.train.history import Step


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, metavar="FOLDER|FILE.npz|digits",
    help="A folder of one folder for each class, arrays x (images) and y (labels), or "
    "scikit-learn's digits.",
)  # fmt: skip
@output("FILE with `tuned` before .onnx")
@click.option(
    "--epochs", type=int, default=10, show_default=True, help="How often to see each image."
)
@click.option("--batch-size", type=int, default=64, show_default=True, help="Images a step.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="AdamW's.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of order and augmentation.")
@pixels
@click.option("--augment", multiple=True, metavar="crop|flip", help="Change images; repeatable.")
@as_json
def finetune(
    file: Path,
    data: str,
    target: Path | None,
    force: bool,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    augment: tuple[str, ...],
    plain: bool,
) -> int:
    """Train a dynamic (or static) network on all of its loss terms."""
    from hydrafy.ir.files import check_target

    target = target or named(existing(file), "tuned")
    check_target(target, force=force, source=file)
    from hydrafy.runtime import finetune as runtime

    with progress("fine-tuning", log=True) as tick:
        tuned = runtime.finetune(
            file,
            data,
            mean=mean,
            std=std,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            augment=tuple(word for one in augment for word in one.split(",")),
            say=lambda sentence: click.echo(sentence, err=True),
            progress=lambda step: tick(_line(step), *_done(step)),
        )
    history = tuned.history
    if history.interrupted and not history.epochs:
        raise KeyboardInterrupt
    tuned.program.save(target, force=force)
    last = history.epochs[-1]
    if plain:
        numbers = {"loss": last.loss, "terms": dict(last.terms), "accuracy": last.accuracy}
        done = {"epochs": len(history.epochs), "interrupted": history.interrupted}
        emit({"output": target, "images": tuned.images, **done, **numbers})
    else:
        click.echo(f"epoch {_line(last)}\nwrote {target}")
    if history.interrupted:
        click.echo(
            f"Stopped by Ctrl-C after epoch {last.epoch}, whose weights were kept.", err=True
        )
    return STOPPED if history.interrupted else 0


def _done(step: Step) -> tuple[int, int]:
    return (step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches


def _line(step: Step) -> str:
    """Where the training stands; terms of one kind (`branches.0` ...) as their mean."""
    kinds: dict[str, list[float]] = {}
    for name, value in step.terms.items():
        kinds.setdefault(name.partition(".")[0], []).append(value)
    terms = ", ".join(f"{name} {sum(v) / len(v):.3f}" for name, v in kinds.items())
    loss = f"loss {step.loss:.3f} ({terms})"
    return f"{step.epoch}/{step.epochs}: {loss}, training top-1 {step.accuracy:.1%}"

"""The verb `finetune`: trains a dynamic network on images and labels."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hydrafy.cli.app import STOPPED
from hydrafy.cli.options import IMAGES, as_json, emit, existing, named, output, pixels
from hydrafy.cli.progress import Bar, progress
from hydrafy.errors import FileError, OptionError

if TYPE_CHECKING:
    from hydrafy.train.history import Epoch, Step
    from hydrafy.train.keep import Start
    from hydrafy.train.options import Options


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", required=True, metavar="FOLDER|FILE|digits", help=f"{IMAGES}.")
@click.option(
    "--val", metavar="DATA|SHARE",
    help="Images that tell which epoch is the best, as --data; or the share of the training images "
    "to hold out for that, such as 0.1.",
)  # fmt: skip
@output("FILE with `tuned` before .onnx")
@click.option(
    "--schedule", default="default", show_default=True, metavar="NAME|FILE.toml",
    help="Where the options below come from: a paper's, or your own file.",
)  # fmt: skip
@click.option("--epochs", metavar="N[,N]", help="How often to see each image, in each phase.")
@click.option("--batch-size", type=int, help="Images a step, over all devices.")
@click.option("--optimiser", metavar="adamw|sgd", help="Which optimiser.")
@click.option("--learning-rate", type=float, help="Its learning rate.")
@click.option("--weight-decay", type=float, help="Of all weights but biases and BatchNorms'.")
@click.option("--clip", type=float, metavar="NORM", help="Clip gradients to this norm.")
@click.option("--augment", multiple=True, metavar="NAME", help="crop, flip ...; repeatable.")
@click.option(
    "--mixup", type=float, default=0.0, metavar="ALPHA",
    help="Blend images in pairs; 1 blends much, 0 nothing.",
)  # fmt: skip
@click.option("--patience", type=int, default=0, help="Stop after so many epochs without a better.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option(
    "--distill", is_flag=False, flag_value="", metavar="[FILE.onnx]",
    help="Learn from a static network as well; from FILE's source if none is named.",
)  # fmt: skip
@click.option(
    "--unlabelled", metavar="DATA",
    help="More images, as --data, of which only --distill teaches; labels are ignored.",
)  # fmt: skip
@click.option("--distill-weight", type=float, show_default="1.0", help="Of --distill.")
@click.option("--temperature", type=float, show_default="4.0", help="Of --distill.")
@click.option("--no-recalibrate", is_flag=True, help="Leave BatchNorms' statistics as trained.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--finish", is_flag=True, help="Train no further: write what the run has reached.")
@click.option("--precision", default="32-true", show_default=True, metavar="bf16-mixed|16-mixed")
@click.option("--accelerator", default="auto", show_default=True, metavar="cpu|cuda|mps")
@click.option("--devices", type=int, default=1, show_default=True, help="In each machine.")
@click.option("--nodes", type=int, default=1, show_default=True, help="Machines.")
@click.option("--workers", type=int, default=0, help="Processes that read images, each device.")
@click.option("--compile", "compiled", is_flag=True, help="Let torch.compile make kernels first.")
@pixels
@as_json
def finetune(
    file: Path,
    data: str,
    val: str | None,
    target: Path | None,
    force: bool,
    distill: str | None,
    unlabelled: str | None,
    distill_weight: float | None,
    temperature: float | None,
    no_recalibrate: bool,
    resume: bool,
    finish: bool,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plain: bool,
    **how: Any,
) -> int:
    """Train a dynamic (or static) network on all of its loss terms.

    The run is kept beside the output, in a folder that ends in .run: TensorBoard's logs, and what
    --resume needs to go on after Ctrl-C, a crash or a full disk.
    """
    from hydrafy.ir.files import check_target

    target = target or named(existing(file), "tuned")
    folder = target.with_name(f"{target.name.removesuffix('.onnx')}.run")
    start: Start = "finish" if finish else "resume" if resume else "anew"
    check_target(target, force=force, source=file)
    if (folder / "last.ckpt").exists() and start == "anew" and not force:
        raise FileError(
            f"{folder} holds a run that was stopped: go on with it, --resume, or start again, "
            "--force"
        )
    from hydrafy.runtime import finetune as runtime
    from hydrafy.train.across import first
    from hydrafy.train.checkpoint import Folder
    from hydrafy.train.keep import Keep

    options = _options(how)
    how_taught = {"weight": distill_weight, "temperature": temperature}
    given = {name: value for name, value in how_taught.items() if value is not None}
    if distill is None and given:
        raise OptionError("--distill-weight and --temperature make no sense without --distill")
    teaching = None if distill is None else runtime.Teaching(distill, **given)
    try:
        with progress("fine-tuning") as bar:
            tuned = runtime.finetune(
                file,
                data,
                options,
                validation=_validation(val),
                unlabelled=unlabelled,
                teaching=teaching,
                recalibrate=not no_recalibrate,
                keep=Keep(folder, start),
                mean=mean,
                std=std,
                say=bar.say,
                watch=lambda event: _watch(bar, event),
            )
    except KeyboardInterrupt:  # a second one, or one after the training
        if not Folder(folder).begun:
            raise
        return _stopped("", target)
    if not first():
        return 0
    if tuned.history.interrupted:
        return _stopped(f" in epoch {len(tuned.history.epochs) + 1}", target)
    tuned.program.save(target, force=force)
    Folder(folder).finish()
    if plain:
        found = {name: value for name, value in vars(tuned).items() if name != "program"}
        emit({"output": target, "run": folder, **found})
        return 0
    from hydrafy.report import tables, training

    tables.show(training.tuned(tuned))
    click.echo(f"\nwrote {target}; the run's history is in {folder}")
    return 0


def _stopped(where: str, target: Path) -> int:
    """Says how to go on with a run that was stopped."""
    dropped = ("--resume",) if target.exists() else ("--resume", "--force")
    words = [word for word in sys.argv[1:] if word not in dropped]
    click.echo(
        f"Stopped{where}, and nothing is lost: go on with\n"
        f"  {shlex.join(['hydrafy', *words])} --resume\n"
        "or write what was reached with --finish in the place of --resume.",
        err=True,
    )
    return STOPPED


def _options(how: dict[str, Any]) -> Options:
    from hydrafy.train.options import Options
    from hydrafy.train.schedule_files import find

    names = ("optimiser", "batch_size", "learning_rate", "weight_decay", "clip")
    epochs, schedule = how.pop("epochs"), find(how.pop("schedule"))
    try:
        lengths = None if epochs is None else [int(word) for word in epochs.split(",")]
    except ValueError as error:
        why = f"--epochs {epochs} is no number of epochs: write 10, or 300,180"
        raise OptionError(why) from error
    schedule = schedule.change(epochs=lengths, **{name: how.pop(name) for name in names})
    words = tuple(word for one in how.pop("augment") for word in one.split(","))
    return Options(schedule, augment=words, **how)


def _validation(val: str | None) -> str | float | None:
    """A share if it is a number, else where the images are."""
    try:
        return None if val is None else float(val)
    except ValueError:
        return val


def _watch(bar: Bar, event: Step | Epoch) -> None:
    from hydrafy.report.training import epoch_line, step_line
    from hydrafy.train.history import Step

    if isinstance(event, Step):
        done = (event.epoch - 1) * event.batches + event.batch
        bar(step_line(event), done, event.epochs * event.batches)
    else:
        bar.say(epoch_line(event))

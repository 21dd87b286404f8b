"""Writes a torch module as an ONNX file, in each of the forms that users' files come in."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from hydrafy.errors import FileError, ModelError, OptionError, nearest
from hydrafy.ir.files import check_target
from hydrafy.ir.program import LARGE

Exporter = Literal["torchscript", "dynamo"]
INPUT, BATCH = "input", "N"
# what each exporter really writes: asked for less, dynamo writes 18 without a word
OPSETS: dict[str, range] = {"torchscript": range(10, 21), "dynamo": range(18, 24)}


def export_onnx(
    module: nn.Module,
    path: str | os.PathLike[str],
    input_shape: Sequence[int],
    *,
    outputs: Sequence[str] = ("logits",),
    exporter: Exporter = "torchscript",
    fold: bool = False,
    dynamic_batch: bool = True,
    opset: int = 18,
    force: bool = False,
) -> Path:
    """Exports `module` in eval mode, quietly, to a file that is whole or not there.

    The input is `input` [N, *input_shape]. Weights lie in the file itself while they are under
    1.8 GB, beyond that next to it.

    The torchscript exporter writes parameters of equal value once, and reads them through
    Identity: tensors that are to be trained apart should differ.

    Args:
        module: takes one tensor, gives one tensor or a tuple of them; it is left as it was.
        path: the file to write.
        input_shape: of one sample, for example (3, 224, 224).
        outputs: the names of what the module gives, in order.
        exporter: torch's older tracer or its newer one (the default of torch.onnx.export).
        fold: whether the exporter may fold BatchNorm into the convolutions before it. Without it
            BatchNorm nodes stay, and so do the names of the parameters.
        dynamic_batch: whether the batch dimension is free (`N`) or fixed at 1.
        opset: the version of ONNX's operators: 10 to 20 from torchscript, 18 to 23 from dynamo.
        force: whether to overwrite an existing file.

    Raises:
        OptionError: no such exporter, or it does not write that opset.
        ModelError: the exporter cannot write this module.
        FileError: the file exists and `force` is not set, or it cannot be written.
    """
    if exporter not in get_args(Exporter):
        raise OptionError(f"no exporter {exporter!r}: {nearest(exporter, get_args(Exporter))}")
    written = OPSETS[exporter]
    if opset not in written:
        raise OptionError(f"opset={opset}: {exporter} writes {written[0]} to {written[-1]}")
    target = Path(path)
    check_target(target, force=force)
    frozen = copy.deepcopy(module).eval().cpu()
    sample = torch.zeros(2 if dynamic_batch else 1, *input_shape)
    written_as: dict[str, Any] = {
        "input_names": [INPUT],
        "output_names": list(outputs),
        "opset_version": opset,
    }
    if exporter == "torchscript":
        written_as |= _torchscript(fold, [INPUT, *outputs] if dynamic_batch else [])
    else:
        written_as |= _dynamo(fold, dynamic_batch, frozen)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".hydrafy-") as folder:
            beside = Path(folder) / target.name
            with quiet():
                torch.onnx.export(frozen, (sample,), str(beside), **written_as)
            extras = [file for file in beside.parent.iterdir() if file != beside]
            for extra in extras:
                check_target(target.parent / extra.name, force=force)
            for extra in extras:
                os.replace(extra, target.parent / extra.name)
            os.replace(beside, target)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{exporter} cannot export {type(module).__name__}: {reason}") from error
    return target


def _torchscript(fold: bool, free: Sequence[str]) -> dict[str, Any]:
    """What only the older exporter is told; `free` names what has a free batch dimension."""
    told: dict[str, Any] = {"dynamo": False, "dynamic_axes": {name: {0: BATCH} for name in free}}
    if not fold:
        # EVAL alone folds BatchNorm; PRESERVE keeps the (eval) mode of the module and its nodes
        told["training"] = torch.onnx.TrainingMode.PRESERVE
        told["do_constant_folding"] = False
    return told


def _dynamo(fold: bool, dynamic_batch: bool, module: nn.Module) -> dict[str, Any]:
    """What only the newer exporter is told."""
    return {
        "dynamo": True,
        "dynamic_shapes": ({0: torch.export.Dim(BATCH)},) if dynamic_batch else None,
        "external_data": sum(tensor.nbytes for tensor in module.state_dict().values()) > LARGE,
        "optimize": fold,
        "verbose": False,
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps warnings, prints and log lines of the exporters to itself."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)

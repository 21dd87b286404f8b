"""A model is of a version of the format and of ops that the installed onnx knows."""

import onnx
import onnx.defs

from hydrafy.errors import FileError, ModelError

STANDARD = ("", "ai.onnx")
"""Both names of the domain of standard ops."""


def check_versions(model: onnx.ModelProto) -> None:
    """Does nothing where the versions that a model states are known.

    Raises:
        FileError: the opset is not stated, as in a file that ends too early.
        ModelError: a version is missing, makes no sense, or is newer than the installed onnx.
    """
    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        raise ModelError(
            f"the model has IR version {model.ir_version}, the installed onnx knows 1 to "
            f"{onnx.IR_VERSION}: install a newer onnx, or export the model again"
        )
    domains = [entry.domain for entry in model.opset_import]
    twice = next((d for d in domains if domains.count(d) > 1), None)
    if twice is not None:
        raise ModelError(f"the model imports two opsets of domain {twice!r}: export it again")
    newest = onnx.defs.onnx_opset_version()
    for entry in model.opset_import:
        if entry.domain in STANDARD and not 1 <= entry.version <= newest:
            raise ModelError(
                f"the model has opset {entry.version}, the installed onnx knows 1 to {newest}: "
                "install a newer onnx, or export the model with a lower opset"
            )
    if model.ir_version >= 3 and not set(domains) & set(STANDARD):
        raise FileError("no opset is stated: the file is truncated, or its exporter is at fault")

"""A tensor's data is there, exactly as much of it as its shape says, and where it may be."""

import math
from pathlib import Path

import onnx
import onnx_ir as ir

from hydrafy.errors import FileError, ModelError, first_line

TYPED = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
"""The fields that hold a tensor's data one number at a time."""


def check_tensor(tensor: onnx.TensorProto, what: str, folder: Path | None) -> None:
    """Does nothing where a tensor can be read as a whole.

    Args:
        tensor: what to check.
        what: what to call it.
        folder: where data outside of the model may lie; None where there may be none.

    Raises:
        FileError: data is missing, too much, or outside of the folder.
        ModelError: the type or a dimension makes no sense.
    """
    try:
        kind = ir.DataType(tensor.data_type)
    except ValueError:
        raise ModelError(f"{what} has the unknown element type {tensor.data_type}") from None
    if kind == ir.DataType.UNDEFINED:
        raise ModelError(f"{what} has no element type")
    if kind == ir.DataType.STRING:
        raise ModelError(f"{what} is text: networks of hydrafy compute with numbers alone")
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"{what} has the impossible shape {list(tensor.dims)}")
    if tensor.HasField("segment"):
        raise ModelError(f"{what} is stored in segments: store it as a whole")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_outside(tensor, what, _bytes(kind, math.prod(tensor.dims)), folder)
    else:
        _check_inside(tensor, what, kind)


def _check_inside(tensor: onnx.TensorProto, what: str, kind: ir.DataType) -> None:
    have = {field: len(getattr(tensor, field)) for field in TYPED}
    have = {field: count for field, count in have.items() if count}
    if tensor.HasField("raw_data"):
        have["raw_data"] = len(tensor.raw_data)
    needed = _needed(kind, math.prod(tensor.dims), raw="raw_data" in have)
    if have != needed and (have or any(needed.values())):
        raise FileError(
            f"{what} of shape {list(tensor.dims)} needs {_listed(needed)}, the file has "
            f"{_listed(have)}: it is truncated or damaged"
        )


def _needed(kind: ir.DataType, size: int, *, raw: bool) -> dict[str, int]:
    """The field that holds `size` elements, and its length."""
    if raw:
        return {"raw_data": _bytes(kind, size)}
    field = onnx.helper.tensor_dtype_to_field(kind.value)
    if kind in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128):
        return {field: 2 * size}
    return {field: _bytes(kind, size) if kind.itemsize < 1 else size}  # small ones are packed


def _bytes(kind: ir.DataType, size: int) -> int:
    return -(-size * round(8 * kind.itemsize) // 8)


def _listed(lengths: dict[str, int]) -> str:
    return " and ".join(f"{count} in {field}" for field, count in lengths.items()) or "nothing"


def _check_outside(tensor: onnx.TensorProto, what: str, nbytes: int, folder: Path | None) -> None:
    said = {entry.key: entry.value for entry in tensor.external_data}
    if len(said) < len(tensor.external_data):  # readers differ in which of two they believe
        raise FileError(f"{what} lies outside of the model in two places: export it again")
    location = said.get("location", "")
    if folder is None:
        raise FileError(
            f"{what} lies in {location!r} and was not loaded: give the path of the model instead"
        )
    where = _place(location, what, folder)
    offset, length = (_number(said.get(key), what) for key in ("offset", "length"))
    if length not in (None, nbytes):
        raise FileError(
            f"{what} of shape {list(tensor.dims)} needs {nbytes} bytes, the file has {length}"
        )
    if where.stat().st_size < (offset or 0) + nbytes:
        raise FileError(f"{where} is too short for {what}: it is truncated, copy it again")


def _place(location: str, what: str, folder: Path) -> Path:
    """The file in the folder that a location means, its links followed.

    A model that names any other file would have its reader open it.
    """
    relative = Path(location)
    try:
        where = (folder / location).resolve()
        hidden = not location or relative.is_absolute() or ".." in relative.parts
        if hidden or not where.is_relative_to(folder.resolve()):
            raise FileError(
                f"{what} lies in {location!r}, outside of the model's folder: "
                "put that file next to the model, and name it without a path"
            )
        if not where.exists():
            raise FileError(
                f"{what} lies in {location!r}, which is missing: put that file next to the model"
            )
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise FileError(f"{what} lies in a file that cannot be: {first_line(error)}") from error
    if not where.is_file():
        raise FileError(f"{what} lies in {location!r}, which is no file")
    return where


def _number(text: str | None, what: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise FileError(f"{what} lies outside of the model at {text[:40]!r}, which is no place")
    return int(text)

"""No part of a model is nested too deep to look at, and all of its text is text."""

from typing import Any

import onnx

from hydrafy.errors import ModelError

DEPTH = 100
"""Messages within messages: protobuf's own limit for a file, three for each graph in a graph."""


def check_text(model: onnx.ModelProto) -> None:
    """Does nothing where a model is UTF-8 throughout and of bounded depth.

    Protobuf gives bytes instead of a string for text that is not UTF-8.

    Raises:
        ModelError: naming the field.
    """
    _check(model, DEPTH)


def _check(message: Any, depth: int) -> None:
    if not depth:
        raise ModelError("the model nests graphs within graphs too deep: 33 levels are the limit")
    if isinstance(message, onnx.TensorProto):  # its data is large, and no text but its name
        if isinstance(message.name, bytes):
            raise ModelError(f"the name {message.name!r} of a weight is not UTF-8")
        return
    if isinstance(message, onnx.AttributeProto):
        _check_attribute(message)
    for field, content in message.ListFields():
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        for part in content if field.is_repeated else (content,):
            if field.type == field.TYPE_MESSAGE:
                _check(part, depth - 1)
            elif isinstance(part, bytes):
                raise ModelError(
                    f"the model's text is damaged: {field.name} {part[:40]!r} of a "
                    f"{message.DESCRIPTOR.name} is not UTF-8"
                )


def _check_attribute(attribute: onnx.AttributeProto) -> None:
    """The text of an attribute is stored as bytes, for the sake of a few ops that nobody uses."""
    for text in (attribute.s, *attribute.strings):
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise ModelError(
                f"attribute {attribute.name!r} is {text[:40]!r}, which is not UTF-8"
            ) from error

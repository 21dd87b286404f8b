"""Values as JSON has them, so that any reader of it takes them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any


def jsonable(value: Any) -> Any:
    """A value of dicts and lists: dataclasses become dicts, and numbers that JSON lacks text.

    These are `inf`, `-inf` and `nan`, as Python's `float` reads them.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return jsonable(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value

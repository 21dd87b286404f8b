"""Decisions of a lowered form: those of the dense one where they matter, elsewhere anything."""

from typing import Any

import numpy as np

from hydrafy.errors import VerifyError

Rows = np.ndarray[Any, Any]


def unlike(wanted: Rows, found: Rows, need: Rows | None) -> Rows:
    """Bool [N]: the rows whose decisions differ from the dense form's, and may not.

    A lowered form need not ask a gate on which no prediction of the row depends. Then it may tell
    anything.

    Args:
        wanted: bool [N, ...], of the dense form.
        found: of the other form.
        need: bool [N], the rows that depend on the decision; None where none does.
    """
    if not len(wanted):
        return np.zeros(0, bool)
    matters = np.zeros(len(wanted), bool) if need is None else need
    bad = (wanted != found) & matters.reshape(-1, *[1] * (found.ndim - 1))
    some: Rows = bad.reshape(len(bad), -1).any(1)
    return some


def check_decisions(name: str, wanted: Rows, found: Rows, need: Rows | None) -> None:
    """Compares what follows from other decisions, which are equal in both forms.

    Raises:
        VerifyError: a row is unlike.
    """
    wrong = unlike(wanted, found, need)
    if wrong.any():
        raise VerifyError(
            f"the decisions {name!r} differ in {int(wrong.sum())} of {len(wrong)} rows"
        )

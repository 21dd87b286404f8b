"""What is remarked on a pruned network speaks of what it has: layers, exits, or both."""

import pytest

from hydrafy.runtime.pruned import Form, Layer, Pruned, PrunedExit
from tests.passes.dynamic import layers

FORM = Form(None, 1.0, 1, 1, 1)
OPEN, GATED = Layer("a", 1.0, 1, "always"), Layer("b", 0.5, 1, "gated")
CLOSED = Layer("c", 0.0, 1, "removed")
KEPT, BUILT_ON = PrunedExit("d", 0.5, 1, "kept"), PrunedExit("e", 0.0, 0, "built on")
END, BEHIND = PrunedExit("f", 1.0, 1, "end"), PrunedExit("g", None, 1, "behind")


@pytest.mark.parametrize(
    ("found", "exits", "begin"),
    [
        ((GATED,), (), ["No layer is as often open or closed"]),
        ((), (KEPT,), ["No exit is left by as many or as few"]),
        ((GATED,), (KEPT,), ["No layer and no exit"]),
        ((OPEN,), (KEPT,), []),
        ((CLOSED, CLOSED), (), ["Every gated layer was removed"]),
        ((CLOSED,), (KEPT,), ["Every gated layer was removed"]),
        ((CLOSED, GATED), (), []),
        ((CLOSED,), (END, BEHIND), ["The network ends at 'f'"]),  # it may lie behind the end
        (
            (),
            (BUILT_ON, END),
            ["'e' is no exit any more, but its", "The network ends"],
        ),
    ],
)
def test_remarks(found: tuple[Layer, ...], exits: tuple[PrunedExit, ...], begin: list[str]) -> None:
    remarks = Pruned(layers(), found, exits, FORM, FORM, 1.0, 1, 0).remarks
    assert len(remarks) == len(begin)
    assert all(told.startswith(word) for told, word in zip(remarks, begin, strict=True))

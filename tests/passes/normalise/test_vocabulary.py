"""A node that no later step understands is refused by the name that the file gives it."""

import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.normalise.vocabulary import check_op
from tests.passes.sources import program

REFUSED = [
    ("y = Hardmax (x)", "node 'culprit' is a Hardmax, an op that hydrafy does not know"),
    ("y = com.example.Thing (x)", "node 'culprit' is a com.example::Thing"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_a_node_is_refused_by_its_name(body: str, message: str) -> None:
    made = program(f"g (float[N,2,4,4] x) => (float[N,2,4,4] y) {{ {body} }}")
    made.graph[0].name = "culprit"
    with pytest.raises(ModelError, match=message):
        check_op(made.graph[0])


def test_a_nameless_node_is_named_by_its_result() -> None:
    made = program("g (float[N,2,4,4] x) => (float[N,2,4,4] y) { y = Hardmax (x) }")
    with pytest.raises(ModelError, match="node 'y' is a Hardmax"):
        check_op(made.graph[0])

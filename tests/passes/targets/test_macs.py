"""A native file tells as many MACs, under the same conditions, as the portable one behind it."""

from collections.abc import Callable

import pytest

from hydrafy.analysis.cost import MACS, macs
from hydrafy.analysis.predication.executed import work
from hydrafy.errors import ModelError
from hydrafy.execute.machine import this_machine
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.targets.macs import NoteMacs
from hydrafy.runtime.targets import native

pytestmark = pytest.mark.skipif(this_machine().block < 2, reason="no blocked kernels here")


@pytest.fixture(scope="module")
def portable(source: Callable[..., Program]) -> Program:
    gated = base.run(source("resnet8", width=8), [InsertBypass()])  # no channels fill a block of 16
    return base.run(gated, lower.pipeline())


def test_work_is_the_same_in_either_form(portable: Program) -> None:
    own, here = ({w.conditions: w.macs for w in work(p)} for p in (portable, native(portable)))
    assert own == here and len(own) > 2


def test_what_has_no_known_name_is_told_of(portable: Program) -> None:
    here = native(portable)
    for node in here.graph.all_nodes():
        node.metadata_props.pop(MACS, None)
    (note, *_) = NoteMacs({}).apply(here)
    assert note.startswith("nobody knows the MACs of ")


def test_a_note_that_is_no_number_is_refused(portable: Program) -> None:
    node = next(n for n in native(portable).graph.all_nodes() if MACS in n.metadata_props)
    node.metadata_props[MACS] = "many"
    with pytest.raises(ModelError, match=r"the MACs 'many': lower the network again"):
        macs(node)

"""Blocked kernels of this machine: lowered programs keep their meaning, and images their layout."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.predication.need import SHARE
from hydrafy.analysis.predication.predicates import CONDITION
from hydrafy.errors import ModelError
from hydrafy.execute.machine import this_machine
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.convert import convert
from hydrafy.runtime.targets import native
from hydrafy.runtime.verify import verify_lowered
from tests.passes.predicated import gated, reasoned
from tests.passes.test_lowering import feeds, lowered, networks, run

Source = Callable[..., Program]

pytestmark = pytest.mark.skipif(this_machine().block < 2, reason="no blocked kernels here")


def kinds(program: Program) -> Counter[str]:
    return Counter(node.op_type for node in program.graph.all_nodes())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 9), st.booleans())
def test_native_is_dense_for_any_batch(program: Program, batch: int, everything: bool) -> None:
    given = feeds(batch, seed=batch, everything=everything)
    wanted = run(Session(program, threads=1), given)
    found = run(Session(native(lowered(program)), threads=2), given)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.one_of(gated(), reasoned()), st.booleans())
def test_gates_and_reasons_in_native_regions_are_proven(program: Program, single: bool) -> None:
    portable = base.run(program.clone(), lower.pipeline(single=single))
    verify_lowered(program, native(portable))


@pytest.mark.parametrize("single", [False, True])
def test_a_network_of_gated_blocks_stays_blocked_from_end_to_end(
    source: Source, single: bool
) -> None:
    gated = base.run(source("resnet20", shortcut="B", width=16), [InsertBypass()])
    portable = base.run(gated.clone(), lower.pipeline(single=single))
    here = native(portable)
    found = kinds(here)
    assert found["ReorderInput"] == 0  # the first convolution reads the image as it is
    assert found["ReorderOutput"] == 0  # pooled features are the same in either layout
    assert found["Add"] == 1 and found["Sum"] == 0  # that of the thresholds; convolutions add
    relus = 0 if single else 2  # of shortcuts that may be negative, where their blocks are skipped
    assert found["Relu"] == relus
    assert found["If"] == kinds(portable)["If"] > 0
    x = np.random.default_rng(0).standard_normal((6, 3, 16, 16)).astype(np.float32)
    dense, blocked = Session(gated, threads=1), Session(here, threads=1)
    for tau in (0.0, 0.5, 1.0):
        for part in np.split(x, 6) if single else (x, x[:1]):
            given = {"input": part, "tau": np.full((1, 1), tau, np.float32)}
            wanted, have = dense.run(given), blocked.run(given)
            for name, array in have.items():
                np.testing.assert_allclose(array, wanted[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_branches_run_on_rows_in_the_blocked_layout(source: Source) -> None:
    dynamic = convert(source("resnet20"), "dynk", branches=5, k=2, split="stage2")
    portable = base.run(dynamic.clone(), lower.pipeline())
    here = native(portable)
    before, after = kinds(portable), kinds(here)
    assert after["GatherND"] == before["GatherND"]
    x = np.random.default_rng(0).standard_normal((9, 3, 16, 16)).astype(np.float32)
    wanted = Session(portable, threads=1).run({"input": x})
    found = Session(here, threads=2).run({"input": x})
    np.testing.assert_array_equal(found["picked"], wanted["picked"])
    np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-4, atol=1e-4)


def test_regions_keep_what_is_noted_of_them(source: Source) -> None:
    portable = base.run(
        base.run(source("resnet20"), [InsertBypass(("stage1.2",))]), lower.pipeline()
    )
    before, after = (
        {n.name: dict(n.metadata_props) for n in p.graph.all_nodes() if n.op_type == "If"}
        for p in (portable, native(portable))
    )
    assert before == after
    assert all({SHARE, CONDITION} <= set(notes) for notes in after.values())


def test_the_file_says_where_it_runs(source: Source, tmp_path: Any) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2",))])
    here = native(base.run(gated, lower.pipeline()))
    assert here.manifest.target == "native"
    assert here.manifest.machine == this_machine()
    again = Program.load(here.save(tmp_path / "native.onnx"))
    assert again.manifest == here.manifest
    Session(tmp_path / "native.onnx")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"onnxruntime": "1.2.3"}, "needs onnxruntime 1.2.3"),
        ({"architecture": "sparc"}, "needs processors of sparc"),
        ({"block": 4}, "needs blocks of 4"),
    ],
)
def test_elsewhere_it_is_refused(
    source: Source, tmp_path: Any, changed: dict[str, Any], why: str
) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2",))])
    here = native(base.run(gated, lower.pipeline()))
    machine = dataclasses.replace(this_machine(), processor="a 6502", **changed)
    here.manifest = dataclasses.replace(here.manifest, machine=machine)
    for form in (here, here.to_onnx(), here.save(tmp_path / "native.onnx")):
        with pytest.raises(ModelError, match=f"a 6502 and {why}, here .*--target portable"):
            Session(form)


def test_another_processor_of_the_family_will_do(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2",))])
    here = native(base.run(gated, lower.pipeline()))
    machine = dataclasses.replace(this_machine(), processor="another name")
    here.manifest = dataclasses.replace(here.manifest, machine=machine)
    Session(here)

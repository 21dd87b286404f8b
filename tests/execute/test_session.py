"""The session: what it takes, what it says when it cannot, and that it is quiet."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.errors import FileError, ModelError
from hydrafy.execute import session
from hydrafy.execute.session import Session
from tests.train.programs import dynamic, single

X = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


def test_a_program_a_model_and_a_file_are_the_same(tmp_path: Path) -> None:
    program = dynamic()
    forms = [
        program,
        program.to_onnx(),
        program.save(tmp_path / "x.onnx"),
        str(tmp_path / "x.onnx"),
    ]
    results = [Session(form, threads=1).run({"x": X}) for form in forms]
    for found in results[1:]:
        assert list(found) == list(results[0])
        for name in found:
            np.testing.assert_array_equal(found[name], results[0][name])


def test_inputs_and_outputs() -> None:
    found = Session(dynamic())
    assert found.inputs == {"x": ["N", 3, 8, 8]}  # tau has a default: it need not be fed
    assert found.outputs == [
        "picked",
        "gate.fc",
        *(f"branches.{b}.fc" for b in range(3)),
        "head.fc",
    ]
    assert list(found.run({"x": X}, ["head.fc", "picked"])) == ["head.fc", "picked"]


def test_a_default_can_be_overridden_on_each_call() -> None:
    program = dynamic(k=3, tau=0.0)
    program.graph.initializers["tau"].shape = ir.Shape(["rows", "gates"])
    found = Session(program)
    assert found.run({"x": X})["picked"].sum() == 6
    assert found.run({"x": X, "tau": np.ones((1, 1), np.float32)})["picked"].sum() == 2
    each = np.array([[0.0], [1.0]], np.float32)
    assert found.run({"x": X, "tau": each})["picked"].sum(1).tolist() == [3, 1]
    assert found.run({"x": X})["picked"].sum() == 6


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Session(dynamic()).run({"x": X})
    assert capfd.readouterr() == ("", "")


def test_weights_beyond_the_limit_of_protobuf_go_through_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = Session(dynamic()).run({"x": X})["head.fc"]
    monkeypatch.setattr(session, "MAPPED", 100)
    monkeypatch.setattr(dynamic().__class__, "to_onnx", None)
    np.testing.assert_array_equal(Session(dynamic()).run({"x": X})["head.fc"], wanted)


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no file .*none\.onnx"):
        Session(tmp_path / "none.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"garbage")
    found = single("Relu", (3,))
    calls = [
        lambda: Session(tmp_path / "garbage.onnx"),
        lambda: Session(found).run({}),
        lambda: Session(found).run({"x": np.zeros((1, 4), np.float32)}),
        lambda: Session(found).run({"x": np.zeros((1, 3), np.float64)}),
        lambda: Session(found).run({"x": np.zeros((1, 3), np.float32), "z": np.zeros(1)}),
        lambda: Session(found).run({"x": np.zeros((1, 3), np.float32)}, ["z"]),
    ]
    for call in calls:
        with pytest.raises(ModelError, match=r"^onnxruntime cannot (load|run) [^\n]+$"):
            call()

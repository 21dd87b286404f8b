"""A teacher says what its network says, of its own pixels, as logits."""

import dataclasses

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Normalisation
from hydrafy.train.teacher import Distillation, Teacher
from tests.train.problems import HALVES, problem, static
from tests.train.programs import Sketch

IMAGES = problem(9).images
AS_PIXELS = Normalisation((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))


@pytest.mark.parametrize("students", [HALVES, None])
@pytest.mark.parametrize("own", [AS_PIXELS, None])
def test_a_teacher_has_pixels_of_its_own(
    own: Normalisation | None, students: Normalisation | None
) -> None:
    """Unless images came as floats, which nobody touches."""
    program = static()
    program.manifest = dataclasses.replace(program.manifest, normalisation=own)
    said = Teacher(Fabric(accelerator="cpu"), Distillation(program), students)(
        torch.from_numpy(IMAGES)
    )
    used = (own or students) if students else None
    seen = IMAGES if used is None else used.apply(IMAGES)
    (wanted,) = Session(program).run({"x": seen}).values()
    np.testing.assert_allclose(said.numpy(), wanted, atol=1e-5 * np.abs(wanted).max())


def test_probabilities_are_brought_back_to_logits() -> None:
    sketch = Sketch()
    logits = sketch.linear(sketch.op("Flatten", [sketch.x], "flat"), "fc", 6)
    program = sketch.program(sketch.op("Softmax", [logits], "y", axis=-1))
    teacher = Teacher(Fabric(accelerator="cpu"), Distillation(program, probabilities=True), None)
    said = teacher(torch.from_numpy(IMAGES))
    (wanted,) = Session(program).run({"x": IMAGES}).values()
    np.testing.assert_allclose(said.exp().numpy(), wanted, atol=1e-5)  # of logits up to 60


def test_a_teacher_learns_nothing() -> None:
    said = Teacher(Fabric(accelerator="cpu"), Distillation(static()), None)(
        torch.from_numpy(IMAGES)
    )
    assert not said.requires_grad

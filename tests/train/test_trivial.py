from collections.abc import Callable

import torch

from hydrafy.train.trivial import OPERATIONS, Trivial


def flat(count: int, value: float) -> torch.Tensor:
    return torch.full((count, 3, 12, 12), value)


def alone(name: str, images: torch.Tensor) -> torch.Tensor:
    """Images after one operation."""
    torch.manual_seed(0)
    index = [known for known, *_ in OPERATIONS].index(name)
    return Trivial().operations[index](images)


def marker(index: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda images: torch.full_like(images, index)


def test_each_image_gets_an_operation_of_its_own_or_none() -> None:
    trivial, x = Trivial(), flat(1200, -1.0)
    trivial.operations = [marker(index) for index in range(len(OPERATIONS))]
    torch.manual_seed(0)
    y = trivial(x)
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y))
    drawn, counts = y[:, 0, 0, 0].unique(return_counts=True)
    assert drawn.tolist() == list(range(-1, len(OPERATIONS)))  # -1: as it was
    assert counts.min() > 70 and counts.max() < 130
    assert torch.equal(x, flat(1200, -1.0))


def test_an_operation_changes_images_by_different_strengths() -> None:
    torch.manual_seed(0)
    for operation in Trivial().operations[2:]:
        x = torch.rand(40, 1, 12, 12)
        changes = (operation(x) - x).abs().mean((1, 2, 3))
        assert len(changes.unique()) > 3


def test_strengths_are_those_that_were_asked_for() -> None:
    factors = alone("contrast", flat(200, 0.5))[:, 0, 0, 0] / 0.5
    assert 0.1 <= factors.min() < 0.2 and 1.8 < factors.max() <= 1.9
    white = alone("translate_x", torch.ones(200, 1, 20, 20))
    shifts = (white < 0.5).float().mean((1, 2, 3))
    assert 0.2 < shifts.max() <= 0.35
    sheared = alone("shear_x", torch.ones(200, 1, 40, 40))
    lost = (
        (sheared[:, 0, 0] < 0.5).float().mean(1)
    )  # of the first row, half a height off the middle
    assert 0.1 < lost.max() <= 0.18
    levels = [len(image.unique()) for image in alone("posterize", torch.rand(50, 1, 40, 40))]
    assert min(levels) == 2**4

import pytest
import torch

from hydrafy.errors import OptionError
from hydrafy.train.augment import augment, check


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_each_image_is_a_window_of_its_padded_self() -> None:
    x = 1 + torch.rand(40, 2, 16, 24, generator=generator())
    shifts = set()
    for image, moved in zip(x, augment(x, ("crop",), generator()), strict=True):
        padded = torch.nn.functional.pad(image, (3, 3, 2, 2))
        found = [
            (dy, dx)
            for dy in range(5)
            for dx in range(7)
            if torch.equal(padded[:, dy : dy + 16, dx : dx + 24], moved)
        ]
        assert len(found) == 1
        shifts |= set(found)
    assert len(shifts) > 20


def test_about_half_of_the_images_are_mirrored() -> None:
    x = torch.rand(200, 1, 4, 4, generator=generator())
    y = augment(x, ("flip",), generator())
    mirrored = [torch.equal(a.flip(2), b) for a, b in zip(x, y, strict=True)]
    assert all(m or torch.equal(a, b) for m, a, b in zip(mirrored, x, y, strict=True))
    assert 70 < sum(mirrored) < 130


def test_without_a_wish_nothing_changes_and_a_wrong_one_is_refused() -> None:
    x = torch.rand(2, 1, 4, 4)
    assert augment(x, (), generator()) is x
    with pytest.raises(OptionError, match="no augmentation 'flop': did you mean 'flip'"):
        check(("flop",))

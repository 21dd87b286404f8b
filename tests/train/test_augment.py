import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from hydrafy.errors import DataError, OptionError
from hydrafy.train.augment import KINDS, STYLES, Augment, check


def pixels(*shape: int) -> torch.Tensor:
    return 0.05 + 0.9 * torch.rand(shape, generator=torch.Generator().manual_seed(0))


def changed(name: str, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Augment((name,), images.shape[1], True)(images)


def kept(a: torch.Tensor, b: torch.Tensor) -> list[bool]:
    return [torch.equal(one, other) for one, other in zip(a, b, strict=True)]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_image_is_a_window_of_its_padded_self(channels: int) -> None:
    x = pixels(40, channels, 16, 24)
    shifts = set()
    for image, moved in zip(x, changed("crop", x), strict=True):
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
    assert {dy for dy, _ in shifts} == set(range(5)) and {dx for _, dx in shifts} == set(range(7))


def test_an_image_too_small_for_a_margin_stays() -> None:
    x = pixels(5, 1, 7, 7)
    assert torch.equal(changed("crop", x), x)


def test_about_half_of_the_images_are_mirrored() -> None:
    x = pixels(200, 1, 4, 4)
    y = changed("flip", x)
    mirrored = kept(x.flip(3), y)
    assert all(m or same for m, same in zip(mirrored, kept(x, y), strict=True))
    assert 70 < sum(mirrored) < 130


def test_a_resized_crop_is_a_window_brought_to_the_size() -> None:
    """A ramp stays a ramp: its ends tell where the window lay, its slope how large that was."""
    ramp = torch.linspace(0, 1, 32).repeat(60, 1, 32, 1)
    y = changed("resized-crop", ramp)
    assert y.shape == ramp.shape
    first, last = y[:, 0, 16, 4], y[:, 0, 16, 27]
    span = (last - first) * 31 / 23 * 31 / 32  # of the window's width in the image's
    assert 0.05 < span.min() < 0.5 < span.max() <= 1.02
    assert len({round(float(value), 3) for value in first}) > 40
    bent = (y[:, :, :, 6:26] - 2 * y[:, :, :, 5:25] + y[:, :, :, 4:24]).abs().amax((1, 2, 3))
    assert bent.median() < 1e-3
    assert torch.allclose(y, y[:, :, :1].expand_as(y), atol=1e-5)  # the same in each row


def test_colours_change_and_their_places_do_not() -> None:
    x = pixels(20, 3, 8, 8)
    y = changed("jitter", x)
    assert not any(kept(x, y))
    assert len({round(float(value), 3) for value in (y.mean((1, 2, 3)) / x.mean((1, 2, 3)))}) > 15
    flat = changed("jitter", torch.full((9, 3, 8, 8), 0.5))
    assert torch.allclose(flat, flat[:, :, :1, :1].expand_as(flat), atol=1e-6)


def test_boxes_of_half_of_the_images_turn_black() -> None:
    x = pixels(200, 2, 16, 16)
    y = changed("erase", x)
    black = (y == 0).all(1)
    assert torch.equal(torch.where(black[:, None], x, y), x)  # the rest is as it was
    shares = black.float().mean((1, 2))
    assert 70 < int((shares > 0).sum()) < 130
    assert shares[shares > 0].min() > 0.01 and shares.max() < 0.4
    for box in black[shares > 0]:
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows[:, None] & columns)


@pytest.mark.parametrize("name", [*KINDS, *STYLES])
def test_the_seed_alone_tells_what_comes_out(name: str, threads: None) -> None:
    x = pixels(24, 3, 40, 56)
    before = x.clone()
    torch.set_num_threads(1)
    first = changed(name, x, seed=1)
    assert changed(name, x, seed=2).shape == first.shape
    assert not torch.equal(changed(name, x, seed=2), first)
    changed("crop", pixels(3, 3, 40, 56))  # what ran or was drawn before is of no account
    torch.rand(5)
    torch.set_num_threads(2)
    assert torch.equal(changed(name, x, seed=1), first)
    assert torch.equal(x, before)
    assert (first.dtype, first.device) == (x.dtype, x.device)
    assert first.min() >= 0 and first.max() <= 1


def test_threads_are_of_no_account_in_large_images(threads: None) -> None:
    x = pixels(4, 3, 256, 256)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append([changed(name, x) for name in KINDS])
    for one, two, three in zip(*found, strict=True):
        assert torch.equal(one, two) and torch.equal(one, three)


def test_styles_and_names_come_in_one_order() -> None:
    x = pixels(16, 3, 32, 32)

    def run(*names: str) -> torch.Tensor:
        torch.manual_seed(3)
        return Augment(names, 3, True)(x)

    assert torch.equal(run("cifar"), run("flip", "crop"))
    assert torch.equal(run("cifar", "crop"), run("crop", "flip"))
    assert torch.equal(run("erase", "imagenet"), run("resized-crop", "flip", "erase"))
    assert not torch.equal(run("cifar"), run("crop"))
    assert run() is x


def test_a_wrong_name_is_refused() -> None:
    with pytest.raises(OptionError, match="no augmentation 'flop': did you mean 'flip'"):
        check(("crop", "flop"))
    with pytest.raises(OptionError, match="no augmentation 'imgnet': did you mean 'imagenet'"):
        Augment(("imgnet",), 3, True)


@pytest.mark.parametrize("name", ["resized-crop", "rand", "jitter", "erase", "imagenet"])
def test_floats_as_they_stand_are_shifted_and_mirrored_only(name: str) -> None:
    with pytest.raises(DataError, match=r"came as floats, .*: use crop and flip only"):
        Augment((name,), 3, False)
    x = 10 * pixels(8, 3, 8, 8) - 5
    torch.manual_seed(0)
    y = Augment(("cifar",), 3, False)(x)
    assert y.min() < -1 and y.max() > 1  # nothing was cut off


def test_jitter_is_for_three_colours() -> None:
    with pytest.raises(
        DataError, match=r"'jitter' is for images of three channels, but these have 1:"
    ):
        Augment(("jitter",), 1, True)
    assert changed("imagenet", pixels(2, 5, 16, 16)).shape == (2, 5, 16, 16)


def test_kornia_is_loaded_when_images_are_changed() -> None:
    program = (
        "import sys\n"
        "from hydrafy.train.augment import Augment, check\n"
        "check(['imagenet'])\n"
        "Augment(('cifar',), 3, True)\n"
        "assert 'kornia' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

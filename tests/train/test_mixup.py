"""Images and terms are blended by the same shares of the same pairs."""

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from hydrafy.train.mixup import blend

CPU = torch.device("cpu")
LABELS = torch.tensor([2, 0, 1, 2, 1])


def drawn(alpha: float, count: int = 5, seed: int = 0):
    torch.manual_seed(seed)
    return blend(alpha, count, CPU)


def test_a_blend_of_labels_is_the_blend_of_their_terms() -> None:
    """Cross entropy with the mixed label of equation (1) is the mixed cross entropy."""
    scores = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    mixed = drawn(1.0)
    assert not torch.equal(mixed.others, torch.arange(5)) and 0.5 <= mixed.share < 1
    target = mixed.images(one_hot(LABELS, 3).float())
    found = mixed.terms(lambda of: {"final": cross_entropy(scores, of)}, LABELS)
    torch.testing.assert_close(found["final"], cross_entropy(scores, target))


@pytest.mark.parametrize(("alpha", "count"), [(0.0, 5), (1.0, 1)])
def test_nothing_is_blended(alpha: float, count: int) -> None:
    none, images = drawn(alpha, count), torch.rand(count, 3, 4, 4)
    before = torch.random.get_rng_state()
    assert torch.equal(none.images(images), images)
    assert none.terms(lambda of: {"labels": of}, LABELS[:count])["labels"].equal(LABELS[:count])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_large_alpha_blends_evenly_and_a_small_one_hardly() -> None:
    even, hardly = ([drawn(a, seed=s).share for s in range(50)] for a in (100.0, 0.05))
    assert max(even) < 0.65 and sorted(hardly)[25] > 0.99

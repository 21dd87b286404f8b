"""BatchNorm statistics taken again: the average over many large batches, the weights untouched."""

import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from hydrafy.analysis.images import axes
from hydrafy.errors import DataError, ModelError
from hydrafy.ir.manifest import Entry
from hydrafy.ir.program import Program
from hydrafy.train import gates
from hydrafy.train.converters.batchnorm import Normalise
from hydrafy.train.data import Array
from hydrafy.train.exporter import from_torch
from hydrafy.train.importer import to_torch
from hydrafy.train.norms import Norm, norms


@dataclass(frozen=True)
class Drift:
    """How far the statistics of a layer moved.

    Attributes:
        layer: its path.
        mean: how far its means moved, in standard deviations of before; the root mean square over
            its channels.
        variance: by what factor, at least 1, its variances grew or shrank; the geometric mean
            over its channels.
    """

    layer: str
    mean: float
    variance: float


class _Statistics:
    """A running mean and variance [C], perhaps of several layers, and the rows averaged so far."""

    def __init__(self, mean: torch.Tensor, var: torch.Tensor) -> None:
        self.now = mean, var
        self.before = mean.clone(), var.clone()
        self.rows = 0

    def share(self, rows: int) -> float:
        """The weight in the average of a batch of so many rows, which is counted."""
        self.rows += rows
        return rows / self.rows

    def restore(self) -> None:
        for now, before in zip(self.now, self.before, strict=True):
            now.copy_(before)

    def drift(self, layer: str, eps: float) -> Drift:
        (mean, var), (old_mean, old_var) = (
            (mean.double(), var.double() + eps) for mean, var in (self.now, self.before)
        )
        if not (mean.isfinite().all() and var.isfinite().all()):
            raise ModelError(
                f"the input of the BatchNormalization {layer!r} is not finite on these images: "
                "check --mean and --std, or the network's weights"
            )
        moved = (mean - old_mean).square() / old_var
        factor = (var / old_var).log().abs().mean().exp()
        return Drift(layer, float(moved.mean().sqrt()), float(factor))


@torch.no_grad()
def recalibrate(
    module: nn.Module, batches: Iterable[torch.Tensor], frozen: Collection[str] = ()
) -> tuple[Drift, ...]:
    """Makes the statistics of all BatchNorms the mean of those of the batches.

    A batch counts by its rows. Layers normalise by the statistics of the batch meanwhile, as in
    training, so that none is measured behind the old statistics of another. But gates decide as at
    inference, by the thresholds that the module holds: what comes behind a choice is to have the
    statistics of what will be chosen, and training chooses more. The branches themselves see all
    rows, as in training: the statistics that they were trained with are over all images, not over
    those routed to them. Modes are left as they were; so are the statistics if this fails or is
    interrupted.

    Args:
        module: one from `to_torch`, or one that holds it, not compiled. Processes that hold copies
            have to give them the same batches, or `synchronise` them and give as many rows each.
        batches: what the module takes, of two images at least, augmented as in training. Without
            the black borders of random crops, a ResNet-20 trained with them on CIFAR-10 falls from
            91.7 to 88.7 %: its first layer sees a variance that is less by a quarter.
        frozen: paths of layers, or of what they lie in, that keep their statistics and normalise
            by them, because they were not trained either: see `hydrafy.train.norms.frozen`.

    Returns:
        How far the statistics of each layer moved, in the order in which they run.

    Raises:
        ModelError: there is no BatchNorm, or the input of one is not finite.
        DataError: there are no images.
    """
    found = norms(module)
    if not found:
        raise ModelError(
            "the network has no BatchNormalization to recalibrate: an exporter may have folded "
            "them into convolutions, `hydrafy convert --restore-batchnorm DATA` gives them back"
        )
    layers = {path: layer for path, layer in found.items() if not _within(path, frozen)}
    device = next((tensor.device for tensor in module.buffers()), torch.device("cpu"))
    with _measuring(module, layers) as statistics:
        for batch in batches:
            module(batch.to(device))
        if layers and not statistics:
            raise DataError("there are no images to recalibrate with")
        return tuple(held.drift(path, layers[path].eps) for path, held in statistics.items())


@contextlib.contextmanager
def _measuring(
    module: nn.Module, layers: Mapping[str, Norm]
) -> Iterator[Mapping[str, _Statistics]]:
    """Has the layers average all that runs through the module, and notes what they held before."""
    found: dict[str, _Statistics] = {}
    shared: dict[int, _Statistics] = {}  # by address

    def watch(path: str, layer: Norm, inputs: tuple[torch.Tensor, ...]) -> None:
        if path not in found:
            mean, var = _held(layer, inputs)
            address = mean.data_ptr()
            if address not in shared:
                shared[address] = _Statistics(mean, var)
            found[path] = shared[address]
        layer.momentum = found[path].share(len(inputs[0]))

    modes = {part: part.training for part in module.modules()}
    momenta = [(layer, layer.momentum) for layer in layers.values()]
    hooks = [
        layer.register_forward_pre_hook(partial(watch, path)) for path, layer in layers.items()
    ]
    try:
        for path, part in module.named_modules():
            part.training = not _is_gate(part) and (path in layers or not isinstance(part, Norm))
        yield found
    except BaseException:
        for statistics in shared.values():
            statistics.restore()
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in momenta:
            layer.momentum = momentum
        for part, mode in modes.items():
            part.training = mode


def recalibrated(
    program: Program, batches: Iterable[Array], frozen: Collection[str] = ()
) -> tuple[Program, tuple[Drift, ...]]:
    """A copy of a program with new statistics, noted in its journal, and how far they moved.

    Args:
        program: static or dynamic; its run-time inputs stand at their defaults.
        batches: float32 [N, C, H, W]; one of a single image is left out, since it tells no
            variance.
        frozen: as in `recalibrate`.

    Raises:
        ModelError: the program is lowered, or has no BatchNormalization.
        DataError: there are not even two images.
    """
    module, permuted, images = to_torch(program), axes(program), 0

    def fed() -> Iterable[torch.Tensor]:
        nonlocal images
        for batch in batches:
            if len(batch) > 1:
                images += len(batch)
                yield torch.from_numpy(batch).permute(permuted)

    drifts = recalibrate(module, fed(), frozen)
    made = from_torch(module)
    note = f"statistics of {len(drifts)} BatchNormalizations from {images} images"
    journal = (*made.manifest.journal, Entry("recalibrate", (note,)))
    made.manifest = dataclasses.replace(made.manifest, journal=journal)
    return made, drifts


def _held(layer: Norm, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """The tensors that a layer keeps its statistics in."""
    if isinstance(layer, Normalise):
        return inputs[3], inputs[4]
    assert layer.running_mean is not None and layer.running_var is not None
    return layer.running_mean, layer.running_var


def _within(path: str, parts: Collection[str]) -> bool:
    return any(f"{path}.".startswith(f"{part}.") for part in parts)


def _is_gate(part: nn.Module) -> bool:
    return type(part).__module__.startswith(f"{gates.__name__}.")

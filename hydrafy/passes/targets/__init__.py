"""Targets: the forms that a network is lowered to beside portable control flow."""

from hydrafy.execute.quantised import Feeds
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from hydrafy.passes.lower.expand import Expand
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.lower.strides import StrideConvolutions
from hydrafy.passes.normalise.affines import FoldAffines
from hydrafy.passes.targets.blocked import KeepBlocked
from hydrafy.passes.targets.dense import ChooseDensely
from hydrafy.passes.targets.fuse import FuseBlocked
from hydrafy.passes.targets.optimise import OptimiseHere
from hydrafy.passes.targets.quantise import Quantise, SelectQuantised


def dense_pipeline() -> list[Pass]:
    """The passes from a dynamic program to standard ops without control flow."""
    return [
        DropTraining(),
        FoldAffines(alone=True),
        FoldBatchNorm(),
        StrideConvolutions(),
        ChooseDensely(),
        Expand(),
    ]


def native_pipeline(block: int) -> list[Pass]:
    """The passes from a lowered program to the blocked kernels of this machine.

    Args:
        block: channels in a block here.
    """
    return [OptimiseHere(), KeepBlocked(block), FuseBlocked()]


def int8_pipeline(feeds: tuple[Feeds, ...]) -> list[Pass]:
    """The passes from a dynamic program to a quantised one, which is dynamic too.

    Args:
        feeds: what the ranges of its values are measured on.
    """
    return [
        DropTraining(),
        FoldAffines(alone=True),
        FoldBatchNorm(),
        StrideConvolutions(),
        Quantise(feeds),
        SelectQuantised(),
    ]

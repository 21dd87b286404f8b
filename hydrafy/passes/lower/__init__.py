"""Lowering: from a dynamic program to plain ONNX that skips what a sample does not need."""

from hydrafy.analysis.latency import LatencyModel
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from hydrafy.passes.lower.columns import SplitColumns
from hydrafy.passes.lower.compact import Compact
from hydrafy.passes.lower.differences import FoldDifferences
from hydrafy.passes.lower.doubles import DoubleShared
from hydrafy.passes.lower.expand import Expand
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.lower.merge import Merge
from hydrafy.passes.lower.pads import PadByConvolution
from hydrafy.passes.lower.pooling import PoolInside
from hydrafy.passes.lower.reached import TellReached
from hydrafy.passes.lower.single import FixBatch
from hydrafy.passes.lower.sink import Sink
from hydrafy.passes.lower.strides import StrideConvolutions
from hydrafy.passes.lower.sums import CompactSums
from hydrafy.passes.lower.thresholds import SpreadThresholds
from hydrafy.passes.lower.tree import TreeOfIfs
from hydrafy.passes.normalise.affines import FoldAffines


def pipeline(*, single: bool = False, latency: LatencyModel | None = None) -> list[Pass]:
    """The passes that lower a dynamic program, in their order. They know predicates, no recipe.

    Args:
        single: whether batches are of one image, which makes regions plain Ifs.
        latency: by which a region is made only where it pays; wherever it can be where None.
    """
    return [
        DropTraining(),
        FoldAffines(alone=True),
        FoldBatchNorm(),
        FoldDifferences(),
        PadByConvolution(),
        StrideConvolutions(),
        PoolInside(),
        Merge(),
        TellReached(),
        FixBatch() if single else SpreadThresholds(),
        DoubleShared(),
        Sink(latency),
        TreeOfIfs() if single else CompactSums(),
        Compact(),
        *([SplitColumns()] if single else []),
        Expand(),
    ]

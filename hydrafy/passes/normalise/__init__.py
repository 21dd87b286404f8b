"""Bringing the files that people have to one form, each difference by a pass of its own."""

from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.accept import Accept
from hydrafy.passes.normalise.activations import FindActivations
from hydrafy.passes.normalise.affines import FoldAffines
from hydrafy.passes.normalise.answers import OrderAnswers
from hydrafy.passes.normalise.auto_pads import ExplicitPads
from hydrafy.passes.normalise.batch import FreeBatch
from hydrafy.passes.normalise.channels_first import ChannelsFirst
from hydrafy.passes.normalise.concats import ChainConcats
from hydrafy.passes.normalise.constants import FoldConstants
from hydrafy.passes.normalise.expands import DropExpands
from hydrafy.passes.normalise.fit import CheckFit
from hydrafy.passes.normalise.functions import InlineFunctions
from hydrafy.passes.normalise.fused import SplitFused
from hydrafy.passes.normalise.global_pooling import GlobalPooling
from hydrafy.passes.normalise.groups import SpellGroups
from hydrafy.passes.normalise.head import FlatHead
from hydrafy.passes.normalise.identities import RemoveIdentities
from hydrafy.passes.normalise.linear import LinearLayers
from hydrafy.passes.normalise.names import NameLayers
from hydrafy.passes.normalise.opset import RaiseOpset
from hydrafy.passes.normalise.pads import FoldPads
from hydrafy.passes.normalise.pointwise import PointwiseGates
from hydrafy.passes.normalise.precision import SinglePrecision
from hydrafy.passes.normalise.prediction import FlatPrediction
from hydrafy.passes.normalise.quantised import DropQuantisation
from hydrafy.passes.normalise.relus import PlainRelus
from hydrafy.passes.normalise.reshapes import MergeReshapes
from hydrafy.passes.normalise.rows import SeparateImages
from hydrafy.passes.normalise.shapes import InferShapes
from hydrafy.passes.normalise.spelling import SpellOut
from hydrafy.passes.normalise.sums import AddPairs
from hydrafy.passes.normalise.training import InferenceMode
from hydrafy.passes.normalise.traps import RefuseTraps


def pipeline() -> list[Pass]:
    """The passes that make a file's graph a static program, in their order."""
    return [
        InlineFunctions(),
        SinglePrecision(),
        InferenceMode(),
        SplitFused(),
        RaiseOpset(),
        FoldConstants(),
        RefuseTraps(),
        InferShapes(),
        FoldConstants(),
        DropQuantisation(),
        SpellGroups(),
        SpellOut(),
        FindActivations(),
        RemoveIdentities(),
        InferShapes(),
        DropExpands(),
        PointwiseGates(),
        PlainRelus(),
        ChainConcats(),
        FreeBatch(),
        CheckFit(),
        SeparateImages(),
        ChannelsFirst(),
        ExplicitPads(),
        FoldPads(),
        AddPairs(),
        FoldAffines(),
        GlobalPooling(),
        FlatPrediction(),
        OrderAnswers(),
        MergeReshapes(),
        LinearLayers(),
        FlatHead(),
        NameLayers(),
        Accept(),
    ]

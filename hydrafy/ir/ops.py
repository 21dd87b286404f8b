"""The vocabulary of a program: the few ops of the domain `hydrafy`, and the standard ops.

Each op of the domain is a model-local ONNX function. Its body, in standard ops, is its dense
meaning at inference, so a dynamic file runs in any ONNX runtime and opens in any viewer.
"""

import functools

import onnx
import onnx.parser
import onnx_ir as ir

DOMAIN = "hydrafy"
OPSET = 18  # the least version of the standard ops that programs are brought to

SELECT = """
Select <gradient: string = "none"> (pred, a, b) => (selected) {
  shape = Shape (a)
  rank = Shape (shape)
  one = Constant <value = int64[1] {1}> ()
  trailing = Sub (rank, one)
  ones = ConstantOfShape <value = int64[1] {1}> (trailing)
  every = Constant <value = int64[1] {-1}> ()
  target = Concat <axis = 0> (every, ones)
  rows = Reshape (pred, target)
  selected = Where (rows, a, b)
}"""

TOP_K_GATE = """
TopKGate <k: int> (scores, tau) => (picked) {
  exact = Cast <to = 1> (scores)
  count = Constant <value_int: int = @k> ()
  first = Constant <value = int64[1] {1}> ()
  size = Reshape (count, first)
  others = Sub (size, first)
  best_vote = Constant <value = float[1] {2}> ()
  other_votes = ConstantOfShape <value = float[1] {1}> (others)
  one_each = Concat <axis = 0> (best_vote, other_votes)
  column = Constant <value = int64[2] {-1, 1}> ()
  votes = Reshape (one_each, column)
  values, ranked = TopK <axis = -1> (exact, size)
  shape = Shape (exact)
  last = Constant <value = int64 {1}> ()
  branches = Gather (shape, last)
  off_on = Constant <value = float[2] {0, 1}> ()
  places = OneHot <axis = 1> (ranked, branches, off_on)
  counted = MatMul (places, votes)
  vote = Constant <value = int64[1] {2}> ()
  standing = Squeeze (counted, vote)
  above = GreaterOrEqual (exact, tau)
  half = Constant <value = float {0.5}> ()
  more = Constant <value = float {1.5}> ()
  needed = Where (above, half, more)
  picked = Greater (standing, needed)
}"""
"""Bool [N, branches] from scores and tau, broadcast to [N, branches]: the best k whose score is at
or over tau, and the best one always; ties go to the lower index."""

THRESHOLD_GATE = """
ThresholdGate (scores, tau) => (open) {
  exact = Cast <to = 1> (scores)
  open = GreaterOrEqual (exact, tau)
}"""
"""Bool [N, gates] from scores and tau, broadcast to [N, gates]: those at or over tau."""

GUMBEL_GATE = """
GumbelGate <temperature: float = 1.0, cooled: float = 1.0, inverted: int = 0>
(scores, bound) => (likely) {
  exact = Cast <to = 1> (scores)
  likely = GreaterOrEqual (exact, bound)
}"""
"""Bool [N, gates] from scores, log-odds of being open, and a bound, broadcast to [N, gates]: those
at or over it. In training a gate is open by chance, with that probability."""

EACH_ROW = """
EachRow (x, row) => (rows) {
  shape = Shape <start: int = 0, end: int = 1> (x)
  one = Constant <value = int64[1] {1}> ()
  target = Concat <axis = 0> (shape, one)
  rows = Expand (row, target)
}"""
"""The one row [1, columns] for each row of x [N, ...]: [N, columns]."""

GRAD_SCALE = "GradScale <scale: float = 1.0> (x) => (y) { y = Identity (x) }"
STOP_GRADIENT = "StopGradient (x) => (y) { y = Identity (x) }"

LAST_PHASE = "LastPhase (x) => (y) { y = Identity (x) }"
"""What takes part in the last phase of a training, and at inference; before, it is zeros."""

MARKERS = frozenset({"GradScale", "LastPhase", "StopGradient"})
"""Mean something in training only."""

GATES = frozenset({"GumbelGate", "ThresholdGate", "TopKGate"})

_BODIES = {
    "Select": SELECT,
    "TopKGate": TOP_K_GATE,
    "ThresholdGate": THRESHOLD_GATE,
    "GumbelGate": GUMBEL_GATE,
    "EachRow": EACH_ROW,
    "GradScale": GRAD_SCALE,
    "StopGradient": STOP_GRADIENT,
    "LastPhase": LAST_PHASE,
}

EACH = frozenset({
    "Cast", "Celu", "Clip", "Elu", "Erf", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Log", "Mish", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh",
})  # fmt: skip
"""Treat every number of one input alike."""

BOTH = frozenset({"Add", "Div", "Mul", "PRelu", "Pow", "Sub", "Sum"})
"""Combine the numbers of two or more inputs that stand in the same place, after broadcasting."""

COMPARISONS = frozenset({"Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
"""Make a bool of two numbers that stand in the same place, after broadcasting."""

LOGIC = frozenset({"And", "Not", "Or", "Xor"})
"""Make a bool of one or two others."""

WINDOWS = frozenset({"AveragePool", "Conv", "MaxPool"})
"""Move a window over an image."""

GLOBAL = frozenset({"GlobalAveragePool", "GlobalMaxPool"})
"""Make one number of all places of an image, for each channel."""

NORMS = frozenset({"BatchNormalization", "InstanceNormalization", "LRN"})
"""Normalise the channels of an image."""

VIEWS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
"""Give the same numbers another shape."""

OTHERS = frozenset({
    "Concat", "Gather", "Gemm", "LayerNormalization", "LogSoftmax", "MatMul", "Pad", "ReduceMax",
    "ReduceMean", "ReduceSum", "Slice", "Softmax", "TopK", "Transpose",
})  # fmt: skip

STANDARD = EACH | BOTH | COMPARISONS | LOGIC | WINDOWS | GLOBAL | NORMS | VIEWS | OTHERS
"""The standard ops that may stand in a static or dynamic program: what the analyses know, torch
imports and lowering moves. All are in the least opset and mean the same in later ones; reading
spells out others (GroupNormalization, Gelu). A lowered program may use any standard op."""

QUANTISED = frozenset({"DequantizeLinear", "QuantizeLinear"})
"""What a dynamic program holds besides, once it has been quantised to be lowered."""


@functools.cache
def _parsed(name: str) -> onnx.FunctionProto:
    text = f'<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>\n{_BODIES[name].strip()}'
    return onnx.parser.parse_function(text)


def function(name: str) -> ir.Function:
    """A fresh copy of the function that defines op `name` of the domain."""
    return ir.serde.deserialize_function(_parsed(name))


def arity(name: str) -> int:
    """How many inputs op `name` of the domain has; all are needed."""
    return len(_parsed(name).input)


def names() -> tuple[str, ...]:
    """The ops of the domain `hydrafy`."""
    return tuple(_BODIES)


def is_select(node: ir.Node) -> bool:
    """Whether the node is a `Select(pred, a, b)`, the only thing that makes a network dynamic."""
    return node.domain == DOMAIN and node.op_type == "Select"


def is_gate(node: ir.Node) -> bool:
    """Whether the node makes decisions, bool [N, choices], from scores [N, choices]."""
    return node.domain == DOMAIN and node.op_type in GATES

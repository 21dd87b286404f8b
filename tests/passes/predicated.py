"""Small predicated networks, drawn by hypothesis: what lowering and its proof are tried on."""

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Manifest, Output, RuntimeInput
from hydrafy.ir.program import Program

CHANNELS = 4
SIZE = 6
TAU = RuntimeInput("tau", 0.0, 1.0, None, "gates whose score is below it are closed")
BUDGET = RuntimeInput("budget", 0.0, 4.0, 4.0, "how far an image may go")


class Net:
    """A network being drawn: images x [N, 4, 6, 6] go in, and what its caller decides.

    Decisions are `d` [N, D], one for each row, and `all` [], one for the batch; or gates make them
    of the data. `tau` is a run-time input of those gates that are not `fixed`.
    """

    def __init__(self, decisions: int = 4, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.x = ir.val("x", ir.DataType.FLOAT, ["N", CHANNELS, SIZE, SIZE])
        self.d = ir.val("d", ir.DataType.BOOL, ["N", decisions])
        self.all = ir.val("all", ir.DataType.BOOL, [])
        self.graph = ir.Graph(
            [self.x, self.d, self.all], [], nodes=[], opset_imports={"": ops.OPSET}, name="net"
        )
        self.count = 0
        self.gates: dict[str, ir.Value] = {}  # what is taken from each one's scores, by their name
        self.told: list[ir.Value] = []
        self.tau: ir.Value | None = None
        self.budget: ir.Value | None = None

    def op(self, op_type: str, *inputs: ir.Value, **attributes: object) -> ir.Value:
        """The result of a new node."""
        self.count += 1
        node = build.op(op_type, inputs, f"{op_type.lower()}_{self.count}", **attributes)
        self.graph.append(node)
        return node.outputs[0]

    def const(self, array: object) -> ir.Value:
        """A new initializer."""
        self.count += 1
        return build.weight(self.graph, f"c{self.count}", np.asarray(array))

    def conv(self, x: ir.Value) -> ir.Value:
        """A convolution of 3x3 to 4 channels, and a Relu."""
        shape = (CHANNELS, x.shape[1], 3, 3)
        kernel = self.rng.standard_normal(shape).astype(np.float32) / 6
        return self.op("Relu", self.op("Conv", x, self.const(kernel), pads=[1, 1, 1, 1]))

    def pooled(self, x: ir.Value) -> ir.Value:
        """The mean of each channel: [N, channels]."""
        return self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)

    def linear(self, x: ir.Value, out: int) -> ir.Value:
        """A layer without bias: [N, out]."""
        weight = self.rng.standard_normal((out, x.shape[1])).astype(np.float32)
        return self.op("Gemm", x, self.const(weight), transB=1)

    def pred(self, column: int) -> ir.Value:
        """What the caller decides: bool [N]."""
        return self.op("Gather", self.d, self.const(np.array(column)), axis=1)

    def within(self, limit: float) -> ir.Value:
        """Whether the budget of the batch, a run-time input, is at most this: bool []."""
        if self.budget is None:
            self.budget = build.weight(self.graph, BUDGET.name, np.array(4, np.float32))
            self.graph.inputs.append(self.budget)
        return self.op("LessOrEqual", self.budget, self.const(np.float32(limit)))

    def scores(self, x: ir.Value, limits: list[float]) -> list[ir.Value]:
        """Whether a score of each image is over some limits, ascending: bools [N]."""
        score = self.op("Sigmoid", self.linear(self.pooled(x), 1))
        score = self.op("Squeeze", score, self.const(np.array([1])))
        return [self.op("Greater", score, self.const(np.float32(limit))) for limit in limits]

    def select(self, pred: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
        """`Select(pred, a, b)`."""
        return self.op("Select", pred, a, b, domain=ops.DOMAIN)

    def zero(self) -> ir.Value:
        """The scalar 0."""
        return self.const(np.float32(0))

    def gate(
        self, scores: ir.Value, *, k: int | None = None, fixed: bool = True, told: bool = False
    ) -> list[ir.Value]:
        """The predicates [N] of a gate, one for each column of some scores [N, columns].

        Args:
            scores: any numbers; a constant is taken from each column, so that `program` can have
                a gate open for one half of some images.
            k: how many columns are chosen at most, and one at least; any number if None.
            fixed: whether its threshold is constant, not the run-time input `tau`.
            told: whether its decision is an output.
        """
        columns = scores.shape[1]
        offset = self.const(np.zeros((1, columns), np.float32))
        self.gates[scores.name or ""] = offset
        score = self.op("Sigmoid", self.op("Sub", scores, offset))
        tau = self.const(np.full((1, 1), 0.5, np.float32)) if fixed else self._tau()
        kind, extra = ("ThresholdGate", {}) if k is None else ("TopKGate", {"k": k})
        decision = self.op(kind, score, tau, domain=ops.DOMAIN, **extra)
        self.told += [decision] if told else []
        numbers = (self.const(np.array(i)) for i in range(columns))
        return [self.op("Gather", decision, number, axis=1) for number in numbers]

    def exit(self, logits: ir.Value, number: int, of: int, *, stays: bool, told: bool) -> ir.Value:
        """Whether an answer is as sure as the column of `tau` of an exit, or is less: bool [N]."""
        wide = self.op("Add", self._tau(of), self.const(np.zeros((1, of), np.float32)))
        wide.shape = ir.Shape(["tau_rows", of])  # one column, as fed, or all
        bound = self.op("Gather", wide, self.const(np.array([number])), axis=1)
        score = self.op("Softmax", logits, axis=1)
        score = self.op("ReduceMax", score, self.const(np.array([1])), keepdims=1)
        if stays:
            score, bound = (self.op("Sub", self.const(np.float32(1)), v) for v in (score, bound))
        decision = self.op("ThresholdGate", score, bound, domain=ops.DOMAIN)
        self.told += [decision] if told else []
        return self.op("Gather", decision, self.const(np.array(0)), axis=1)

    def program(self, *outputs: ir.Value) -> Program:
        """The network; inputs that nobody reads go."""
        self.graph.outputs.extend([*outputs, *self.told])
        for value in [v for v in self.graph.inputs if not v.uses() and v is not self.x]:
            self.graph.inputs.remove(value)
        roles = [Output(v.name or "", "prediction") for v in outputs]
        roles += [Output(v.name or "", "decision") for v in self.told]
        inputs = [TAU] if self.tau is not None else []
        inputs += [BUDGET] if self.budget is not None else []
        manifest = Manifest(stage="dynamic", outputs=tuple(roles), runtime_inputs=tuple(inputs))
        program = Program(ir.Model(self.graph, ir_version=10), manifest)
        self._divide(program)
        return program

    def _tau(self, columns: int = 1) -> ir.Value:
        if self.tau is None:
            default = np.full((1, columns), 0.5, np.float32)
            self.tau = build.weight(self.graph, TAU.name, default)
            self.tau.shape = ir.Shape(["tau_rows", "tau_gates"])
            self.graph.inputs.append(self.tau)
        return self.tau

    def _divide(self, program: Program) -> None:
        """Lets each gate be open for one half of some images, the first gates first."""
        given = feeds(64, seed=9, everything=True)
        for name, offset in self.gates.items():
            probe = program.clone()
            probe.graph.outputs.append(probe.values()[name])
            found = run(Session(probe, threads=1), given)[-1]
            program.set_weight(offset.name or "", np.median(found, axis=0, keepdims=True))


def feeds(
    batch: int, seed: int, *, everything: bool, decisions: int = 4, budget: float | None = None
) -> dict[str, np.ndarray]:
    """Images, and decisions for networks whose caller makes some."""
    rng = np.random.default_rng(seed)
    spent = {} if budget is None else {BUDGET.name: np.array(budget, np.float32)}
    return {
        **spent,
        "x": rng.standard_normal((batch, CHANNELS, SIZE, SIZE)).astype(np.float32),
        "d": rng.random((batch, decisions)) < 0.5,
        "all": np.array(everything),
    }


def run(session: Session, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """All outputs; what the network does not take is left out."""
    taken = {*session.inputs, *session.settings}
    return list(session.run({k: v for k, v in given.items() if k in taken}).values())


@st.composite
def networks(draw: st.DrawFn) -> Program:
    """Residual, dense, summed and nested Selects with shared values and one or two outputs.

    Their caller decides.
    """
    net = Net(seed=draw(st.integers(0, 1000)))
    x, zero = net.conv(net.x), net.zero()
    shared = net.conv(x)
    outputs = []
    kinds = ["residual", "dense", "either", "sum", "nested", "whole", "shared"]
    for _ in range(draw(st.integers(1, 3))):
        pred = net.pred(draw(st.integers(0, 3)))
        kind = draw(st.sampled_from(kinds))
        if kind == "residual":
            x = net.op("Add", x, net.select(pred, net.conv(net.conv(x)), zero))
        elif kind == "dense":
            x = net.conv(net.op("Concat", x, net.select(pred, net.conv(x), zero), axis=1))
        elif kind == "either":
            x = net.select(pred, net.conv(x), net.conv(x))
        elif kind == "sum":
            picked = [net.select(net.pred(i), net.conv(x), zero) for i in range(3)]
            x = net.op("Sum", *picked)
        elif kind == "nested":
            inner = net.select(net.pred(draw(st.integers(0, 3))), net.conv(x), net.conv(shared))
            x = net.select(pred, net.conv(inner), x)
        elif kind == "whole":
            x = net.select(net.all, net.conv(x), draw(st.sampled_from([x, zero])))
        else:
            one = net.conv(x)
            x = net.op("Add", net.select(pred, net.conv(one), zero), one)
        if draw(st.booleans()):
            outputs.append(net.op("GlobalAveragePool", x))
    return net.program(net.pooled(x), *outputs[:1])


@st.composite
def reasoned(draw: st.DrawFn) -> Program:
    """Selects whose predicates say something about each other, and share what they need."""
    net = Net(seed=draw(st.integers(0, 1000)))
    x, outputs = net.conv(net.x), list[ir.Value]()
    kinds = ["logic", "implied", "steps", "scores", "twice", "two", "nested"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2)):
        x = _reasoned(net, x, kind, draw)
        if draw(st.booleans()):
            outputs.append(net.op("GlobalAveragePool", x))
    return net.program(net.pooled(x), *outputs[:1])


def _reasoned(net: Net, x: ir.Value, kind: str, draw: st.DrawFn) -> ir.Value:
    p, q = (net.pred(draw(st.integers(0, 3))) for _ in range(2))
    if kind == "logic":
        pred = net.op(draw(st.sampled_from(["And", "Or", "Xor"])), p, net.op("Not", q))
        return net.op("Add", x, net.select(pred, net.conv(net.conv(x)), net.zero()))
    if kind == "implied":  # one way round, the other way, or neither
        outer, inner = draw(st.permutations([p, net.op("Or", p, q)]))
        outer = net.op("Not", outer) if draw(st.booleans()) else outer
        return net.select(outer, net.conv(net.select(inner, net.conv(x), net.conv(x))), x)
    if kind in ("steps", "scores"):  # y1, y2 or y3, of which the last two have a trunk in common
        limits = sorted(draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=2, max_size=2)))
        low, high = (
            map(net.within, limits)
            if kind == "steps"
            else reversed(net.scores(x, [limit / 4 for limit in limits]))
        )
        trunk = net.conv(x)
        more = net.select(high, net.conv(trunk), net.conv(net.conv(trunk)))
        extra = net.select(low, net.conv(more), net.select(high, trunk, net.zero()))
        return net.op("Add", net.select(low, net.conv(x), more), extra)
    trunk, other = net.conv(net.conv(x)), p if kind == "twice" else q
    first = net.select(p, net.conv(trunk), x)
    if kind == "nested":
        first = net.select(q, net.select(p, trunk, net.conv(trunk)), net.zero())
        second = net.select(net.op("And", p, q), net.conv(trunk), net.zero())
        return net.op("Add", first, second)
    return net.op("Add", first, net.select(other, net.op("Tanh", trunk), net.zero()))


@st.composite
def gated(draw: st.DrawFn) -> Program:
    """Blocks, dense layers and branches behind gates, with exits between them or without.

    What follows an exit is needed only by images that did not leave, its gates too. Decisions are
    outputs or are not, thresholds are constant or run-time inputs.
    """
    net = Net(seed=draw(st.integers(0, 1000)))
    how = {"fixed": draw(st.booleans()), "told": draw(st.booleans())}
    x = net.conv(net.x)
    left: list[tuple[ir.Value, ir.Value]] = []
    for _ in range(draw(st.integers(1, 3))):
        x = _stage(net, x, draw(st.sampled_from(["bypass", "dense", "branches", "pair"])), how)
        if draw(st.booleans()):
            early = net.linear(net.pooled(x), 5)
            sure = net.op("ReduceMax", early, net.const(np.array([1])), keepdims=1)
            left.append((net.gate(sure, **how)[0], early))
    y = net.linear(net.pooled(net.conv(x)), 5)
    for sure, early in reversed(left):
        y = net.select(sure, early, y)
    return net.program(y)


@st.composite
def leaving(draw: st.DrawFn) -> Program:
    """Exits with a threshold each, between blocks and branches behind gates or without.

    An answer may build on the one before it. Decisions are to leave or to stay, and outputs or not;
    there may be a second prediction, which needs what lies before the first exit or behind it.
    """
    net, count = Net(seed=draw(st.integers(0, 1000))), draw(st.integers(1, 3))
    stays, told = draw(st.booleans()), draw(st.booleans())
    x, answers, deep = net.conv(net.x), list[ir.Value](), list[ir.Value]()
    predicates = []
    for number in range(count + 1):
        kinds = ["none", "bypass", "branches", "dense"]
        x = net.conv(x) if number else x
        if (kind := draw(st.sampled_from(kinds))) != "none":
            x = _stage(net, x, kind, {"fixed": True, "told": told})
        seen = net.pooled(net.conv(x))
        if answers and draw(st.booleans()):
            seen = net.op("Concat", seen, answers[-1], axis=1)
        answers.append(net.linear(seen, 5))
        deep.append(x)
        if number < count:
            predicates.append(net.exit(answers[-1], number, count, stays=stays, told=told))
    chosen = answers[-1]
    for predicate, answer in reversed([*zip(predicates, answers, strict=False)]):
        sides = (chosen, answer) if stays else (answer, chosen)
        chosen = net.select(predicate, *sides)
    more = [net.op("GlobalAveragePool", draw(st.sampled_from(deep)))] if draw(st.booleans()) else []
    return net.program(chosen, *more)


@st.composite
def choosing(draw: st.DrawFn) -> Program:
    """Gates that pick one of their branches, in which there may be blocks behind gates, or more of
    the kind; some lie in such a block themselves."""
    net = Net(seed=draw(st.integers(0, 1000)))
    how = {"fixed": draw(st.booleans()), "told": draw(st.booleans())}
    x = net.conv(net.x)
    for _ in range(draw(st.integers(1, 2))):
        x = _chosen(net, x, draw, how, depth=draw(st.integers(0, 2)))
    return net.program(net.pooled(net.conv(x)))


def _chosen(
    net: Net, x: ir.Value, draw: st.DrawFn, how: dict[str, bool], *, depth: int
) -> ir.Value:
    columns = draw(st.integers(1, 5 if depth else 9))
    deep = draw(st.integers(0, columns - 1))
    picked = net.gate(net.linear(net.pooled(x), columns), k=1, **how)
    branches = [net.conv(x) for _ in range(columns)]
    if depth:
        inner = branches[deep]
        branches[deep] = (
            _stage(net, inner, "bypass", how)
            if draw(st.booleans())
            else _chosen(net, inner, draw, how, depth=depth - 1)
        )
    order = draw(st.permutations([*zip(picked, branches, strict=True)]))
    total = net.op("Sum", *(net.select(p, b, net.zero()) for p, b in order))
    if not draw(st.booleans()):
        return total
    (outer,) = net.gate(net.linear(net.pooled(x), 1), **how)
    return net.op("Add", x, net.select(outer, net.conv(total), net.zero()))


def _stage(net: Net, x: ir.Value, kind: str, how: dict[str, bool]) -> ir.Value:
    if kind == "branches":
        picked = net.gate(net.linear(net.pooled(x), 3), k=2, **how)
        return net.op("Sum", *(net.select(p, net.conv(x), net.zero()) for p in picked))
    first, *more = net.gate(net.linear(net.pooled(x), 2 if kind == "pair" else 1), **how)
    if kind == "dense":
        return net.conv(net.op("Concat", x, net.select(first, net.conv(x), net.zero()), axis=1))
    x = net.op("Relu", net.op("Add", x, net.select(first, net.conv(x), net.zero())))
    for pred in more:  # one gate for two blocks
        x = net.op("Relu", net.op("Add", x, net.select(pred, net.conv(x), net.zero())))
    return x

"""Answers in time: each image goes as far through a network as its deadline allows.

    hydrafy lower net.exits.onnx --anytime --batch 1 -o net.deploy.onnx
    python examples/deadline.py net.deploy.onnx 2 5 1 10

It needs onnxruntime and NumPy only. How long the answer of each exit takes is measured once; then
each request, with a deadline in milliseconds, gets the largest budget that there is time for.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

ROUNDS, SPARE = 100, 0.95
"""Answers that are timed of each exit, and the share of them that is to be in time. On a machine
that does something else as well times vary, and a deadline is a hope: leave it some spare time."""


class Network:
    """A lowered network, and how long the answer of each exit takes, in milliseconds."""

    def __init__(self, file: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(file, options)
        (self.images,) = self.session.get_inputs()
        told = json.loads(self.session.get_modelmeta().custom_metadata_map["hydrafy"])
        inputs = {one["name"]: one for one in told["runtime_inputs"]}
        self.steps = inputs["budget"]["steps"]  # the share of MACs that each answer takes
        # at its neutral threshold an exit is never sure enough, and the budget alone decides
        self.patient = {
            name: np.full((1, 1), one["neutral"], np.float32)
            for name, one in inputs.items()
            if one["neutral"] is not None
        }
        self.times = [self.measure(step) for step in self.steps]

    def answer(self, image: np.ndarray, budget: float, **thresholds: np.ndarray) -> np.ndarray:
        """Scores [1, classes] of an image [1, C, H, W], normalised, with a budget from 0 to 1."""
        share = np.full((1, 1), budget, np.float32)
        feeds = {**thresholds, self.images.name: image, "budget": share}
        return self.session.run([self.session.get_outputs()[0].name], feeds)[0]

    def measure(self, budget: float) -> float:
        """Milliseconds in which most answers with this budget are there, if no exit is sure."""
        image = np.zeros([1, *self.images.shape[1:]], np.float32)
        taken = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            self.answer(image, **{**self.patient, "budget": budget})
            taken.append(1000 * (time.perf_counter() - begin))
        return float(np.quantile(taken[ROUNDS // 10 :], SPARE))  # the first ones warm up

    def within(self, deadline: float) -> float:
        """The budget of the last answer that is there in time; else that of the first one."""
        timed = zip(self.steps, self.times, strict=True)
        return max((step for step, taken in timed if taken <= deadline), default=self.steps[0])


def main(file: str, *deadlines: str) -> None:
    """Answers a request for each deadline, on noise, and prints when it was done."""
    network = Network(file)
    for number, (step, taken) in enumerate(zip(network.steps, network.times, strict=True), 1):
        print(f"answer {number}: {100 * step:.1f} % of the MACs, {taken:.3f} ms")
    rng = np.random.default_rng(0)
    for deadline in map(float, deadlines):
        image = rng.standard_normal([1, *network.images.shape[1:]]).astype(np.float32)
        budget, begin = network.within(deadline), time.perf_counter()
        best = network.answer(image, budget).argmax()
        taken = 1000 * (time.perf_counter() - begin)
        print(f"{deadline:g} ms: budget {budget:g}, class {best} after {taken:.3f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])

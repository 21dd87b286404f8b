"""Networks whose gates change their minds from image to image, and images for them."""

import numpy as np

from hydrafy.ir.program import Program

GATES = ("gate.fc", "logits")


def spread(program: Program) -> Program:
    """The same program; each gate has random weights in its last layer."""
    rng = np.random.default_rng(1)
    for name in sorted(program.graph.initializers):
        layer, _, end = name.rpartition(".")
        if "gate" in layer and layer.endswith(GATES):
            shape = program.weight(name).shape
            random = rng.standard_normal(shape) if end == "weight" else np.zeros(shape)
            program.set_weight(name, random.astype(np.float32))
    return program


def noise(images: int, seed: int = 0) -> np.ndarray:
    """Images of many strengths, float32 [images, 3, 16, 16]."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((images, 3, 16, 16))
    return (normal * rng.uniform(0.1, 4, (images, 1, 1, 1))).astype(np.float32)

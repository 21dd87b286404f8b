"""Writes the Paddle fixtures: a residual and a densely connected network by paddle2onnx.

Run with paddlepaddle 3.3.1 and paddle2onnx 2.1.0, in an environment of their own:
`python paddle_exports.py FOLDER`.
"""

import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

CLASSES = 10


def normalised(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias and its BatchNorm."""
    conv = nn.Conv2D(inputs, outputs, kernel, stride, padding=kernel // 2, bias_attr=False)
    return nn.Sequential(conv, nn.BatchNorm2D(outputs))


class Block(nn.Layer):
    """A basic block; where the stride is 2 its shortcut is pooled, as in ResNet-D."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = normalised(inputs, outputs, 3, stride)
        self.second = normalised(outputs, outputs, 3)
        self.shortcut = None
        if stride > 1:
            pool = nn.AvgPool2D(2, 2, ceil_mode=True)
            self.shortcut = nn.Sequential(pool, normalised(inputs, outputs, 1))

    def forward(self, x):
        y = self.second(nn.functional.relu(self.first(x)))
        return nn.functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Dense(nn.Layer):
    """A layer of a dense block: its result joins its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2D(inputs)
        self.conv = nn.Conv2D(inputs, growth, 3, padding=1, bias_attr=False)

    def forward(self, x):
        return paddle.concat([x, self.conv(nn.functional.relu(self.norm(x)))], axis=1)


class Tail(nn.Layer):
    """Pooling, a reshape that reads the batch size, and the classifier."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.classes = nn.Linear(features, CLASSES)

    def forward(self, x):
        x = self.pool(x)
        return nn.functional.softmax(self.classes(paddle.reshape(x, [x.shape[0], -1])))


def resnet() -> nn.Layer:
    """Two stages of two basic blocks."""
    stem = [normalised(3, 8, 3), nn.ReLU(), nn.MaxPool2D(3, 2, padding=1)]
    blocks = [Block(8, 8, 1), Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1)]
    end = [nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(16, CLASSES)]
    return nn.Sequential(*stem, *blocks, *end)


def densenet() -> nn.Layer:
    """Two dense blocks and a transition."""
    change = [nn.BatchNorm2D(20), nn.ReLU(), nn.Conv2D(20, 10, 1, bias_attr=False)]
    parts = [normalised(3, 8, 3, 2), nn.ReLU(), *(Dense(8 + 4 * n, 4) for n in range(3))]
    parts += [*change, nn.AvgPool2D(2, 2), *(Dense(10 + 4 * n, 4) for n in range(2))]
    return nn.Sequential(*parts, nn.BatchNorm2D(18), nn.ReLU(), Tail(18))


NETWORKS = {"paddle_resnet_d": resnet, "paddle_densenet": densenet}


def main(folder: Path) -> None:
    """Writes each network's ONNX file, and its own output on random images as .npz."""
    for seed, (name, build) in enumerate(NETWORKS.items()):
        paddle.seed(seed)
        rng = np.random.default_rng(seed)
        model = build()
        for part in model.sublayers():
            if isinstance(part, nn.BatchNorm2D):
                size = part.weight.shape
                part.weight.set_value(rng.uniform(0.5, 1.5, size).astype(np.float32))
                part.bias.set_value(rng.normal(0, 0.3, size).astype(np.float32))
                part._mean.set_value(rng.normal(0, 0.3, size).astype(np.float32))
                part._variance.set_value(rng.uniform(0.5, 2.0, size).astype(np.float32))
            elif isinstance(part, nn.Linear):
                spread = np.sqrt(0.1 / part.weight.shape[0])  # no saturated Softmax
                part.weight.set_value(rng.normal(0, spread, part.weight.shape).astype(np.float32))
                part.bias.set_value(rng.normal(0, 0.3, part.bias.shape).astype(np.float32))
        model.eval()
        x = rng.integers(-8, 9, (3, 3, 32, 32)).astype(np.float32) / 4
        x *= np.array([0.5, 1, 2], np.float32).reshape(3, 1, 1, 1)
        y = model(paddle.to_tensor(x)).numpy()
        spec = [paddle.static.InputSpec([None, 3, 32, 32], "float32", "image")]
        paddle.onnx.export(model, str(folder / name), spec, opset_version=11)
        np.savez_compressed(folder / f"{name}.npz", x=x, y=y)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

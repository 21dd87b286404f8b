"""Writes the MXNet fixtures: Gluon's own ResNet-V1, ResNet-V2 and DenseNet classes, made small.

Run with mxnet 1.9.1, numpy 1.23.5, onnx 1.13.1 and protobuf 3.20.3, in an environment of their own:
`python mxnet_exports.py FOLDER`.
"""

import sys
import tempfile
from pathlib import Path

import mxnet
import numpy as np
from mxnet.gluon.model_zoo import vision
from mxnet.gluon.model_zoo.vision import resnet

CLASSES, SIZE = 10, 56  # DenseNet pools a window of 7 pixels: all that is left of 56

NETWORKS = {
    "mxnet_resnet_v1": lambda: resnet.ResNetV1(
        resnet.BottleneckV1, [2, 2], [8, 16, 32], classes=CLASSES
    ),
    "mxnet_resnet_v2": lambda: resnet.ResNetV2(
        resnet.BasicBlockV2, [2, 2], [8, 8, 16], classes=CLASSES
    ),
    "mxnet_densenet": lambda: vision.DenseNet(8, 4, [2, 3], classes=CLASSES),
}


def main(folder: Path) -> None:
    """Writes each network's ONNX file, and its own output on random images as .npz."""
    for seed, (name, build) in enumerate(NETWORKS.items()):
        mxnet.random.seed(seed)
        rng = np.random.default_rng(seed)
        model = build()
        model.initialize(mxnet.init.Xavier())
        x = rng.integers(-8, 9, (3, 3, SIZE, SIZE)).astype(np.float32) / 4
        x *= np.array([0.5, 1, 2], np.float32).reshape(3, 1, 1, 1)
        model(mxnet.nd.array(x))
        for text, weight in model.collect_params().items():
            fixed = weight.grad_req == "null" and "running" not in text
            if fixed:  # MXNet takes such a gamma for 1 and such a beta for 0, whatever it is
                continue
            spread = np.sqrt(2 / max(1, np.prod(weight.shape[1:])))
            ranges = {
                "weight": rng.normal(0, spread, weight.shape),
                "gamma": rng.uniform(0.5, 1.5, weight.shape),
                "beta": rng.normal(0, 0.3, weight.shape),
                "running_mean": rng.normal(0, 0.3, weight.shape),
                "running_var": rng.uniform(0.5, 2.0, weight.shape),
                "bias": rng.normal(0, 0.3, weight.shape),
            }
            for ending, array in ranges.items():
                if text.endswith(f"_{ending}"):
                    weight.set_data(mxnet.nd.array(array))
        model.hybridize()
        y = model(mxnet.nd.array(x)).asnumpy()
        with tempfile.TemporaryDirectory() as scratch:
            model.export(f"{scratch}/net")
            mxnet.onnx.export_model(
                f"{scratch}/net-symbol.json",
                f"{scratch}/net-0000.params",
                [(1, 3, SIZE, SIZE)],
                np.float32,
                str(folder / f"{name}.onnx"),
            )
        np.savez_compressed(folder / f"{name}.npz", x=x, y=y)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Writes the Keras fixtures: ResNet-V1-, ResNet-V2- and DenseNet-like networks by tf2onnx.

Two are written once more without tf2onnx's own optimiser, which leaves a Transpose before and
behind every convolution.

Run with tensorflow-cpu 2.21.0 (Keras 3.15.1) and tf2onnx 1.17.0, in an environment of their own:
`python keras_exports.py FOLDER`.
"""

import sys
import unittest.mock
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

CLASSES = 10


def resnet_v1(size: int) -> keras.Model:
    """Bottlenecks in Keras's manner: biased convolutions, ZeroPadding2D, stride in the first."""

    def block(x, filters, stride, project):
        shortcut = x
        if project:
            shortcut = layers.Conv2D(4 * filters, 1, strides=stride)(x)
            shortcut = layers.BatchNormalization(epsilon=1.001e-5)(shortcut)
        x = layers.Conv2D(filters, 1, strides=stride)(x)
        x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
        x = layers.Conv2D(4 * filters, 1)(x)
        x = layers.BatchNormalization(epsilon=1.001e-5)(x)
        return layers.ReLU()(layers.Add()([shortcut, x]))

    image = layers.Input((size, size, 3))
    x = layers.ZeroPadding2D(3)(image)
    x = layers.Conv2D(8, 7, strides=2)(x)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for stage, filters in enumerate((4, 8)):
        x = block(x, filters, 1 if stage == 0 else 2, project=True)
        x = block(x, filters, 1, project=False)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x))


def resnet_v2(size: int) -> keras.Model:
    """Pre-activation blocks in Keras's manner: pooled shortcuts, padding as a layer of its own."""

    def block(x, filters, stride, project):
        norm = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
        if project:
            shortcut = layers.Conv2D(4 * filters, 1, strides=stride)(norm)
        else:
            shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
        x = layers.Conv2D(filters, 1, use_bias=False)(norm)
        x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
        x = layers.ZeroPadding2D(1)(x)
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
        x = layers.Conv2D(4 * filters, 1)(x)
        return layers.Add()([shortcut, x])

    image = layers.Input((size, size, 3))
    x = layers.Conv2D(8, 7, strides=2)(layers.ZeroPadding2D(3)(image))
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for filters, last in ((4, 2), (8, 1)):
        x = block(x, filters, 1, project=True)
        x = block(x, filters, last, project=False)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES)(x))


def densenet(size: int) -> keras.Model:
    """Dense blocks and transitions in Keras's manner, behind normalised pixels."""

    def layer(x, growth):
        y = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
        y = layers.Conv2D(4 * growth, 1, use_bias=False)(y)
        y = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(y))
        y = layers.Conv2D(growth, 3, padding="same", use_bias=False)(y)
        return layers.Concatenate()([x, y])

    image = layers.Input((size, size, 3))
    x = layers.Normalization(mean=(0.1, 0.2, 0.3), variance=(0.8, 0.9, 1.1))(image)
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(8, 7, strides=2, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for depth in (3, 2):
        for _ in range(depth):
            x = layer(x, 4)
        if depth == 3:
            x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
            x = layers.Conv2D(10, 1, use_bias=False)(x)
            x = layers.AveragePooling2D(2, strides=2)(x)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    x = layers.Dropout(0.2)(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x))


def squeezed(size: int) -> keras.Model:
    """A residual network with `same` padding, squeeze-and-excitation and channel-wise pooling."""
    image = layers.Input((size, size, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters, stride in ((8, 1), (16, 2)):
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        s = layers.Reshape((1, 1, filters))(layers.GlobalAveragePooling2D()(y))
        s = layers.Conv2D(4, 1, activation="relu")(s)
        s = layers.Conv2D(filters, 1, activation="sigmoid")(s)
        y = layers.Multiply()([y, s])
        if stride > 1:
            x = layers.AveragePooling2D(2, strides=2, padding="same")(x)
            x = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(x))
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(CLASSES, 1)(x)
    return keras.Model(image, layers.Softmax()(layers.Flatten()(x)))


NETWORKS = {
    "keras_resnet_v1": (resnet_v1, 64),
    "keras_resnet_v2": (resnet_v2, 64),
    "keras_densenet": (densenet, 32),
    "keras_se_resnet": (squeezed, 32),
}
RAW = ("keras_densenet", "keras_se_resnet")


def main(folder: Path) -> None:
    """Writes each network's ONNX file, and its own output on random images as .npz."""
    for seed, (name, (build, size)) in enumerate(NETWORKS.items()):
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        model = build(size)
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                gamma, beta, mean, variance = layer.get_weights()
                layer.set_weights([
                    rng.uniform(0.5, 1.5, gamma.shape),
                    rng.normal(0, 0.3, beta.shape),
                    rng.normal(0, 0.3, mean.shape),
                    rng.uniform(0.5, 2.0, variance.shape),
                ])  # fmt: skip
            elif isinstance(layer, layers.Conv2D | layers.Dense):
                kernel, *bias = layer.get_weights()
                gain = 0.003 if isinstance(layer, layers.Dense) else 2.0  # no saturated Softmax
                spread = np.sqrt(gain / np.prod(kernel.shape[:-1]))
                found = [rng.normal(0, 0.3, b.shape) for b in bias]
                layer.set_weights([rng.normal(0, spread, kernel.shape), *found])
        x = rng.integers(-8, 9, (3, size, size, 3)).astype(np.float32) / 4
        x *= np.array([0.5, 1, 2], np.float32).reshape(3, 1, 1, 1)
        y = model(x, training=False).numpy()
        spec = [tf.TensorSpec((None, size, size, 3), tf.float32, name="image")]
        tf2onnx.convert.from_keras(model, spec, opset=17, output_path=str(folder / f"{name}.onnx"))
        np.savez_compressed(folder / f"{name}.npz", x=x, y=y)
        if name in RAW:
            raw = folder / f"{name}_raw"
            with unittest.mock.patch(
                "tf2onnx.optimizer.optimize_graph", lambda graph, *_, **__: graph
            ):
                tf2onnx.convert.from_keras(model, spec, opset=17, output_path=f"{raw}.onnx")
            np.savez_compressed(f"{raw}.npz", x=x, y=y)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Reads a network after a change of one's own, written against onnx-graphsurgeon.

    python examples/surgery.py net.onnx plain.onnx

Many files normalise pixels themselves: they take bytes, and cast, shift and scale them before the
first convolution. hydrafy wants float32 images there, since fine-tuning changes images on their
way (it normalises them with --mean and --std, and the converted file remembers both).
"""

import sys

import numpy as np
import onnx_graphsurgeon as gs

import hydrafy


def drop_preprocessing(graph: gs.Graph) -> None:
    """Lets the first convolution read the input: what stood between them goes."""
    first = next(node for node in graph.nodes if node.op == "Conv")
    graph.inputs[0].dtype = np.float32
    first.inputs[0] = graph.inputs[0]
    graph.cleanup()


def main(source: str, target: str) -> None:
    """Writes the network without its preprocessing, ready for `hydrafy convert`."""
    program = hydrafy.read(source, before=[drop_preprocessing])
    for entry in program.manifest.journal:
        print(f"{entry.by}: {'; '.join(entry.notes)}")
    program.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])

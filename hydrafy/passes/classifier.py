"""Global average pooling and a fully connected layer: how gates and branches answer."""

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build


def classify(
    graph: ir.Graph, features: ir.Value, weight: np.ndarray, bias: np.ndarray, prefix: str
) -> ir.Value:
    """Adds GAP + FC on features [N, C, H, W].

    Args:
        graph: where to add it.
        features: what is pooled.
        weight: [classes, C].
        bias: [classes].
        prefix: of the names; the result [N, classes] is `<prefix>.logits`.
    """
    pool = build.op("GlobalAveragePool", [features], f"{prefix}.pool")
    flat = build.op("Flatten", [pool.outputs[0]], f"{prefix}.flatten", axis=1)
    dense = build.op(
        "Gemm",
        [
            flat.outputs[0],
            build.weight(graph, f"{prefix}.fc.weight", weight.astype(np.float32, copy=False)),
            build.weight(graph, f"{prefix}.fc.bias", bias.astype(np.float32, copy=False)),
        ],
        f"{prefix}.fc",
        outputs=[f"{prefix}.logits"],
        transB=1,
    )
    graph.extend([pool, flat, dense])
    return dense.outputs[0]

"""Program: the thin owner of one ONNX graph and its manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir import ops, surgeon
from hydrafy.ir.files import beside, check_target, load_model, sha256, write_model
from hydrafy.ir.manifest import KEY, Manifest, Stage
from hydrafy.ir.verify import faults

if TYPE_CHECKING:
    import onnx_graphsurgeon

LARGE = (
    1_800_000_000  # bytes of weights from which they go to a file of their own (protobuf: 2 GiB)
)


class Program:
    """A network in one of its stages: an `onnx_ir.Model` and the manifest that belongs to it.

    Programs are changed by passes alone.
    """

    def __init__(self, model: ir.Model, manifest: Manifest) -> None:
        self.model = model
        self.manifest = manifest

    @property
    def graph(self) -> ir.Graph:
        """The main graph."""
        return self.model.graph

    @property
    def stage(self) -> Stage:
        """Where on its way the program is.

        `source` (as it was read), `static` (a plain network in the one form), `dynamic` (with
        Selects), `regions` (with row-wise Ifs, within lowering) or `lowered` (plain ONNX).
        """
        return self.manifest.stage

    @property
    def data_inputs(self) -> list[ir.Value]:
        """The graph inputs a caller must feed: those that are no initializers."""
        return [v for v in self.graph.inputs if v.name not in self.graph.initializers]

    def values(self) -> dict[str, ir.Value]:
        """The inputs of the main graph and what its nodes compute, by name."""
        computed = (v for node in self.graph for v in node.outputs)
        return {v.name or "": v for v in (*self.graph.inputs, *computed)}

    def clone(self) -> Program:
        """A copy whose graph may be changed freely; the weights are shared until replaced."""
        return Program(self.model.clone(), self.manifest)

    def __deepcopy__(self, memo: dict[int, object]) -> Program:
        return self.clone()

    def weight(self, name: str) -> np.ndarray:
        """The array of initializer `name`."""
        tensor = self.graph.initializers[name].const_value
        assert tensor is not None
        return tensor.numpy()

    def set_weight(self, name: str, array: np.ndarray) -> None:
        """Replaces the array of initializer `name`, keeping its name and its place."""
        self.graph.initializers[name].const_value = ir.tensor(
            np.asarray(array, order="C"), name=name
        )

    def weight_bytes(self) -> int:
        """Bytes of all initializers, those inside of regions included."""
        return sum(
            value.const_value.nbytes
            for graph in self.model.graphs()
            for value in graph.initializers.values()
            if value.const_value is not None
        )

    def to_onnx(self) -> onnx.ModelProto:
        """The program as an ONNX model, manifest included."""
        self._bring_along()
        return ir.to_proto(self.model)

    def to_graphsurgeon(self) -> onnx_graphsurgeon.Graph:
        """The network as a graph of onnx-graphsurgeon, a copy; the manifest stays behind.

        Raises:
            ModelError: the program is dynamic or lowered: its meaning is in what the library drops.
        """
        if self.stage not in ("source", "static"):
            raise ModelError(
                f"the network is {self.stage}, and onnx-graphsurgeon drops the manifest and the "
                "run-time inputs: change the static network, before its conversion"
            )
        return surgeon.to_graph(self.to_onnx())

    def save(
        self, path: str | os.PathLike[str], *, force: bool = False, inline: int | None = None
    ) -> Path:
        """Writes an ONNX file, beside the target first and then renamed.

        Args:
            path: the file to write.
            force: whether a file that exists is replaced.
            inline: bytes of weights from which they go to `<path>.data` next to it; 1.8 GB.

        Raises:
            FileError: one of the files exists and `force` is not set, or cannot be written.
        """
        target = Path(path)
        large = self.weight_bytes() > (LARGE if inline is None else inline)
        data = f"{target.name}.data" if large else None
        for name in filter(None, (target.name, data)):
            check_target(target.parent / name, force=force)
        self._bring_along()
        with beside(target) as place:
            if data is None:
                write_model(self.model, place)
            else:
                ir.save(self.model, place, external_data=data)
                os.replace(place.with_name(data), target.with_name(data))
        return target

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Program:
        """Reads a file that hydrafy wrote; a plain ONNX file becomes a program of stage `source`.

        Raises:
            FileError: no such file, not an ONNX file, a truncated one, or missing weights.
            ModelError: the graph is malformed, or does not fit its manifest.
        """
        file = Path(path)
        model = load_model(file)
        text = model.metadata_props.get(KEY)
        if text is not None:
            program = Program(model, Manifest.from_json(text))
        else:
            program = Program(model, Manifest(source=file.name, source_sha256=sha256(file)))
        for fault in faults(program):
            raise ModelError(f"{file} is malformed, or was changed by another tool: {fault}")
        return program

    def _bring_along(self) -> None:
        self.model.metadata_props[KEY] = self.manifest.to_json()
        self.define_ops()

    def define_ops(self) -> None:
        """Gives the model the functions of exactly those ops of the domain that it calls.

        Functions of other domains, which a source may bring along, are left alone.
        """
        used = {n.op_type for n in self.graph.all_nodes() if n.domain == ops.DOMAIN}
        for known in [key for key in self.model.functions if key[0] == ops.DOMAIN]:
            del self.model.functions[known]
        for name in sorted(used):
            defined = ops.function(name)
            self.model.functions[defined.identifier()] = defined
        self.graph.opset_imports.pop(ops.DOMAIN, None)
        if used:
            self.graph.opset_imports[ops.DOMAIN] = 1

"""The one way a program is run: an onnxruntime session with our settings and our errors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from hydrafy.errors import FileError, ModelError, first_line
from hydrafy.execute.machine import check_machine
from hydrafy.ir.manifest import KEY, Manifest
from hydrafy.ir.program import Program

Model = Program | onnx.ModelProto | str | os.PathLike[str]

MAPPED = 64_000_000  # bytes of weights from which a file that is mapped beats copies in memory


class Session:
    """An onnxruntime session, its load-time warnings silenced.

    Args:
        model: a program, an ONNX model, or a file.
        threads: threads within an operator; 0 lets onnxruntime choose.
        optimise: whether onnxruntime may rewrite the graph: for a single run of a large model
            that takes longer than it saves.
        profile: the beginning of the name of a file to which onnxruntime writes what took how
            long, when `stop` is called; nothing is written where it is empty.

    Raises:
        ModelError: onnxruntime cannot load the model, or it was lowered for other machines.
    """

    def __init__(
        self, model: Model, *, threads: int = 0, optimise: bool = True, profile: str = ""
    ) -> None:
        options = onnxruntime.SessionOptions()
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        if not optimise:
            level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.graph_optimization_level = level
        options.log_severity_level = 3  # an overridable initializer draws a warning each
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = _open(model, options)
        except FileError:
            raise
        except Exception as error:  # onnxruntime's own exceptions share no narrower base
            raise ModelError(
                f"onnxruntime cannot load {_named(model)}: {first_line(error)}"
            ) from error
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is not None:
            check_machine(Manifest.from_json(text))

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs, in the file's order."""
        return [o.name for o in self._session.get_outputs()]

    @property
    def settings(self) -> list[str]:
        """The names of the inputs that have a default, and may be fed all the same."""
        return [i.name for i in self._session.get_overridable_initializers()]

    @property
    def inputs(self) -> dict[str, list[int | str]]:
        """The inputs that must be fed, with their shapes."""
        return {i.name: list(i.shape) for i in self._session.get_inputs()}

    @property
    def types(self) -> dict[str, np.dtype[Any]]:
        """The element types of the inputs that must be fed.

        Raises:
            ModelError: one is not a tensor of a type that numpy has.
        """
        found = {}
        for i in self._session.get_inputs():
            kind = i.type.removeprefix("tensor(").removesuffix(")")
            try:
                found[i.name] = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
            except TypeError as error:
                raise ModelError(f"input {i.name!r} is a {i.type}, which numpy lacks") from error
        return found

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs the model once.

        Args:
            feeds: an array for each input, and for each overridable initializer to override.
            outputs: the wanted outputs; all of them where none is named.

        Raises:
            ModelError: an input is missing or has the wrong shape or type.
        """
        names = list(outputs) if outputs is not None else self.outputs
        try:
            arrays = self._session.run(names, dict(feeds))
        except Exception as error:  # see above
            raise ModelError(f"onnxruntime cannot run the model: {first_line(error)}") from error
        return dict(zip(names, arrays, strict=True))

    def stop(self) -> Path:
        """Ends profiling: the file that says what took how long."""
        return Path(self._session.end_profiling())


def _open(model: Model, options: Any) -> Any:
    providers = onnxruntime.get_available_providers()
    if isinstance(model, Program) and model.weight_bytes() > MAPPED:
        with tempfile.TemporaryDirectory(prefix="hydrafy-") as folder:
            # blocked kernels want aligned weights: those of a mapped file cost them some 4 %
            mapped = None if model.manifest.target == "native" else MAPPED
            file = model.save(Path(folder) / "model.onnx", inline=mapped)
            return onnxruntime.InferenceSession(str(file), options, providers=providers)
    if isinstance(model, Program):
        model = model.to_onnx()
    if isinstance(model, onnx.ModelProto):
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    if not Path(model).exists():
        raise FileError(f"there is no file {model}")
    return onnxruntime.InferenceSession(str(model), options, providers=providers)


def _named(model: Model) -> str:
    return str(model) if isinstance(model, str | os.PathLike) else "the model"

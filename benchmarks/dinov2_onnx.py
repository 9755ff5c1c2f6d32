"""DINOv2 out of an ONNX file: its weights under the hub's names, and its tokens by ONNX Runtime.

An export of transformers' Dinov2Model keeps the names of biases and norms. Matrices were
transposed and renamed, and are found by the node that multiplies by them; the table of
positions was cut in two.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor

PREFIX = "backbone."


def hub_tensors(path: Path) -> dict[str, Tensor]:
    """Weights of the DINOv2 in the file, without its other parts, by the hub's names."""
    graph = onnx.load(path).graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    tensors = {name.removeprefix(PREFIX): a for name, a in arrays.items() if name.startswith(PREFIX)}
    positions = []
    for node in graph.node:
        constants = [arrays[name] for name in node.input if name in arrays and not name.startswith(PREFIX)]
        place = re.fullmatch(r"/backbone/(.+)/MatMul", node.name)
        if place and constants:
            tensors[place[1].replace("/", ".") + ".weight"] = constants[0].T
        if constants and "/embeddings/" in node.name and constants[0].ndim == 3:
            positions.append(constants[0])
    tensors["embeddings.position_embeddings"] = np.concatenate(sorted(positions, key=np.size), axis=1)
    return {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}


def save(path: Path, onnx_path: Path) -> None:
    """Write the weights as one safetensors file, which `load_backbone("dinov2-small", ...)` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(hub_tensors(onnx_path), path)


def tokens_by_onnxruntime(path: Path, images: np.ndarray) -> np.ndarray:
    """All tokens after the last norm, `[batch, 1 + patches, width]`, of normalised images."""
    model = onnx.load(path)
    last = next(node for node in model.graph.node if f"{PREFIX}layernorm.bias" in node.input)
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(last.output[0], onnx.TensorProto.FLOAT, None)
    )
    for axis, dim in enumerate(model.graph.input[0].type.tensor_type.shape.dim):
        if axis >= 2:  # the file declares 224 px and computes any size
            dim.dim_param = f"size{axis}"
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (tokens,) = session.run(None, {model.graph.input[0].name: images})
    return tokens

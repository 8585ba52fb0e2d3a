"""Good checkpoints and an exported model to damage, and strategies for their files."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from data_scripts import load_corpus
from modeling_precode import PreCodeConfig, PreCodeForUtteranceClassification, PreCodeTokenizer
from modeling_precode.conversion.onnx_export import export_onnx

from .damage import cut, damaged_bytes, damaged_json

WORDS = ["<pad>", "<unk>", "hi", "no"]
SIZES: dict[str, Any] = {"word_vector_size": 4, "utterance_hidden_size": 4, "conversation_hidden_size": 4}


def write_checkpoints(folder: Path) -> None:
    """Write `checkpoint` and `shards`: a tiny model as one file and in shards."""
    labels = {"id2label": {0: "anger", 1: "joy"}, "label2id": {"anger": 0, "joy": 1}}
    torch.manual_seed(0)
    model = PreCodeForUtteranceClassification(PreCodeConfig(vocab_size=len(WORDS), **SIZES, **labels))
    for name, size in (("checkpoint", "1GB"), ("shards", "1KB")):
        model.save_pretrained(folder / name, max_shard_size=size)
        PreCodeTokenizer.from_vocabulary(WORDS).save_pretrained(folder / name)


def write_export(folder: Path) -> None:
    """Write `onnx`: a tiny model that reads forward only and distinguishes speakers, exported."""
    from onnx_models import pipeline_of, word_model

    model = word_model(causal=True, max_speakers=2)
    export_onnx(pipeline_of(model), folder / "onnx", load_corpus("sample")["validation"])


def json_of(path: Path) -> st.SearchStrategy[bytes]:
    """A file of JSON, damaged."""
    data = path.read_bytes()
    return damaged_json(json.loads(data)) | damaged_bytes(data)


@st.composite
def weights_of(draw: st.DrawFn, path: Path) -> bytes:
    """A safetensors file with a header that is damaged or has another length."""
    data = path.read_bytes()
    [length] = struct.unpack("<Q", data[:8])
    header, tensors = draw(damaged_json(json.loads(data[8 : 8 + length]))), data[8 + length :]
    wrong = st.sampled_from([0, 1, len(header) + 1, len(data), 2**31, 2**60, 2**64 - 1])
    tensors = draw(st.sampled_from([tensors, tensors, tensors[:-1], tensors + bytes(8), b""]))
    return struct.pack("<Q", draw(st.just(len(header)) | st.just(len(header)) | wrong)) + header + tensors


@st.composite
def graph_of(draw: st.DrawFn, path: Path) -> bytes:
    """An ONNX model with a few nodes, attributes, constants, inputs or outputs changed."""
    import onnx

    model = onnx.load(path)
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from(_CHANGES))(draw, model)
    data = model.SerializeToString()
    return draw(st.just(data) | st.just(data) | cut(data) | damaged_bytes(data))


_NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 7, 2**20, 2**31, 2**62])


def _change_node(draw: st.DrawFn, model: Any) -> None:
    nodes = model.graph.node
    node = nodes[draw(st.integers(0, len(nodes) - 1))]
    how = draw(st.integers(0, 5))
    if how == 0:
        nodes.remove(node)
    elif how == 1:
        node.op_type = draw(st.sampled_from([*sorted({other.op_type for other in nodes}), "Evil", "Loop", "Expand"]))
    elif how == 2 and node.input:
        names = [name for other in nodes for name in other.output]
        node.input[draw(st.integers(0, len(node.input) - 1))] = draw(st.sampled_from(["", "nothing", *names]))
    elif how == 3:
        node.domain = draw(st.sampled_from(["evil", "com.microsoft", ""]))
    elif how == 4:
        nodes.append(node)
    elif node.attribute:
        attribute = node.attribute[draw(st.integers(0, len(node.attribute) - 1))]
        attribute.i = draw(_NUMBERS)
        if attribute.ints:
            attribute.ints[0] = draw(_NUMBERS)


def _change_constant(draw: st.DrawFn, model: Any) -> None:
    constants = model.graph.initializer
    constant = constants[draw(st.integers(0, len(constants) - 1))]
    how = draw(st.integers(0, 4))
    if how == 0:
        constants.remove(constant)
    elif how == 1 and constant.dims:
        constant.dims[0] = draw(_NUMBERS)
    elif how == 2:
        constant.data_type = draw(st.integers(0, 24))
    elif how == 3:
        constant.raw_data = draw(st.sampled_from([b"", constant.raw_data[:-1], constant.raw_data * 2]))
    else:
        entry = constant.external_data.add()
        constant.data_location, entry.key = 1, "location"
        entry.value = draw(st.sampled_from(["config.json", "../x", "/dev/zero", "/etc/hostname", ""]))
        constant.ClearField("raw_data")


def _change_ends(draw: st.DrawFn, model: Any) -> None:
    ends = draw(st.sampled_from([model.graph.input, model.graph.output]))
    if not ends:
        return
    end = ends[draw(st.integers(0, len(ends) - 1))]
    how = draw(st.integers(0, 3))
    if how == 0:
        ends.remove(end)
    elif how == 1:
        end.name = draw(st.sampled_from(["", "x", *(node.output[0] for node in model.graph.node)]))
    elif how == 2:
        end.type.tensor_type.elem_type = draw(st.integers(0, 24))
    else:
        for size in end.type.tensor_type.shape.dim:
            size.dim_value = draw(_NUMBERS)


def _change_version(draw: st.DrawFn, model: Any) -> None:
    if draw(st.booleans()) and model.opset_import:
        model.opset_import[0].version = draw(_NUMBERS)
    else:
        model.ir_version = draw(_NUMBERS)


_CHANGES: list[Callable[[st.DrawFn, Any], None]] = [
    *([_change_node, _change_constant] * 3),
    *([_change_ends] * 2),
    _change_version,
]

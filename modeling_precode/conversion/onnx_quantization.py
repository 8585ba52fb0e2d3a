"""Quantizes the graphs of an exported model to 8 bits, with onnxruntime's dynamic quantization."""

import logging
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from data_scripts.tools.whole_files import whole_file

from ..onnx_runtime.config import CONVERSATION_GRAPH, UTTERANCE_GRAPH


def quantize(folder: Path) -> None:
    """Quantize both graphs of a folder in place.

    Weights are stored in 8 bits, and activations are quantized when they are multiplied. The recurrent weights of a GRU
    stay in float32, because onnxruntime has no GRU in 8 bits. Every row of a weight has its own scale. Weights use 7 of
    the 8 bits: with all of them, sums overflow on processors without VNNI.
    """
    for name in (UTTERANCE_GRAPH, CONVERSATION_GRAPH):
        with whole_file(folder / name) as quantized:
            level = logging.root.level
            logging.root.setLevel(logging.ERROR)  # it recommends a preparation that changes nothing here
            try:
                quantize_dynamic(
                    folder / name, quantized, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
                )
            finally:
                logging.root.setLevel(level)

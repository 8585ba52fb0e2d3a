"""Quantizes a graph to 8 bits, with onnxruntime's dynamic quantization."""

from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from data_scripts.tools.whole_files import whole_file


def quantize(path: Path) -> None:
    """Quantize the weights of a graph in place.

    Weights, word vectors among them, are stored in 8 bits, and activations are quantized when they are multiplied. The
    recurrent weights of a GRU stay in float32, because onnxruntime has no GRU in 8 bits. Every row of a weight has its
    own scale: with one scale for all, twice as many labels of the default model change. Weights use 7 of the 8 bits:
    with all of them, sums overflow on processors without VNNI. Word vectors are not multiplied, and onnxruntime gives
    them all 8 bits and one scale for the whole table.
    """
    with whole_file(path) as quantized:
        quantize_dynamic(path, quantized, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)

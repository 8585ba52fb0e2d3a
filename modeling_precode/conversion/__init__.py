"""Conversion of the original implementation's files to a checkpoint, and of a model to ONNX."""

# The weighted F1, in points, that quantization may lose.
ALLOWED_LOSS = 0.5

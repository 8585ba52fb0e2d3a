"""Conversion of the original implementation's files to a checkpoint, and of a model to ONNX."""

"""Runs models exported by `precode export`, with onnxruntime, tokenizers and numpy, and without torch."""

"""Runs models exported by `precode export`, with onnxruntime, tokenizers and numpy, and without torch."""

from .config import is_exported
from .pipeline import OnnxEmotionPipeline

__all__ = ["OnnxEmotionPipeline", "is_exported"]

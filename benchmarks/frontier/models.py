"""Models of this library, as the comparison runs them: a list of dialogues in, the label of every utterance out."""

from pathlib import Path

from .texts import Dialogue


class Checkpoint:
    """A checkpoint in torch, in float32."""

    PACKAGES = ("torch",)
    DTYPE = "float32"

    def __init__(self, folder: Path):
        import torch
        from transformers import pipeline

        import modeling_precode  # noqa: F401 - registers the pipeline

        dtype = getattr(torch, self.DTYPE)
        self.emotions = pipeline("conversation-emotion", model=str(folder), dtype=dtype, device="cpu")

    def __call__(self, dialogues: list[Dialogue]) -> list[str]:
        return [turn["label"] for turns in self.emotions(dialogues) for turn in turns]


class Bfloat16Checkpoint(Checkpoint):
    """A checkpoint in torch, in bfloat16."""

    DTYPE = "bfloat16"


class ExportedModel(Checkpoint):
    """A folder that `precode export` wrote, in onnxruntime."""

    PACKAGES = ("onnxruntime",)

    def __init__(self, folder: Path):
        from modeling_precode.onnx_runtime import OnnxEmotionPipeline

        self.emotions = OnnxEmotionPipeline(str(folder))

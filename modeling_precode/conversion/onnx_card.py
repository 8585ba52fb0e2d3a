"""The card of an exported model: the card of the checkpoint with a section about the export."""

from pathlib import Path

from ..checkpoint_files import find_file
from ..pipeline_precode import ConversationEmotionPipeline
from ..version import __version__
from .onnx_comparison import Comparison

CARD = "README.md"
_HEADER = """---
library_name: precode
pipeline_tag: text-classification
tags:
- precode
- emotion-recognition-in-conversations
- onnx
---

# {title}

"""


def write_card(
    folder: Path,
    emotions: ConversationEmotionPipeline,
    comparison: Comparison,
    corpus: str,
    quantization: str | None,
) -> None:
    """Write the card of the exported model in `folder`."""
    name = emotions.model.name_or_path
    path = find_file(str(name), CARD) if name else None  # a new model has no name
    card = _HEADER.format(title="An emotion recognition model") if path is None else path.read_text(encoding="utf-8")
    section = _section(comparison, corpus, quantization)
    (folder / CARD).write_text(f"{card.rstrip()}\n\n{section}", encoding="utf-8")


def _section(comparison: Comparison, corpus: str, quantization: str | None) -> str:
    lines = [
        "## The ONNX export",
        "",
        f"This folder is an export to ONNX in {quantization or 'float32'}, written by `precode export` of precode "
        f"{__version__}. It runs without torch:",
        "",
        "```python",
        "from modeling_precode.onnx_runtime import OnnxEmotionPipeline",
        "",
        'emotions = OnnxEmotionPipeline("path/to/this/folder")',
        'emotions([("Ana", "I got the job!"), ("Ben", "That is wonderful!")])',
        "```",
        "",
        f"It was compared with the original model on {comparison.utterances:,} utterances of the corpus {corpus}: "
        f"{100 * comparison.agreement:.2f} % of the labels are the same, and logits differ by at most "
        f"{comparison.difference:.1g}.",
    ]
    if comparison.original_f1 is not None and comparison.exported_f1 is not None:
        lines += [
            "",
            "| | weighted F1 |",
            "|---|---|",
            f"| original | {100 * comparison.original_f1:.2f} |",
            f"| export | {100 * comparison.exported_f1:.2f} |",
        ]
    return "\n".join(lines) + "\n"

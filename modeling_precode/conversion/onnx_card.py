"""The card of an exported model: the card of the checkpoint with another section Use and a section about the export."""

import re
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
# The section Use of the card of a checkpoint, whose examples load weights that an export does not have.
_CHECKPOINT_USE = re.compile(r"^## Use\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# After a push, `name_card` replaces the name by the one on the Hub.
_USE = """## Use

This is an export to ONNX. It needs the package `precode`, and runs without torch. From the Hub, download it first:

```bash
hf download "{name}" --local-dir "{name}"
```

```python
from modeling_precode.onnx_runtime import OnnxEmotionPipeline

emotions = OnnxEmotionPipeline("{name}")
emotions([("Ana", "I got the job!"), ("Ben", "That is wonderful!")])
```

"""


def write_card(
    folder: Path,
    name: str,
    emotions: ConversationEmotionPipeline,
    comparison: Comparison,
    corpus: str,
    quantization: str | None,
    revision: str | None,
) -> None:
    """Write the card of the exported model in `folder`, which its examples load by `name`."""
    checkpoint, use = str(emotions.model.name_or_path), _USE.format(name=name)
    path = find_file(checkpoint, CARD, revision=revision) if checkpoint else None  # a new model has no name
    card = _HEADER.format(title="An emotion recognition model") if path is None else path.read_text(encoding="utf-8")
    card, found = _CHECKPOINT_USE.subn(lambda _: use, card, count=1)
    section = "" if found else use
    section += _section(comparison, corpus, quantization)
    (folder / CARD).write_text(f"{card.rstrip()}\n\n{section}", encoding="utf-8")


def _section(comparison: Comparison, corpus: str, quantization: str | None) -> str:
    lines = [
        "## The ONNX export",
        "",
        f"The model was exported in {quantization or 'float32'} by `precode export` of precode {__version__}.",
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

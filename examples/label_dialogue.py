"""Label a dialogue in a text file, an utterance a line, with or without `Speaker:` before it.

python examples/label_dialogue.py CHECKPOINT DIALOGUE.txt
"""

import sys
from pathlib import Path

from transformers import pipeline

import modeling_precode  # noqa: F401, registers the pipeline


def main(checkpoint: str, path: str) -> None:
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    turns = [line.partition(": ") for line in lines]
    dialogue = [(speaker, text) if colon else ("", speaker) for speaker, colon, text in turns]
    for turn in pipeline("conversation-emotion", model=checkpoint)(dialogue):
        print(f"{turn['label']:<9} {turn['score']:4.0%}  {turn['speaker']:<10} {turn['text']}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

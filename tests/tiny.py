"""The words and labels of the tests' tiny models, and a folder with one."""

from pathlib import Path
from typing import Any

import torch

from modeling_precode import PreCodeConfig, PreCodeForUtteranceClassification, PreCodeTokenizer

LABELS = ["anger", "joy", "neutral"]
WORDS = ["i", "you", "we", "are", "so", "very", "happy", "angry", "sad", "about", "the", "weather", "what", "!", "?"]


def save_model(folder: Path, **settings: Any) -> Path:
    torch.manual_seed(0)
    sizes = {"word_vector_size": 12, "utterance_hidden_size": 8, "conversation_hidden_size": 6}
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
    config = PreCodeConfig(vocab_size=2 + len(WORDS), classifier_hidden_size=5, **sizes, **labels, **settings)
    PreCodeForUtteranceClassification(config).save_pretrained(folder)
    PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *WORDS]).save_pretrained(folder)
    return folder

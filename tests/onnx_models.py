"""Tiny models with random weights for the tests of the export to ONNX, with the labels of the corpus `sample`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from text_encoders import write_text_encoder
from transformers import AutoTokenizer, pipeline

from data_scripts import load_corpus
from modeling_precode import (
    ConversationEmotionPipeline,
    PreCodeConfig,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
)

if not hasattr(torch.onnx, "ops"):
    pytest.skip("the export to ONNX needs torch 2.8", allow_module_level=True)

LABELS = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
SETTINGS: dict[str, Any] = {
    "utterance_hidden_size": 8,
    "conversation_hidden_size": 6,
    "classifier_hidden_size": 5,
    "temperature": 1.5,
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: number for number, label in enumerate(LABELS)},
}


def texts() -> list[str]:
    return [text for dialogue in load_corpus("sample")["train"]["utterances"] for text in dialogue]


def with_distinct_labels(model: PreCodeForUtteranceClassification) -> PreCodeForUtteranceClassification:
    """The model with weights so large that its labels differ, and speakers with vectors."""
    for layer in (model.precode.utterance_encoder.projection, model.classifier.dense, model.classifier.output):
        torch.nn.init.normal_(layer.weight, std=2)
    if model.config.max_speakers:
        torch.nn.init.normal_(model.precode.conversation_encoder.speaker_embedding.weight[1:])
    return model.eval()


def word_tokenizer(text_mode: str = "clean") -> PreCodeTokenizer:
    return PreCodeTokenizer.train([texts()], text_mode=text_mode)


def word_model(text_mode: str = "clean", **settings: Any) -> PreCodeForUtteranceClassification:
    torch.manual_seed(0)
    config = PreCodeConfig(vocab_size=len(word_tokenizer(text_mode)), word_vector_size=12, **{**SETTINGS, **settings})
    return with_distinct_labels(PreCodeForUtteranceClassification(config))


def text_model(folder: Path, kind: str = "bert", **settings: Any) -> PreCodeForUtteranceClassification:
    """A model with a text encoder, which is written to `folder`."""
    write_text_encoder(folder, texts(), kind, pad_token_id=1 if kind == "roberta" else 0)
    torch.manual_seed(0)
    return with_distinct_labels(
        PreCodeForUtteranceClassification.from_utterance_encoder(str(folder), **{**SETTINGS, **settings})
    )


def pipeline_of(
    model: PreCodeForUtteranceClassification, folder: Path | None = None, text_mode: str = "clean"
) -> ConversationEmotionPipeline:
    """The pipeline of a model with the tokenizer of its text encoder, or with one for words."""
    tokenizer = word_tokenizer(text_mode) if folder is None else AutoTokenizer.from_pretrained(folder)
    return pipeline("conversation-emotion", model=model, tokenizer=tokenizer, device="cpu")

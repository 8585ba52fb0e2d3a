"""What the pipeline promises to a program with threads: several may share it, and get what one thread gets."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from text_encoders import write_text_encoder
from transformers import AutoTokenizer, pipeline

from modeling_precode import PreCodeForUtteranceClassification, PreCodeTokenizer

# Every third utterance is longer than the tokenizer reads.
DIALOGUES = [[" ".join(["what", "a", "day"] * (1 + 60 * (n % 3 == 2))) for n in range(i, i + 3)] for i in range(100)]


@pytest.fixture(params=["words", "text encoder"])
def emotions(request, tmp_path, tiny_config, checkpoint):
    torch.manual_seed(0)
    if request.param == "words":
        # Not ASCII, so that the backend reads it.
        tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "what", "a", "day"], "clean")
        tokenizer.save_pretrained(checkpoint)
        model = PreCodeForUtteranceClassification(tiny_config(vocab_size=5))
    else:
        folder = write_text_encoder(tmp_path / "bert", DIALOGUES[0])
        tokenizer = AutoTokenizer.from_pretrained(folder)
        sizes = {"utterance_hidden_size": 4, "conversation_hidden_size": 4, "num_labels": 3}
        model = PreCodeForUtteranceClassification.from_utterance_encoder(folder, **sizes)
    tokenizer.model_max_length = 40
    return pipeline("conversation-emotion", model=model.eval(), tokenizer=tokenizer)


def test_eight_threads_that_share_a_pipeline_get_what_one_gets(emotions):
    dialogues = [[f"{text} é" for text in dialogue] for dialogue in DIALOGUES]

    def label(dialogue: list[str]) -> list[dict]:
        return emotions(dialogue, distribution=True)

    expected = list(map(label, dialogues))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(label, dialogues)) == expected
    finally:
        sys.setswitchinterval(before)

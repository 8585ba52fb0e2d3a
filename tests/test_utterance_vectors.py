"""What the vectors of a frozen text encoder promise: one for every distinct utterance, computed once, whole or not
there, and the same results as the encoder itself gives."""

import resource
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from text_encoders import write_text_encoder
from transformers import AutoTokenizer

from modeling_precode import (
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    encode_dialogues,
)
from modeling_precode.text_encoder import TextUtteranceEncoder
from modeling_precode.training import utterance_vectors
from modeling_precode.training.utterance_vectors import UtteranceVectors

ROOT = Path(__file__).resolve().parents[1]
DIALOGUES = [
    ["I am so happy!", "About what?", "The sun.", "Yes."],
    ["No way.", "Yes.", "about WHAT?"],
    ["Is it the sun that you are so happy about?", "Yes.", "No way."],
]
SMALL = {"utterance_hidden_size": 8, "conversation_hidden_size": 6, "freeze_text_encoder": True}


def files(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.suffix != ".lock"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "precode_utterance_vectors"


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_text_encoder(tmp_path / "bert", [text for dialogue in DIALOGUES for text in dialogue])


@pytest.fixture
def model(folder):
    torch.manual_seed(0)
    return PreCodeForUtteranceClassification.from_utterance_encoder(folder, **SMALL).eval()


@pytest.fixture
def splits(folder) -> dict[str, datasets.Dataset]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = encode_dialogues({"utterances": DIALOGUES}, tokenizer)["input_ids"]
    negatives = [rows[1], rows[2], rows[0][:2]]
    whole = datasets.Dataset.from_dict({"input_ids": rows, "negative_input_ids": negatives, "place": [0, 1, 2]})
    return {"train": whole.filter(lambda place: place != 1, input_columns="place"), "test": whole.select([1])}


def test_a_vector_for_every_distinct_utterance(model, splits):
    vectors = UtteranceVectors(splits, model)
    assert vectors.rows.shape == (6, 16)  # a tokenizer without case reads "About what?" twice
    for split in splits.values():
        dialogues = vectors.dialogues(split)
        assert dialogues["place"][:] == split["place"][:]
        assert [len(dialogue) for dialogue in dialogues["input_ids"]] == [len(rows) for rows in split["input_ids"]]
    first, last = vectors.dialogues(splits["train"])["input_ids"]
    assert first[3] == last[1] and first[0] != last[0]


@pytest.mark.parametrize("objective", ["in_batch_softmax", "sampled_bce"])
@torch.no_grad()
def test_batches_of_vectors_give_what_batches_of_tokens_give(folder, model, splits, objective):
    """Whatever the tokenizer pads with: there are fewer vectors than words."""
    torch.manual_seed(0)
    completion = PreCodeForConversationCompletion.from_utterance_encoder(folder, convcom_objective=objective, **SMALL)
    vectors = UtteranceVectors(splits, model)
    pad = AutoTokenizer.from_pretrained(folder).pad_token_id
    for split in splits.values():
        rows, numbers = (list(dialogues) for dialogues in (split, vectors.dialogues(split)))
        batches = [
            PreCodeDataCollator(pad, with_layout=True)(rows),
            PreCodeDataCollator(50_283, with_layout=True, vectors=vectors)(numbers),
        ]
        assert "input_ids" not in batches[1] and batches[1]["utterance_embeds"].shape[-1] == 16
        if objective == "in_batch_softmax":
            batches = [
                collate([{"input_ids": row["input_ids"]} for row in given])
                for collate, given in (
                    (PreCodeDataCollator(pad), rows),
                    (PreCodeDataCollator(50_283, vectors=vectors), numbers),
                )
            ]
        tokens, pooled = (completion.eval()(**batch) for batch in batches)
        torch.testing.assert_close(pooled.logits, tokens.logits, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(pooled.loss, tokens.loss, atol=1e-5, rtol=1e-4)


def test_they_are_computed_once_and_anew_where_anything_is_another(folder, model, splits, cache, monkeypatch):
    calls = []
    pooled = TextUtteranceEncoder.pooled

    def counted(self, *args):
        calls.append(1)
        return pooled(self, *args)

    monkeypatch.setattr(TextUtteranceEncoder, "pooled", counted)
    first = UtteranceVectors(splits, model)
    again = UtteranceVectors(splits, PreCodeForConversationCompletion.from_utterance_encoder(folder, **SMALL))
    assert len(calls) == 1 and np.array_equal(first.rows, again.rows)
    UtteranceVectors({"test": splits["test"]}, model)
    half = UtteranceVectors(splits, model, "float16")
    assert half.rows.dtype == np.float16
    np.testing.assert_allclose(half.rows, first.rows, atol=2e-3)
    products = UtteranceVectors(splits, model, bf16=True)
    assert products.rows.dtype == np.float32 and not np.array_equal(products.rows, first.rows)
    np.testing.assert_allclose(products.rows, first.rows, atol=5e-2)
    UtteranceVectors(splits, PreCodeForUtteranceClassification.from_utterance_encoder(folder, "cls", **SMALL))
    with torch.no_grad():
        model.get_input_embeddings().weight[5] += 1
    UtteranceVectors(splits, model)
    assert len(calls) == len(files(cache)) == 6


@pytest.fixture
def in_context(folder):
    torch.manual_seed(0)
    settings = {"text_context": "dialogue", "max_window_tokens": 20, **SMALL}
    return PreCodeForUtteranceClassification.from_utterance_encoder(folder, **settings).eval()


@pytest.fixture
def dialogues(folder) -> dict[str, datasets.Dataset]:
    """The last two are equal but for what is a name."""
    examples = {
        "utterances": [*DIALOGUES, DIALOGUES[0][:2], ["Yes: No way."], ["No way."]],
        "speakers": [["Ann", "Bo", "Ann", "Bo"], [None] * 3, ["Bo"] * 3, ["Ann", "Bo"], [None], ["Yes"]],
    }
    options = {"speaker_prefix": True, "text_context": "dialogue"}
    rows = encode_dialogues(examples, AutoTokenizer.from_pretrained(folder), **options)
    whole = datasets.Dataset.from_dict(rows)
    return {"train": datasets.concatenate_datasets([whole, whole.select([0])]), "test": whole.select([1])}


@torch.no_grad()
def test_in_context_there_is_a_vector_for_every_utterance_of_every_distinct_dialogue(folder, in_context, dialogues):
    vectors = UtteranceVectors(dialogues, in_context)
    assert vectors.rows.shape == (4 + 3 + 3 + 2 + 1 + 1, 16)
    pad = AutoTokenizer.from_pretrained(folder).pad_token_id
    for split in dialogues.values():
        tokens = PreCodeDataCollator(pad, with_layout=True)(list(split))
        pooled = PreCodeDataCollator(pad, with_layout=True, vectors=vectors)(list(vectors.dialogues(split)))
        assert "name_lengths" not in pooled
        torch.testing.assert_close(in_context(**pooled).logits, in_context(**tokens).logits, atol=1e-5, rtol=1e-4)


def test_in_context_another_window_needs_other_vectors_and_an_interrupted_computation_is_resumed(
    folder, in_context, dialogues, cache, monkeypatch
):
    monkeypatch.setattr(utterance_vectors, "WINDOW", 4)
    UtteranceVectors(dialogues, in_context)
    [path] = files(cache)
    whole = path.read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.partial").write_bytes(whole[: 2 * 4 * 16 * 3 + 5])
    UtteranceVectors(dialogues, in_context)
    assert path.read_bytes() == whole
    settings = {"text_context": "dialogue", "max_window_tokens": 30, **SMALL}
    UtteranceVectors(dialogues, PreCodeForUtteranceClassification.from_utterance_encoder(folder, **settings))
    assert len(files(cache)) == 2


def test_what_is_cut_short_is_gone_on_with(model, splits, cache, monkeypatch):
    monkeypatch.setattr(utterance_vectors, "WINDOW", 1)
    whole = np.array(UtteranceVectors(splits, model).rows)
    [path] = files(cache)
    path.unlink()
    calls = []
    pooled = TextUtteranceEncoder.pooled

    def cut_short(self, *args):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return pooled(self, *args)

    monkeypatch.setattr(TextUtteranceEncoder, "pooled", cut_short)
    with pytest.raises(KeyboardInterrupt):
        UtteranceVectors(splits, model.train())
    assert model.base_model.utterance_encoder.training
    with open(f"{path}.partial", "ab") as file:
        file.write(b"a part of a window")
    assert not path.exists()
    assert np.array_equal(UtteranceVectors(splits, model).rows, whole)
    # Of four windows the last one is not trusted.
    assert len(calls) == 5 + 3 and files(cache) == [path]


def test_a_full_disk_is_an_error_and_costs_nothing(model, splits, cache, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    pooled = TextUtteranceEncoder.pooled

    def fill_the_disk(self, *args):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        return pooled(self, *args)

    with monkeypatch.context() as context, pytest.raises(OSError, match="File too large"):
        context.setattr(TextUtteranceEncoder, "pooled", fill_the_disk)
        try:
            UtteranceVectors(splits, model)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.suffix for path in files(cache)] == [".partial"]
    UtteranceVectors(splits, model)
    assert [path.suffix for path in files(cache)] == [".float32"]


PROCESS = """
import logging
import sys
import datasets
from transformers import AutoTokenizer
from modeling_precode import PreCodeModel, encode_dialogues
from modeling_precode.training import utterance_vectors
from modeling_precode.training.utterance_vectors import UtteranceVectors

logging.basicConfig(level=logging.INFO)
texts = {"utterances": [[f"happy sun {i} {j}" for i in range(20)] for j in range(40)]}
rows = datasets.Dataset.from_dict(encode_dialogues(texts, AutoTokenizer.from_pretrained(sys.argv[1])))
model = PreCodeModel.from_utterance_encoder(sys.argv[1], freeze_text_encoder=True)
print(float(UtteranceVectors({"train": rows}, model).rows.sum()))
"""


@pytest.mark.slow
def test_of_two_processes_that_want_the_same_one_computes_it(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "shared"))
    command = [sys.executable, "-c", PROCESS, str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, **pipes) for _ in range(2)]
    sums, errors = zip(*(process.communicate(timeout=120) for process in running), strict=True)
    assert [process.returncode for process in running] == [0, 0]
    assert sums[0] == sums[1]
    assert sum("Computed" in printed for printed in errors) == 1
    assert [path.suffix for path in files(tmp_path / "shared" / "precode_utterance_vectors")] == [".float32"]


def test_a_trained_encoder_has_none(folder, splits):
    model = PreCodeForUtteranceClassification.from_utterance_encoder(folder)
    with pytest.raises(ValueError, match="`freeze_text_encoder` is False"):
        UtteranceVectors(splits, model)

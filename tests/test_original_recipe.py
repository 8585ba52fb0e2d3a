"""What `--recipe original` promises: the original's recorded training runs, from nothing but their seed and data."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from corpus_of_topics import write_corpus
from safetensors.torch import load_file
from test_scripts import TORCHRUN
from test_scripts import run as run_process

import run_finetune
import run_pretrain
from data_scripts.emorynlp import EmoryNLP
from data_scripts.meld import Meld
from modeling_precode import (
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    focused_class_weights,
)
from modeling_precode.conversion.original_checkpoint import TENSOR_NAMES, convert_original_checkpoint
from modeling_precode.training import finetuning
from modeling_precode.training.arguments import CorpusArguments, EncoderArguments
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.original_recipe import (
    OriginalOrder,
    compute_as_original,
    finetuning_settings,
    pretraining_settings,
)
from modeling_precode.training.parsing import ScriptParser, parse_arguments
from modeling_precode.training.pretraining_arguments import ConversationCompletionArguments

UTTERANCE_ENCODERS = {"gru": "sentEncoder", "gru2": "sentGRUEncoder", "gru2l": "sentGRU2LEncoder"}
MODELS = [kind + size for kind in UTTERANCE_ENCODERS for size in ("", "_big")]
# A word for every id of the recordings; 1 is for unknown words, and this one is in no vocabulary.
WORDS = ["<pad>", "<unk>", *(f"{'abcde'[i // 10]}{'fghijklmno'[i % 10]}" for i in range(48))]
UNKNOWN = "unheard"


def text(ids: list[int]) -> str:
    return " ".join(UNKNOWN if i == 1 else WORDS[i] for i in ids if i)


def start(folder: Path, recording: Path, ending: str) -> Path:
    """The converted model that the recorded run started from, with a tokenizer for its ids."""
    files = {name: recording / f"{name}_{ending}.pt" for name in ("wordenc", "sentenc", "contenc", "dec")}
    convert_original_checkpoint(**files, output_dir=folder, pooling_length=10)
    PreCodeTokenizer.from_vocabulary(WORDS, "original").save_pretrained(folder)
    return folder


def write_splits(folder: Path, name: str, splits: dict[str, list]) -> Path:
    folder.mkdir()
    for split, dialogues in splits.items():
        (folder / f"{name}_{split}.json").write_text(json.dumps(dialogues), encoding="utf-8")
    return folder


def run(script, monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [script.__file__, "--recipe", "original", *map(str, arguments)])
    script.main()


def repeated_epochs(losses: list[float], recorded: dict, model: str) -> int:
    """How many epochs of the recorded run were repeated: all of them, but for models of large weights.

    Those amplify rounding: runs of our own from weights that are one part in 1e8 apart come to differ as much.
    """
    expected, epochs = recorded["step_loss"], len(recorded["epoch_order"])
    assert losses[0] == pytest.approx(expected[0], rel=1e-5)
    # Adam's first steps turn a gradient of nothing but rounding into a step as long as any.
    early = 1e-4 if model.endswith("_big") else 1e-5
    assert losses[:4] == pytest.approx(expected[:4], rel=early, abs=early)
    if not model.endswith("_big"):
        assert losses == pytest.approx(expected, rel=1e-5)
        return epochs
    steps = len(expected) // epochs
    close = [loss == pytest.approx(other, rel=1e-3, abs=1e-3) for loss, other in zip(losses, expected, strict=False)]
    repeated = close.index(False) // steps if False in close else epochs
    assert repeated >= 1
    return repeated


def assert_weights(folder: Path, recording: Path, task: str) -> None:
    """The checkpoint is that of the recorded run's best epoch; the frozen word vectors are none of its business."""
    recorded = np.load(recording / f"train_{task}_params.npz")
    saved = load_file(folder / "model.safetensors")
    kind = recording.name.removeprefix("model_").removesuffix("_big")
    classes = {
        "sentenc": UTTERANCE_ENCODERS[kind],
        "contenc": "contEncoder",
        "dec": {"lm": "biLM", "erc": "mlpDecoder"}[task],
    }
    for module, class_name in classes.items():
        for theirs, ours in TENSOR_NAMES[class_name].items():
            expected = torch.from_numpy(recorded[f"best.{module}.{theirs}"])
            tolerance = 1e-2 if recording.name.endswith("_big") else 1e-5
            torch.testing.assert_close(saved[ours], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("model", MODELS)
def test_pretraining_repeats_the_recorded_run(recordings, tmp_path, monkeypatch, model):
    recording = recordings / f"model_{model}"
    recorded = json.loads((recording / "train_lm.json").read_text())
    dev = [
        {"script": [text(utterance) for utterance in script], "neg": [text(negative) for negative in negatives]}
        for script, negatives in zip(recorded["dev_script"], recorded["dev_neg"], strict=True)
    ]
    train = [{"script": [text(ids) for ids in script], "neg": dev[0]["neg"]} for script in recorded["train"]]
    corpus = write_splits(tmp_path / "OpSub", "OpSub", {"train": train, "dev": dev, "test": dev})
    folder = tmp_path / "pretrained"
    run(
        run_pretrain,
        monkeypatch,
        *("--model", start(tmp_path / "start", recording, "OpSub_8_6"), "--corpus", "opsub", "--data_dir", corpus),
        *("--seed", recorded["python_random_seed"], "--learning_rate", recorded["lr"], "--dropout", 0),
        *("--max_epochs", recorded["epochs_max"], "--patience", recorded["patience"], "--logging_steps", 1),
        *("--output_dir", folder),
    )
    results = json.loads((folder / "pretrain_results.json").read_text())
    log = results["training_log"]
    repeated = repeated_epochs([step["loss"] for step in log], recorded, model)
    rates = [rate for rate, *_ in recorded["epoch_lr_during_epoch"][:repeated] for _ in train]
    assert [step["learning_rate"] for step in log][: len(rates)] == pytest.approx(rates)
    norms = [np.linalg.norm(norms) for norms in recorded["step_gradnorm_before_clip_wordenc_sentenc_contenc_dec"]]
    assert [step["gradient_norm"] for step in log[:4]] == pytest.approx(norms[:4], rel=1e-4)
    names = ("R_5@1", "R_5@2", "R_11@1", "R_11@2")
    recalls = [[round(epoch[name], 4) for name in names] for epoch in results["history"]]
    expected = recorded["epoch_dev_R1@5_R2@5_R1@11_R2@11"]
    assert recalls[:repeated] == expected[:repeated]
    if repeated == len(expected):
        assert len(recalls) == repeated
        if max(recall for _, _, recall, _ in recalls) > 0:  # else the original has no best epoch
            assert_weights(folder, recording, "lm")


@pytest.mark.parametrize("model", MODELS)
def test_finetuning_repeats_the_recorded_run(recordings, tmp_path, monkeypatch, model):
    recording = recordings / f"model_{model}"
    recorded = json.loads((recording / "train_erc.json").read_text())
    labels = list(recorded["emodict_word2index"])
    files = {}
    for split in ("train", "dev"):
        lines = [
            {"utterances": [text(ids) for ids in utterances], "labels": [labels[label] for [label] in gold]}
            for utterances, gold in zip(recorded[f"{split}_feat"], recorded[f"{split}_label"], strict=True)
        ]
        files[split] = "".join(json.dumps(line) + "\n" for line in lines)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, split in {"train": "train", "dev": "dev", "test": "dev"}.items():
        (corpus / f"{name}.jsonl").write_text(files[split], encoding="utf-8")

    checkpoint = start(tmp_path / "start", recording, "Friends_finetune?True")
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    PreCodeForUtteranceClassification.from_pretrained(checkpoint, **names).save_pretrained(checkpoint)
    # The recorded weights are of other counts than those of the recorded dialogues.
    weights = focused_class_weights(recorded["tr_word2count"], recorded["focus"])
    monkeypatch.setattr(finetuning, "class_weights", lambda *_: weights)
    folder = tmp_path / "finetuned"
    run(
        run_finetune,
        monkeypatch,
        *("--model", checkpoint, "--corpus", "custom", "--data_dir", corpus),
        *("--corpus_options", f"labels={json.dumps(labels)}", "--focused_labels", *recorded["focus"]),
        *("--seeds", recorded["python_random_seed"], "--learning_rate", recorded["lr"], "--dropout", 0),
        *("--num_train_epochs", recorded["epochs_max"], "--patience", recorded["patience"]),
        *("--logging_strategy", "steps", "--logging_steps", 1, "--output_dir", folder),
    )
    history = json.loads((folder / "results.json").read_text())["history"]
    steps = [record for record in history if "loss" in record]
    repeated = repeated_epochs([step["loss"] for step in steps], recorded, model)
    rates = [rate for rate, *_ in recorded["epoch_lr_during_epoch"][:repeated] for _ in recorded["train_feat"]]
    assert [step["learning_rate"] for step in steps][: len(rates)] == pytest.approx(rates)
    names = ("WA", "UWA", "focused_macro_f1")
    scores = [[round(100 * epoch[f"eval_{name}"], 2) for name in names] for epoch in history if "eval_UWA" in epoch]
    expected = [epoch[2:5] for epoch in recorded["epoch_dev_[recalls,f1s,WA,UWA,F1,-val_loss]"]]
    assert scores[:repeated] == expected[:repeated]
    if repeated == len(expected):
        assert len(scores) == repeated
        assert_weights(folder, recording, "erc")


def test_the_order_and_the_negatives_are_those_of_the_original(recordings):
    for case in json.loads((recordings / "sampling.json").read_text())["cases"]:
        sizes, current = case["conversation_sizes"], case["current_index"]
        order = OriginalOrder(len(sizes), case["seed"], sizes)
        assert order.negatives(current) == [tuple(pair) for pair in case["sampled_(conversation,utterance)"]]
        shuffled = OriginalOrder(len(sizes), case["seed"])
        assert list(shuffled) == case["shuffle_of_range30_with_same_seed"]


def test_every_epoch_shuffles_the_one_before():
    order = OriginalOrder(20, seed=3)
    stream, expected = random.Random(3), list(range(20))
    for _ in range(3):
        stream.shuffle(expected)
        assert list(order) == expected


def parsed(monkeypatch, script, *arguments: str) -> tuple:
    """The arguments that a script takes from its command line."""
    monkeypatch.setattr(sys, "argv", [script.__file__, *arguments])
    arguments, original = {
        run_pretrain: (ConversationCompletionArguments, pretraining_settings),
        run_finetune: (UtteranceClassificationArguments, finetuning_settings),
    }[script]
    parser = ScriptParser((CorpusArguments, EncoderArguments, arguments), {}, "script", "")
    return parse_arguments(parser, original)[1:]


@pytest.mark.parametrize(
    ("corpus", "labels", "factor", "patience"),
    [
        ("friends", {"anger", "joy", "sadness", "neutral"}, 0.75, 6),
        ("emotionpush", {"anger", "joy", "sadness", "neutral"}, 0.75, 6),
        ("iemocap", {"angry", "happy", "sad", "neutral"}, 0.95, 10),
        ("emorynlp", set(EmoryNLP.LABELS), 0.75, 6),
        ("mosei", {"happiness", "sadness", "anger", "disgust", "surprise", "fear"}, 0.75, 6),
        ("meld", set(Meld.LABELS), 0.75, 6),
    ],
)
def test_every_corpus_of_the_original_has_its_settings(monkeypatch, corpus, labels, factor, patience):
    recipe = ("--recipe", "original", "--corpus", corpus)
    encoder, args = parsed(monkeypatch, run_finetune, *recipe)
    assert set(args.focused_labels) == labels
    assert args.lr_scheduler_kwargs["factor"] == factor and args.lr_scheduler_kwargs["min_lr"] == 2e-5
    assert (args.patience, args.seeds, args.num_train_epochs) == (patience, [1, 2, 3, 4, 5], 60)
    assert (args.learning_rate, args.per_device_train_batch_size, args.class_weight_rate) == (2e-4, 1, 0.5)
    assert args.metric_for_best_model == "focused_macro_f1"
    assert (encoder.pooling_length, encoder.text_mode, encoder.size) == (60, "original", "mid")
    encoder, args = parsed(monkeypatch, run_finetune, *recipe, "--model", "checkpoint")
    assert args.learning_rate == 1e-4
    assert encoder.pooling_length is None, "the checkpoint says it"
    assert encoder.freeze_word_vectors, "though the second stage of pre-training trained them"


def test_pretraining_has_the_settings_of_the_original_unless_told_otherwise(monkeypatch):
    encoder, args = parsed(monkeypatch, run_pretrain, "--recipe", "original", "--patience", "7", "--size", "large")
    assert (args.objective, args.batch_size, args.num_negatives, args.max_grad_norm) == ("sampled_bce", 1, 10, 5)
    assert (args.learning_rate, args.lr_factor, args.min_learning_rate, args.max_epochs) == (2e-4, 0.75, 0, 20)
    assert (args.lr_scheduler_type, args.warmup_steps, encoder.dropout) == ("plateau", 0, 0.5)
    assert (encoder.pooling_length, encoder.text_mode, encoder.utterance_encoder) == (60, "original", "gru2")
    assert (args.patience, encoder.size) == (7, "large")
    encoder, args = parsed(monkeypatch, run_pretrain)
    assert (args.batch_size, args.objective, encoder.text_mode) == (64, "in_batch_softmax", "unicode")


def test_of_several_settings_in_one_argument_those_not_given_are_the_originals(monkeypatch):
    recipe = ("--recipe", "original", "--corpus", "iemocap")
    _, args = parsed(monkeypatch, run_finetune, *recipe, "--lr_scheduler_kwargs", '{"min_lr": 1e-6}')
    assert (args.lr_scheduler_kwargs["min_lr"], args.lr_scheduler_kwargs["factor"]) == (1e-6, 0.95)
    assert args.lr_scheduler_kwargs["mode"] == "max"


def small_corpus(folder: Path, lengths: list[int]) -> Path:
    draw = random.Random(0)
    dialogues = [
        {"script": [text(draw.choices(range(2, 50), k=5)) for _ in range(length)], "neg": [text([2])] * 10}
        for length in lengths
    ]
    return write_splits(folder, "OpSub", dict.fromkeys(["train", "dev", "test"], dialogues))


def test_dialogues_without_a_target_are_left_out_with_a_word(tmp_path, monkeypatch, caplog):
    """The original trains on NaN there."""
    corpus = small_corpus(tmp_path / "corpus", [4] * 11 + [1, 2])
    folder = tmp_path / "pretrained"
    caplog.set_level("INFO")
    arguments = ("--corpus", "opsub", "--data_dir", corpus, "--max_steps", 12, "--hidden_size", 8)
    run(run_pretrain, monkeypatch, *arguments, "--word_vector_size", 8, "--output_dir", folder)
    assert "train: left out 2 dialogues of fewer than three utterances" in caplog.text
    results = json.loads((folder / "pretrain_results.json").read_text())
    assert all(np.isfinite(epoch["loss"]) for epoch in results["history"])
    assert (results["settings"]["recipe"], results["settings"]["batch_size"]) == ("original", 1)
    config = json.loads((folder / "config.json").read_text())
    assert (config["pooling_length"], config["convcom_objective"]) == (60, "sampled_bce")
    assert PreCodeTokenizer.from_pretrained(folder).text_mode == "original"


def test_what_differs_from_the_original_is_said(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    corpus = write_corpus(tmp_path / "topics", sizes=[(split, 12) for split in ("train", "validation", "test")])
    tiny = ("--corpus", "custom", "--data_dir", corpus, "--hidden_size", 8, "--max_steps", 1)
    settings = (*tiny, "--objective", "in_batch_softmax", "--batch_size", 2, "--output_dir", tmp_path / "pretrained")
    run(run_pretrain, monkeypatch, *settings)
    assert "--recipe original: without --word_vectors, word vectors are random" in caplog.text
    assert "the dialogues are not in the original's order" in caplog.text
    assert "labels are focused" not in caplog.text
    caplog.clear()
    run(run_finetune, monkeypatch, *tiny, "--seeds", 1, "--output_dir", tmp_path / "finetuned")
    assert "custom is not one of its corpora, so all labels are focused" in caplog.text
    caplog.clear()
    settings = ("--focused_labels", "joy", "--model", tmp_path / "pretrained", "--output_dir", tmp_path / "again")
    run(run_finetune, monkeypatch, *tiny[:4], "--max_steps", 1, "--seeds", 1, *settings)
    assert "--recipe original:" not in caplog.text


def test_too_few_dialogues_for_the_negatives_are_refused(tmp_path, monkeypatch):
    corpus = small_corpus(tmp_path / "corpus", [4] * 10)
    arguments = ("--corpus", "opsub", "--data_dir", corpus, "--output_dir", tmp_path / "pretrained")
    with pytest.raises(ValueError, match="10 negatives .* need at least 11 dialogues of three .*; got 10"):
        run(run_pretrain, monkeypatch, *arguments)


BOTH_SCRIPTS = """
import sys
import run_finetune, run_pretrain

for script in (run_pretrain, run_finetune):
    try:
        script.main()
    except ValueError as error:
        print(error, file=sys.stderr)
"""


def test_more_than_one_process_is_refused(tmp_path):
    script, output = tmp_path / "both.py", tmp_path / "output"
    script.write_text(BOTH_SCRIPTS, encoding="utf-8")
    result = run_process(*TORCHRUN, str(script), "--recipe", "original", "--output_dir", str(output))
    assert result.stderr.count("--recipe original trains in one process; got 2") == 2 * 2
    assert not output.exists()


@pytest.mark.parametrize("model", ["gru", "gru2"])
def test_trained_word_vectors_are_shortened_for_good_when_they_are_looked_up(recordings, tmp_path, model):
    recording = recordings / f"model_{model}"
    folder = start(tmp_path / "start", recording, "OpSub_8_6")
    arrays = np.load(recording / "forward.npz")
    for trained in (False, True):
        model = PreCodeForConversationCompletion.from_pretrained(folder, freeze_word_vectors=not trained)
        compute_as_original(model)
        for i in range(7):
            script, negatives = (torch.from_numpy(arrays[f"lm{i}.{name}"])[None] for name in ("script", "neg"))
            model(input_ids=script, negative_input_ids=negatives)
        weight = model.get_input_embeddings().weight
        torch.testing.assert_close(weight.detach().numpy(), arrays["emb.after_lm" if trained else "emb.before"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", UTTERANCE_ENCODERS)
def test_it_learns_topics_as_well_as_the_original(recordings, tmp_path, monkeypatch, kind):
    """Dialogues keep to a topic each, so that the original learnt which utterance belongs; its weights began otherwise.

    Over seeds, recalls of either implementation vary by 0.1.
    """
    recorded = json.loads((recordings.parent / "topical_results.json").read_text())
    expected = [run["test"] for run in recorded["runs"] if run["kind"] == kind][0]
    arrays = np.load(recordings.parent / "topical.npz")
    words = ["", "", *(f"{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(360))]

    def line(ids) -> str:
        return " ".join(words[i] for i in ids if i)

    splits = {}
    for split in ("train", "dev", "test"):
        utterances = np.split(arrays[f"{split}.utt_ids"], np.cumsum(arrays[f"{split}.conv_len"])[:-1])
        negatives = arrays[f"{split}.neg_ids"] if split != "train" else np.full((len(utterances), 10, 1), 2)
        splits[split] = [
            {"script": [line(ids) for ids in script], "neg": [line(ids) for ids in drawn]}
            for script, drawn in zip(utterances, negatives, strict=True)
        ]
    corpus = write_splits(tmp_path / "OpSub", "OpSub", splits)
    vectors = "".join(
        f"{word} {' '.join(map(str, vector))}\n"
        for word, vector in zip(words, arrays["embedding.seed0"], strict=True)
        if word
    )
    (tmp_path / "vectors.txt").write_text(vectors, encoding="utf-8")
    folder = tmp_path / "pretrained"
    run(
        run_pretrain,
        monkeypatch,
        *("--corpus", "opsub", "--data_dir", corpus, "--word_vectors", tmp_path / "vectors.txt"),
        *("--hidden_size", 32, "--pooling_length", 20, "--learning_rate", 3e-3, "--max_epochs", 2, "--seed", 0),
        *("--utterance_encoder", {"gru2l": "stacked_gru"}.get(kind, kind), "--output_dir", folder),
    )
    scores = json.loads((folder / "pretrain_results.json").read_text())["scores"]["test"]
    assert all(score > other - 0.1 for score, other in zip(scores.values(), expected, strict=True))

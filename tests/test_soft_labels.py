"""Soft labels: where an utterance has a distribution of labels, fine-tuning learns it, and a model can write one."""

import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from corpus_of_topics import TOPICS, write_corpus
from datasets import DatasetDict, Features, List, Value
from transformers import pipeline

import run_finetune
from data_scripts import load_corpus
from data_scripts.building.dialogues import Dialogue, Utterance
from modeling_precode import PreCodeDataCollator, PreCodeForUtteranceClassification, PreCodeTokenizer, label_settings
from modeling_precode.cli.corpus_file import write_corpus as write_labeled_corpus
from modeling_precode.training.finetuning import UtteranceClassificationTrainer
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.fingerprint import dataset_digest

NAMES = sorted(TOPICS)
SOFT = List(List(Value("float32")))


@pytest.fixture
def model(tiny_config) -> PreCodeForUtteranceClassification:
    torch.manual_seed(0)
    return PreCodeForUtteranceClassification(tiny_config(class_weights=[0.2, 0.5, 0.3])).eval()


def test_the_collator_pads_distributions_with_0():
    rows = [
        {"input_ids": [[5, 6], [8], [7]], "labels": [1, -1, 0], "label_distributions": [[0.25, 0.75], [0.4, 0.6], []]},
        {"input_ids": [[9]], "labels": [-1], "label_distributions": [None]},
    ]
    batch = PreCodeDataCollator()(rows)
    expected = torch.tensor([[[0.25, 0.75], [0.4, 0.6], [0, 0]], [[0, 0], [0, 0], [0, 0]]])
    torch.testing.assert_close(batch["soft_targets"], expected)
    assert batch["labels"].tolist() == [[1, 1, 0], [-100, -100, -100]], "what has a distribution counts as labeled"
    assert "soft_targets" not in PreCodeDataCollator()(rows[1:])


def test_the_loss_is_the_cross_entropy_against_the_distribution_or_else_the_label(model):
    soft = [0.5, 0.25, 0.25]
    rows = [
        {"input_ids": [[5, 6], [8], [7]], "labels": [1, -1, 0], "label_distributions": [soft, soft, []]},
        {"input_ids": [[9], [4]], "labels": [2, -1], "label_distributions": [[], []]},
    ]
    batch = PreCodeDataCollator()(rows)
    output = model(**batch)
    logs = output.logits.log_softmax(-1) * torch.tensor(model.config.class_weights)
    total = (
        -sum(share * (logs[0, 0, i] + logs[0, 1, i]) for i, share in enumerate(soft)) - logs[0, 2, 0] - logs[1, 0, 2]
    )
    torch.testing.assert_close(output.loss, total / 4)
    torch.testing.assert_close(model(**batch, num_items_in_batch=8).loss, total / 8)
    nothing = torch.full_like(batch["soft_targets"], torch.nan)
    hard = {name: value for name, value in batch.items() if name != "soft_targets"}
    torch.testing.assert_close(model(**hard, soft_targets=nothing).loss, model(**hard).loss)
    with pytest.raises(ValueError, match=r"soft targets must have the shape .* here \(2, 3, 3\); got \(2, 3, 2\)"):
        model(**hard, soft_targets=nothing[..., :2])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> DatasetDict:
    """Hard labels that are all wrong, with distributions in train that are right."""
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 80), ("validation", 12), ("test", 12)))
    splits = load_corpus("custom", folder)
    features = Features({**splits["train"].features, "label_distributions": SOFT})

    def soften(row):
        shares = [[0.9 if number == label else 0.05 for number in range(3)] for label in row["labels"]]
        return {"label_distributions": shares, "labels": [(label + 1) % 3 for label in row["labels"]]}

    return DatasetDict({**splits, "train": splits["train"].map(soften, features=features)})


@pytest.fixture
def train(corpus, tiny_config, tmp_path):
    """A function: settings, and perhaps the training split -> the trainer after its training."""
    AcceleratorState._reset_state(reset_partial_state=True)

    def run(train_dataset=corpus["train"], **settings) -> UtteranceClassificationTrainer:
        words = PreCodeTokenizer.train([row["utterances"] for row in corpus["train"]], 1)
        torch.manual_seed(0)
        config = tiny_config(vocab_size=len(words), dropout=0.0, **label_settings(corpus))
        args = UtteranceClassificationArguments(
            output_dir=str(tmp_path / "run"), num_train_epochs=2, learning_rate=0.03, disable_tqdm=True, **settings
        )
        trainer = UtteranceClassificationTrainer(
            PreCodeForUtteranceClassification(config), args, train_dataset, corpus["validation"], words
        )
        trainer.train()
        trainer.predict(corpus["validation"], metric_key_prefix="eval")
        return trainer

    yield run
    AcceleratorState._reset_state(reset_partial_state=True)


def test_fine_tuning_learns_the_distributions(train):
    trainer = train(soft_labels=True)
    assert trainer.scores["validation"]["accuracy"] > 0.8
    assert trainer.fingerprint()["--soft_labels"] is True
    assert trainer.summary({}).settings["soft_labels"] is True


def test_without_soft_labels_the_labels_are_learned(train):
    assert train().scores["validation"]["accuracy"] < 0.5


def test_a_missing_distribution_may_be_null(train, corpus):
    rows = corpus["train"].select(range(20))

    def without_first(row):
        return {"label_distributions": [None, *row["label_distributions"][1:]]}

    assert train(rows.map(without_first, features=rows.features), soft_labels=True).scores


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([0.5, 0.5], "give 3 probabilities that add up to 1, or an empty list; got"),
        ([0.5, 0.6, 0.5], "training dialogue 0, utterance 0: give 3 probabilities that add up to 1"),
        ([1.5, -0.5, 0.0], "give 3 probabilities"),
        ([float("nan")] * 3, "give 3 probabilities"),
    ],
)
def test_what_is_no_distribution_is_refused_before_training(train, corpus, shares, message):
    rows = corpus["train"].select(range(20))
    broken = rows.map(lambda row: {"label_distributions": [shares] * len(row["labels"])}, features=rows.features)
    with pytest.raises(ValueError, match=message):
        train(broken, soft_labels=True)


def test_a_corpus_without_distributions_has_no_soft_labels(train, corpus):
    with pytest.raises(ValueError, match="the training split has no column label_distributions"):
        train(corpus["train"].remove_columns("label_distributions"), soft_labels=True)
    with pytest.raises(ValueError, match="--label_smoothing_factor cannot be used with --soft_labels"):
        UtteranceClassificationArguments(soft_labels=True, label_smoothing_factor=0.1)


def test_a_run_is_not_continued_on_other_distributions(corpus):
    rows = corpus["train"]
    other = rows.map(lambda row: {"label_distributions": [[]] * len(row["labels"])}, features=rows.features)
    turned = rows.map(
        lambda row: {"label_distributions": [one[::-1] for one in row["label_distributions"]]}, features=rows.features
    )
    assert len({dataset_digest(one) for one in (rows, other, turned)}) == 3


def dialogues_of(rows) -> list[Dialogue]:
    return [
        Dialogue(
            row["dialogue_id"], [Utterance(*turn) for turn in zip(row["utterances"], row["speakers"], strict=True)]
        )
        for row in rows
    ]


def test_what_a_model_says_is_a_corpus_to_fine_tune_on(model, tokenizer, corpus, tmp_path, no_state_of_another_test):
    model.save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    emotions = pipeline("conversation-emotion", model=str(tmp_path / "teacher"))
    (tmp_path / "labeled").mkdir()
    turns = {}
    for split, rows in corpus.items():
        turns[split] = emotions(rows, distribution=True)
        labeled = zip(dialogues_of(rows), turns[split], strict=True)
        write_labeled_corpus(tmp_path / "labeled" / f"{split}.parquet", labeled, NAMES)
    read = load_corpus(str(tmp_path / "labeled"))
    assert read["train"].column_names == ["dialogue_id", "utterances", "speakers", "labels", "label_distributions"]
    assert read["train"].features["labels"].feature.names == NAMES
    assert read["train"].features["label_distributions"] == SOFT
    for row, before, said in zip(read["test"], corpus["test"], turns["test"], strict=True):
        assert [row[name] for name in ("dialogue_id", "utterances", "speakers")] == [
            before[name] for name in ("dialogue_id", "utterances", "speakers")
        ]
        assert [NAMES[label] for label in row["labels"]] == [turn["label"] for turn in said]
        for shares, turn in zip(row["label_distributions"], said, strict=True):
            assert shares == pytest.approx([turn["distribution"][name] for name in NAMES])
    run = f"--corpus {tmp_path / 'labeled'} --soft_labels --hidden_size 8 --word_vector_size 8 --num_train_epochs 1"
    run_finetune.main([*run.split(), "--output_dir", str(tmp_path / "student")])
    results = json.loads((tmp_path / "student" / "finetune_results.json").read_text())
    assert results["settings"]["soft_labels"] is True
    assert "soft_labels: true" in Path(tmp_path, "student", "run.yaml").read_text()


def test_a_corpus_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "labeled.parquet"
    said = [{"text": "Hi.", "label": "joy", "distribution": {"anger": 0.25, "joy": 0.75}}]
    lines = [(Dialogue("1", [Utterance("Hi.")]), said), (Dialogue("2", [Utterance("Hi.")]), [{"text": "Hi."}])]
    with pytest.raises(ValueError, match="call the pipeline with distribution=True"):
        write_labeled_corpus(path, lines, ["anger", "joy"])
    with pytest.raises(ValueError, match="no dialogue to write"):
        write_labeled_corpus(path, [], ["anger", "joy"])
    assert not list(tmp_path.iterdir())

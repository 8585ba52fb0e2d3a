"""Fine-tuning on several corpora: one set of labels, a share for each, scores of each, and a choice by their mean."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from corpus_of_topics import write_two_corpora

import run_finetune
import run_pretrain
from modeling_precode.cli.evaluate import main as evaluate
from modeling_precode.training.arguments import CorpusArguments
from modeling_precode.training.batches import DialogueBatches, WeightedBatches
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.original_recipe import finetuning_settings
from modeling_precode.training.parsing import ScriptParser, parse_arguments

CORPORA = np.array(["large"] * 30 + ["small"] * 6)
TOKENS = np.arange(36) + 1


def drawn(batches: DialogueBatches, epoch: int) -> list[int]:
    batches.set_epoch(epoch)
    return [dialogue for number in range(len(batches)) for dialogue in batches.dialogues(number).tolist()]


def test_every_corpus_gives_its_share_whatever_its_size():
    batches = WeightedBatches(TOKENS, CORPORA, [1, 2], seed=3, batch_size=5)
    first, second = drawn(batches, 0), drawn(batches, 1)
    assert len(first) == len(second) == 36
    counts = Counter(CORPORA[first].tolist())
    assert counts == {"large": 12, "small": 24}
    assert Counter(Counter(number for number in first if number >= 30).values()) == {4: 6}, (
        "each as often as the others"
    )
    assert len({number for number in first if number < 30}) == 12, "none twice"
    assert {*first} != {*second}
    assert drawn(WeightedBatches(TOKENS, CORPORA, [1, 2], seed=3, batch_size=5), 1) == second


def test_processes_share_a_weighted_batch():
    shares = [
        WeightedBatches(TOKENS, CORPORA, [1, 2], seed=3, batch_size=6, process_index=index, num_processes=2)
        for index in range(2)
    ]
    whole = WeightedBatches(TOKENS, CORPORA, [1, 2], seed=3, batch_size=6)
    for number in range(len(whole)):
        both = [dialogue for batches in shares for dialogue in batches.share(number)]
        assert sorted(both) == sorted(whole.dialogues(number).tolist())


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, 0], [1, -1]])
def test_weights_that_fit_no_corpora_are_refused(weights):
    with pytest.raises(ValueError, match="give a number above 0 for each of the 2 corpora large, small"):
        WeightedBatches(TOKENS, CORPORA, weights, seed=3, batch_size=5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """Two corpora of different words, with different names of their labels."""
    names = {"joy": "happiness", "anger": "angry", "neutral": "no emotion"}
    return write_two_corpora(tmp_path_factory.mktemp("corpora"), names)


@pytest.fixture
def finetune(folders, tmp_path, no_state_of_another_test):
    """A function: arguments -> the folder of a fine-tuning on both."""

    def run(*arguments: str) -> Path:
        small = "--hidden_size 8 --word_vector_size 8 --num_train_epochs 2 --learning_rate 0.02 --label_map ekman"
        corpora = [f"custom={folder}" for folder in folders]
        run_finetune.main(["--corpus", *corpora, *small.split(), "--output_dir", str(tmp_path / "run"), *arguments])
        return tmp_path / "run"

    return run


def test_the_scores_are_those_of_each_corpus_and_their_mean_chooses(finetune, folders, tmp_path):
    folder = finetune("--corpus_weights", "1", "1")
    [run] = json.loads((folder / "finetune_results.json").read_text())["runs"]
    for split in ("validation", "test"):
        scores = run["scores"][split]
        assert list(scores["corpora"]) == ["custom large", "custom small"]
        for metric in ("accuracy", "weighted_f1", "macro_f1"):
            values = [one[metric] for one in scores["corpora"].values()]
            assert scores[metric] == pytest.approx(np.mean(values))
    history = json.loads((folder / "seed_1" / "results.json").read_text())["history"]
    evaluated = [record for record in history if "eval_weighted_f1" in record]
    assert max(record["eval_weighted_f1"] for record in evaluated) == run["scores"]["validation"]["weighted_f1"]
    for record in evaluated:
        of_corpora = [record[f"eval_weighted_f1_of_custom {name}"] for name in ("large", "small")]
        assert record["eval_weighted_f1"] == pytest.approx(np.mean(of_corpora))
    card = " ".join((folder / "README.md").read_text().split())
    assert "By corpus, test split: | | custom large | custom small |" in card
    assert "The training split of custom large against the validation and test splits of all corpora" in card
    assert str(tmp_path) not in card
    corpora = [f"custom={folder}" for folder in folders]
    evaluate(
        ["--model", str(folder), "--corpus", *corpora, "--label_map", "ekman", "--output", str(tmp_path / "x.json")]
    )
    for one in json.loads((tmp_path / "x.json").read_text())["corpora"]:
        assert one["scores"]["macro_f1"] == run["scores"]["test"]["corpora"][one["corpus"]]["macro_f1"]


def test_a_run_on_several_corpora_is_repeated_by_its_configuration(finetune, tmp_path):
    first = finetune()
    run_finetune.main(["--config", str(first / "run.yaml"), "--output_dir", str(tmp_path / "again")])
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_corpora_of_different_labels_need_a_map(folders, tmp_path, no_state_of_another_test):
    corpora = [f"custom={folder}" for folder in folders]
    with pytest.raises(ValueError, match="corpora custom large and custom small have different labels"):
        run_finetune.main(["--corpus", *corpora, "--output_dir", str(tmp_path / "run")])


def test_what_makes_no_sense_with_several_corpora_or_one_is_refused(tmp_path, no_state_of_another_test):
    with pytest.raises(ValueError, match="--data_dir cannot be used with several corpora: give NAME=DATA_DIR for each"):
        CorpusArguments(corpus=["sample", "meld"], data_dir="MELD")
    with pytest.raises(ValueError, match="several corpora are for fine-tuning; give one"):
        run_pretrain.main(["--corpus", "sample", "chitchat", "--output_dir", str(tmp_path / "run")])
    with pytest.raises(ValueError, match="--corpus_weights: there is one corpus"):
        run_finetune.main(["--corpus_weights", "1", "2", "--hidden_size", "8", "--output_dir", str(tmp_path / "run")])
    with pytest.raises(ValueError, match="--corpus_weights cannot be used with --recipe original"):
        UtteranceClassificationArguments(recipe="original", corpus_weights=[1, 2])


def test_one_corpus_may_bring_its_folder_too():
    arguments = CorpusArguments(corpus=["meld=MELD"])
    assert (arguments.corpus, arguments.data_dir, arguments.name) == ("meld", "MELD", "meld")
    with pytest.raises(ValueError, match="--corpus meld=MELD and --data_dir other: leave one of the folders out"):
        CorpusArguments(corpus="meld=MELD", data_dir="other")


def test_the_original_recipe_knows_a_single_corpus_by_its_name():
    parser = ScriptParser((CorpusArguments, UtteranceClassificationArguments), {}, "finetune", "")
    parser.add_argument("--model")
    parser.add_argument("--text_encoder")
    command = ["--corpus", "iemocap", "--recipe", "original", "--use_cpu"]
    corpus, args = parse_arguments(parser, finetuning_settings, command)[:2]
    assert (corpus.corpus, args.focused_labels) == ("iemocap", ["angry", "happy", "sad", "neutral"])

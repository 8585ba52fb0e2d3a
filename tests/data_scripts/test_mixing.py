"""Several corpora as one: nothing of any test split is trained on, and every dialogue says where it is from."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from data_scripts.building.mixing import mix_corpora
from data_scripts.building.options import corpus_names
from data_scripts.sharing.dataset_card import is_restricted

NAMES = ["joy", "neutral"]
ODD = "I would never have guessed that."
OTHER = "Nobody told me about the party."


def corpus(train: list, validation: list, test: list, names=NAMES, license_name="", votes=False) -> DatasetDict:
    features = {
        "dialogue_id": Value("string"),
        "utterances": List(Value("string")),
        "speakers": List(Value("string")),
        "labels": List(ClassLabel(names=names)),
    }
    if votes:
        features["label_distributions"] = List(List(Value("float32")))
    splits = {}
    for split, dialogues in (("train", train), ("validation", validation), ("test", test)):
        rows = {
            "dialogue_id": [str(number) for number in range(len(dialogues))],
            "utterances": dialogues,
            "speakers": [[""] * len(dialogue) for dialogue in dialogues],
            "labels": [[0] * len(dialogue) for dialogue in dialogues],
        }
        if votes:
            rows["label_distributions"] = [[[0.5, 0.5]] * len(dialogue) for dialogue in dialogues]
        splits[split] = Dataset.from_dict(rows, features=Features(features))
        splits[split].info.license = license_name
    return DatasetDict(splits)


def test_every_dialogue_has_the_name_of_its_corpus():
    mixed, _ = mix_corpora({"a": corpus([["a"], ["b"]], [["c"]], [["d"]]), "b": corpus([["e"]], [["f"]], [["g"]])})
    assert list(mixed["train"]["corpus_name"]) == ["a", "a", "b"]
    assert list(mixed["test"]["corpus_name"]) == ["a", "b"]
    assert list(mixed["train"]["utterances"]) == [["a"], ["b"], ["e"]]


def test_what_is_held_out_anywhere_is_trained_on_nowhere_and_every_pair_has_its_figures():
    a = corpus([[ODD, "Oh."], ["Hi."], ["Go!"]], [["Hi."]], [["What a very nice day!"]])
    b = corpus([["What a very nice day", "Yes."], ["No."]], [["Well."]], [["Well then.", ODD]])
    mixed, leakage = mix_corpora({"a": a, "b": b})
    assert list(mixed["train"]["utterances"]) == [["Go!"], ["No."]]
    ends = "against the validation and test splits of all corpora"
    assert leakage[f"The training split of a {ends}"] == [
        "2 of 3 dialogues (66.7%) appear there in full or by half, and were dropped"
    ]
    assert leakage[f"The training split of b {ends}"][0].startswith("1 of 2 dialogues")
    assert [what for what in leakage if "original" in what] == [
        "The original training split of a against the validation split of a",
        "The original training split of a against the test split of b",
        "The original training split of b against the test split of a",
    ]


def test_a_corpus_that_is_only_learned_from_needs_no_other_split():
    a, b = corpus([["a"]], [["b"]], [["c"]]), DatasetDict(train=corpus([["b"], ["d"]], [], [])["train"])
    mixed, _ = mix_corpora({"a": a, "b": b})
    assert list(mixed["train"]["utterances"]) == [["a"], ["d"]]
    assert list(mixed["test"]["corpus_name"]) == ["a"]
    with pytest.raises(
        ValueError, match="no split validation in b; every corpus needs train, and one needs the others"
    ):
        mix_corpora({"b": b})


def test_a_corpus_without_votes_has_empty_ones_beside_one_with_votes():
    mixed, _ = mix_corpora({"a": corpus([["a"]], [["b"]], [["c"]], votes=True), "b": corpus([["d"]], [["e"]], [["f"]])})
    assert list(mixed["train"]["label_distributions"]) == [[[0.5, 0.5]], [[]]]


def test_the_licenses_of_all_are_kept_and_forbid_what_one_forbids():
    restricted = "on request from the authors; no redistribution"
    parts = {"a": corpus([["a"]], [["b"]], [["c"]], license_name="CC0-1.0")}
    mixed, _ = mix_corpora(parts | {"b": corpus([["d"]], [["e"]], [["f"]], license_name=restricted)})
    assert mixed["train"].info.license == f"CC0-1.0 + {restricted}"
    assert is_restricted("a, b", mixed["train"].info.license)
    assert not is_restricted("a", "CC0-1.0 + Apache-2.0")


def test_corpora_that_do_not_go_together_are_refused():
    a, b = corpus([["a"]], [["b"]], [["c"]]), corpus([["d"]], [["e"]], [["f"]], names=["Joyful", "neutral"])
    with pytest.raises(
        ValueError, match="corpora a and b have different labels: joy, neutral, and Joyful, neutral; use"
    ):
        mix_corpora({"a": a, "b": b})
    with pytest.raises(ValueError, match="corpus b: the corpus has no labels"):
        mix_corpora({"a": a, "b": DatasetDict({name: rows.remove_columns("labels") for name, rows in a.items()})})
    with pytest.raises(ValueError, match="corpus a: all of its training dialogues appear in held-out splits"):
        mix_corpora({"a": corpus([["a"]], [["b"]], [["A!"]]), "b": a})


def test_several_corpora_have_names_for_people():
    assert corpus_names(["sample", "meld=some/MELD"]) == ["sample", "meld"]
    assert corpus_names(["custom=some/a", "custom=b.csv"]) == ["custom a", "custom b.csv"]
    with pytest.raises(ValueError, match="two corpora have the name sample"):
        corpus_names(["sample", "sample"])

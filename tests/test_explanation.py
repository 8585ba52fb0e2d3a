"""Why an utterance has its label, and labels folded into fewer, in the pipeline and in `precode predict`."""

import json

import pytest
from transformers import pipeline

import modeling_precode  # noqa: F401
from modeling_precode.cli.main import main

DIALOGUE = [("Ana", "Give it here. Ben, you got in!"), ("Ben", "What?"), ("Cy", "I'm   so happy\nfor you!")]
SENTIMENT = dict.fromkeys(["anger", "disgust", "fear", "sadness"], "negative")
SENTIMENT |= {"joy": "positive", "neutral": "neutral", "surprise": None}


@pytest.fixture(scope="module")
def emotions():
    return pipeline("conversation-emotion")


def probability(emotions, dialogue, place, label, **options):
    return emotions(dialogue, distribution=True, **options)[place]["distribution"][label]


@pytest.mark.parametrize("options", [{}, {"label_map": SENTIMENT}, {"max_batch_tokens": 3}], ids=str)
def test_a_change_is_that_of_the_probability_when_the_model_reads_the_dialogue_without_it(emotions, options):
    for place, turn in enumerate(emotions(DIALOGUE, explain=True, **options)):
        others = turn["explanation"]["utterances"]
        assert [change is None for change in others] == [other == place for other in range(len(DIALOGUE))]
        for other, change in enumerate(others):
            if other != place:
                rest = DIALOGUE[:other] + DIALOGUE[other + 1 :]
                without = probability(emotions, rest, place - (other < place), turn["label"], **options)
                assert change == pytest.approx(turn["score"] - without, abs=1e-5)
        assert [word["word"] for word in turn["explanation"]["words"]] == turn["text"].split()
        for word in turn["explanation"]["words"]:
            start, end = word["start"], word["end"]
            assert turn["text"][start:end] == word["word"]
            rest = list(DIALOGUE)
            rest[place] = (turn["speaker"], turn["text"][:start] + turn["text"][end:])
            without = probability(emotions, rest, place, turn["label"], **options)
            assert word["change"] == pytest.approx(turn["score"] - without, abs=1e-5)


def test_an_utterance_alone_and_without_words_has_nothing_that_explains_it(emotions):
    assert emotions("", explain=True)[0]["explanation"] == {"utterances": [None], "words": []}


def test_probabilities_of_labels_with_the_same_counterpart_are_added(emotions):
    plain, folded = (emotions(DIALOGUE, distribution=True, label_map=label_map) for label_map in (None, SENTIMENT))
    for turn, result in zip(plain, folded, strict=True):
        kept = 1 - turn["distribution"]["surprise"]
        assert list(result["distribution"]) == ["negative", "neutral", "positive"]
        assert result["distribution"]["positive"] == pytest.approx(turn["distribution"]["joy"] / kept, abs=1e-5)
        assert sum(result["distribution"].values()) == pytest.approx(1, abs=1e-5)
        assert result["score"] == max(result["distribution"].values()) == result["distribution"][result["label"]]


@pytest.mark.parametrize(
    "label_map, message",
    [
        ({"joy": "positive"}, "lacks anger"),
        (dict.fromkeys(SENTIMENT, "any"), "fewer than two labels; got any"),
        ("sentiment", "must be a mapping"),
    ],
)
def test_a_label_map_that_does_not_fit_is_refused(emotions, label_map, message):
    with pytest.raises(ValueError, match=message):
        emotions(DIALOGUE, label_map=label_map)


def test_the_command_writes_explanations_and_labels_of_a_map_as_json_lines(tmp_path, capsys):
    file = tmp_path / "dialogue.txt"
    file.write_text("Ana: I got the job!\nBen: You did?\n")
    main(["predict", str(file), "--label_map", "sentiment", "--distribution", "--explain", "--format", "jsonl"])
    row = json.loads(capsys.readouterr().out)
    assert set(row["predictions"]) <= {"negative", "neutral", "positive"} == set(row["distributions"][0])
    assert [len(explanation["utterances"]) for explanation in row["explanations"]] == [2, 2]


@pytest.mark.parametrize("arguments", [[], ["--format", "csv"], ["--output", "x.parquet"]], ids=str)
def test_a_table_with_explanations_is_refused(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dialogue.txt").write_text("Ana: I got the job!\n")
    with pytest.raises(SystemExit, match=r"--explain: .* cannot contain explanations; use --output with a .jsonl"):
        main(["predict", "dialogue.txt", "--explain", *arguments])

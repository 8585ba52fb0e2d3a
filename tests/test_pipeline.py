"""What the pipeline promises: every form of dialogue that a person may have, and a clear word about any other."""

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from modeling_precode import ConversationEmotionPipeline, PreCodeDataCollator

TEXTS = ["I am so happy!", "About what?", "The weather ...", ""]


@pytest.fixture
def emotions(save_distinct, tmp_path) -> ConversationEmotionPipeline:
    return pipeline("conversation-emotion", model=str(save_distinct(tmp_path)))


def test_a_dialogue_is_labeled_from_all_of_its_utterances(emotions):
    results = emotions(TEXTS, distribution=True)
    batch = PreCodeDataCollator()([{"input_ids": emotions.tokenizer(TEXTS)["input_ids"]}])
    expected = emotions.model(**batch).logits.softmax(-1)[0]
    assert [result["text"] for result in results] == TEXTS
    for result, row in zip(results, expected, strict=True):
        assert result["label"] == ["anger", "joy", "neutral"][row.argmax()]
        assert result["score"] == pytest.approx(row.max().item(), abs=1e-6)
        assert list(result["distribution"].values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert list(result["distribution"]) == ["anger", "joy", "neutral"]
    alone = [emotions([text])[0]["score"] for text in TEXTS]
    assert alone != [result["score"] for result in results]


def test_all_forms_of_a_dialogue_give_the_same_labels(emotions):
    plain = emotions(TEXTS)
    named = [{**result, "speaker": "Ann"} for result in plain]
    assert emotions([{"text": text} for text in TEXTS]) == plain
    assert emotions([{"speaker": "Ann", "text": text} for text in TEXTS]) == named
    assert emotions([("Ann", text) for text in TEXTS]) == named
    assert emotions(tuple(TEXTS)) == emotions(np.array(TEXTS)) == emotions(pd.Series(TEXTS)) == plain
    table = pd.DataFrame({"speaker": "Ann", "text": TEXTS, "label": "joy"})
    assert emotions(table) == named
    assert emotions(table[["text"]]) == plain
    assert emotions(TEXTS[0]) == emotions(TEXTS[:1])
    columns = {"utterances": [TEXTS], "speakers": [["Ann"] * len(TEXTS)], "labels": [[0] * len(TEXTS)]}
    assert emotions(Dataset.from_dict(columns)) == [named]
    for nobody in ([""] * len(TEXTS), []):
        assert emotions(Dataset.from_dict({"utterances": [TEXTS], "speakers": [nobody]})) == [plain]
    assert emotions(Dataset.from_dict({"utterances": [TEXTS]})) == [plain]


def test_all_forms_of_several_dialogues_give_the_same_labels(emotions):
    dialogues = [TEXTS, TEXTS[:1], TEXTS[::-1]]
    expected = emotions(dialogues)
    dataset = Dataset.from_dict({"utterances": dialogues, "labels": [[0] * len(texts) for texts in dialogues]})
    assert emotions(dataset) == emotions(dataset["utterances"]) == expected
    assert list(emotions(KeyDataset(dataset, "utterances"))) == expected
    array = np.array([*map(np.array, dialogues), None], dtype=object)[:-1]
    assert emotions(pd.Series(dialogues)) == emotions(array) == emotions([np.array(texts) for texts in dialogues])
    assert emotions(array) == emotions(dataset.to_pandas()) == expected
    # An utterance a row, and the rows of a dialogue anywhere.
    rows = [(number, text) for number, texts in enumerate(dialogues) for text in texts]
    table = pd.DataFrame(rows, columns=["dialogue_id", "text"]).sort_values("dialogue_id", kind="stable")
    assert emotions(table) == expected
    assert emotions([table[table["dialogue_id"] == number][["text"]] for number in range(3)]) == expected
    assert emotions([group for _, group in table.groupby("dialogue_id")]) == expected
    with pytest.raises(ValueError, match="a table that is one of several dialogues must have one .*; got 3; give"):
        emotions([table, table])
    mixed = table.iloc[[0, 4, 5, 1, 2, 6, 7, 3, 8]]
    assert emotions(mixed) == expected


def test_arguments_of_other_pipelines_do_what_they_do_there(emotions, monkeypatch, tmp_path):
    dialogues = [TEXTS[:2]] * 7
    expected = emotions(dialogues)
    sizes = []
    forward = emotions._forward
    monkeypatch.setattr(emotions, "_forward", lambda batch: sizes.append(len(batch["input_ids"])) or forward(batch))
    for found in (emotions(dialogues, batch_size=3), emotions(dialogues, batch_size=3, num_workers=2)):
        assert [[turn["label"] for turn in turns] for turns in found] == [
            [turn["label"] for turn in turns] for turns in expected
        ]
    assert sizes == [3, 3, 1] * 2
    whole = emotions(TEXTS, distribution=True)
    for turn, ranked in zip(whole, emotions(TEXTS, top_k=None), strict=True):
        assert ranked[0] == {"label": turn["label"], "score": turn["score"]}
        assert {entry["label"]: entry["score"] for entry in ranked} == turn["distribution"]
        assert [entry["score"] for entry in ranked] == sorted(turn["distribution"].values(), reverse=True)
    assert emotions(TEXTS, top_k=2) == [ranked[:2] for ranked in emotions(TEXTS, top_k=None)]
    assert emotions(TEXTS, top_k=1) == [[{"label": turn["label"], "score": turn["score"]}] for turn in whole]
    settings = {"batch_size": 3, "num_workers": 0, "top_k": 1}
    made = pipeline("conversation-emotion", model=str(tmp_path), **settings)
    assert made(TEXTS) == emotions(TEXTS, top_k=1)
    with pytest.raises(ValueError, match="use one of them"):
        made(TEXTS, distribution=True)
    for name in ("batch_size", "top_k", "max_batch_tokens"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
            emotions(TEXTS, **{name: 0})
    for name in ("distribution", "known_words", "explain"):
        with pytest.raises(ValueError, match=f"{name} must be True or False; got 'false'"):
            emotions(TEXTS, **{name: "false"})


def test_the_call_that_the_hub_shows_labels_a_text(emotions, tmp_path):
    """`text-classification` is another pipeline for other models, and so needs `trust_remote_code=True`."""
    classifier = pipeline("text-classification", model=str(tmp_path), trust_remote_code=True)
    [result] = classifier("I am so happy!")
    assert result == emotions("I am so happy!")[0]
    assert classifier(TEXTS) == emotions(TEXTS)
    assert classifier("So?", top_k=None)[0] == emotions(["So?"], top_k=None)[0]
    # With the package, what it has registered goes without.
    assert type(pipeline("conversation-emotion", model=str(tmp_path))) is ConversationEmotionPipeline


def test_a_dialogue_of_unknown_words_is_warned_of_once_with_the_share_that_is_known(emotions, caplog):
    emotions([TEXTS, ["I am not so sad today, friend!"]])
    assert caplog.messages == []
    emotions([TEXTS, ["So ist das Leben eben!", "Ach?"]])
    [message] = caplog.messages
    assert message.startswith("only 38 % of a dialogue's words are known to the model (it begins 'So ist das Leben")
    emotions(["Что?"])
    assert len(caplog.messages) == 1


def test_the_share_of_known_words_comes_with_every_utterance_where_it_is_asked_for(emotions):
    texts = ["I am so happy!", "So ist das Leben!", "Ach", "..."]
    plain = emotions(texts)
    assert all("known_words" not in turn for turn in plain)
    shared = emotions(texts, known_words=True)
    assert [turn["known_words"] for turn in shared] == [0.8, 0.4, 0, 0]
    assert [{**turn, "known_words": share["known_words"]} for turn, share in zip(plain, shared, strict=True)] == shared
    with pytest.raises(ValueError, match="`known_words` and `top_k` both define"):
        emotions(texts, known_words=True, top_k=1)


def test_utterances_that_are_cut_are_counted_in_one_warning(emotions, caplog):
    long = "weather " * 60
    emotions([TEXTS, [long, "So?"]])
    assert caplog.messages == []
    expected = emotions([long, "So?"])
    # In ASCII, and where the tokenizer normalizes; all windows of a stream have one line together.
    cut = [long + "angry", "Só?", "é " + long]
    assert [turn["score"] for turn in emotions([cut[0], "So?"])] == [turn["score"] for turn in expected]
    assert len(caplog.messages) == 1
    for inputs in ([cut, TEXTS], iter([cut] + [TEXTS] * 1200)):
        count = sum(map(len, emotions(inputs)))
        start = f"2 of {count} utterances are longer than 60 tokens, the maximum for this model"
        assert caplog.messages[-1].startswith(start)
    assert len(caplog.messages) == 3
    # Whoever does not read on is told too.
    results = emotions(iter([cut, TEXTS]))
    next(results)
    results.close()
    assert len(caplog.messages) == 4


@pytest.mark.parametrize("max_batch_tokens", [1, 30, 10_000])
def test_many_dialogues_keep_their_order_and_their_numbers_whatever_the_batch(emotions, max_batch_tokens):
    dialogues = [TEXTS, [], TEXTS[:1], TEXTS * 40, TEXTS[::-1]]
    results = emotions(dialogues, max_batch_tokens=max_batch_tokens)
    assert [[turn["text"] for turn in result] for result in results] == dialogues
    for dialogue, result in zip(dialogues, results, strict=True):
        for turn, alone in zip(result, emotions(dialogue), strict=True):
            assert turn["label"] == alone["label"]
            assert turn["score"] == pytest.approx(alone["score"], abs=1e-5)


def test_nothing_gives_nothing(emotions):
    assert emotions([]) == []
    assert emotions([[], []]) == [[], []]


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (7, "got 7 \\(int\\)"),
        (b"I am", "got b'I am' \\(bytes\\)"),
        (pd.DataFrame({"words": ["so"]}), "the table has the columns words; it needs `text`"),
        (pd.DataFrame({"text": ["so"], "dialogue_id": [None]}), "row 0 of the table has no `dialogue_id`; got None"),
        (pd.DataFrame({"text": ["so", np.nan]}), "got the utterance {'text': nan} \\(dict\\)"),
        ({"text": "I am"}, "got {'text': 'I am'} \\(dict\\)"),
        ([1, 2], "got the utterance 1 \\(int\\)"),
        ([("Ann", "Bo", "so")], "got the utterance \\('Ann', 'Bo', 'so'\\) \\(tuple\\)"),
        ([{"utterance": "so"}], "got the utterance {'utterance': 'so'} \\(dict\\)"),
        ([["so"], "so"], "got the utterance \\['so'\\] \\(list\\)"),
        (Dataset.from_dict({"text": ["so"]}), "the dataset has the columns text"),
        (DatasetDict(test=Dataset.from_dict({"utterances": [["so"]]})), "with the splits test; give one of them"),
        (Dataset.from_dict({"utterances": ["so"]}), "got the row {'utterances': 'so'} \\(dict\\)"),
        (Dataset.from_dict({"utterances": [["a", "b"]], "speakers": [["Ann"]]}), "got 1 for 2"),
        (
            Dataset.from_dict({"utterances": [["a", "b"]], "speakers": ["Ann"]}),
            "one name per utterance; got 'Ann' \\(st",
        ),
        (["\ud83d hello"], r"half of a surrogate pair, .*; got '\\ud83d hello' \(str\); give whole characters"),
        ([("A\ude00", "hello")], r"half of a surrogate pair, .*; got \('A\\ude00', 'hello'\) \(tuple\)"),
        (pd.DataFrame({"utterances": [["a"]], "speakers": [3]}), "`speakers` of a row must be a list .*; got 3 \\(int"),
    ],
)
def test_other_forms_are_refused_with_what_was_given(emotions, wrong, shown):
    with pytest.raises(ValueError, match=shown):
        emotions(wrong)


def test_a_tuple_of_speaker_and_text_is_not_read_as_two_utterances(emotions):
    turn = ("Ann", "I am so happy!")
    for wrong in (np.array([turn, turn]), pd.DataFrame([turn]).to_numpy()):
        with pytest.raises(ValueError, match=r"an array with two columns may hold .* give list\(map\(tuple, array\)\)"):
            emotions(wrong)
    for wrong in (turn, iter([turn])):
        with pytest.raises(
            ValueError, match=r"a tuple of two strings .* give \[\(speaker, text\)\]; for two utterances"
        ):
            list(emotions(wrong))
    assert [result["text"] for result in emotions(list(turn))] == [*turn]
    assert [(result["speaker"], result["text"]) for result in emotions([turn])] == [turn]


def test_missing_speakers_are_no_error(emotions):
    for nobody in (None, float("nan"), pd.NA):
        assert emotions(pd.DataFrame({"utterances": [TEXTS], "speakers": [nobody]})) == [emotions(TEXTS)]


def test_a_stream_is_labeled_as_it_comes(emotions):
    """Nothing is read before it is needed, and never more than a window."""
    read = []

    def dialogues():
        for number in range(5000):
            read.append(number)
            yield TEXTS[: number % 3]

    results = emotions(dialogues())
    assert read == []
    assert next(results) == []
    assert len(read) <= 1000
    [turn], [alone] = next(results), emotions(TEXTS[:1])
    assert turn == {**alone, "score": pytest.approx(alone["score"], abs=1e-5)}
    rows = Dataset.from_dict({"utterances": [TEXTS, TEXTS[:1]]})
    assert list(emotions(rows.to_iterable_dataset())) == emotions(rows)
    with pytest.raises(ValueError, match="got, as one of several dialogues, 'so' \\(str\\); put a text into a list"):
        list(emotions(text for text in ["so", "happy"]))
    with pytest.raises(ValueError, match="got, as one of several dialogues, 'so' \\(str\\); put a text into a list"):
        emotions(KeyDataset(Dataset.from_dict({"text": ["so"]}), "text"))


def test_a_dialogue_of_thousands_of_utterances_and_words_that_nobody_knows(emotions):
    results = emotions(["We are very angry about the weather!", "Zyzzyva qwxz 😀 żółć", "42"] * 1700)
    assert len(results) == 5100
    assert all(0 < result["score"] <= 1 for result in results)
    # Both are one unknown word.
    assert emotions(["qwxz"])[0]["score"] == emotions(["42"])[0]["score"]


def test_a_batch_holds_no_more_tokens_than_asked_but_for_a_dialogue_that_has_more(emotions, monkeypatch):
    batches = []
    forward = emotions._forward
    monkeypatch.setattr(emotions, "_forward", lambda batch: batches.append(batch["attention_mask"]) or forward(batch))
    emotions([TEXTS] * 10 + [TEXTS * 30], max_batch_tokens=60)
    sizes = [(len(mask), int(mask.sum())) for mask in batches]
    assert sorted(sizes) == [(1, 330), (5, 55), (5, 55)]
    with pytest.raises(ValueError, match="max_batch_tokens must be at least 1; got 0"):
        emotions(TEXTS, max_batch_tokens=0)

"""What stands in another corpus is found, however it is written there, whichever is larger, and dropped on demand."""

import random
import tracemalloc

import pytest
from datasets import Dataset

from data_scripts.inspection.overlap import find_overlap, without

LONG = "I would never have guessed that."
OTHER_LONG = "Nobody told me about the party."


def dialogues(*utterances: list[str]) -> Dataset:
    return Dataset.from_dict({"utterances": list(utterances)})


def test_case_and_punctuation_hide_nothing_and_another_word_is_another_utterance():
    mine = dialogues(["Oh, I'm SO sorry -- I didn’t know!", "Okay."], ["I was so sorry about all that.", "Okay."])
    overlap = find_overlap(mine, dialogues(["oh i ' m so sorry , I didn't know", "OKAY"]))
    assert (overlap.dialogues, overlap.whole, overlap.shared) == (2, [0], [0])
    assert (overlap.utterances, overlap.utterances_found) == (2, 1)
    assert overlap.examples == ["Oh, I'm SO sorry -- I didn’t know!"]


def test_composed_and_decomposed_letters_are_the_same():
    assert find_overlap(dialogues(["Caf\u00e9 au lait?"]), dialogues(["cafe\u0301 au lait"])).whole == [0]


def test_short_utterances_mean_nothing():
    mine, other = dialogues(["Okay.", "Yes, I do.", LONG]), dialogues(["Okay.", "Yes, I do.", OTHER_LONG])
    overlap = find_overlap(mine, other)
    assert (overlap.utterances, overlap.utterances_found, overlap.shared) == (1, 0, [])
    overlap = find_overlap(mine, other, min_words=3)
    assert (overlap.utterances, overlap.utterances_found, overlap.shared) == (2, 1, [0])


def test_a_dialogue_stands_there_only_whole_and_in_order():
    other = dialogues([LONG, OTHER_LONG, "Well."])
    mine = dialogues([LONG, OTHER_LONG, "Well."], [LONG, OTHER_LONG], [OTHER_LONG, LONG, "Well."], ["Well."])
    overlap = find_overlap(mine, other)
    assert overlap.whole == [0]
    assert overlap.shared == [0, 1, 2]


def test_the_share_that_makes_a_dialogue_shared_can_be_chosen():
    mine, other = dialogues([LONG, OTHER_LONG, "We shall see about that, my friend."]), dialogues([LONG])
    assert find_overlap(mine, other).shared == []
    assert find_overlap(mine, other, share=0.3).shared == [0]


def test_dialogues_without_a_word_are_not_all_the_same():
    assert find_overlap(dialogues(["...", "?!"]), dialogues(["!", "…"])).whole == []


@pytest.mark.parametrize("sizes", [(300, 40), (40, 300)])
def test_either_may_be_the_larger(sizes, monkeypatch):
    monkeypatch.setattr("data_scripts.inspection.overlap.BATCH_SIZE", 7)
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcdef", k=draw.randint(3, 6))) for _ in range(400)]
    mine, other = ([[draw.choice(texts) for _ in range(draw.randint(1, 2))] for _ in range(size)] for size in sizes)
    there = {text for utterances in other for text in utterances}
    long = [[text for text in utterances if len(text.split()) >= 5] for utterances in mine]
    overlap = find_overlap(dialogues(*mine), dialogues(*other))
    assert overlap.whole == [number for number, utterances in enumerate(mine) if utterances in other]
    assert overlap.utterances_found == sum(text in there for utterances in long for text in utterances)
    assert overlap.shared == [
        number for number, found in enumerate(long) if found and sum(text in there for text in found) >= len(found) / 2
    ]
    assert overlap.whole and overlap.shared


def test_memory_grows_with_the_smaller_only():
    def peak(size: int) -> int:
        large = dialogues(*([f"the number of this dialogue is {number}"] for number in range(size)))
        tracemalloc.start()
        find_overlap(dialogues([LONG], [OTHER_LONG]), large)
        find_overlap(large, dialogues([LONG], [OTHER_LONG]))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1_000)  # whatever is loaded at the first call
    assert peak(20_000) < 1.2 * peak(2_000)


@pytest.mark.parametrize("level, kept", [("dialogue", ["part", "new"]), ("utterance", ["new"])])
def test_what_is_found_is_dropped_and_counted(level, kept, caplog):
    mine = dialogues(["Hi.", "Hi."], [LONG, "Hm."], ["We shall see about that, my friend."])
    mine = mine.add_column("dialogue_id", ["whole", "part", "new"])
    with caplog.at_level("INFO", logger="data_scripts"):
        dropped = without(mine, find_overlap(mine, dialogues(["Hi!", "Hi!"], [LONG])), level)
    assert dropped["dialogue_id"] == kept
    assert f"{3 - len(kept)} of 3 dialogues" in caplog.text


def test_the_report_says_what_was_counted():
    report = str(find_overlap(dialogues([LONG], ["Hm."]), dialogues([LONG])))
    assert "1 of 2 dialogues (50.0%) appear there verbatim" in report
    assert "1 of 1 utterances (100.0%) of 5 words or more appear there" in report
    assert LONG in report


def test_what_makes_no_sense_is_refused():
    one = dialogues([LONG])
    with pytest.raises(ValueError, match="min_words must be 1 or more; got 0"):
        find_overlap(one, one, min_words=0)
    with pytest.raises(ValueError, match="share must be greater than 0 and at most 1; got 50"):
        find_overlap(one, one, share=50)
    with pytest.raises(ValueError, match="level must be dialogue or utterance; got 'word'"):
        without(one, find_overlap(one, one), level="word")


def test_real_test_dialogues_of_meld_are_in_emorynlp(load, shared_data):
    meld, emorynlp = (load(name, shared_data / name) for name in ("meld", "emorynlp"))
    overlap = find_overlap(meld["test"], emorynlp["train"])
    assert (overlap.utterances_found, overlap.utterances) == (356, 1765)
    assert (len(overlap.whole), len(overlap.shared), overlap.dialogues) == (8, 68, 280)
    # To the letter, from six words on, there are 185.
    there = {text for texts in emorynlp["train"]["utterances"] for text in texts}
    verbatim = [text for texts in meld["test"]["utterances"] for text in texts if text in there]
    assert sum(len(text.split()) >= 6 for text in verbatim) == 185


@pytest.mark.parametrize("split, verbatim, found", [("test", 93, 146), ("validation", 69, 118)])
def test_real_dialogues_of_dailydialog_stand_in_train(load, shared_data, split, verbatim, found):
    corpus = load("dailydialog", shared_data / "dailydialog")
    train = {tuple(texts) for texts in corpus["train"]["utterances"]}
    same = {number for number, texts in enumerate(corpus[split]["utterances"]) if tuple(texts) in train}
    overlap = find_overlap(corpus[split], corpus["train"])
    assert len(same) == verbatim
    assert same <= set(overlap.whole)
    assert len(overlap.whole) == found  # in train some differ in spaces and punctuation only
    rest = without(corpus["train"], find_overlap(corpus["train"], corpus[split]), "dialogue")
    assert find_overlap(rest, corpus[split]).whole == []

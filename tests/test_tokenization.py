"""What the tokenizer promises: the paper's normalisation, to the letter, in the original mode; and never an empty
utterance."""

import random
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from modeling_precode import PreCodeTokenizer, encode_dialogues
from modeling_precode.tokenization_precode import EMPTY_WORD

DIALOGUES = [["Hello there!", "Hello, you."], ["...", "", "Well, hello?"]]


def papers_words(text: str) -> list[str]:
    """Lower-case, strip; drop accents; a space before ! and ?; every other run of non-letters one space; split."""
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower().strip()) if unicodedata.category(c) != "Mn")
    text = re.sub("[^a-zA-Z!?]+", " ", re.sub("([!?])", r" \1", text))
    return text.split(" ")


def words(tokenizer: PreCodeTokenizer, text: str) -> list[str]:
    """Words before the vocabulary."""
    backend = tokenizer.backend_tokenizer
    split = backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))
    return ["" if word == EMPTY_WORD else word for word, _ in split]


@pytest.fixture(scope="module")
def original() -> PreCodeTokenizer:
    return PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "", "hello"], text_mode="original")


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="the oracle asks Python for Unicode 14.0")
def test_original_mode_agrees_with_the_paper_on_every_character(original):
    characters = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    texts = [f"a{''.join(characters[i : i + 40])}b" for i in range(0, len(characters), 40)]
    assert [text for text in texts if words(original, text) != papers_words(text)] == []
    assert [c for c in characters[:0x3100] if words(original, c) != papers_words(c)] == []


def test_original_mode_agrees_with_the_paper_on_random_texts(original):
    draw = random.Random(0)
    texts = ["".join(draw.choices("ab !?.∅\u0301\t<é'Å", k=draw.randint(1, 7))) for _ in range(5000)]
    assert [text for text in texts if words(original, text) != papers_words(text)] == []


def test_original_mode_keeps_the_empty_words_at_the_ends(original):
    assert original(["hello.", "...", "", "  ", "hello"])["input_ids"] == [[3, 2], [2, 2], [2], [2], [3]]


def test_clean_mode_drops_them_and_never_leaves_an_utterance_empty():
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "hello", "!", "there"])
    texts = ["hello.", "Héllo!there", "...", "", " \n", "\u0301", "∅"]
    assert tokenizer(texts)["input_ids"] == [[2], [2, 3, 4], [1], [1], [1], [1], [1]]
    assert tokenizer("")["input_ids"] == [1]


def test_training_keeps_words_seen_often_enough_the_most_frequent_first():
    tokenizer = PreCodeTokenizer.train(DIALOGUES, min_count=1)
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    assert vocabulary[:3] == ["<pad>", "<unk>", "hello"]
    assert sorted(vocabulary[3:]) == ["!", "?", "there", "well", "you"]
    assert set(PreCodeTokenizer.train(DIALOGUES, min_count=2).get_vocab()) == {"<pad>", "<unk>", "hello"}
    assert EMPTY_WORD in PreCodeTokenizer.train(DIALOGUES, min_count=2, text_mode="original").get_vocab()


def test_special_tokens_typed_by_a_person_are_text():
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "pad", "unk"])
    assert tokenizer("<pad> <unk>")["input_ids"] == [2, 3]


@pytest.mark.parametrize("text_mode", ["clean", "original"])
def test_it_comes_back_from_a_folder_with_its_mode(tmp_path, tiny_config, text_mode):
    tokenizer = PreCodeTokenizer.train(DIALOGUES, min_count=1, text_mode=text_mode)
    tokenizer.save_pretrained(tmp_path)
    tiny_config().save_pretrained(tmp_path)
    texts = ["Hello.", "", "<pad>", "what's this?"]
    for loaded in (PreCodeTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert isinstance(loaded, PreCodeTokenizer)
        assert loaded.text_mode == text_mode
        assert loaded(texts)["input_ids"] == tokenizer(texts)["input_ids"]


def test_dialogues_are_encoded_utterance_by_utterance_and_cut_on_the_right():
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "a", "b"])
    encode = {"utterances": [["a b", "b"], [], ["a " * 70]]}
    assert encode_dialogues(encode, tokenizer)["input_ids"] == [[[2, 3], [3]], [], [[2] * 60]]
    assert encode_dialogues(encode, tokenizer, max_utterance_tokens=1)["input_ids"] == [[[2], [3]], [], [[2]]]
    assert encode_dialogues({"utterances": [[]]}, tokenizer)["input_ids"] == [[]]


@pytest.mark.parametrize("text_mode", ["clean", "original"])
@given(
    st.lists(st.text(st.sampled_from("aAbB zZ!?.,'\t\n\0<>é∅\u0301\u00a0"), max_size=12), max_size=8), st.integers(1, 4)
)
def test_many_utterances_at_once_have_the_ids_of_each_alone(text_mode, utterances, max_length):
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "a", "b", "ab", "!", "pad"], text_mode)
    alone = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in utterances]
    assert tokenizer.encode_utterances(utterances, max_length) == alone


def test_bad_vocabularies_and_modes_are_refused():
    with pytest.raises(ValueError, match="a vocabulary starts with '<pad>', '<unk>'; got"):
        PreCodeTokenizer.from_vocabulary(["a", "b"])
    with pytest.raises(ValueError, match="'a' stands in it twice"):
        PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "a", "a"])
    with pytest.raises(ValueError, match="text_mode is one of clean, original, unicode; got 'raw'"):
        PreCodeTokenizer.train(DIALOGUES, text_mode="raw")

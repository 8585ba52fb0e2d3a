"""What the tokenizer promises: the paper's normalization, to the letter, in the original mode; and never an empty
utterance."""

import pickle
import random
import re
import sys
import tracemalloc
import unicodedata
from collections import Counter
from functools import cache

import pytest
from datasets.fingerprint import Hasher
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from modeling_precode import PreCodeTokenizer, encode_dialogues
from modeling_precode.default_model import checkpoint_path
from modeling_precode.dialogue_encoding import count_cut
from modeling_precode.tokenization_precode import EMPTY_WORD, TEXT_MODES

# Whatever has a rule of its own, and white space and other characters beside it.
PIECES = [
    *"aAbBntsoO zZ!?.,'’\t\n\0<>é∅\u0301\u00a0\x1c3:;)(-=^@/_I",
    *"ßΣςİ我さ\u3099วั한أ٣😂👍🏽\u200d❤\ufe0f🇩🇪\u20e3\u200c",
    *["n't", "'s", " ’ t", "www.a.com", "http://", "@ab", "aaaaa", ":)", "<3", "á"],
    *["don't", "IT’S", "’ll", ".Com", "www.", "…", "o.o", "oooo"],
]
KNOWN = ["<pad>", "<unk>", "a", "b", "ab", "!", "pad", "á", "aaaa", "n't", "'s", ":)", "<url>", "😂", "我"]
DIALOGUES = [["Hello there!", "Hello, you."], ["...", "", "Well, hello?"]]


@cache
def knows_a_few(text_mode: str) -> PreCodeTokenizer:
    return PreCodeTokenizer.from_vocabulary(KNOWN, text_mode)


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


@pytest.mark.parametrize("text_mode", TEXT_MODES)
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


@pytest.mark.parametrize("text_mode", TEXT_MODES)
@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=12).map("".join), max_size=8),
    st.integers(1, 4),
)
def test_many_utterances_at_once_have_the_ids_of_each_alone(text_mode, utterances, max_length):
    tokenizer = knows_a_few(text_mode)
    alone = [tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in utterances]
    assert tokenizer.encode_utterances(utterances, max_length) == alone


def test_the_lines_of_corpora_have_the_ids_of_each_alone(shared_data):
    tokenizer = PreCodeTokenizer.train([[*UNICODE_WORDS]] * 2)
    files = ["meld/train_sent_emo.csv", "emorynlp/emotion-detection-trn.json", "opus_xml/BlackPanther.xml"]
    for file in files:
        lines = (shared_data / file).read_text(encoding="utf-8", errors="replace").splitlines()[:40_000:25]
        assert tokenizer.encode_utterances(lines) == tokenizer(lines, truncation=True)["input_ids"], file


@pytest.mark.parametrize("text_mode", TEXT_MODES)
def test_the_utterances_that_a_limit_cuts_are_counted(text_mode):
    examples = {"utterances": [["a b don't a!", "a b"], ["é b á", "", "don't"]]}
    tokenizer = knows_a_few(text_mode)
    whole = encode_dialogues(examples, tokenizer)["input_ids"]
    for limit in (1, 2, 3, 60):
        cut = encode_dialogues(examples, tokenizer, limit)["input_ids"]
        longer = sum(len(ids) > limit for dialogue in whole for ids in dialogue)
        assert count_cut(examples, cut, tokenizer, limit) == longer


def test_unicode_mode_is_in_the_file_for_one_who_has_only_transformers(tmp_path):
    tokenizer = knows_a_few("unicode")
    tokenizer.save_pretrained(tmp_path)
    plain = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    texts = ["Á aaaa AAAAAA b:)", "ábs don’t", "...", "😂我!", "<pad>", "see www.a.com"]
    assert plain(texts)["input_ids"] == tokenizer(texts)["input_ids"]


# What the first two modes made of these texts before there was a third; "_" is the empty word.
OLD_WORDS = {
    "Don't you?! I'm 25.": ("don t you ? ! i m", "don t you ? ! i m _"),
    " ": ("_", "_"),
    "Ünïcödé, ÇA va?": ("unicode ca va ?", "unicode ca va ?"),
    "...wow!!": ("wow ! !", "_ wow ! !"),
    "Привет 😂 hello": ("hello", "_ hello"),
    "don ’ t": ("don t", "don t"),
    "İstanbul ﬁn \u017fo": ("istanbul n o", "istanbul n o"),
    "∅ a∅b": ("a b", "_ a b"),
    "\u0301": ("_", "_"),
    "<pad> x\u2028y\x1cz": ("pad x y z", "_ pad x y z"),
    "你好 a1b2 :)": ("a b", "_ a b _"),
}


@pytest.mark.parametrize("text_mode", ["clean", "original"])
def test_the_modes_of_old_checkpoints_read_a_text_as_they_did(text_mode):
    for text, recorded in OLD_WORDS.items():
        expected = recorded[text_mode == "original"].split()
        assert words(knows_a_few(text_mode), text) == [word.replace("_", "") for word in expected], text


ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
UNICODE_WORDS = {
    # contractions, as GloVe has them, with any apostrophe
    "Don't! I'm HERE": "do n't ! i 'm here",
    "it’s, can't, won`t, we´ve, you‘ll, she'd, they're": "it 's ca n't wo n't we 've you 'll she 'd they 're",
    "y'all've o'clock ma'am O'Brien y'know": "y'all 've o'clock ma'am o'brien y' know",
    "the dogs' goin' 'hello' 'cause 'em": "the dogs goin hello 'cause 'em",
    "I don ’ t know , it ' s I ’ Ve": "i do n't know it 's i 've",
    "c'est l'amour, qu'il j'ai, aujourd'hui": "c' est l' amour qu' il j' ai aujourd'hui",
    # numbers, links and mentions
    "gr8 2nd 3.14 1,000 10:30pm, 24/7 -5 100000000.": "gr8 2nd 3.14 1,000 10:30 pm 24 7 5 100000000",
    "see https://t.co/Abc?x=1! or (www.foo.bar), me@x.co.uk, foo.com/a.": "see <url> ! or <url> <url> <url>",
    "@ana_b: hi <@!123> #happy right.But U.S.A.": "<user> hi <user> happy right but u s a",
    # emoticons
    "hi:) :-( <3 :D ;) :/ xD ^^ :'(": "hi :) :-( <3 :d ;) :/ xd ^^ :'(",
    "</3 :P :o =) >:( -_- T_T": "</3 :p :o =) >:( -_- t_t",
    ":)))) <33333 ¯\\_(ツ)_/¯ (:": ":) <3 ¯\\_(ツ)_/¯ (:",
    "note:(see here) at 10:30 a:b http://x and/or:": "note see here at 10:30 a b <url> and or",
    # emoji: no skin tone, no sign of presentation; what is joined stays whole
    "😂😂 ok👍🏽 ❤️❤": "😂 😂 ok 👍 ❤ ❤",
    "👩🏽\u200d🦰 👨\u200d👩\u200d👧 👩\u200d❤️\u200d👨": "👩\u200d🦰 👨\u200d👩\u200d👧 👩\u200d❤\u200d👨",
    "🇩🇪🇫🇷 1️⃣": "🇩🇪 🇫🇷 1⃣",
    f"{ENGLAND}{ENGLAND}": f"{ENGLAND} {ENGLAND}",
    # scripts
    "Voilà un CAFÉ, e\u0301te\u0301. Straße STRASSE": "voilà un café été strasse strasse",
    "Привет, как ДЕЛА? Об’їзд": "привет как дела ? об'їзд",
    "Γειά σου! ΟΔΟΣ οδός": "γειά σου ! οδοσ οδόσ",
    "مرحبا، كيف حالك؟ می\u200cخواهم ٣": "مرحبا كيف حالك ? میخواهم ٣",
    "नमस्ते, आप कैसे हैं?": "नमस्ते आप कैसे हैं ?",
    "안녕하세요, 반가워요!": "안녕하세요 반가워요 !",
    "我很高兴！iPhone好吗？": "我 很 高 兴 ! iphone 好 吗 ?",
    "すごーい、カタカナが。": "す ご ー い カ タ カ ナ が",
    "สวัสดี ครับ": "ส วั ส ดี ค รั บ",
    "שָׁלוֹם İyi \u200eok\u200b\ufeffok": "שָׁלוֹם iyi ok ok",
    # no word at all
    "... -- «»": "",
    "\u0301∅ \ufe0f": "",
    "<pad> <unk>": "pad unk",
}


@pytest.fixture(scope="module")
def every_word() -> PreCodeTokenizer:
    """Knows the forms of the table, so that none of them gives way to a plainer one."""
    known = dict.fromkeys(word for row in UNICODE_WORDS.values() for word in row.split())
    return PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *known], "unicode")


@pytest.mark.parametrize("text", UNICODE_WORDS)
def test_unicode_mode_knows_the_words_of_every_script(every_word, text):
    expected = [unicodedata.normalize("NFC", word) for word in UNICODE_WORDS[text].split()]
    assert words(every_word, text) == (expected or [""])


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=12).map("".join))
@example("\u0301")
@example("l' 'd ")
def test_the_words_of_unicode_mode_are_read_as_the_same_words(text):
    once = words(knows_a_few("unicode"), text or " ")
    assert once
    assert words(knows_a_few("unicode"), " ".join(once) or " ") == once


def test_a_form_that_the_vocabulary_lacks_gives_way_to_a_plainer_one():
    known = ["<pad>", "<unk>", "cafe", "naïve", "naive", "soooo", "sooo", "nooo", "елка", "з'їзд"]
    tokenizer = PreCodeTokenizer.from_vocabulary(known, "unicode")
    texts = ["Café naïve NAÏVE naive", "soooo sooooooo", "NOOOOOOO", "ёлка з'їзд", "naïves nooooot"]
    assert [[known[i] for i in ids] for ids in tokenizer(texts)["input_ids"]] == [
        ["cafe", "naïve", "naïve", "naive"],
        ["soooo", "sooo"],
        ["nooo"],
        ["елка", "з'їзд"],
        ["<unk>", "<unk>"],
    ]
    assert tokenizer.encode_utterances(texts) == tokenizer(texts)["input_ids"]


def test_training_counts_the_words_that_unicode_mode_gives():
    dialogues = [["Nooooo! Nooooooo", "café cafe", "naïve naïve", "soooo soooo sooo", "I don ’ t 😂", "I 😂 résumé"]]
    tokenizer = PreCodeTokenizer.train(dialogues, min_count=2, text_mode="unicode")
    counted = Counter(word for text in dialogues[0] for word in words(tokenizer, text))
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    assert vocabulary == ["<pad>", "<unk>", "cafe", "i", "naïve", "nooo", "soooo", "😂"]
    assert set(vocabulary[2:]) == {word for word, count in counted.items() if count >= 2}


def test_thousands_of_accented_words_are_kept():
    syllables = ["bé", "cà", "dô", "fü", "gñ", "ha", "jo", "le", "mi", "nu"]
    accented = [a + b + c + d for a in syllables for b in syllables for c in syllables for d in syllables][:8000]
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *accented], "unicode")
    texts = [" ".join(accented[i : i + 50]) for i in range(0, 8000, 50)]
    assert [i for ids in tokenizer(texts)["input_ids"] for i in ids] == [*range(2, 8002)]


def test_what_a_tokenizer_has_read_does_not_change_it():
    tokenizer = knows_a_few("unicode")
    before = pickle.dumps(tokenizer), Hasher.hash(tokenizer)
    tokenizer.encode_utterances([*UNICODE_WORDS])
    assert (pickle.dumps(tokenizer), Hasher.hash(tokenizer)) == before


def test_a_long_piece_of_text_is_not_kept():
    tokenizer = knows_a_few("unicode")
    tracemalloc.start()
    for letter in "abc":
        tokenizer.encode_utterances([letter * 1_000_000], max_length=60)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 500_000


def test_bad_vocabularies_and_modes_are_refused():
    with pytest.raises(ValueError, match="a vocabulary must start with '<pad>', '<unk>'; got"):
        PreCodeTokenizer.from_vocabulary(["a", "b"])
    with pytest.raises(ValueError, match="'a' occurs twice"):
        PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "a", "a"])
    with pytest.raises(ValueError, match="text_mode must be one of clean, original, unicode; got 'raw'"):
        PreCodeTokenizer.train(DIALOGUES, text_mode="raw")


def test_files_of_another_tokenizer_are_not_read_as_words():
    other = PreCodeTokenizer.from_pretrained(checkpoint_path("default"))
    with pytest.raises(ValueError, match="is a tokenizer of another kind, .*AutoTokenizer.from_pretrained"):
        encode_dialogues({"utterances": [["so happy"]]}, other)

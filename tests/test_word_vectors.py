"""What a user may count on when reading pre-trained word vectors: any usual file, unit vectors, clear errors."""

import gzip
import struct
import sys
import time
import zipfile

import numpy as np
import pytest

from modeling_precode.training.word_vectors import load_word_vectors

DIM = 7
VOCABULARY = {"<pad>": 0, "<unk>": 1, "the": 2, "Zebra": 3, "naïve": 4, "absent": 5, "7": 6}


def file_words():
    """Word -> vector of a small file; some words are of no vocabulary, one has spaces, one is a number."""
    generator = np.random.default_rng(0)
    words = ["the", "of", ". . .", "naïve", "zebra", "Zebra", "7", "at name@domain.com", "日本", "<pad>"]
    return {word: generator.normal(size=DIM).astype(np.float32) for word in words}


def glove_text(words, header=False, end="\n"):
    lines = [" ".join([word, *map(str, vector.tolist())]) for word, vector in words.items()]
    return end.join([f"{len(words)} {DIM}"] * header + lines + [""]).encode()


def word2vec_binary(words, end=b""):
    records = [word.encode() + b" " + vector.astype("<f4").tobytes() + end for word, vector in words.items()]
    return f"{len(words)} {DIM}\n".encode() + b"".join(records)


FORMATS = {
    "glove": glove_text,
    "glove, CRLF": lambda words: glove_text(words, end="\r\n"),
    "fasttext": lambda words: glove_text(words, header=True, end=" \n"),
    "word2vec": lambda words: word2vec_binary({w: v for w, v in words.items() if " " not in w}),
    "word2vec, line breaks": lambda words: word2vec_binary({w: v for w, v in words.items() if " " not in w}, b"\n"),
}


def pack(container, data, path):
    if container == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("vectors", data)
    else:
        path.write_bytes(gzip.compress(data) if container == "gz" else data)
    return path


@pytest.fixture
def write(tmp_path):
    """A function that writes bytes to a file whose name tells nothing, and returns its path."""
    return lambda data, container="plain": pack(container, data, tmp_path / "vectors")


@pytest.mark.parametrize("container", ["plain", "gz", "zip"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_in_every_container(kind, container, write):
    words = file_words()
    matrix, coverage = load_word_vectors(write(FORMATS[kind](words), container), VOCABULARY, DIM)
    assert matrix.shape == (len(VOCABULARY), DIM) and matrix.dtype == np.float32
    assert coverage == 4
    for word in ("the", "Zebra", "naïve", "7"):
        unit = words[word] / np.linalg.norm(words[word])
        np.testing.assert_allclose(matrix[VOCABULARY[word]], unit, atol=1e-6)
    assert not matrix[0].any(), "padding is zero even where the file has its word"
    for row in (1, 5):
        assert 0 < np.abs(matrix[row]).max() <= 0.01


def test_a_word_with_spaces_is_found(write):
    words = file_words()
    matrix, coverage = load_word_vectors(write(glove_text(words)), {"<pad>": 0, ". . .": 1, "at name@domain.com": 2})
    assert coverage == 2
    expected = words["at name@domain.com"] / np.linalg.norm(words["at name@domain.com"])
    np.testing.assert_allclose(matrix[2], expected, atol=1e-6)


def test_a_file_that_begins_with_a_word_with_spaces(write):
    words = {". . .": np.ones(DIM), **file_words()}
    assert load_word_vectors(write(glove_text(words)), VOCABULARY, DIM)[1] == 4


def test_case_must_match_and_the_first_occurrence_counts(write):
    data = b"The 1 0\nthe 0 1\nthe 1 0\n"
    matrix, coverage = load_word_vectors(write(data), {"<pad>": 0, "the": 1, "THE": 2})
    assert coverage == 1
    assert matrix[1].tolist() == [0, 1]


def test_without_dim_the_size_is_that_of_the_file(write):
    assert load_word_vectors(write(b"the 3 4\nof 1 1\n"), {"<pad>": 0, "the": 1})[0][1].tolist() == pytest.approx(
        [0.6, 0.8]
    )


def test_random_vectors_follow_from_seed_and_id_alone(write):
    words = file_words()
    few = {word: words[word] for word in ("of", "the")}
    full, _ = load_word_vectors(write(glove_text(words)), VOCABULARY)
    again, _ = load_word_vectors(write(word2vec_binary(few)), VOCABULARY)
    other_seed, _ = load_word_vectors(write(glove_text(words)), VOCABULARY, seed=1)
    for row in (1, 5):
        np.testing.assert_array_equal(full[row], again[row])
        assert (full[row] != other_seed[row]).all()
    np.testing.assert_allclose(full[2], other_seed[2])


def test_random_vectors_spread_over_their_range(write):
    vocabulary = {"<pad>": 0, "the": 1, **{f"absent{i}": i + 2 for i in range(3000)}}
    matrix, _ = load_word_vectors(write(glove_text(file_words())), vocabulary)
    assert np.abs(matrix[2:]).max() <= 0.01
    assert matrix[2:].mean() == pytest.approx(0, abs=2e-4)
    assert matrix[2:].std() == pytest.approx(0.02 / 12**0.5, rel=0.02)


def test_a_vector_of_zeros_counts_as_none(write):
    matrix, coverage = load_word_vectors(write(b"the 0 0\nof 0 2\n"), {"<pad>": 0, "the": 1, "of": 2})
    assert coverage == 1
    assert 0 < np.abs(matrix[1]).max() <= 0.01 and matrix[2].tolist() == [0, 1]


def test_a_long_binary_file_is_read_across_blocks(write):
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(3000, 300)).astype("<f4")  # 3.6 MB
    data = b"3000 300\n" + b"".join(b"w%d " % i + vector.tobytes() for i, vector in enumerate(vectors))
    matrix, coverage = load_word_vectors(write(data), {"<pad>": 0, **{f"w{i}": i + 1 for i in range(3000)}})
    assert coverage == 3000
    np.testing.assert_allclose(matrix[1:], vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)


BINARY = word2vec_binary({"the": np.full(DIM, 2.0), "of": np.full(DIM, 2.0)})  # 2.0 is ASCII: 0, 0, 0, 64
LINES = b"the 1 2 3\nof 1 2 3\nto 1 2 3\n"


@pytest.mark.parametrize(
    ("data", "dim", "message"),
    [
        (b"", None, "is empty; fetch the file again"),
        (b"\n \n", None, "is empty"),
        (LINES, 100, "file has vectors of 3 numbers, the model needs 100: pass --word_vector_size 3"),
        (BINARY, 3, "file has vectors of 7 numbers, the model needs 3: pass --word_vector_size 7"),
        (b"3 3\n" + LINES, 4, "file has vectors of 3 numbers, the model needs 4"),
        (LINES + b"so 1 2\n", 3, "line 4: 'so' has 2 numbers, the other lines have 3: correct the line or fetch"),
        (LINES + b"so 1 2 3 4\n", 3, "line 4: 'so 1' has 4 numbers, the other lines have 3"),
        (b"4 3\n" + LINES + b"so 1 2\n", 3, "line 5: 'so' has 2 numbers"),
        (b"the 1 x 3\nof 1 2 3\nto 1 2 3\n", 3, "line 1: 'x' is not a number"),
        (b"3 3\nthe 1 2 3\nof 1 2 3\nto 1 2 3,5\n", 3, "line 4: '3,5' is not a number"),
        (b"the 1 nan 3\nof 1 2 3\n", 3, "line 1: 'the' has a NaN or infinity"),
        (BINARY[:-1], DIM, "ends after 1 of the 2 vectors in its header; fetch the file again"),
        (b"5 3\n" + LINES, 3, "ends after 3 of the 5 vectors in its header"),
        (gzip.compress(LINES * 1000, mtime=0)[:-20], 3, "damaged or cut short .*; fetch the file again"),
        (gzip.compress(BINARY, mtime=0)[:12], DIM, "damaged or cut short"),
        (b"PK\x03\x04 and no more", None, "damaged or cut short"),
        (b"and 1 2 3\nso 1 2 3\n", 3, r"has none of the 3 vocabulary words \('the', 'of', 'to', ...\): wrong language"),
        (b"<!DOCTYPE html>\n<html> <body> 404 </body>\n</html>", None, "is neither GloVe text nor a word2vec file"),
        (struct.pack("<iiq", 793712314, 12, 8) * 99, None, "is neither GloVe text nor a word2vec file"),
        (b"0 0\n", None, "is neither GloVe text nor a word2vec file"),
    ],
)
def test_errors_name_the_file_the_place_and_the_fix(data, dim, message, write):
    path = write(data)
    with pytest.raises(ValueError, match=message) as caught:
        load_word_vectors(path, {"<pad>": 0, "the": 1, "of": 2, "to": 3}, dim)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_line_of_no_interest_is_not_parsed(write):
    assert load_word_vectors(write(LINES + b"so a b c\n"), {"<pad>": 0, "the": 1})[1] == 1


def test_a_zip_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        for name in ("glove.50d.txt", "glove.100d.txt"):
            archive.writestr(name, LINES)
    with pytest.raises(ValueError, match=r"has 2 files \(glove.50d.txt, glove.100d.txt\): unpack it and pass one"):
        load_word_vectors(tmp_path / "glove.zip", {"<pad>": 0, "the": 1})


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.txt: no such file; give the path of"):
        load_word_vectors(tmp_path / "nowhere.txt", VOCABULARY)


def test_ids_with_gaps_are_refused(write):
    with pytest.raises(ValueError, match="The ids of the 2 vocabulary words must be 0 to 1"):
        load_word_vectors(write(LINES), {"<pad>": 0, "the": 2})


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_is_for_terminals_only(terminal, write, monkeypatch, capsys):
    path = write(LINES)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    load_word_vectors(path, {"<pad>": 0, "the": 1})
    assert (path.name in capsys.readouterr().err) == terminal


def test_the_real_glove_file_is_read_within_seconds(shared_data):
    path = shared_data / "glove.6B.100d.subset.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        words = [line.partition(" ")[0] for line in lines]
    vocabulary = {word: i for i, word in enumerate(["<pad>", "no such word", *words])}
    start = time.process_time()
    matrix, coverage = load_word_vectors(path, vocabulary, dim=100)
    assert time.process_time() - start < 20, "about 2"
    assert coverage == len(words) > 40_000
    np.testing.assert_allclose(np.linalg.norm(matrix[2:], axis=1), 1, atol=1e-6)

    def similarity(a, b):
        return float(matrix[vocabulary[a]] @ matrix[vocabulary[b]])

    assert similarity("happy", "glad") > similarity("happy", "table") + 0.2

"""CMU-MOSI is read from the raw release or a plain CSV; a score of 0 is neither negative nor positive."""

import pytest

from data_scripts import label_names

TRANSCRIPT = "1_DELIM_I LIKED IT\n2_DELIM_SO SO\n10_DELIM_THE END WAS BAD\n3_DELIM_NOBODY SCORED THIS\n"
VIDEOS = ["03bSnISJMiM", "_dI--eQ6qVU", "2WGyTLYerpo"]


@pytest.fixture
def files():
    folder = "Raw/Transcript/Segmented"
    return {f"{folder}/{video}.annotprocessed": TRANSCRIPT for video in VIDEOS} | dict(
        zip(["train.txt", "validation.txt", "test.txt"], VIDEOS, strict=True)
    )


def published(score="-0.2"):
    rows = [(1, "2.4"), (2, "0.0"), (10, score)]
    return "".join(f"1.5,{number}.25,{video},{number},{value}\n" for video in VIDEOS for number, value in rows)


def named(score="-0.2"):
    rows = [(1, "2.4"), (2, "0"), (10, score)]
    return "video,segment,score\n" + "".join(f"{video},{n},{value}\n" for video in VIDEOS for n, value in rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Raw/Labels/OpinionLevelSentiment.csv", published()),
        ("Raw/Labels/labels.csv", named()),
        ("Raw/labels.csv", named()),
    ],
)
def test_the_sign_of_the_score_is_the_label(load, write, files, name, content):
    dataset = load("mosi", write(files | {name: content}))
    assert label_names(dataset) == ["negative", "positive"]
    assert dataset["validation"].to_list() == [
        {
            "dialogue_id": "_dI--eQ6qVU",
            "utterances": ["I LIKED IT", "SO SO", "NOBODY SCORED THIS", "THE END WAS BAD"],
            "speakers": [""] * 4,
            "labels": [1, -1, -1, 0],
        }
    ]


def test_a_plain_table_holds_the_texts_too(load, write, counts):
    rows = "".join(
        f'v{video},{segment},"Well, {segment}",{segment - 1}\n' for video in range(10) for segment in range(3)
    )
    dataset = load("mosi", write({"mosi.csv": "video,segment,text,score\n" + rows}))
    assert counts(dataset) == {"train": (7, 21), "validation": (1, 3), "test": (2, 6)}
    assert dataset["test"][0]["utterances"] == ["Well, 0", "Well, 1", "Well, 2"]
    assert dataset["test"]["labels"] == [[0, -1, 1]] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "OpinionLevelSentiment.csv",
            published("3.5"),
            "Sentiment.csv:3: the score is not a number from -3 to 3; got '3.5'",
        ),
        ("OpinionLevelSentiment.csv", published() + "1.5,2.5\n", "Sentiment.csv:10: row does not fit"),
        ("labels.csv", named("bad"), "labels.csv:4: the score is not a number from -3 to 3; got 'bad'"),
        ("labels.csv", "video,score\n", "labels.csv:1: missing column segment; got video, score"),
    ],
)
def test_what_does_not_fit_names_file_and_line(load, write, files, name, content, message):
    with pytest.raises(ValueError, match=message):
        load("mosi", write(files | {f"Raw/Labels/{name}": content}))


def test_a_line_that_is_no_segment_is_named(load, write, files):
    files["Raw/Transcript/Segmented/2WGyTLYerpo.annotprocessed"] += "WHO SAID THIS\n"
    with pytest.raises(ValueError, match="2WGyTLYerpo.annotprocessed:5: not a segment; got 'WHO SAID THIS'"):
        load("mosi", write(files | {"Raw/Labels/OpinionLevelSentiment.csv": published()}))

"""CMU-MOSEI is read from the raw release or a plain CSV; the strongest emotion of a segment is its label."""

import pytest

from data_scripts import label_names

EMOTIONS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise"]
FORM = "HITId,Input.VIDEO_ID,Input.CLIP,Answer.anger,Answer.disgust,Answer.fear,Answer.gender,Answer.happiness,"
FORM += "Answer.sadness,Answer.sentiment,Answer.surprise\n"
PLAIN = "video,segment,text," + ",".join(EMOTIONS) + "\n"


def form(video, segment, *intensities):
    anger, disgust, fear, happiness, sadness, surprise = intensities
    return f'"3X",{video},{segment},{anger},{disgust},{fear},"1",{happiness},{sadness},-1,{surprise}\n'


def transcript(video, *segments):
    return "".join(f"{video}___{number}___{2.5 * number}___{2.5 * number + 2}___{text}\n" for number, text in segments)


def release(videos, *forms, root="Raw/"):
    files = {f"{root}Transcript/Segmented/Combined/{video}.txt": text for video, text in videos.items()}
    return files | {f"{root}Labels/batch_{number}.csv": FORM + rows for number, rows in enumerate(forms)}


def lists(train, validation, test):
    return {"train.txt": train, "validation.txt": validation, "test.txt": test}


# Names as they occur: underscores at both ends, a number, a dash.
VIDEOS = {"_0efYOjQYRc": "Hm.", "abc__": "Oh.", "100466": "So.", "-9y-fZ3swSY": "Well."}


@pytest.fixture
def files():
    """The raw release with a video of one segment in each split; tests put other segments into the first."""
    rows = "".join(form(video, 0, 0, 0, 0, 3, 0, 0) for video in VIDEOS)
    files = release({video: transcript(video, (0, text)) for video, text in VIDEOS.items()}, rows)
    first, second, third, _ = VIDEOS
    return files | lists(first, second, third)


FIRST = "Raw/Transcript/Segmented/Combined/_0efYOjQYRc.txt"
MORE = "Raw/Labels/more.csv"


@pytest.mark.parametrize("inside", [True, False])
def test_a_video_is_a_dialogue_of_segments_in_order(load, write, files, inside):
    files[FIRST] = transcript("_0efYOjQYRc", (10, "Third."), (9, "A ___ second_."), (0, "First.")).replace("\n", "\r\n")
    files[MORE] = FORM + form("_0efYOjQYRc", 9, 0, 0, 2, 1, 0, 0) + form("_0efYOjQYRc", 10, 0, 0, 0, 0, 0, 1)
    if inside:
        files = {name.removeprefix("Raw/"): content for name, content in files.items()}
    dataset = load("mosei", write(files))
    assert label_names(dataset) == EMOTIONS
    assert dataset["train"].to_list() == [
        {
            "dialogue_id": "_0efYOjQYRc",
            "utterances": ["First.", "A ___ second_.", "Third."],
            "speakers": ["", "", ""],
            "labels": [3, 2, 5],
        }
    ]
    assert [dataset[split]["dialogue_id"] for split in ("validation", "test")] == [["abc__"], ["100466"]]


@pytest.mark.parametrize(
    ("judgements", "label"),
    [
        ([(0, 0, 0, 3, 0, 0), (0, 0, 1, 0, 0, 0), (0, 0, 1, 0, 0, 0)], 3),  # the mean, not the majority
        ([(0, 0, 0, 0, 2, 0), (0, 0, 0, 2, 0, 0)], -1),  # a tie
        ([(0, 0, 0, "0.1", "0.3", 0), (0, 0, 0, "0.3", "0.1", 0)], -1),
        ([(0, 0, 0, 0, 0, "0.3333")], 5),
        ([(0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0)], -1),
        ([], -1),
        ([("", 0, 0, 3, 0, 0), (1, 0, 0, 0, 0, 0)], 0),  # a form that was not filled in counts for nothing
    ],
)
def test_the_strongest_emotion_is_the_label(load, write, files, judgements, label):
    files[FIRST] = transcript("_0efYOjQYRc", (0, "Hm."), (1, "Who knows?"))
    files[MORE] = FORM + "".join(form("_0efYOjQYRc", 1, *judgement) for judgement in judgements)
    assert load("mosei", write(files))["train"]["labels"] == [[3, label]]


def test_what_does_not_come_in_is_counted(load, write, files, caplog):
    files[FIRST] = transcript("_0efYOjQYRc", (0, "Hm."), (1, " "), (2, "None."))
    files["Raw/Transcript/Segmented/Combined/nobody.txt"] = transcript("nobody", (0, "Judged by nobody."))
    files["Raw/Transcript/Segmented/Combined/._nobody.txt"] = b"\x00\xff"
    files["Raw/Labels/._more.csv"] = b"\x00\xff"
    files[MORE] = FORM + form("folder/100466", 0, 3, 3, 3, 0, 3, 3) + form("100466", 7, 0, 0, 0, 0, 0, 1)
    files[MORE] += form("abc__", 0, 1, "", "", "", "", "")
    files["train.txt"] += "\nnever_published"
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("mosei", write(files))
    assert dataset["train"]["utterances"] == [["Hm.", "None."]]
    assert dataset["test"]["labels"] == [[-1]]  # both forms name the same video, and its emotions tie
    for report in (
        "annotated segments without a text 1",
        "annotations without all scores left out 1",
        "listed videos that are missing 1",
        "segments without a label 2",
        "segments without a label because several emotions are equally strong 1",
        "segments without words left out 1",
        "videos in no list left out 1",
        "videos without annotations left out 1",
    ):
        assert report in caplog.text


def table(videos=10):
    rows = [f"v{video},{segment},Text {segment},0,0,0,0,{segment},0\n" for video in range(videos) for segment in (1, 0)]
    return PLAIN + "".join(rows)


def test_a_plain_table_is_the_same_and_is_split_by_the_names_of_its_videos(load, write, counts):
    folder = write({"mosei.csv": table()})
    dataset = load("mosei", folder)
    assert counts(dataset) == {"train": (7, 14), "validation": (1, 2), "test": (2, 4)}
    assert dataset["train"][0]["utterances"] == ["Text 0", "Text 1"]
    assert dataset["train"][0]["labels"] == [-1, 4]
    again = load("mosei", folder / "mosei.csv")
    assert {split: rows.to_list() for split, rows in again.items()} == {
        split: rows.to_list() for split, rows in dataset.items()
    }
    assert load("mosei", folder, num_proc=2)["test"]["dialogue_id"] == dataset["test"]["dialogue_id"]


def test_lists_beside_a_table_are_its_splits(load, write):
    path = write({"mosei.csv": table(4)} | lists("v3\nv0\n", "v1", "v2")) / "mosei.csv"
    dataset = load("mosei", path)
    assert [rows["dialogue_id"] for rows in dataset.values()] == [["v3", "v0"], ["v1"], ["v2"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({FIRST: "_0efYOjQYRc__0__1__2__Hm.\n"}, "_0efYOjQYRc.txt:1: not a segment; got '_0efYOjQYRc__0"),
        ({FIRST: transcript("another", (0, "Hm."))}, "_0efYOjQYRc.txt:1: not a segment; got 'another___0"),
        ({FIRST: transcript("_0efYOjQYRc", (0, "a"), (0, "b"))}, "Rc.txt:2: a segment has two texts; got 'b'"),
        (
            {MORE: "video,anger\n"},
            "more.csv:1: missing column segment, disgust, fear",
        ),
        (
            {MORE: FORM + form("abc__", "two", 0, 0, 0, 0, 0, 0)},
            "more.csv:2: not a segment of a video; got 'two' of 'abc__'",
        ),
        ({MORE: FORM + form("", 2, 0, 0, 0, 0, 0, 0)}, "more.csv:2: not a segment of a video; got '2' of ''"),
        (
            {MORE: FORM + form("abc__", 0, 0, 0, 0, 0, 0, 4)},
            "more.csv:2: the score is not a number from 0 to 3; got '4'",
        ),
        (
            {MORE: FORM + form("abc__", 0, 0, "a lot", 0, 0, 0, 0)},
            "more.csv:2: the score is not a number .*; got 'a lot'",
        ),
        ({MORE: FORM + form("abc__", 0, 0, "nan", 0, 0, 0, 0)}, "more.csv:2: the score is not a number .*; got 'nan'"),
        ({"test.txt": "abc__"}, "test.txt: the video is also in validation.txt; got 'abc__'; keep it in one"),
        ({"test.txt": "unknown"}, "mosei: no dialogue in test"),
    ],
)
def test_what_does_not_fit_names_file_and_line(load, write, files, change, message):
    with pytest.raises(ValueError, match=message):
        load("mosei", write(files | change))


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("Raw/Labels", "Raw: no CSV file with labels; got Transcript; use the folder of the raw release, a CSV"),
        ("Raw/Transcript", "Raw/Transcript/Segmented/Combined: no such file"),
        ("test.txt", "test.txt: no such file; found there: Raw, train.txt, validation.txt"),
    ],
)
def test_what_is_missing_is_named(load, write, files, gone, message):
    files = {name: content for name, content in files.items() if not name.startswith(gone)}
    with pytest.raises(FileNotFoundError, match=message):
        load("mosei", write(files))


def test_an_error_names_a_file_once(load, write):
    folder = write({"mosei.csv": table() + "v1,1,Another text,0,0,0,0,1,0\n"})
    with pytest.raises(ValueError) as error:
        load("mosei", folder / "mosei.csv")
    assert str(error.value).count("mosei.csv") == 1


def test_tables_by_split_are_not_joined_in_silence(load, write):
    with pytest.raises(ValueError, match="more than one table of segments; got test.csv, train.csv; join them"):
        load("mosei", write({"train.csv": table(), "test.csv": table()}))


def test_too_few_videos_to_split_say_so(load, write):
    with pytest.raises(ValueError, match="corpus: too few to split into train, validation and test; got 2"):
        load("mosei", write({"mosei.csv": table(2)}))

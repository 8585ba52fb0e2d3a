"""Subtitles become dialogues of whole films by split, from whatever they come in; nothing is lost or read twice."""

import gzip
import os
import zipfile

import pytest
from films import ENGLISH, film, lines_of_text, long_film, texts_of, xml

from data_scripts import CORPORA

pytest.importorskip("ftfy")
pytest.importorskip("py3langid")

SPANISH = ["¿Dónde has estado todo este tiempo?", "Estaba esperando a que dejara de llover.", "Podrías haber llamado."]


def test_silences_cut_dialogues_and_ids_name_the_film(load, films, counts):
    dataset = load("opsub", films)
    assert counts(dataset) == {"train": (40, 480), "validation": (10, 120), "test": (10, 120)}
    row = dataset["test"][1]
    assert row["dialogue_id"].endswith("-0001")
    assert row["utterances"] == ENGLISH * 4
    assert row["speakers"] == [""] * 12
    assert "labels" not in row


def test_a_film_is_in_one_split(load, films):
    of_film = [{name.rsplit("-", 1)[0] for name in rows["dialogue_id"]} for rows in load("opsub", films).values()]
    assert sum(map(len, of_film)) == len(set.union(*of_film)) == 6


def test_other_languages_and_empty_films_are_dropped_and_counted(load, films, write, caplog):
    write({"Pelicula.srt": film(sentences=SPANISH), "sub/Short.SRT": film(30), "notes.txt": "a text, no dialogue"})
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", films)
    report = "films dropped for fewer than 100 cues 2, films dropped for language es 1, films kept 6"
    assert report in caplog.text
    assert "opsub: dialogues 60," in caplog.text
    assert "utterances 720" in caplog.text
    assert sum(len(rows) for rows in dataset.values()) == 60
    assert "opsub: Pelicula.srt dropped for language es" in caplog.text


def test_another_language_and_short_films_can_be_wanted(load, write):
    folder = write({f"Film_{number}.srt": film(30, SPANISH) for number in range(3)})
    assert len(load("opsub", folder, language="es", min_cues=30)["train"]) == 3
    with pytest.raises(
        ValueError, match="dialogues of 0 films: too few to split into train, validation and test; got 0"
    ):
        load("opsub", folder, min_cues=30)


def test_options_set_how_dialogues_are_cut(load, films):
    lengths = [len(texts) for texts in load("opsub", films, max_silence=20.0)["train"]["utterances"]]
    assert set(lengths) == {40}  # 120 in three even parts of at most 50
    lengths = [len(texts) for texts in load("opsub", films, max_utterances=7)["train"]["utterances"]]
    assert set(lengths) == {6}
    with pytest.raises(ValueError, match="of 0 films: .* utterances dropped in dialogues of fewer than 13 720"):
        load("opsub", films, min_utterances=13)


def test_sentences_are_joined_or_not(load, write):
    split_sentence = ["I was waiting for", "the rain to stop.", "You could have called me."]
    folder = write({f"Film_{number}.srt": film(sentences=split_sentence) for number in range(3)})
    joined = load("opsub", folder, max_pause=1.0)["train"]["utterances"][0]
    assert joined[:2] == ["I was waiting for the rain to stop.", "You could have called me."]
    assert load("opsub", folder, join_sentences=False)["train"]["utterances"][0][:3] == split_sentence


def test_webvtt_is_read_beside_subrip(load, films, write, counts):
    expected = counts(load("opsub", films))
    for path in sorted(films.iterdir())[:3]:
        head = "WEBVTT\n\nNOTE of the film\n\nSTYLE\n::cue {}\n\n"
        text = path.read_text().replace(",000", ".000").replace("Where have", "<v Ana Silva>Where &amp; have")
        path.unlink()
        write({f"{path.stem}.vtt": head + text})
    dataset = load("opsub", films)
    assert counts(dataset) == expected
    speakers = {speaker for split in dataset.values() for row in split["speakers"] for speaker in row}
    assert speakers == {"", "Ana Silva"}
    texts = {text for split in dataset.values() for row in split["utterances"] for text in row}
    assert texts == {*ENGLISH, "Where & have you been all this time?"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_films_in_wide_encodings_are_read(load, write, counts, encoding):
    folder = write({f"Film_{number}.srt": film().encode(encoding) for number in range(3)})
    assert sum(rows for rows, _ in counts(load("opsub", folder)).values()) == 30


@pytest.mark.parametrize("name", ["a.srt", "a.xml", "a.xml.gz", "a.txt"])
def test_one_file_is_split_by_dialogue(load, write, counts, name):
    content = {"srt": film().encode(), "xml": xml(ENGLISH * 40), "txt": lines_of_text(1200)}[name.split(".")[1]]
    path = write({name: gzip.compress(content) if name.endswith(".gz") else content}) / name
    found = counts(load("opsub", path, max_utterances=12))
    dialogues = 100 if name == "a.txt" else 10
    assert [found[split][0] for split in ("validation", "test")] == [dialogues // 20 or 1] * 2
    assert sum(count for count, _ in found.values()) == dialogues


def test_a_folder_may_be_called_like_a_film_in_it(load, write):
    folder = write({f"Film.srt/{name}.srt": film() for name in ("Film", "Other", "Third")}) / "Film.srt"
    assert sum(len(part) for part in load("opsub", folder).values()) == 30


def test_a_film_is_read_once_whatever_it_is_called(load, write, caplog):
    folder = write({f"Film_{number}.srt": long_film(number) for number in range(6)})
    again = long_film(2).replace("The ", "the ").replace(".", "!").splitlines()
    write({"Film_2_extended.srt": "\n".join(again[:-20])})
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", folder)
    assert "Film_2_extended.srt dropped for having the lines of Film_2.srt" in caplog.text
    assert "opsub: dialogues 60, films dropped for having the lines of another 1, films kept 6, utter" in caplog.text
    assert sum(len(part) for part in dataset.values()) == 60


TOKENIZED = ["We 're ready , sir !", "You do n't say ?", "Where have you been all this time ?"]


def test_the_tree_of_opus_is_read_with_the_largest_version_of_a_film(load, write, caplog):
    tree = {f"xml/en/{1990 + number}/{number}/7{number}.xml": xml(TOKENIZED * 40) for number in range(5)}
    tree["xml/en/1999/77/1.xml.gz"] = gzip.compress(xml(["Well ."] * 110))
    tree["xml/en/1999/77/2.xml.gz"] = gzip.compress(
        xml([f"{line} {number}" for number in range(60) for line in TOKENIZED])
    )
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", write(tree))
    assert "films dropped as another version of a film 1, films kept 6" in caplog.text
    utterances = {text for part in dataset.values() for texts in part["utterances"] for text in texts}
    assert {"We're ready, sir!", "You don't say?", "Where have you been all this time?"} <= utterances
    assert "Well." not in utterances
    assert all(name.startswith("xml/en/") for part in dataset.values() for name in part["dialogue_id"])


def test_xml_that_is_not_tokenized_is_read(load, write):
    dataset = load("opsub", write({f"{number}.xml": xml(ENGLISH * 40, tokenized=False) for number in range(3)}))
    assert dataset["train"][0]["utterances"][:3] == ENGLISH


def test_real_opus_files_are_read(load, shared_data, caplog):
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", shared_data / "opus_xml", min_cues=50)
    assert "films dropped for fewer than 50 cues 1, films kept 6" in caplog.text
    texts = [text for part in dataset.values() for texts in part["utterances"] for text in texts]
    assert "You're isolated." in texts
    assert len(texts) > 4000
    assert not any(mark in text for text in texts for mark in (" ,", " .", " 's", "<", "♪"))


@pytest.mark.parametrize("packed", [False, True])
def test_plain_text_is_cut_at_the_longest_dialogue(load, write, packed):
    content = lines_of_text(150_000)
    name, content = ("en.txt.gz", gzip.compress(content)) if packed else ("en.txt", content)
    dataset = load("opsub", write({name: content}), max_utterances=20)
    texts = [text for part in dataset.values() for texts in part["utterances"] for text in texts]
    lines = lines_of_text(150_000).decode().splitlines()
    assert len(lines) - 30 < len(texts) == len(set(texts) & set(lines)), "a rest of fewer than five lines is dropped"
    lengths = [len(texts) for texts in dataset["train"]["utterances"]]
    assert max(lengths) == 20 and sum(length < 20 for length in lengths) < 6, "but for the end of each megabyte"
    first = dataset["train"][0]["utterances"]
    numbers = [int(text.split()[-1]) for text in first]
    assert numbers == sorted(numbers), "lines of a dialogue stand in a row"


def test_films_of_names_that_are_alike_are_told_apart(load, write, caplog):
    lines = [f"You know that this is number {'abcdefghij'[i % 10] * 3} of the lines, don't you?" for i in range(120)]
    tree = {
        f"xml/{language}/1990/{i}/1.xml": xml([f"{word} {line}" for line in lines])
        for i, word in enumerate(["Well,", "So,", "Now,"])
        for language in ("en", "other")
    }
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load(
            "opsub", write({**tree, "a.srt": long_film(1), "a.xml": xml(ENGLISH * 40), "a.SRT": long_film(2)})
        )
    assert "another version" not in caplog.text
    ids = [name for part in dataset.values() for name in part["dialogue_id"]]
    assert len(ids) == len(set(ids))
    assert {"a.srt", "a.SRT", "a.xml"} <= {name.rsplit("-", 1)[0] for name in ids}


def test_a_long_line_costs_no_other_of_a_packed_text(load, write):
    long = b"You know " * 300_000 + b"it.\n"
    content = lines_of_text(30_000) + long + lines_of_text(30_000)
    plain, packed = (
        texts_of(load("opsub", write({name: data}) / name))
        for name, data in (("en.txt", content), ("packed.txt.gz", gzip.compress(content)))
    )
    assert len(plain) > 59_980 and len(packed) > 59_980


def test_names_that_are_not_utf_8_are_read(load, films):
    (films / os.fsdecode(b"Am\xe9lie.srt")).write_text(long_film(3))
    names = {name for part in load("opsub", films).values() for name in part["dialogue_id"]}
    assert "Am\ufffdlie.srt-0000" in names


@pytest.mark.parametrize("options", [{"encoding": "cp1252x"}, {"max_utterances": 0}])
def test_a_wrong_option_is_named(load, films, options):
    [(name, value)] = options.items()
    with pytest.raises(ValueError, match=f"opsub: .*{name}.*; got '?{value}"):
        load("opsub", films, **options)


def test_films_can_be_streamed(films, tmp_path):
    stream = CORPORA["opsub"](films, cache_dir=tmp_path).as_streaming_dataset(split="test")
    assert [row["dialogue_id"][:5] for row in stream] == ["Film_"] * 10


def test_what_holds_no_films_says_so(load, write):
    with pytest.raises(
        ValueError, match="opsub: data_dir is missing; give a folder, zip or tar with .srt, .vtt, OPUS .xml"
    ):
        load("opsub")
    folder = write({"b.doc": "no film"})
    for path in (folder, folder / "b.doc"):
        with pytest.raises(ValueError, match="dialogues of 0 films: too few to split .* got 0"):
            load("opsub", path)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file"):
        load("opsub", folder / "nowhere")


def test_a_missing_package_is_named(load, films, monkeypatch):
    monkeypatch.setattr("data_scripts.opsub.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install charset-normalizer ftfy py3langid"):
        load("opsub", films)


def real_films(shared_data, tmp_path, names):
    folder = tmp_path / "films"
    with zipfile.ZipFile(shared_data / "subtitles_srt.zip") as archive:
        archive.extractall(folder, [f"{name}.srt" for name in names])
    return folder


def test_real_films_as_found_in_the_wild(load, shared_data, tmp_path, caplog):
    odd = ["Caddyshack", "A_Quiet_Place", "King_Kong", "The_Karate_Kid", "Good_Will_Hunting", "Mission_Impossible_II"]
    odd += ["Argo", "Knives_Out", "Chicago", "Spy_Kids_2_Island_of_Lost_Dreams", "The_Hunger_Games_Mockingjay_-_Part_2"]
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", real_films(shared_data, tmp_path, odd))
    assert "films dropped for fewer than 100 cues 1, films dropped for language es 1, films kept 9" in caplog.text
    utterances = [text for rows in dataset.values() for texts in rows["utterances"] for text in texts]
    assert len(utterances) > 8000
    for trace in ("<i>", "{\\", "[", "♪", "\ufeff", "opensubtitles", "о"):  # the last is Cyrillic
        assert not any(trace in text for text in utterances), trace
    assert {"£37", "señorita?"} <= set(" ".join(utterances).split())  # cp1252 lines of a UTF-8 file
    speakers = {name for rows in dataset.values() for names in rows["speakers"] for name in names}
    assert {"BENOIT", "MARTA", ""} <= speakers


@pytest.mark.slow
def test_the_whole_real_corpus(load, shared_data, caplog):
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", shared_data / "subtitles_srt.zip", num_proc=2)
    assert "films dropped for fewer than 100 cues 2, films dropped for language es 1, films kept 828" in caplog.text
    assert 55_000 < sum(len(rows) for rows in dataset.values()) < 62_000
    train, validation, test = ({name.rsplit("-", 1)[0] for name in rows["dialogue_id"]} for rows in dataset.values())
    assert (len(train | validation | test), len(validation) + len(test)) == (828, 828 - len(train))
    assert 38 <= len(validation) <= 42 and 38 <= len(test) <= 42

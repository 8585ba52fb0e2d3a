"""Subtitles become dialogues of whole films by split, from a folder or a zip, with one worker or two."""

import zipfile

import pytest

pytest.importorskip("srt")
pytest.importorskip("py3langid")

ENGLISH = ["Where have you been all this time?", "I was waiting for the rain to stop.", "You could have called me."]
SPANISH = ["¿Dónde has estado todo este tiempo?", "Estaba esperando a que dejara de llover.", "Podrías haber llamado."]


def clock(second):
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02},000"


def film(n_cues=120, sentences=ENGLISH, silence_every=12):
    """A cue of a second every two seconds, and ten seconds of silence now and then."""
    cues, second = [], 0
    for number in range(n_cues):
        second += 10 if number % silence_every == 0 else 2
        text = f"{sentences[number % len(sentences)]}"
        cues.append(f"{number + 1}\n{clock(second)} --> {clock(second + 1)}\n{text}\n")
    return "\n".join(cues)


@pytest.fixture
def films(write):
    return write({f"Film_{number}.srt": film() for number in range(6)})


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
    write({"Pelicula.srt": film(sentences=SPANISH), "sub/Short.SRT": film(30), "notes.txt": "no film"})
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", films)
    report = "films dropped for fewer than 100 cues 1, films dropped for language es 1, films kept 6"
    assert report in caplog.text
    assert "opsub: dialogues 60," in caplog.text
    assert "utterances 720" in caplog.text
    assert sum(len(rows) for rows in dataset.values()) == 60
    assert "opsub: Pelicula.srt dropped for language es" in caplog.text


def test_another_language_and_short_films_can_be_wanted(load, write):
    folder = write({f"Film_{number}.srt": film(30, SPANISH) for number in range(3)})
    assert len(load("opsub", folder, language="es", min_cues=30)["train"]) == 3
    with pytest.raises(ValueError, match="too few films; got 0 to read; give one for each split or more"):
        load("opsub", folder, min_cues=30)


def test_options_set_how_dialogues_are_cut(load, films):
    lengths = [len(texts) for texts in load("opsub", films, max_silence=20.0)["train"]["utterances"]]
    assert set(lengths) == {40}  # 120 in three even parts of at most 50
    lengths = [len(texts) for texts in load("opsub", films, max_utterances=7)["train"]["utterances"]]
    assert set(lengths) == {6}
    with pytest.raises(ValueError, match="opsub: no dialogue in train, validation, test"):
        load("opsub", films, min_utterances=13)


def test_sentences_are_joined_or_not(load, write):
    split_sentence = ["I was waiting for", "the rain to stop.", "You could have called me."]
    folder = write({f"Film_{number}.srt": film(sentences=split_sentence) for number in range(3)})
    joined = load("opsub", folder, max_pause=1.0)["train"]["utterances"][0]
    assert joined[:2] == ["I was waiting for the rain to stop.", "You could have called me."]
    assert load("opsub", folder, join_sentences=False)["train"]["utterances"][0][:3] == split_sentence


def test_a_zip_and_two_workers_give_the_same(load, films, tmp_path, caplog):
    one = load("opsub", films)
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for path in films.iterdir():
            archive.write(path, path.name)
    with caplog.at_level("INFO", logger="data_scripts"):
        two = load("opsub", tmp_path / "films.zip", num_proc=2)
    assert {split: rows.to_list() for split, rows in one.items()} == {
        split: rows.to_list() for split, rows in two.items()
    }
    assert "films kept 6" in caplog.text


def test_what_holds_no_films_says_so(load, write):
    with pytest.raises(ValueError, match="opsub: data_dir is missing; give a folder or a zip of .srt files"):
        load("opsub")
    folder = write({"a.srt": film(), "b.txt": "no film"})
    with pytest.raises(ValueError, match="too few films; got 1 to read"):
        load("opsub", folder)
    with pytest.raises(ValueError, match="b.txt: neither a folder nor a zip"):
        load("opsub", folder / "b.txt")


def test_a_missing_package_is_named(load, films, monkeypatch):
    monkeypatch.setattr("data_scripts.opsub.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install srt py3langid"):
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

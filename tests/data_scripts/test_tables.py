"""Tables are read as companies have them: any separator, encoding and order of rows, with what else is in them."""

import datetime
import io
import logging
import math
import zipfile

import pandas
import pyarrow as pa
import pytest
from pyarrow import parquet

from data_scripts import read_dialogues
from data_scripts.formats.encodings import unicode_encoding

HEADER = "dialogue_id,speaker,text,label\n"
ROWS = "dialogue_id;speaker;text;label\r\n1;Ana;Olá, I got the job!;joy\r\n1;Ben;What?;surprise\r\n"


def dialogues_of(write, content, name="calls.csv", **options):
    return list(read_dialogues(write({name: content}) / name, **options))


def said(dialogues):
    return {dialogue.dialogue_id: [(turn.speaker, turn.text) for turn in dialogue.utterances] for dialogue in dialogues}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n", '"sep={}"\r\n'])
@pytest.mark.parametrize("name", ["calls.csv", "calls.tsv", "calls.txt"])
def test_any_separator_is_told_from_the_header_or_the_line_above(write, separator, first, name):
    content = first.format(separator) + ROWS.replace("Olá, ", "").replace(";", separator)
    [dialogue] = dialogues_of(write, content, name)
    assert [(turn.speaker, turn.text, turn.label) for turn in dialogue.utterances] == [
        ("Ana", "I got the job!", "joy"),
        ("Ben", "What?", "surprise"),
    ]
    assert dialogue.utterances[1].where.endswith(f"{name}:{4 if first else 3}")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
@pytest.mark.parametrize("name", ["calls.csv", "calls.txt"])
def test_any_encoding_is_told_from_the_bytes(write, caplog, encoding, name):
    caplog.set_level(logging.INFO)
    [dialogue] = dialogues_of(write, ROWS.encode(encoding), name)
    assert dialogue.utterances[0].text == "Olá, I got the job!"
    assert ("read as" in caplog.messages[-1]) == (not encoding.startswith("utf-8"))


@pytest.mark.parametrize(
    "encoding, text",
    [
        ("cp1251", "Привет, как твои дела сегодня? Я очень рад тебя видеть."),
        ("gb18030", "你好，今天我很高兴见到你，我们走吧"),
        ("cp932", "こんにちは、元気ですか、とても嬉しいです"),
    ],
)
def test_other_scripts_are_detected_or_their_encoding_is_given(write, encoding, text):
    content = f'dialogue_id,text\n1,"{text}"\n1,"{text}"\n'.encode(encoding)
    for options in ({}, {"encoding": encoding}):
        [dialogue] = dialogues_of(write, content, **options)
        assert dialogue.utterances[0].text == text


@pytest.mark.parametrize("text", ["Hi.", "Привет тебе", "你好\n你好", "Olá\n😀 so"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_need_no_mark(text, encoding):
    assert unicode_encoding(f"{text} \n".encode(encoding)) == encoding


@pytest.mark.parametrize(
    "data", [b"a\nb\0", b"a b\0\0c", "Olá a todos\0".encode(), b"", b"so", b"30/04, 17:01 - Ana: 00 A \0\n"]
)
def test_a_nul_in_other_text_is_no_wide_encoding(data):
    assert unicode_encoding(data) is None


def test_rows_may_be_anywhere_and_the_file_may_be_large(write):
    count = 3000
    rows = "".join(f"{number % 3},{number}\n" for number in range(count))
    dialogues = dialogues_of(write, "dialogue_id,text\n" + rows)
    assert [dialogue.dialogue_id for dialogue in dialogues] == ["0", "1", "2"]
    assert [int(turn.text) for turn in dialogues[1].utterances] == list(range(1, count, 3))
    assert [turn.row for turn in dialogues[1].utterances] == list(range(1, count, 3))


def test_several_columns_name_a_dialogue_and_stay(write):
    content = "season,episode,text\n1,2,Hi\n1,3,Yo\n1,2,So?\n"
    dialogues = dialogues_of(write, content, dialogue_column="season,episode")
    assert said(dialogues) == {"1-2": [("", "Hi"), ("", "So?")], "1-3": [("", "Yo")]}
    assert dialogues[1].utterances[0].extra == {"season": "1", "episode": "3"}
    with pytest.raises(ValueError, match="calls.csv:1: missing column scene; got season, episode, text"):
        dialogues_of(write, content, dialogue_column="season,scene")


@pytest.mark.parametrize("name", ["calls.csv", "calls.xlsx", "calls.parquet"])
def test_columns_are_found_whatever_their_case(write, name):
    rows = [["Dialogue_ID", "Speaker", "TEXT", "Label"], ["1", "Ana", "Hi", "joy"], ["1", "Ben", "Yo", ""]]
    content = "\n".join(",".join(row) for row in rows)
    if name.endswith("xlsx"):
        content = workbook(rows)
    elif name.endswith("parquet"):
        file = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist([dict(zip(rows[0], row, strict=True)) for row in rows[1:]]), file)
        content = file.getvalue()
    [dialogue] = dialogues_of(write, content, name)
    assert [(turn.speaker, turn.text, turn.label) for turn in dialogue.utterances] == [
        ("Ana", "Hi", "joy"),
        ("Ben", "Yo", None),
    ]


def test_a_space_after_each_comma_is_no_part_of_a_field(write):
    content = 'dialogue_id, speaker, text\n1, Ana, "Hi, you."\n1, Ben, Yo\n'
    assert said(dialogues_of(write, content)) == {"1": [("Ana", "Hi, you."), ("Ben", "Yo")]}


def test_without_a_column_of_dialogues_an_option_says_what_one_is(write):
    content = "text,emotion\nI feel great,joy\nI feel awful,sadness\n"
    message = (
        r"calls.csv:1: missing column dialogue_id; got text, emotion; .* rows=dialogue reads every row as a dialogue"
    )
    with pytest.raises(ValueError, match=message):
        dialogues_of(write, content)
    every = dialogues_of(write, content, rows="dialogue", label_column="emotion")
    assert said(every) == {"1": [("", "I feel great")], "2": [("", "I feel awful")]}
    assert [dialogue.utterances[0].label for dialogue in every] == ["joy", "sadness"]
    assert said(dialogues_of(write, content, rows="one")) == {"1": [("", "I feel great"), ("", "I feel awful")]}


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "NA", "<NA>", "null", "#N/A"])
def test_missing_values_are_no_label_and_nobody(write, missing):
    [dialogue] = dialogues_of(write, HEADER + f"1,{missing},Hi,{missing}\n1,Nan,So? , joy \n")
    assert [(turn.speaker, turn.label) for turn in dialogue.utterances] == [("", None), ("Nan", "joy")]


@pytest.mark.parametrize("name", ["calls.csv", "calls.jsonl", "calls.parquet", "calls.xlsx"])
@pytest.mark.parametrize(
    "speakers, labels, found",
    [
        (
            ["Ana", None, "nan", "Nan"],
            ["joy", None, "nan", "joy"],
            [("Ana", "joy"), ("", None), ("", None), ("Nan", "joy")],
        ),
        ([math.nan] * 4, [math.nan] * 4, [("", None)] * 4),
        (["Ana", "Ben", "Ana", "Ben"], ["nan"] * 4, [("Ana", None), ("Ben", None)] * 2),
    ],
)
def test_what_pandas_writes_for_a_missing_value_is_no_label_and_nobody(tmp_path, name, speakers, labels, found):
    frame = pandas.DataFrame({"dialogue_id": "a", "text": [*"vwxy"], "speaker": speakers, "label": labels})
    path = tmp_path / name
    if name.endswith("csv"):
        frame.to_csv(path, index=False, na_rep="nan")
    elif name.endswith("jsonl"):
        frame.to_json(path, orient="records", lines=True)
    elif name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        pytest.importorskip("openpyxl")
        frame.to_excel(path, index=False)
    [dialogue] = read_dialogues(path)
    assert [(turn.speaker, turn.label) for turn in dialogue.utterances] == found


def test_whole_numbers_that_pandas_wrote_as_floats_are_speakers_and_labels(tmp_path):
    numbers = [1, None, 2]
    frame = pandas.DataFrame({"dialogue_id": "a", "text": [*"vwx"], "speaker": numbers, "label": numbers})
    frame.to_parquet(tmp_path / "calls.parquet")
    [dialogue] = read_dialogues(tmp_path / "calls.parquet")
    assert [(turn.speaker, turn.label) for turn in dialogue.utterances] == [("1", "1"), ("", None), ("2", "2")]


def test_empty_utterances_and_blank_rows_are_left_out_and_counted(write, caplog):
    caplog.set_level(logging.INFO)
    content = HEADER + "1,Ana,Hi,joy\n1,Ben,,joy\n1,Ana, ,joy\n1,Ben,Yo,joy\n,,,\n,,,\n"
    [dialogue] = dialogues_of(write, content, empty="skip")
    assert [(turn.text, turn.row) for turn in dialogue.utterances] == [("Hi", 0), ("Yo", 1)]
    assert caplog.messages[-1].endswith("left out: 2 empty utterances, 2 blank rows")


def test_times_and_other_columns_go_along(write):
    content = "dialogue_id,text,start,end,place\n1,Hi,0,1.5,home\n1,Yo,2023-04-30T17:00:00,,\n"
    [dialogue] = dialogues_of(write, content)
    assert [(turn.start, turn.end, turn.extra) for turn in dialogue.utterances] == [
        (0, 1.5, {"place": "home"}),
        ("2023-04-30T17:00:00", None, {"place": ""}),
    ]
    [dialogue] = dialogues_of(write, content.replace("start", "from"), start_column="from")
    assert dialogue.utterances[0].start == 0


def test_a_dialogue_of_a_table_is_cut_where_that_is_asked(write):
    content = "dialogue_id,text,start\nd,Hi,0\nd,Yo,100\ne,So?,0\n"
    assert [dialogue.dialogue_id for dialogue in dialogues_of(write, content)] == ["d", "e"]
    assert [dialogue.dialogue_id for dialogue in dialogues_of(write, content, max_silence=50)] == ["d-1", "d-2", "e"]


def workbook(*sheets):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_workbook_is_a_table(write, caplog):
    caplog.set_level(logging.INFO)
    when = datetime.datetime(2023, 4, 30, 17)
    rows = [
        ["dialogue_id", "speaker", "text", "label", "when"],
        [1, "Ana", "I got the job!", "joy", when],
        [2.0, None, 5, None, None],
        [1, "Ben", "What?", "", None],
        [None] * 5,
    ]
    content = workbook([["notes"], ["none"]], rows)
    first, second = dialogues_of(write, content, "calls.xlsx")
    assert said([first, second]) == {"1": [("Ana", "I got the job!"), ("Ben", "What?")], "2": [("", "5")]}
    assert first.utterances[0].extra == {"when": "2023-04-30T17:00:00"}
    assert [turn.label for turn in first.utterances] == ["joy", None]
    assert caplog.messages[0] == "calls.xlsx: detected format: Excel workbook"
    assert caplog.messages[-1].endswith("left out: 1 other sheet, 1 blank row")
    message = r"calls.xlsx, sheet sheet 0, row 1: missing column dialogue_id, text; got a, b; .* rows=dialogue"
    with pytest.raises(ValueError, match=message):
        dialogues_of(write, workbook([["a", "b"], [1, 2]]), "calls.xlsx")


@pytest.mark.parametrize("dimension", ["A1", "A1:C1", "A1:B3"])
def test_a_workbook_that_states_a_wrong_size_is_read_whole(write, dimension):
    rows = [["dialogue_id", "text"], *([1, f"Hi {n}"] for n in range(5))]
    wrong = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(rows))) as book, zipfile.ZipFile(wrong, "w") as copy:
        for name in book.namelist():
            content = book.read(name)
            assert b"sheet1" not in name.encode() or b'ref="A1:B6"' in content
            copy.writestr(name, content.replace(b'ref="A1:B6"', f'ref="{dimension}"'.encode()))
    [dialogue] = dialogues_of(write, wrong.getvalue(), "calls.xlsx")
    assert [turn.text for turn in dialogue.utterances] == [f"Hi {n}" for n in range(5)]


@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", b"", b"no workbook"])
def test_a_broken_workbook_is_named(write, content):
    pytest.importorskip("openpyxl")
    with pytest.raises(ValueError, match=r"calls.xlsx: damaged, or not an Excel workbook; .*; save it again as .xlsx"):
        dialogues_of(write, content, "calls.xlsx")


@pytest.mark.parametrize("name", ["calls.zip", "calls.tar"])
def test_an_archive_is_named_with_what_is_in_it(write, tmp_path, name):
    import shutil

    folder = write({"chats/_chat.txt": "Ana: Hi", "chats/a.csv": ROWS})
    path = shutil.make_archive(str(tmp_path / "calls"), name.split(".")[1], folder / "chats")
    with pytest.raises(ValueError, match=rf"{name}: is an archive; got .*_chat.txt.*; unpack it and use one"):
        list(read_dialogues(path))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"row": "one"}, "unknown option; got row; known: dialogue_column, text_column"),
        ({"rows": "all"}, "option rows must be dialogue or one; got 'all'"),
        ({"empty": "drop"}, "option empty must be skip; got 'drop'"),
        ({"text_column": 1}, "option text_column must be a string; got 1; put it in quotes"),
        ({"encoding": "klingon"}, "unknown encoding; got 'klingon'; use one such as cp1252"),
        ({"max_silence": 0}, "max_silence must be a number of seconds above 0; got 0; or use inf"),
        ({"max_silence": "a"}, "max_silence must be a number of seconds above 0; got 'a'"),
        ({"input_format": "doc"}, "calls.csv: unknown input_format; got 'doc'; known: parquet, xlsx, json, jsonl, vtt"),
    ],
)
def test_an_option_that_cannot_be_is_named(write, options, message):
    with pytest.raises(ValueError, match=message):
        dialogues_of(write, ROWS, **options)


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.txt: no such file"):
        list(read_dialogues(tmp_path / "nowhere.txt"))
    with pytest.raises(IsADirectoryError, match="is a folder; give a file"):
        list(read_dialogues(tmp_path))


@pytest.mark.parametrize("mark", "^~:!&")
def test_any_mark_between_known_columns_is_a_separator(write, mark):
    lines = ["dialogue_id,speaker,text", "1,Ana,Well"]
    path = write({"a.csv": "\n".join(lines).replace(",", mark)}) / "a.csv"
    [dialogue] = read_dialogues(path)
    assert dialogue.utterances[0][:2] == ("Well", "Ana")


@pytest.mark.parametrize(
    "encoding, text",
    [
        ("mac_roman", "I can’t believe it’s “true”… Déjà vu"),
        ("cp1250", "Nie mogę uwierzyć że już się udało"),
        ("cp1250", "Příliš žluťoučký kůň"),
        ("cp1252", "¿Qué tal? el año que viene, ¿no? «sí» así…"),
        ("cp1252", "L’été dernier, où étiez-vous ? Cœur brisé"),
        ("cp1252", "Það er gott að sjá þig"),
        ("cp1250", "Nagyszerű, hogy eljöttél! Mennyi idő van még?"),
        ("cp1250", "Nem tudom, mit mondjak neki. Őszintén szólva félek."),
        ("cp1250", "Ő nem jön velünk."),
        ("cp1250", "Dziękuję, jesteś najlepszy. Żółta łódź też."),
        ("cp1250", "Nemůžu tomu uvěřit, to je úžasné!"),
        ("cp1250", "Děkuji, uvidíme se zítra ráno."),
        ("cp1250", "Što je bilo? Sve će biti u redu."),
        ("cp1252", "Não sei o que dizer, são tantas emoções. Põe a mesa."),
        ("cp1252", "Ma olen õnnelik, et sa tulid! Kõik läheb hästi."),
        ("cp1252", "Mõtlesin, et sa ei jõua õigeks ajaks. Õhtul näeme."),
        ("cp1252", "Bien sûr, le goût est là. C'est dû à l'été."),
        ("cp1252", "Perché non è venuto? Così è più facile, papà."),
        ("cp1252", "È vero!"),
        ("cp1252", "Sì, a bottle of Château d'Yquem."),
        ("cp1254", "Çok güzel, teşekkür ederim. Her şey düzelecek."),
        ("cp1257", "Šiandien aš esu labai pikta, nes jis vėl vėlavo. Ačiū!"),
        ("cp1257", "Šodien es esmu ļoti dusmīga, jo viņš atkal nokavēja. Paldies, ka atnāci!"),
        ("cp1253", "Άννα, είμαι πολύ θυμωμένη σήμερα. Όχι, δεν θέλω. Έλα εδώ! Ήρθε ο Γιώργος."),
        ("iso8859_7", "Άννα, είμαι πολύ θυμωμένη σήμερα. Όχι, δεν θέλω. Έλα εδώ! Ήρθε ο Γιώργος."),
    ],
)
def test_old_encodings_of_latin_letters_are_told_apart(write, encoding, text):
    path = write({"a.csv": f'dialogue_id,text\n1,"{text}"\n'.encode(encoding)}) / "a.csv"
    [dialogue] = read_dialogues(path)
    assert dialogue.utterances[0].text == text


def test_a_time_of_a_table_may_be_a_clock(write, caplog):
    caplog.set_level(logging.INFO)
    rows = 'dialogue_id,text,start,end\n1,a,00:00:05,0:08\n1,b,"00:50:09,059",00:51:00\n'
    path = write({"a.csv": rows}) / "a.csv"
    [dialogue] = read_dialogues(path)
    assert [(turn.start, turn.end) for turn in dialogue.utterances] == [(5.0, 8.0), (3009.059, 3060.0)]
    assert len(list(read_dialogues(path, max_silence=60))) == 2
    path = write({"b.csv": "dialogue_id,text,start\n1,a,30/04/2023 17:33\n"}) / "b.csv"
    [dialogue] = read_dialogues(path)
    assert dialogue.utterances[0].start == "30/04/2023 17:33"
    assert caplog.messages[-1].endswith("times such as '30/04/2023 17:33' are no dates in ISO 8601, and kept as text")


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_times_since_1970_are_dates(write, unit):
    rows = f"dialogue_id,text,start\n1,a,{1704276900 * unit}\n1,b,{1704376900 * unit}\n2,c,86400\n"
    dialogues = dialogues_of(write, rows)
    assert [turn.start for dialogue in dialogues for turn in dialogue.utterances] == [
        "2024-01-03T10:15:00+00:00",
        "2024-01-04T14:01:40+00:00",
        86400.0,
    ]
    assert len(dialogues_of(write, rows, max_silence=3600)) == 3


def test_a_decimal_comma_in_a_time_is_read_if_no_commas_separate(write):
    [dialogue] = dialogues_of(write, "dialogue_id;text;start;end\n1;a;0,5;1,250\n1;b;1,5;2\n")
    assert [(turn.start, turn.end) for turn in dialogue.utterances] == [(0.5, 1.25), (1.5, 2.0)]
    [dialogue] = dialogues_of(write, 'dialogue_id,text,start\n1,a,"1,250"\n')
    assert dialogue.utterances[0].start == "1,250"


@pytest.mark.parametrize("options", [{}, {"rows": "one"}])
def test_a_header_that_is_repeated_is_no_utterance(write, caplog, options):
    caplog.set_level(logging.INFO)
    rows = f"{HEADER}1,Ana,Hi,joy\n{HEADER}1,Ben,Yo,joy\n"
    [dialogue] = dialogues_of(write, rows, **options)
    assert [turn.text for turn in dialogue.utterances] == ["Hi", "Yo"]
    assert caplog.messages[-1].endswith("repeated headers left out")


def test_ids_of_several_columns_do_not_run_into_one_another(write):
    path = write({"a.csv": "a,b,text\n1-2,3,x\n1,2-3,y\n"}) / "a.csv"
    assert len(list(read_dialogues(path, dialogue_column="a,b"))) == 2


def test_empty_utterances_are_counted(write, caplog):
    caplog.set_level(logging.INFO)
    list(read_dialogues(write({"a.csv": "dialogue_id,speaker,text\n1,Ana,\n1,Ben,Hi\n"}) / "a.csv"))
    assert caplog.messages[-1].endswith("1 utterance without a text")


def test_a_workbook_is_known_under_any_name(write):
    content = workbook([["dialogue_id", "text"], [1, "Hi"]])
    for name in ("a.csv", "a.txt", "a.xls"):
        [dialogue] = read_dialogues(write({name: content}) / name)
        assert dialogue.utterances[0].text == "Hi"

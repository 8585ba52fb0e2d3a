"""What a subtitle file holds besides speech is taken away, and turns and sentences are whole."""

import pytest

pytest.importorskip("ftfy")

from data_scripts.formats.subtitles import Line, cut_at_silences, decode_subtitles, film_lines, join_sentences, turns


def said(content):
    return [(line.speaker, line.text) for line in turns(content, 0.0, 1.0)]


def texts(content):
    return [text for _, text in said(content)]


@pytest.mark.parametrize(
    "data, text",
    [
        ("¿Señor?\r\nYes.".encode("utf-8-sig"), "¿Señor?\nYes."),
        ("¿Señor?\rYes.".encode(), "¿Señor?\nYes."),
        ("¿Señor?\r\nYes.".encode("utf-16"), "¿Señor?\nYes."),
        (b"\xfe\xff" + "¿Señor?".encode("utf-16-be"), "¿Señor?"),
        ("It’s £5.".encode("cp1252"), "It’s £5."),
        ("¿Señor?\n".encode() + "£5".encode("cp1252"), "¿Señor?\n£5"),  # two encodings in one file
        (b"\x81 Hm.", "\ufffd Hm."),
        (
            "It's Аnn's сhаnсe, a long line of Latin letters.".encode(),
            "It's Ann's chance, a long line of Latin letters.",
        ),
        ("Это не чанс".encode(), "Это не чанс"),  # really in Cyrillic
    ],
)
def test_decoding(data, text):
    assert decode_subtitles(data, "cp1252") == text


def test_the_fallback_encoding_is_an_option():
    assert decode_subtitles("Привет".encode("cp1251"), "cp1251") == "Привет"


@pytest.mark.parametrize(
    "content, expected",
    [
        ('<i>Well,</i>\n<font color="#fff">come in.</font>', ["Well, come in."]),
        ("{\\an8}Well.{y:i}", ["Well."]),
        ("- Coffee?\n- Please.\nTwo sugars.", ["Coffee?", "Please. Two sugars."]),
        ("Coffee?\n– Please.", ["Coffee?", "Please."]),
        ("- Coffee? - Please.", ["Coffee?", "Please."]),
        ("-Coffee?<br />-Please.", ["Coffee?", "Please."]),
        ("-- Coffee?\n-- Please.", ["Coffee?", "Please."]),
        ("I told him\n--no, wait--", ["I told him --no, wait--"]),
        ("A well-known\nside-effect", ["A well-known side-effect"]),
        ("[door\nslams] Well. (SIGHS)", ["Well."]),
        ("- [laughs]\n- Stop it.", ["Stop it."]),
        ("(whispering", []),
        ("♪ Row, row,\nrow your boat ♪", []),
        ("- Sing!\n- ♪ Row your boat", ["Sing!"]),
        ("# Row your boat #", []),
        ("We are #1 here.", ["We are #1 here."]),
        ("...", []),
        ("- ?!", []),
        ("", []),
    ],
)
def test_a_cue_becomes_turns_of_speech(content, expected):
    assert texts(content) == expected


@pytest.mark.parametrize(
    "content, expected",
    [
        ("ANN: Come in.", [("ANN", "Come in.")]),
        ("ANN:\nCome in.\nBO: Hi.", [("ANN", "Come in."), ("BO", "Hi.")]),
        ("- McKAY: Aye.\n- DR. LEE: No.", [("McKAY", "Aye."), ("DR. LEE", "No.")]),
        ("MAN 2 (ON TV): News.", [("MAN 2", "News.")]),
        ("I leave at 5:30.", [("", "I leave at 5:30.")]),
        ("UA5:30 is late.", [("", "UA5:30 is late.")]),
        ("Listen: it rains.", [("", "Listen: it rains.")]),
    ],
)
def test_a_name_in_capitals_is_the_speaker(content, expected):
    assert said(content) == expected


@pytest.mark.parametrize(
    "advert",
    [
        "Downloaded from www.example.org",
        "Subtitles by\n<b>somebody</b>",
        "Sync and corrections by somebody",
        "Support us and become VIP member",
        "Advertise your product or brand here",
        "Visit example.com now",
    ],
)
def test_adverts_go(advert):
    assert texts(advert) == []


@pytest.mark.parametrize("speech", ["He was ripped apart by dogs.", "All subs, dive!", "A rally by the sea."])
def test_speech_like_an_advert_stays(speech):
    assert texts(speech) == [speech]


def test_files_that_break_the_format_lose_no_good_cue():
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\nOne.\n\n"
        "2\n00:-209:54,000 --> 00:-209:47,926\nBad times.\n\n"
        "00:00:03.000 --> 00:00:04.000\nNo number.\n\n\n"
        "4\n00:00:09,000 --> 00:00:08,000\nEnds before it starts.\n"
    )
    lines = film_lines(text)
    assert [line.text for line in lines] == ["One.", "No number.", "Ends before it starts."]
    assert (lines[0].start, lines[0].end) == (1.0, 2.0)
    assert lines[-1].end == 9.0


def line(start, end, text, **kwargs):
    return Line(start, end, text, **kwargs)


@pytest.mark.parametrize(
    "first, second, joined",
    [
        ("I went to the", "shop.", True),
        ("I went...", "...to the shop.", True),
        ("If it rains,", "I stay.", True),
        ('He said "', 'no."', True),
        ("I went.", "so what?", False),
        ("Really?!", "yes.", False),
        ("I went to the", "Shop!", False),
    ],
)
def test_a_sentence_over_two_cues_is_whole(first, second, joined):
    lines = join_sentences([line(0, 1, first, speaker="ANN"), line(1.2, 2, second)], max_pause=1.0)
    assert [item.text for item in lines] == ([f"{first} {second}"] if joined else [first, second])
    assert lines[0].speaker == "ANN"
    assert lines[-1].end == 2


def test_a_pause_or_a_new_turn_ends_a_sentence():
    apart = [line(0, 1, "I went to the"), line(2.5, 3, "shop.")]
    assert join_sentences(apart, max_pause=1.0) == apart
    answered = [line(0, 1, "I went to the"), line(1, 2, "shop?", opens=True)]
    assert join_sentences(answered, max_pause=1.0) == answered


def test_a_silence_and_a_jump_back_cut():
    lines = [line(0, 1, "a"), line(6, 7, "b"), line(12.1, 13, "c"), line(12.5, 14, "d"), line(1, 2, "e")]
    runs = cut_at_silences(lines, max_silence=5.0)
    assert ["".join(item.text for item in run) for run in runs] == ["ab", "cd", "e"]

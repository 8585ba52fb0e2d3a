"""WhatsApp's exports are read with who said what and when, in any locale, without what the application says itself."""

import logging

import pytest

from data_scripts import read_dialogues

IOS = (
    "[30/04/23, 5:33:19\u202fPM] Flat 12: \u200eMessages and calls are end-to-end encrypted. No one can read them.\r\n"
    "[30/04/23, 5:33:19\u202fPM] Ana: I got the job!\r\n"
    "[30/04/23, 5:37:30\u202fPM] Ben Lee: What? Are you serious?\r\n"
    "[30/04/23, 5:43:06\u202fPM] Ana: Yes!\r\n\r\nThey called me an hour ago.\r\nI am so happy.\r\n"
    "\u200e[30/04/23, 5:44:11\u202fPM] Ben Lee: \u200eimage omitted\r\n"
    "[30/04/23, 5:44:39\u202fPM] ~\u202fCleo: I wish Dad was here :(\r\n"
    "[30/04/23, 5:45:02\u202fPM] +1 (555) 010-0199: This message was deleted.\r\n"
)
ANDROID = (
    "30/04/23, 17:33 - Messages and calls are end-to-end encrypted. Tap to learn more.\n"
    "30/04/23, 17:33 - Ana: I got the job!\n"
    "30/04/23, 17:37 - Ben Lee: What? Are you serious?\n"
    "30/04/23, 17:43 - Ana: <Media omitted>\n"
    "30/04/23, 17:44 - Ana: They called me an hour ago.\n\nI am so happy.\n"
    "30/04/23, 17:46 - Ben Lee left\n"
)


def said(write, content, **options):
    dialogues = list(read_dialogues(write({"chat.txt": content}) / "chat.txt", **options))
    return [(turn.speaker, turn.text, turn.start) for dialogue in dialogues for turn in dialogue.utterances]


def test_a_chat_of_an_iphone_is_one_dialogue_with_its_speakers(write, caplog):
    caplog.set_level(logging.INFO)
    assert said(write, IOS) == [
        ("Ana", "I got the job!", "2023-04-30T17:33:19"),
        ("Ben Lee", "What? Are you serious?", "2023-04-30T17:37:30"),
        ("Ana", "Yes! They called me an hour ago. I am so happy.", "2023-04-30T17:43:06"),
        ("Cleo", "I wish Dad was here :(", "2023-04-30T17:44:39"),
    ]
    assert caplog.messages == [
        "chat.txt: detected format: WhatsApp export",
        "chat.txt: WhatsApp export, 1 dialogue, 4 utterances, 3 speakers; left out: 1 system line, 1 omitted media, "
        "1 deleted message",
    ]


def test_a_chat_of_an_android_telephone_is_one_dialogue(write, caplog):
    caplog.set_level(logging.INFO)
    assert said(write, ANDROID) == [
        ("Ana", "I got the job!", "2023-04-30T17:33:00"),
        ("Ben Lee", "What? Are you serious?", "2023-04-30T17:37:00"),
        ("Ana", "They called me an hour ago. I am so happy.", "2023-04-30T17:44:00"),
    ]
    assert caplog.messages[-1].endswith("left out: 2 system lines, 1 omitted media")


@pytest.mark.parametrize(
    "stamp",
    [
        "4/30/23, {twelve} PM - ",
        "4/30/23, {twelve}\u202fPM - ",
        "30/04/2023, {twelve} pm - ",
        "30/4/23 {twelve} p. m. - ",
        "30/4/23, {twelve} μ.μ. - ",
        "30.04.23, {full} - ",
        "30.04.23 um {full} - ",
        "30/04/2023 à {full} - ",
        "30-04-2023 {full} - ",
        "30.4.2023 klo {dots} - ",
        "2023-04-30 {full} - ",
        "2023-04-30 kl. {full} - ",
        "2023. 04. 30. {full} - ",
        "30.04.23 г., {full} ч. - ",
        "30/04/2566, {full} - ",
        "2023/4/30 下午{twelve} - ",
        "[30/04/23, {full}:00] ",
        "\u200e[30.04.23, {full}:00] ",
        "[4/30/23, {twelve}:00 PM] ",
        "[2023-04-30, {full}:00] ",
        "[2023/04/30 {full}:00] ",
        "[2023. 4. 30. 오후 {twelve}:00] ",
        "[٣٠\u200f/٤\u200f/٢٠٢٣، {twelve}:00 م] ",
        "[30/04/2023 {full}:00] ",
    ],
)
def test_dates_of_every_locale_are_read(write, stamp):
    lines = [("5:33", "Ana", "¡Hi!"), ("5:37", "Ben Lee", "What: this?"), ("12:05", "Ana", "Lunch, then.")]
    chat = ""
    for time, name, text in lines:
        full = f"{int(time.split(':')[0]) % 12 + 12}:{time[-2:]}"
        chat += stamp.format(twelve=time, full=full, dots=full.replace(":", ".")) + f"{name}: {text}" + "\n"
    assert sorted(said(write, chat), key=lambda turn: turn[2]) == [
        ("Ana", "Lunch, then.", "2023-04-30T12:05:00"),
        ("Ana", "¡Hi!", "2023-04-30T17:33:00"),
        ("Ben Lee", "What: this?", "2023-04-30T17:37:00"),
    ]


def test_dates_of_the_persian_calendar_are_gregorian(write):
    stamps = ["۱۴۰۲/۱۰/۱۳", "۱۴۰۲/۱۲/۲۹", "۱۴۰۳/۱/۱", "۱۴۰۳/۲/۳۱"]
    found = said(write, "".join(f"{stamp}،\u200f ۱۰:۱۵ - Ana: Hi.\n" for stamp in stamps))
    assert [date[:10] for _, _, date in found] == ["2024-01-03", "2024-03-19", "2024-03-20", "2024-05-20"]


@pytest.mark.parametrize(
    "dates, expected",
    [
        (["1/2/23", "1/13/23"], ["2023-01-02", "2023-01-13"]),
        (["1/2/23", "13/2/23"], ["2023-02-01", "2023-02-13"]),
        (["3/1/23", "4/1/23", "1/2/23"], ["2023-01-03", "2023-01-04", "2023-02-01"]),
    ],
)
def test_day_and_month_are_told_from_all_dates(write, dates, expected):
    turns = said(write, "".join(f"{date}, 17:33 - Ana: Hi\n" for date in dates))
    assert [start[:10] for _, _, start in turns] == expected


@pytest.mark.parametrize(
    "message",
    [
        "<Media omitted>",
        "<Medien ausgeschlossen>",
        "<Médias omis>",
        "<Multimedia omitido>",
        "<Archivo omitido>",
        "<Mídia oculta>",
        "<Media omessi>",
        "<Media weggelaten>",
        "<Medya dahil edilmedi>",
        "<Без медиафайлов>",
        "<省略多媒体文件>",
        "image omitted",
        "video omitted",
        "audio omitted",
        "GIF omitted",
        "Contact card omitted",
        "report.pdf • 3 pages document omitted",
        "Bild weggelassen",
        "imagen omitida",
        "immagine omessa",
        "\u200eimage absente",
        "\u200e図は省略",
        "IMG-20230430-WA0001.jpg (file attached)",
        "IMG-20230430-WA0001.jpg (Datei angehängt)",
        "\u200e<attached: 00000012-PHOTO-2023-04-30-17-34-19.jpg>",
        "This message was deleted",
        "You deleted this message.",
        "Diese Nachricht wurde gelöscht.",
        "Du hast diese Nachricht gelöscht.",
        "Ce message a été supprimé",
        "Se eliminó este mensaje.",
        "Eliminaste este mensaje.",
        "Mensagem apagada",
        "Esta mensagem foi apagada",
        "Questo messaggio è stato eliminato",
        "Dit bericht is verwijderd",
        "Bu mesaj silindi",
        "Сообщение удалено",
        "此消息已被删除",
        "このメッセージは削除されました",
        "삭제된 메시지입니다",
        "تم حذف هذه الرسالة",
        "\u200eMissed voice call",
        "Missed voice call",
        "POLL:\nWhere?\nOPTION: Here (1 vote)",
        "location: https://maps.google.com/?q=48.1,11.5",
        "live location shared",
        "\u200efile.pdf • \u200e12 pages \u200e<attached: 00000012-file.pdf>",
        "Waiting for this message. This may take a while.",
        "\u200ePOLL:\nWhere?\n\u200eOPTION: Here (1 vote)",
    ],
)
def test_what_nobody_wrote_is_left_out_and_counted(write, caplog, message):
    caplog.set_level(logging.INFO)
    chat = f"30/04/23, 17:33 - Ana: Hi\n30/04/23, 17:34 - Ben: {message}\n30/04/23, 17:35 - Ana: So?\n"
    assert [text for _, text, _ in said(write, chat)] == ["Hi", "So?"]
    assert "; left out: 1 " in caplog.messages[-1]


@pytest.mark.parametrize(
    "message, text",
    [
        ("<3", "<3"),
        ("<sigh>", "<sigh>"),
        ("I deleted this message app", "I deleted this message app"),
        ("The image is nice", "The image is nice"),
        ("Hi \u200e<This message was edited>", "Hi"),
        ("Salut <Ce message a été modifié>", "Salut"),
        ("Hallo \u200e<Diese Nachricht wurde bearbeitet.>", "Hallo"),
        ("Hola <Se editó este mensaje.>", "Hola"),
        ("photo.jpg (file attached)\nlook at this", "look at this"),
        ("at 5:30: the \u2068@Ana\u2069 thing", "at 5:30: the @Ana thing"),
        ("Our messages are end-to-end encrypted, I heard", "Our messages are end-to-end encrypted, I heard"),
        ("\u200ea.pdf • \u200e12 pages \u200e<attached: 0-a.pdf>\nread this", "read this"),
        ("one\n12:30 two\nthree: four", "one 12:30 two three: four"),
    ],
)
def test_what_somebody_wrote_is_kept(write, message, text):
    chat = f"30/04/23, 17:33 - Ana: Hi\n30/04/23, 17:34 - Ben: {message}\n"
    assert said(write, chat)[1][:2] == ("Ben", text)


@pytest.mark.parametrize(
    "line",
    [
        "Ana created group “Flat: 12”",
        'Ben changed the subject from "A: b" to "C"',
        "Ben's security code changed. Tap to learn more.",
        "You changed this group's icon",
        "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt. Niemand sonst kann sie lesen: auch wir nicht.",
    ],
)
def test_system_lines_are_no_utterances(write, line):
    chat = f"30/04/23, 17:33 - Ana: Hi\n30/04/23, 17:34 - {line}\n30/04/23, 17:35 - Ben: So?\n"
    assert [speaker for speaker, _, _ in said(write, chat)] == ["Ana", "Ben"]


def test_a_long_chat_is_cut_at_silences(write, caplog):
    caplog.set_level(logging.INFO)
    days = "".join(f"{day}/04/23, 17:33 - Ana: Hi\n{day}/04/23, 21:34 - Ben: So?\n" for day in (13, 14, 15))
    path = write({"chat.txt": days}) / "chat.txt"
    dialogues = list(read_dialogues(path))
    assert [(dialogue.dialogue_id, len(dialogue.utterances)) for dialogue in dialogues] == [
        ("1", 2),
        ("2", 2),
        ("3", 2),
    ]
    assert "cut at silences of more than 8 hours" in caplog.messages[-1]
    assert len(list(read_dialogues(path, max_silence=3600))) == 6
    assert len(list(read_dialogues(path, max_silence="inf"))) == 1


@pytest.mark.parametrize("name", ['Maria "Mia" Lopez', "Jon “JJ” Jones"])
def test_a_name_may_contain_a_nickname_in_quotation_marks(write, name):
    chat = f"30/04/23, 17:33 - Ana: Hi\n30/04/23, 17:34 - {name}: Hola: so?\n"
    assert said(write, chat)[1][:2] == (name, "Hola: so?")

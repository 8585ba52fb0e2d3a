"""A chat that LINE exported is one dialogue, with dates and without what nobody wrote."""

import logging

import pytest
from chats import said

JAPANESE = (
    "[LINE] Benとのトーク履歴\r\n保存日時：2024/01/05 20:15\r\n\r\n2024/01/03(水)\r\n10:15\tAna\tおはよう!\r\n"
    '10:20\tBen\t"今日は寒いね\r\n\r\n雪が降りそう"\r\n10:21\tAna\t"うん"\r\n'
)
SAID = [
    ("Ana", "おはよう!", "2024-01-03T10:15:00"),
    ("Ben", "今日は寒いね 雪が降りそう", "2024-01-03T10:20:00"),
    ("Ana", '"うん"', "2024-01-03T10:21:00"),
]


@pytest.mark.parametrize("name", ["chat.txt", "chat.csv", "chat"])
def test_a_chat_of_line_is_one_dialogue_with_its_dates(write, caplog, name):
    caplog.set_level(logging.INFO)
    assert said(write, JAPANESE, name) == SAID
    assert caplog.messages == [
        f"{name}: detected format: LINE export",
        f"{name}: LINE export, 1 dialogue, 3 utterances, 2 speakers; "
        "left out: 2 lines before the first message, 1 date",
    ]


def test_an_export_of_line_is_known_without_its_title(write):
    assert said(write, JAPANESE.partition("\r\n\r\n")[2]) == SAID


@pytest.mark.parametrize(
    "message, left_out",
    [
        ("Ben\t[スタンプ]", "omitted media"),
        ("Ben\t[写真]", "omitted media"),
        ("Ben\t[動画]", "omitted media"),
        ("Ben\t[Photo]", "omitted media"),
        ("Ben\t[Sticker]", "omitted media"),
        ("Ben\t[Voice message]", "omitted media"),
        ("Ben\t[File] plan.pdf", "omitted media"),
        ("Ben\t[貼圖]", "omitted media"),
        ("Ben\t[照片]", "omitted media"),
        ("Ben\t[สติกเกอร์]", "omitted media"),
        ("Ben\t☎ 通話時間 1:23", "system line"),
        ("Ben\t☎ Missed call", "system line"),
        ("\tBenがグループに参加しました。", "system line"),
        ("Ben joined the group.", "system line"),
        ("\tBenがメッセージの送信を取り消しました", "deleted message"),
        ("Ben unsent a message.", "deleted message"),
    ],
)
def test_what_nobody_wrote_in_line_is_left_out_and_counted(write, caplog, message, left_out):
    caplog.set_level(logging.INFO)
    assert said(write, f"{JAPANESE}10:22\t{message}\n") == SAID
    assert caplog.messages[-1].endswith(f", 1 {left_out}")


@pytest.mark.parametrize(
    "text", ["[Photo] of whom?" + " Tell me." * 20, "Send me a photo", "写真みたい", "[ok]", "(moon)"]
)
def test_what_somebody_wrote_in_line_is_kept(write, text):
    assert said(write, f"{JAPANESE}10:22\tBen\t{text}\n")[-1][1] == text


@pytest.mark.parametrize(
    "date, stamp, start",
    [
        ("Wed, 1/3/2024", "10:15 PM", "2024-01-03T22:15:00"),
        ("Wed, 01/03/2024", "22:15", "2024-01-03T22:15:00"),
        ("Fri, 1/3/2024", "22:15", "2024-03-01T22:15:00"),
        ("2024.01.03 Wednesday", "10:15 PM", "2024-01-03T22:15:00"),
        ("2024/01/03（三）", "下午10:15", "2024-01-03T22:15:00"),
        ("2024/01/03(水)", "午後10:15", "2024-01-03T22:15:00"),
        ("2024.01.03 수요일", "오후 10:15", "2024-01-03T22:15:00"),
    ],
)
def test_dates_of_line_are_read_in_any_order(write, date, stamp, start):
    chat = f"[LINE] Chat history with Ben\nSaved on: 1/5/2024 20:15\n\n{date}\n{stamp}\tAna\tHi.\n{stamp}\tBen\tYo.\n"
    assert said(write, chat) == [("Ana", "Hi.", start), ("Ben", "Yo.", start)]


def test_an_export_of_line_for_computers_is_refused_with_the_cause(write):
    chat = "[LINE] Chat history with Ben\nSaved on: 2024/01/05 20:15\n\n"
    chat += "2024.01.03 Wednesday\n10:15 Ana Hi.\n10:16 Ben Yo.\n"
    with pytest.raises(ValueError, match="chat.txt: is a LINE export without tabs, .*; got '10:15 Ana Hi.'; export"):
        said(write, chat)

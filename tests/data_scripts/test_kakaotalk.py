"""A chat that KakaoTalk exported is one dialogue, with dates and without what nobody wrote."""

import logging

import pytest
from chats import said

COMPUTER = (
    "벤 님과 카카오톡 대화\n저장한 날짜 : 2024-01-05 20:15:33\n\n"
    "--------------- 2024년 1월 3일 수요일 ---------------\n"
    "[아나] [오전 10:15] 좋은 아침!\n[벤] [오후 3:20] 오늘 춥다\n눈이 올 것 같아\n"
)
PHONE = (
    "벤 님과 카카오톡 대화\n저장한 날짜 : 2024년 1월 5일 오후 8:15\n\n\n2024년 1월 3일 오전 10:15\n"
    "2024년 1월 3일 오전 10:15, 아나 : 좋은 아침!\n2024년 1월 3일 오후 3:20, 벤 : 오늘 춥다\n눈이 올 것 같아\n"
)
TABLE = (
    "\ufeffDate,User,Message\n"
    '2024-01-03 10:15:00,"아나","좋은 아침!"\n2024-01-03 15:20:00,"벤","오늘 춥다\n눈이 올 것 같아"\n'
)
SAID = [("아나", "좋은 아침!", "2024-01-03T10:15:00"), ("벤", "오늘 춥다 눈이 올 것 같아", "2024-01-03T15:20:00")]


@pytest.mark.parametrize("content, name", [(COMPUTER, "chat.txt"), (PHONE, "chat.txt"), (PHONE, "a"), (TABLE, "a.csv")])
def test_a_chat_of_kakaotalk_is_one_dialogue_with_its_dates(write, caplog, content, name):
    caplog.set_level(logging.INFO)
    assert said(write, content, name) == SAID
    assert caplog.messages[0] == f"{name}: detected format: KakaoTalk export"
    assert ("left out: 2 lines before the first message, 1 date" in caplog.messages[-1]) == (content != TABLE)


@pytest.mark.parametrize("content", [COMPUTER, PHONE])
def test_an_export_of_kakaotalk_is_known_without_its_title(write, content):
    assert said(write, content.partition("\n\n")[2]) == SAID


@pytest.mark.parametrize(
    "text, left_out",
    [
        ("사진", "omitted media"),
        ("사진 3장", "omitted media"),
        ("동영상", "omitted media"),
        ("이모티콘", "omitted media"),
        ("음성메시지", "omitted media"),
        ("<사진 읽지 않음>", "omitted media"),
        ("파일: 계획.pdf", "omitted media"),
        ("Photo", "omitted media"),
        ("Emoticon", "omitted media"),
        ("보이스톡 해요", "system line"),
        ("페이스톡 종료 1:23", "system line"),
        ("Voice Call ended 1:23", "system line"),
        ("삭제된 메시지입니다.", "deleted message"),
        ("This message was deleted.", "deleted message"),
    ],
)
def test_what_nobody_wrote_in_kakaotalk_is_left_out_and_counted(write, caplog, text, left_out):
    caplog.set_level(logging.INFO)
    last = {
        "a.txt": f"{COMPUTER}[아나] [오후 3:21] {text}\n",
        "b.txt": f"{PHONE}2024년 1월 3일 오후 3:21, 아나 : {text}\n",
        "c.csv": f'{TABLE}2024-01-03 15:21:00,"아나","{text}"\n',
    }
    for name, content in last.items():
        assert said(write, content, name) == SAID
        assert caplog.messages[-1].endswith(f"1 {left_out}")


def test_who_comes_and_goes_in_kakaotalk_is_no_part_of_a_message(write, caplog):
    caplog.set_level(logging.INFO)
    assert said(write, f"{COMPUTER}벤님이 나갔습니다.\n") == SAID
    assert caplog.messages[-1].endswith("1 system line")
    assert said(write, f"{PHONE}2024년 1월 3일 오후 3:21, 벤님이 나갔습니다.\n") == SAID
    assert caplog.messages[-1].endswith("1 system line")


@pytest.mark.parametrize("text", ["사진 좀 보내줘", "이모티콘 귀엽다", "Photo of what?", "Video call me later"])
def test_what_somebody_wrote_in_kakaotalk_is_kept(write, text):
    assert said(write, f"{COMPUTER}[아나] [오후 3:21] {text}\n")[-1] == ("아나", text, "2024-01-03T15:21:00")


@pytest.mark.parametrize(
    "stamp",
    [
        "2024년 1월 3일 오후 5:33, Ana : {}",
        "2024. 1. 3. 오후 5:33, Ana : {}",
        "2024. 1. 3. 17:33, Ana : {}",
        "January 3, 2024 at 5:33 PM, Ana : {}",
        "Jan 3, 2024, 17:33, Ana : {}",
        "--------------- Wednesday, January 3, 2024 ---------------\n[Ana] [5:33 PM] {}",
    ],
)
def test_dates_of_kakaotalk_are_read_in_korean_and_english(write, stamp):
    chat = "KakaoTalk Chats with Ben\nDate Saved : Jan 5, 2024 at 20:15\n\n"
    chat += f"{stamp.format('Hi.')}\n{stamp.format('Yo: so')}\n"
    assert said(write, chat) == [("Ana", text, "2024-01-03T17:33:00") for text in ("Hi.", "Yo: so")]


def test_a_table_with_the_columns_of_kakaotalk_may_be_mapped(write):
    found = said(write, TABLE, "a.csv", dialogue_column="User", text_column="Message")
    assert [text for _, text, _ in found] == ["좋은 아침!", "오늘 춥다\n눈이 올 것 같아"]

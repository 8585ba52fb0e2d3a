"""JSON of speech recognition, chats and this library is told apart by its content, and read with who said what."""

import json
import logging

import pytest

from data_scripts import read_dialogues

SLACK = [
    {"type": "message", "subtype": "channel_join", "user": "U01", "text": "<@U01> has joined", "ts": "1682869000.1"},
    {"client_msg_id": "x", "type": "message", "text": "I got the job!", "user": "U01", "ts": "1682870000.000100"},
    {"type": "message", "text": "What? &amp; are you serious <@U01>?", "user": "U02", "ts": "1682870010.000100"},
    {"type": "message", "text": "", "files": [{}], "user": "U02", "ts": "1682870020.000100"},
]
DISCORD = {
    "guild": {"name": "friends"},
    "messages": [
        {"type": "Default", "timestamp": "2023-04-30T17:33:19.123+00:00", "content": "I got the job!",
         "author": {"name": "ana1", "nickname": "Ana"}},
        {"type": "GuildMemberJoin", "timestamp": "2023-04-30T17:34:19+00:00", "content": "Joined.",
         "author": {"name": "ben"}},
        {"type": "Default", "timestamp": "2023-04-30T17:35:19+00:00", "content": "", "attachments": [{}],
         "author": {"name": "ben"}},
        {"type": "Reply", "timestamp": "2023-04-30T17:36:19+00:00", "content": "What?", "author": {"name": "ben"}},
    ],
}  # fmt: skip
TELEGRAM = {
    "name": "Ana",
    "type": "personal_chat",
    "messages": [
        {"id": 1, "type": "service", "date": "2023-04-30T17:30:00", "actor": "Ana", "action": "phone_call", "text": ""},
        {"id": 2, "type": "message", "date": "2023-04-30T17:33:19", "from": "Ana",
         "text": ["I got ", {"type": "bold", "text": "the"}, " job!"]},
        {"id": 3, "type": "message", "date": "2023-04-30T17:34:19", "from": "Ben", "text": "", "photo": "x.jpg"},
        {"id": 4, "type": "message", "date": "2023-04-30T17:36:19", "from": "ben", "text": "What?"},
    ],
}  # fmt: skip
MESSENGER = {
    "participants": [],
    "messages": [
        {"sender_name": "JosÃ©", "timestamp_ms": 1682870010000, "content": "What?"},
        {"sender_name": "Ana", "timestamp_ms": 1682870000000, "content": "I got the job!"},
    ],
}
WHISPERX = {
    "segments": [
        {"start": 0.1, "end": 1.2, "text": " I got the job!", "words": [], "speaker": "SPEAKER_00"},
        {"start": 1.3, "end": 2.2, "text": " What?", "words": []},
    ],
    "word_segments": [],
}
WHISPER_CPP = {
    "transcription": [
        {"timestamps": {"from": "00:00:00,100", "to": "00:00:01,200"}, "offsets": {"from": 100, "to": 1200},
         "text": " (speaker 0) I got the job!"},
        {"offsets": {"from": 1250, "to": 1290}, "text": " [MUSIC]"},
        {"offsets": {"from": 1300, "to": 2200}, "text": " What?"},
    ]
}  # fmt: skip
OPENAI = {
    "task": "transcribe",
    "segments": [
        {
            "type": "transcript.text.segment",
            "id": "a",
            "start": 0.1,
            "end": 1.2,
            "text": "I got the job!",
            "speaker": "A",
        },
        {"type": "transcript.text.segment", "id": "b", "start": 1.3, "end": 2.2, "text": "What?", "speaker": None},
    ],
}
ASSEMBLY = {
    "utterances": [
        {"speaker": "A", "text": "I got the job!", "start": 100, "end": 1200},
        {"speaker": None, "text": "What?", "start": 1300, "end": 2200},
    ]
}
DEEPGRAM = {
    "results": {
        "utterances": [
            {"speaker": 0, "transcript": "I got the job!", "start": 0.1, "end": 1.2},
            {"transcript": "What?", "start": 1.3, "end": 2.2},
        ]
    }
}
CHAT = [
    {"role": "system", "content": "You are kind."},
    {"role": "user", "content": "I got the job!"},
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "tool", "content": "42"},
    {"role": "assistant", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {}}]},
]
SHARED = [
    {"from": "system", "value": "You are kind."},
    {"from": "human", "value": "I got the job!"},
    {"from": "gpt", "value": "What?"},
]


def dialogues_of(write, value, name="a.json", indent=None, **options):
    content = value if isinstance(value, str) else json.dumps(value, indent=indent)
    return list(read_dialogues(write({name: content}) / name, **options))


def said(dialogue):
    return [(turn.speaker, turn.text) for turn in dialogue.utterances]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "value, title, speakers, left_out",
    [
        (DISCORD, "Discord export", ("Ana", "ben"), "1 system line, 1 omitted media"),
        (TELEGRAM, "Telegram export", ("Ana", "ben"), "1 system line, 1 omitted media"),
        (MESSENGER, "Messenger export", ("Ana", "José"), ""),
        (WHISPERX, "speech recognition JSON", ("SPEAKER_00", ""), ""),
        (WHISPER_CPP, "speech recognition JSON", ("0", ""), "1 sound"),
        (OPENAI, "speech recognition JSON", ("A", ""), ""),
        (ASSEMBLY, "speech recognition JSON", ("A", ""), ""),
        (DEEPGRAM, "speech recognition JSON", ("0", ""), ""),
        (WHISPERX["segments"], "speech recognition segments", ("SPEAKER_00", ""), ""),
        ({"messages": CHAT}, "chats with a model", ("user", "assistant"),
         "1 system message, 1 empty message, 1 tool message, 1 omitted media"),
        ([{"messages": CHAT}], "chats with a model", ("user", "assistant"),
         "1 system message, 1 empty message, 1 tool message, 1 omitted media"),
        (CHAT, "a chat with a model", ("user", "assistant"),
         "1 system message, 1 empty message, 1 tool message, 1 omitted media"),
        ({"conversations": SHARED}, "chats with a model", ("human", "gpt"), "1 system message"),
        ([{"id": "a", "conversations": SHARED}], "chats with a model", ("human", "gpt"), "1 system message"),
    ],
)  # fmt: skip
def test_each_form_is_named_and_read_with_its_speakers(write, caplog, indent, value, title, speakers, left_out):
    caplog.set_level(logging.INFO)
    [dialogue] = dialogues_of(write, value, indent=indent)
    assert said(dialogue) == [(speakers[0], "I got the job!"), (speakers[1], "What?")]
    assert caplog.messages[0] == f"a.json: detected format: {title}"
    assert caplog.messages[-1].partition("; left out: ")[2] == left_out


@pytest.mark.parametrize("value", [WHISPERX, WHISPER_CPP, OPENAI, ASSEMBLY, DEEPGRAM, WHISPERX["segments"]])
def test_segments_have_their_times_in_seconds(write, value):
    [dialogue] = dialogues_of(write, value)
    assert [(turn.start, turn.end) for turn in dialogue.utterances] == [(0.1, 1.2), (1.3, 2.2)]


def test_a_day_of_slack_has_names_dates_and_decoded_marks(write, caplog):
    caplog.set_level(logging.INFO)
    [dialogue] = dialogues_of(write, SLACK, "2023-04-30.json", indent=4)
    assert said(dialogue) == [("U01", "I got the job!"), ("U02", "What? & are you serious @U01?")]
    assert dialogue.utterances[0].start == "2023-04-30T15:53:20+00:00"
    assert caplog.messages[-1].endswith("Slack export, 1 dialogue, 2 utterances, 2 speakers; left out: 1 system line, "
                                        "1 omitted media")  # fmt: skip
    write({"users.json": json.dumps([{"id": "U01", "profile": {"display_name": "", "real_name": "Ana Silva"}}])})
    [dialogue] = dialogues_of(write, SLACK, "general/2023-04-30.json")
    assert said(dialogue) == [("Ana Silva", "I got the job!"), ("U02", "What? & are you serious @Ana Silva?")]


@pytest.mark.parametrize("name", ["nan", "Nan", "NA", "null"])
def test_a_person_in_a_chat_may_have_a_name_that_stands_for_nobody_in_a_table(write, name):
    slack = [{**message, "user_profile": {"real_name": name}} for message in SLACK[1:2]]
    telegram = {**TELEGRAM, "messages": [{**TELEGRAM["messages"][1], "from": name}]}
    discord = {**DISCORD, "messages": [{**DISCORD["messages"][0], "author": {"name": name}}]}
    for value in (slack, telegram, discord):
        [dialogue] = dialogues_of(write, value)
        assert said(dialogue) == [(name, "I got the job!")]
    whatsapp = f"30/04/23, 17:33 - {name}: I got the job!\n30/04/23, 17:34 - Ben: What?\n"
    [dialogue] = dialogues_of(write, whatsapp, "chat.txt")
    assert said(dialogue) == [(name, "I got the job!"), ("Ben", "What?")]


def test_all_chats_of_telegram_are_dialogues_with_their_names(write):
    value = {"chats": {"about": "x", "list": [TELEGRAM, {**TELEGRAM, "name": "Cleo"}]}}
    assert [dialogue.dialogue_id for dialogue in dialogues_of(write, value)] == ["Ana", "Cleo"]


def test_chats_with_a_model_are_read_from_json_lines_with_their_ids_and_columns(write):
    lines = [{"id": "c7", "messages": CHAT, "topic": "work"}, {"conversations": SHARED}]
    dialogues = dialogues_of(write, "".join(json.dumps(line) + "\n" for line in lines), "a.jsonl")
    assert [dialogue.dialogue_id for dialogue in dialogues] == ["c7", "2"]
    assert dialogues[0].extra == {"topic": "work"}


def test_roles_can_be_chosen(write, caplog):
    caplog.set_level(logging.INFO)
    [dialogue] = dialogues_of(write, {"messages": CHAT}, roles="user")
    assert said(dialogue) == [("user", "I got the job!")]
    assert "2 messages of assistant" in caplog.messages[-1]
    [dialogue] = dialogues_of(write, {"messages": CHAT}, roles="system,user")
    assert said(dialogue)[0] == ("system", "You are kind.")


@pytest.mark.parametrize("indent", [None, 2])
def test_the_librarys_own_form_may_be_an_array_or_one_object(write, indent):
    own = {"dialogue_id": "d", "utterances": ["Hi.", "Oh, hello!"], "speakers": ["Ann", "Bo"], "topic": "t"}
    for value in ([own], own):
        [dialogue] = dialogues_of(write, value, indent=indent)
        assert (dialogue.dialogue_id, said(dialogue)) == ("d", [("Ann", "Hi."), ("Bo", "Oh, hello!")])
        assert dialogue.extra == {"topic": "t"}


def test_labels_in_json_may_be_numbers_and_minus_one_is_none(write):
    [dialogue] = dialogues_of(write, {"utterances": ["a", "b", "c"], "labels": [3, -1, None]}, "a.jsonl")
    assert [turn.label for turn in dialogue.utterances] == ["3", None, None]


def test_a_missing_speaker_is_nobody(write):
    [dialogue] = dialogues_of(write, '{"utterances": ["a", "b", "c"], "speakers": ["Ana", NaN, "nan"]}', "a.jsonl")
    assert [turn.speaker for turn in dialogue.utterances] == ["Ana", "", ""]


def test_rows_as_pandas_writes_them_are_a_table(write):
    rows = [
        {"dialogue_id": 1, "speaker": "Ana", "text": "Hi", "label": "joy", "place": "home"},
        {"dialogue_id": 2, "speaker": None, "text": "Yo", "label": None, "place": None},
        {"dialogue_id": 1, "speaker": "Ben", "text": "So?", "label": "NA", "place": "home"},
    ]
    for value, name in ((rows, "a.json"), ("".join(json.dumps(row) + "\n" for row in rows), "a.jsonl")):
        first, second = dialogues_of(write, value, name)
        assert said(first) == [("Ana", "Hi"), ("Ben", "So?")] and said(second) == [("", "Yo")]
        assert [turn.label for turn in first.utterances] == ["joy", None]
        assert first.utterances[0].extra == {"place": "home"}


def test_json_is_known_under_any_name(write):
    assert said(dialogues_of(write, {"messages": CHAT}, "a.txt")[0])[0] == ("user", "I got the job!")
    assert said(dialogues_of(write, WHISPERX, "a", indent=1)[0])[0] == ("SPEAKER_00", "I got the job!")


@pytest.mark.parametrize(
    "value, message",
    [
        ({"turns": ["a"]}, r"a.json:1: not a dialogue; got '\{\"turns\""),
        ([1, 2], r"a.json, entry 1: not a dialogue; got '1'"),
        (
            {"messages": [{"role": "user", "content": 5}]},
            r"a.json:1: content must be a string or a list of parts; got 5",
        ),
        ({"messages": [{"role": "user", "content": "a"}, 5]}, r"a.json:1: a turn without role and content; got 5"),
        ([{"messages": CHAT}, {"a": 1}], r"a.json, entry 2: not a chat; got \{'a': 1\}"),
        (
            {"messages": [{"role": "system", "content": "a"}]},
            r"a.json: contains no dialogues; .* left out: 1 system message",
        ),
        ({"segments": [{"start": 0, "text": "a"}, {"text": 5}]}, r"a.json:1, segment 2: a segment without text; got"),
    ],
)
def test_json_of_another_form_is_named_with_its_place(write, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        dialogues_of(write, value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["speaker", "speaker_id", "speaker_label", "speaker_name"])
@pytest.mark.parametrize("name", ["Ana", {"name": "Ana", "confidence": 1}])
def test_the_speaker_of_a_segment_is_found_by_its_usual_keys(write, key, name):
    value = {"segments": [{"start": 0, "end": 1, "text": "Hi", key: name}]}
    [dialogue] = dialogues_of(write, value)
    assert [turn.speaker for turn in dialogue.utterances] == ["Ana"]


def test_the_output_of_the_recognition_pipeline_of_transformers_is_read(write):
    chunks = [{"timestamp": [0.0, 2.0], "text": " I got the job!"}, {"timestamp": [2.0, None], "text": " What?"}]
    [dialogue] = dialogues_of(write, {"text": "I got the job! What?", "chunks": chunks})
    assert [turn[:6:4] for turn in dialogue.utterances] == [("I got the job!", 0.0), ("What?", 2.0)]
    assert [turn.end for turn in dialogue.utterances] == [2.0, None]
    words = [{"timestamp": [n, n + 1], "text": " so"} for n in range(9)]
    with pytest.raises(ValueError, match="a.json:1: the chunks are words; .*; transcribe with return_timestamps=True"):
        dialogues_of(write, {"text": "so", "chunks": words})


def test_words_without_utterances_are_an_error_that_names_the_option_of_the_recognizer(write):
    value = {"text": "Hi.", "words": [{"text": "Hi.", "start": 0, "end": 90}], "utterances": None}
    with pytest.raises(ValueError, match="a.json:1: the recording has words and no utterances.*speaker_labels=true"):
        dialogues_of(write, value)
    segments = {"segments": [{"text": "Hi.", "start": 0.5, "end": 1.5}]}
    assert [turn.start for turn in dialogues_of(write, value | segments)[0].utterances] == [0.5]


def test_times_with_a_fraction_are_seconds_whatever_the_name_of_the_list(write):
    said_at = [{"text": "Hi", "start": 0.26, "end": 1}, {"text": "Yo", "start": 2, "end": 3.5}]
    [dialogue] = dialogues_of(write, {"utterances": said_at})
    assert [(turn.start, turn.end) for turn in dialogue.utterances] == [(0.26, 1), (2, 3.5)]


@pytest.mark.parametrize(
    "silence", [{"text": "", "segments": [], "language": "en"}, {"transcription": []}, {"text": "", "chunks": []}]
)
def test_a_recording_without_speech_is_named_as_such(write, silence):
    with pytest.raises(ValueError, match="a.json: contains no dialogues; .* left out: 1 recording without speech; add"):
        dialogues_of(write, silence)
    assert len(dialogues_of(write, "\n".join(map(json.dumps, [silence, WHISPERX])), "a.jsonl")) == 1
    with pytest.raises(ValueError, match="dialogue without utterances"):
        dialogues_of(write, {**silence, "utterances": []})


def test_every_line_may_be_a_list_of_utterances(write):
    content = '["Hi.", "Yo."]\n\n[{"speaker": "Ana", "text": "So?"}]\n'
    first, second = dialogues_of(write, content, "a.jsonl")
    assert said(first) == [("", "Hi."), ("", "Yo.")] and said(second) == [("Ana", "So?")]
    with pytest.raises(ValueError, match=r"a.jsonl:3: not JSON; got '\[\"So\?"):
        dialogues_of(write, content.replace('{"speaker": "Ana", "text": "So?"}', '"So?'), "a.jsonl")


def test_a_chat_without_messages_does_not_end_the_reading(write, caplog):
    caplog.set_level(logging.INFO)
    lines = [{"messages": [{"role": "user", "content": "hi"}]}, {"messages": []}]
    path = write({"a.jsonl": "\n".join(map(json.dumps, lines))}) / "a.jsonl"
    assert len(list(read_dialogues(path))) == 1
    assert caplog.messages[-1].endswith("left out: 1 chat without a message")


def test_columns_in_json_are_found_whatever_their_case(write):
    [dialogue] = dialogues_of(write, [{"Dialogue_ID": 1, "Text": "hi", "Speaker": "Ana"}])
    assert (dialogue.dialogue_id, dialogue.utterances[0].speaker) == ("1", "Ana")
    [dialogue] = dialogues_of(write, [{"Utterances": ["hi"], "Speakers": ["Ana"]}])
    assert dialogue.utterances[0].speaker == "Ana"


def test_chats_of_one_name_and_those_that_were_left_are_dialogues_of_their_own(write):
    def chat(number, text):
        message = {"type": "message", "date": "2023-04-30T17:33:00", "from": "Ana", "text": text}
        return {"name": "Ben", "type": "personal_chat", "id": number, "messages": [message]}

    value = {"chats": {"list": [chat(1, "a"), chat(2, "b")]}, "left_chats": {"list": [chat(3, "c")]}}
    dialogues = dialogues_of(write, value)
    assert [dialogue.dialogue_id for dialogue in dialogues] == ["Ben", "Ben (2)", "Ben (3)"]
    assert [dialogue.utterances[0].text for dialogue in dialogues] == ["a", "b", "c"]


def test_what_messenger_says_is_left_out_and_its_encrypted_chats_are_read(write, caplog):
    caplog.set_level(logging.INFO)
    said = [("I got the job!", {}), ("Reacted 😂 to your message", {}), ("You missed a call from Ana.", {})]
    said += [("Ana named the group Fun.", {"type": "Subscribe"}), ("Ana sent an attachment.", {})]
    said += [("Ana hat einen Anhang gesendet.", {}), ("Ana a envoyé une pièce jointe.", {})]
    messages = [
        {"sender_name": "Ana", "timestamp_ms": 1682870000000 + n, "content": text, **more}
        for n, (text, more) in enumerate(said)
    ]
    [dialogue] = dialogues_of(write, {"messages": messages})
    assert [turn.text for turn in dialogue.utterances] == ["I got the job!"]
    assert caplog.messages[-1].endswith("left out: 6 system lines")
    encrypted = [{"isUnsent": False, "senderName": "Zoë", "text": "Hi", "timestamp": 1682870000000, "type": "text"}]
    [dialogue] = dialogues_of(write, {"participants": ["Zoë"], "messages": encrypted})
    assert [turn[:2] for turn in dialogue.utterances] == [("Hi", "Zoë")]
    assert dialogue.utterances[0].start == "2023-04-30T15:53:20+00:00"


def test_an_export_without_messages_and_null_utterances_are_named(write):
    with pytest.raises(ValueError, match="a.json: contains no dialogues"):
        dialogues_of(write, {"guild": {}, "channel": {}, "messages": []})
    with pytest.raises(ValueError, match="a.json:1: dialogue without utterances; got utterances null"):
        dialogues_of(write, {"id": "x", "text": "y", "utterances": None})


def test_the_text_of_a_slack_message_may_be_in_its_blocks(write):
    section = {
        "type": "rich_text_section",
        "elements": [{"type": "text", "text": "Hi "}, {"type": "text", "text": "you"}],
    }
    message = {"type": "message", "ts": "1682870000.1", "user": "U01", "text": "", "blocks": [{"elements": [section]}]}
    [dialogue] = dialogues_of(write, [message])
    assert dialogue.utterances[0].text == "Hi you"


@pytest.mark.parametrize("column", ["conversation_id", "call_id", "file", "audio"])
def test_rows_with_times_and_an_id_of_another_name_are_not_merged_into_one_dialogue(write, column):
    rows = [{column: str(n), "speaker": "Ann", "text": "Hi.", "start": 0.5} for n in range(2)]
    with pytest.raises(ValueError, match=f"a.json.*missing column dialogue_id.*{column}"):
        dialogues_of(write, rows)
    assert len(dialogues_of(write, rows, dialogue_column=column)) == 2
    segments = [{"id": n, "speaker_id": 1, "text": "Hi.", "start": 0.5} for n in range(2)]
    assert len(dialogues_of(write, segments)) == 1

"""The JSON that services export, of speech, of chats with a model and of chats with people, is read as dialogues."""

import json
import logging

import pytest

from data_scripts import read_dialogues


def dialogues_of(write, value, **options):
    return list(read_dialogues(write({"a.json": json.dumps(value)}) / "a.json", **options))


@pytest.mark.parametrize(
    "value",
    [
        {
            "results": {
                "transcripts": [{"transcript": "Hi. What?"}],
                "audio_segments": [
                    {"transcript": "Hi.", "start_time": "0.5", "end_time": "1.5", "speaker_label": "A"},
                    {"transcript": "What?", "start_time": "2.0", "end_time": "2.5", "speaker_label": "B"},
                ],
            }
        },
        {
            "recognizedPhrases": [
                {"speaker": "B", "offsetInTicks": 2e7, "durationInTicks": 5e6, "nBest": [{"display": "What?"}]},
                {"speaker": "A", "offsetInTicks": 5e6, "durationInTicks": 1e7, "nBest": [{"display": "Hi."}]},
            ]
        },
        {
            "monologues": [
                {"speaker": "A", "elements": [{"value": "Hi", "ts": 0.5, "end_ts": 1.5}, {"value": "."}]},
                {"speaker": "B", "elements": [{"value": "What", "ts": 2.0, "end_ts": 2.5}, {"value": "?"}]},
            ]
        },
        {
            "results": [
                {"alternatives": [{"transcript": "Hi. What?"}]},
                {
                    "alternatives": [
                        {
                            "words": [
                                {"word": "Hi.", "startTime": "0.5s", "endTime": "1.5s", "speakerTag": "A"},
                                {"word": "What?", "startTime": "2s", "endTime": "2.5s", "speakerTag": "B"},
                            ]
                        }
                    ]
                },
            ]
        },
        {
            "results": [
                {
                    "alternatives": [
                        {
                            "transcript": "Hi. What?",
                            "words": [
                                {"word": "Hi.", "startOffset": "0.5s", "endOffset": "1.5s", "speakerLabel": "A"},
                                {"word": "What?", "startOffset": "2s", "endOffset": "2.5s", "speakerLabel": "B"},
                            ],
                        }
                    ],
                    "resultEndOffset": "2.5s",
                }
            ]
        },
    ],
    ids=["amazon", "azure", "rev", "google", "google, version 2"],
)
def test_the_output_of_speech_services_has_speakers_and_times(write, value):
    [dialogue] = dialogues_of(write, value)
    assert [turn[:2] + turn[4:6] for turn in dialogue.utterances] == [("Hi.", "A", 0.5, 1.5), ("What?", "B", 2.0, 2.5)]


def test_google_without_speakers_has_the_ends_of_its_results(write):
    results = [
        {"alternatives": [{"transcript": text}], "resultEndTime": end} for text, end in (("Hi", "2s"), ("So", "3s"))
    ]
    [dialogue] = dialogues_of(write, {"results": results})
    assert [(turn.text, turn.start, turn.end) for turn in dialogue.utterances] == [("Hi", 0, 2), ("So", 2, 3)]


def test_conversations_that_claude_exported_are_dialogues(write, caplog):
    caplog.set_level(logging.INFO)
    texts = [("human", "I got the job!"), ("assistant", "Great!")]
    messages = [{"text": text, "sender": sender, "created_at": "2024-01-03T10:15:00Z"} for sender, text in texts]
    chats = [{"uuid": "c1", "name": "Job", "chat_messages": messages}, {"uuid": "c2", "chat_messages": []}]
    [dialogue] = dialogues_of(write, chats)
    assert dialogue.dialogue_id == "c1" and [turn[:2] for turn in dialogue.utterances] == [
        (text, sender) for sender, text in texts
    ]
    assert dialogue.utterances[0].start == "2024-01-03T10:15:00+00:00"
    assert caplog.messages[-1].endswith("left out: 1 chat without a message")
    [dialogue] = dialogues_of(write, chats, roles="human")
    assert [turn.speaker for turn in dialogue.utterances] == ["human"]


def test_conversations_that_chatgpt_exported_are_read_along_their_current_branch(write, caplog):
    caplog.set_level(logging.INFO)

    def node(parent, role=None, text="", kind="text"):
        content = {"content_type": kind, "parts": [text]}
        message = role and {"author": {"role": role}, "content": content, "create_time": 1704276900.5}
        return {"message": message, "parent": parent}

    nodes = {"root": node(None), "a": node("root", "system"), "b": node("a", "user", "I got the job!")}
    nodes |= {"c": node("b", "assistant", "Ok."), "d": node("b", "assistant", "Thinking.", "thoughts")}
    nodes |= {"e": node("d", "assistant", "Great!")}
    [dialogue] = dialogues_of(write, [{"title": "Job", "id": "c1", "mapping": nodes, "current_node": "e"}])
    assert [turn[:2] for turn in dialogue.utterances] == [("I got the job!", "user"), ("Great!", "assistant")]
    assert dialogue.utterances[0].start == "2024-01-03T10:15:00+00:00"
    assert caplog.messages[-1].endswith("left out: 1 system message, 1 tool message")


def test_a_page_of_slack_messages_and_an_export_of_google_chat_are_read(write, caplog):
    caplog.set_level(logging.INFO)
    messages = [{"type": "message", "user": "U1", "text": text, "ts": f"170427690{n}.1"} for n, text in enumerate("ab")]
    [dialogue] = dialogues_of(write, {"ok": True, "messages": messages[::-1], "has_more": False})
    assert [turn[:2] for turn in dialogue.utterances] == [("a", "U1"), ("b", "U1")]
    date = "Wednesday, January 3, 2024 at 10:15:00\u202fAM UTC"
    message = {"creator": {"name": "Ana", "email": "ana@example.org"}, "created_date": date, "text": "Hi."}
    [dialogue] = dialogues_of(write, {"messages": [message, {**message, "text": ""}]})
    assert [(turn[0], turn[1], turn[4]) for turn in dialogue.utterances] == [
        ("Hi.", "Ana", "2024-01-03T10:15:00+00:00")
    ]
    assert caplog.messages[-2:] == [
        "a.json: detected format: Google Chat export",
        "a.json: Google Chat export, 1 dialogue, 1 utterance, 1 speaker; left out: 1 omitted media",
    ]


def test_the_forms_of_the_pipeline_are_read_from_json(write):
    turns = [{"speaker": "Ana", "text": "Hi.", "start": 0.5}, {"text": "So?"}]
    found = dialogues_of(write, [turns, ["Yes.", "No."]])
    assert [[turn[:2] for turn in dialogue.utterances] for dialogue in found] == [
        [("Hi.", "Ana"), ("So?", "")],
        [("Yes.", ""), ("No.", "")],
    ]
    assert found[0].utterances[0].start == 0.5
    [dialogue] = dialogues_of(write, ["Yes.", "No."])
    assert [turn.text for turn in dialogue.utterances] == ["Yes.", "No."]
    for value, place in (([["Yes."], [3]], "entry 2: not a list of utterances"), (["Yes.", 3], "not a list of utter")):
        with pytest.raises(ValueError, match=f"{place}.*; write each utterance as"):
            dialogues_of(write, value)


def test_words_of_google_without_speakers_are_results_with_their_channels(write):
    results = [
        {
            "alternatives": [{"transcript": text, "words": [{"word": text, "startTime": "0s", "speakerTag": 0}]}],
            "resultEndTime": f"{end}s",
            "channelTag": channel,
        }
        for text, end, channel in (("Hi.", 1, 1), ("Yes?", 2, 2), ("Bye.", 3, 1))
    ]
    [dialogue] = dialogues_of(write, {"results": results})
    assert [turn[:2] for turn in dialogue.utterances] == [("Hi.", "1"), ("Yes?", "2"), ("Bye.", "1")]
    assert [turn.end for turn in dialogue.utterances] == [1, 2, 3]


def test_channels_of_deepgram_are_speakers_if_it_names_none(write):
    said = [{"start": n + 0.5, "end": n + 1.0, "transcript": "So.", "channel": n % 2} for n in range(3)]
    [dialogue] = dialogues_of(write, {"results": {"utterances": said}})
    assert [turn.speaker for turn in dialogue.utterances] == ["0", "1", "0"]
    [dialogue] = dialogues_of(write, {"results": {"utterances": [one | {"speaker": 7} for one in said]}})
    assert {turn.speaker for turn in dialogue.utterances} == {"7"}
    [dialogue] = dialogues_of(write, {"results": {"utterances": [one | {"channel": 0} for one in said]}})
    assert {turn.speaker for turn in dialogue.utterances} == {""}
    alone = {"results": {"channels": [{"alternatives": [{"transcript": "So."}]}]}}
    with pytest.raises(ValueError, match="a.json:1: the recording has words and no utterances.*utterances=true"):
        dialogues_of(write, alone)

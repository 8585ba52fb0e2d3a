"""What `precode serve` promises, asked of real servers on loopback."""

import gzip
import io
import json
import logging
import re
import signal
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import browser
import pytest
from services import DIALOGUE, JSON, Service, assert_equal, serving, serving_app, until
from tiny import LABELS, WORDS, save_model
from transformers import pipeline
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from modeling_precode import ConversationEmotionPipeline
from modeling_precode.cli.page_parts import as_page
from modeling_precode.serving.application import create_app
from modeling_precode.serving.settings import ServiceSettings
from modeling_precode.serving.uploads import read_upload

SECRET = "zanzibar"


@pytest.fixture(scope="module")
def causal_model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("causal") / "forward", causal=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("both") / "both")


@pytest.fixture(scope="module")
def emotions(causal_model) -> ConversationEmotionPipeline:
    return pipeline("conversation-emotion", model=str(causal_model))


@pytest.fixture(scope="module")
def service(causal_model) -> Iterator[Service]:
    """A causal model, with small batches."""
    with serving(str(causal_model), "--max_batch_tokens", "64", TRANSFORMERS_VERBOSITY="debug") as service:
        yield service


@pytest.fixture(scope="module")
def strict(model, tmp_path_factory) -> Iterator[Service]:
    """A model that reads both ways, with a label map, a key and narrow limits."""
    label_map = tmp_path_factory.mktemp("map") / "own.yaml"
    label_map.write_text("anger: tense\njoy: calm\nneutral: calm\n")
    limits = {"max_body_bytes": 4000, "max_utterances": 50, "max_dialogue_tokens": 100, "timeout": 5}
    limits |= {"max_queue": 3, "max_client_requests": 2}
    arguments = [part for name, value in limits.items() for part in (f"--{name}", str(value))]
    with serving(str(model), "--label_map", str(label_map), *arguments, PRECODE_API_KEY="sesame") as service:
        yield service


KEY = {"Authorization": "Bearer sesame"}


@pytest.fixture(autouse=True, scope="module")
def logs() -> Iterator[None]:
    """The command silences loggers, and the tests after these need them."""
    names = ("modeling_precode", "data_scripts", "transformers", "websockets", "python_multipart", "asyncio")
    kept = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names}
    yield
    for name, (level, propagate) in kept.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = propagate


@pytest.mark.parametrize(
    "inputs",
    ["i am happy", ["i am happy", "so?"], DIALOGUE, [DIALOGUE, ["so?"], []], [], [[]]],
    ids=["string", "strings", "turns", "several", "nothing", "an empty dialogue"],
)
def test_an_answer_has_the_form_and_the_labels_of_the_pipeline(service, emotions, inputs):
    assert_equal(service.label({"inputs": inputs}).json, emotions(inputs))
    assert_equal(service.label(inputs).json, emotions(inputs))
    for options in ({"distribution": True}, {"explain": True}, {"distribution": True, "explain": True}):
        assert_equal(service.label({"inputs": inputs, "parameters": options}).json, emotions(inputs, **options))


def test_concurrent_requests_get_the_labels_of_the_pipeline(service, emotions):
    def inputs(number: int) -> list:
        texts = [
            " ".join(WORDS[(number * 7 + i * k) % len(WORDS)] for k in range(1 + i % 9)) for i in range(number % 23)
        ]
        return [texts, texts[::-1]] * (1 + 9 * (number % 5 == 0))

    with ThreadPoolExecutor(32) as pool:
        contents = [{"inputs": inputs(n), "parameters": {"distribution": n % 2 == 0}} for n in range(96)]
        answers = list(pool.map(service.label, contents))
    assert {answer.status for answer in answers} == {200}
    for content, answer in zip(contents, answers, strict=True):
        assert_equal(answer.json, emotions(content["inputs"], **content["parameters"]))


@pytest.mark.parametrize(
    "name, content",
    [
        ("chat.txt", b"Ana: i am so happy!\nBen: what?\n"),
        ("Conversation", b"Ana: i am so happy!\nBen: what?\n"),
        ("table.csv", b"dialogue_id,speaker,text\n1,Ana,i am so happy!\n1,Ben,what?\n"),
        (
            "talk.vtt",
            b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ana>i am so happy!\n\n00:03.000 --> 00:04.000\n<v Ben>what?\n",
        ),
        (
            "chat.json.gz",
            gzip.compress(b'[{"utterances": ["i am so happy!", "what?"], "speakers": ["Ana", "Ben"]}]', mtime=0),
        ),
    ],
)
def test_an_uploaded_file_is_read_as_by_predict(service, emotions, name, content):
    [dialogue] = service.upload(name, content, distribution="true").json
    times = [{"start": turn.pop("start", None), "end": turn.pop("end", None)} for turn in dialogue["turns"]]
    assert_equal(dialogue["turns"], emotions([("Ana", "i am so happy!"), ("Ben", "what?")], distribution=True))
    assert times[0] == ({"start": 1, "end": 2} if name == "talk.vtt" else {"start": None, "end": None})


def test_the_page_is_that_of_predict(service):
    page = service.upload("chat.txt", b"Ana: i am <b>so</b> happy!\n", "/v1/page")
    assert page.headers["content-type"].startswith("text/html")
    document = page.body.decode()
    assert "chat.txt" in document.partition("</title>")[0] and "&lt;b&gt;so" in document
    explained = service.upload("chat.txt", b"Ana: i am <b>so</b> happy!\n", "/v1/page", explain="true").body.decode()
    assert 'class="why"' in explained and 'class="why"' not in document


def test_an_uploaded_file_is_explained_as_by_the_pipeline(service, emotions):
    [dialogue] = service.upload("chat.txt", b"Ana: i am so happy!\nBen: what?\n", explain="true").json
    assert_equal(dialogue["turns"], emotions([("Ana", "i am so happy!"), ("Ben", "what?")], explain=True))
    answer = service.upload("chat.txt", b"Ana: i am so happy!\n", explain="yes")
    assert (answer.status, answer.json["error"]) == (422, "the field `explain` is true or false")


def test_dialogues_that_are_explained_take_turns_with_other_requests(service, emotions):
    content = {"inputs": [["so so so"] * 4] * 3, "parameters": {"explain": True}}
    before = service.metric("precode_batch_dialogues_count")
    assert_equal(service.label(content).json, emotions(content["inputs"], explain=True))
    assert service.metric("precode_batch_dialogues_count") == before + 3


def test_columns_of_an_uploaded_table_may_be_named(service):
    table = b"who,words\nAna,so happy\n"
    answer = service.upload("table.csv", table, text_column="words", speaker_column="who", rows="one")
    assert answer.json[0]["turns"][0]["speaker"] == "Ana"
    assert "missing column" in service.upload("table.csv", table).json["error"]


def bomb() -> bytes:
    return gzip.compress(b"i am so happy\n" * 10_000_000, 9)


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("chat.txt", b"\0" * 50_000_000)
    return content.getvalue()


@pytest.mark.parametrize(
    "name, content, status, message",
    [
        ("chat.txt.gz", bomb, 413, "expands to more than"),
        ("chat.zip", archive, 422, "is an archive; got"),
        ("chat.xlsx", archive, 413, "chat.xlsx"),
        ("chat.txt.gz", lambda: b"\x1f\x8b broken", 422, "damaged gzip"),
        ("chat.parquet", lambda: b"PAR1 broken", 422, "chat.parquet"),
        ("chat.exe", lambda: b"MZ\0\0", 422, "unknown file format"),
        ("../../etc/passwd", lambda: b"", 422, "passwd"),
        ("chat.txt", lambda: b"", 422, "contains no dialogues"),
        ("chat.json", lambda: b"[" * 100_000, 422, "not JSON"),
    ],
)
def test_a_file_that_is_no_dialogue_is_refused(service, name, content, status, message):
    answer = service.upload(name, content())
    assert (answer.status, message in answer.json["error"]) == (status, True), answer.body
    assert "/tmp" not in answer.json["error"] and "\n" not in answer.json["error"]


@pytest.mark.parametrize(
    "body, headers, status",
    [
        (b"so happy", JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"7", JSON, 422),
        (b'{"texts": []}', JSON, 422),
        (b'{"inputs": [1]}', JSON, 422),
        (b'{"inputs": [], "parameters": {"top_k": 1}}', JSON, 422),
        (b'{"inputs": [], "parameters": {"explain": 1}}', JSON, 422),
        (b'{"inputs": ["\\ud800"]}', JSON, 422),
        (b"so", {"Content-Type": "text/plain"}, 415),
        (b"so", {"Content-Type": "multipart/form-data"}, 400),
        (b"so", {"Content-Type": "multipart/form-data; boundary=edge"}, 400),
        (b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}, 422),
    ],
)
def test_a_body_in_no_known_form_is_refused(service, body, headers, status):
    answer = service.ask("/v1/emotions", body, headers)
    assert answer.status == status and answer.json.keys() == {"error"}, answer.body


def test_a_refusal_of_json_lists_only_forms_that_json_can_have(service):
    error = service.label([[["Ana", "Hi."]]]).json["error"]
    assert error.startswith('a dialogue is a list of utterances: strings or {"speaker": ..., "text": ...}; several')
    assert error.endswith("; got the utterance ['Ana', 'Hi.'] (list)") and "Dataset" not in error


def test_half_a_character_is_refused_with_the_reason(service):
    assert "half of a surrogate pair" in service.label(["\ud83d hello"]).json["error"]


def test_a_request_without_the_key_is_refused(strict):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sésame"}):
        assert strict.ask("/v1/emotions", b"[]", {**JSON, **headers}).status == 401
        assert strict.ask("/metrics", headers=headers).status == 401
    assert strict.ask("/v1/emotions", b"[]", {**JSON, **KEY}).json == []
    assert strict.ask("/healthz").json["status"] == "ok"


def test_a_body_beyond_the_limit_is_refused(strict):
    body = json.dumps(["so " * 2000]).encode()
    assert strict.ask("/v1/emotions", body, {**JSON, **KEY}).status == 413
    chunked = strict.connection()
    chunked.request("POST", "/v1/emotions", iter([body[:3000], body[3000:]]), {**JSON, **KEY}, encode_chunked=True)
    assert strict.answer(chunked).status == 413
    # One that is far larger than the buffers of a connection.
    assert strict.ask("/v1/emotions", b" " * 20_000_000, {**JSON, **KEY}).status == 413


@pytest.mark.parametrize("inputs, message", [(["so"] * 51, "50 utterances"), (["so so so"] * 34, "102 tokens")])
def test_a_dialogue_beyond_the_limits_is_refused(strict, inputs, message):
    answer = strict.label(inputs, **KEY)
    assert (answer.status, message in answer.json["error"]) == (422, True)


@pytest.mark.parametrize(
    "inputs, message",
    [(["so so so"] * 4, "takes 112 tokens to explain"), (["x" * 1600 + " so so so"], "takes 505 tokens")],
)
def test_a_dialogue_that_takes_too_long_to_explain_is_refused(strict, inputs, message):
    assert strict.label(inputs, **KEY).status == 200
    answer = strict.label({"inputs": inputs, "parameters": {"explain": True}}, **KEY)
    assert (answer.status, message in answer.json["error"]) == (422, True), answer.body


def test_requests_beyond_the_queue_are_refused_and_slow_ones_end(strict):
    held = [strict.begin(**KEY), strict.begin(**KEY)]
    until(lambda: strict.label([], **KEY).status == 429)  # both are counted
    held.append(strict.begin("127.0.0.2", **KEY))
    answers = []

    def is_refused() -> bool:
        answers.append(strict.ask("/v1/emotions", b"[]", {**JSON, **KEY}, "127.0.0.3"))
        return answers[-1].status != 200

    until(is_refused)
    assert answers[-1].status == 503 and answers[-1].headers["retry-after"] == "1"
    assert [strict.answer(connection).status for connection in held] == [408] * 3
    assert strict.label([], **KEY).status == 200


def test_a_client_that_closes_the_connection_is_no_failure_of_the_service(service):
    closed = 'precode_requests_total{path="/v1/emotions",status="499"}'
    before = service.metric(closed)
    service.begin().close()
    service.wait_for(closed, before + 1)


def test_names_of_an_upload_do_not_come_from_a_file_of_the_service(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "users.json").write_text(json.dumps([{"id": "U01", "profile": {"real_name": "Ana Silva"}}]))
    day = io.BytesIO(json.dumps([{"type": "message", "ts": "1682870000.1", "user": "U01", "text": "So?"}]).encode())
    [dialogue] = read_upload(day, "2023-04-30.json", {}, ServiceSettings())
    assert [turn.speaker for turn in dialogue.utterances] == ["U01"]


def test_a_stream_labels_each_utterance_from_those_before(service, emotions):
    expected = emotions.stream()
    with connect(f"ws://127.0.0.1:{service.port}/v1/stream") as stream:
        for utterance in [*DIALOGUE, "so?"]:
            stream.send(json.dumps(utterance))
            assert_equal(json.loads(stream.recv()), expected(utterance))
            stream.send("so happy")
            assert "JSON" in json.loads(stream.recv())["error"]


def test_a_label_map_holds_for_every_answer(emotions):
    label_map = {"anger": "tense", "joy": "calm", "neutral": "calm"}
    with serving_app(create_app(emotions, "folded", as_page, label_map=label_map)) as service:
        assert service.ask("/healthz").json["labels"] == ["calm", "tense"]
        assert service.ask("/openapi.json").json["info"]["description"] == "The labels are calm, tense."
        for options in ({}, {"distribution": True}, {"explain": True}):
            expected = emotions(DIALOGUE, label_map=label_map, **options)
            assert_equal(service.label({"inputs": DIALOGUE, "parameters": options}).json, expected)
        with connect(f"ws://127.0.0.1:{service.port}/v1/stream?distribution=true") as stream:
            stream.send('"i am so happy!"')
            assert_equal(json.loads(stream.recv()), emotions.stream(True, label_map)("i am so happy!"))
        page = service.upload("chat.txt", b"Ana: i am happy!\n", "/v1/page").body.decode()
        assert "calm" in page and "joy" not in page


def test_the_labels_of_a_map_are_served(strict):
    assert strict.ask("/healthz").json["labels"] == ["calm", "tense"]
    [answer] = strict.label({"inputs": ["so?"], "parameters": {"distribution": True}}, **KEY).json
    assert answer["distribution"].keys() == {"calm", "tense"}


def test_a_stream_of_a_model_that_reads_both_ways_is_closed_with_the_reason(strict):
    with connect(f"ws://127.0.0.1:{strict.port}/v1/stream") as stream:
        stream.send(json.dumps({"api_key": "sesame"}))
        assert "/v1/emotions" in json.loads(stream.recv())["error"]
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv()
    assert closed.value.rcvd and closed.value.rcvd.code == 4422


@pytest.mark.parametrize("message", ['{"api_key": "wrong"}', '"so"', "[", '{"api_key": 1}'])
def test_a_stream_without_the_key_is_closed(strict, message):
    with connect(f"ws://127.0.0.1:{strict.port}/v1/stream") as stream:
        stream.send(message)
        assert "key" in json.loads(stream.recv())["error"]
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv()
    assert closed.value.rcvd and closed.value.rcvd.code == 4401


def test_the_front_page_loads_nothing_from_elsewhere(service, strict):
    page = service.ask("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    text = page.body.decode()
    assert 'id="live"' in text and 'id="live"' not in strict.ask("/").body.decode()
    assert 'for="explain"' in text and 'id="explain"' in text
    files = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert {"page.js", "page.css", "openapi.json"} <= {*files}
    for file in files:
        assert file == "data:," or service.ask(f"/{file}").status == 200
    assert service.ask("/openapi.json").json["paths"].keys() >= {"/v1/emotions", "/v1/page"}
    assert service.ask("/docs").status == 404


@pytest.mark.slow
@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_front_page_is_used_with_the_keyboard_on_a_phone_and_a_desktop(service, tmp_path, width):
    unnamed = "[...document.querySelectorAll('input, textarea, button')].filter(e => !e.labels.length && !e.innerText)"
    with browser.tab(f"http://127.0.0.1:{service.port}/", width, tmp_path / "profile") as tab:
        assert tab.evaluate(f"{unnamed}.length") == 0
        reached = []
        for _ in range(8):
            tab.press("Tab", 9)
            reached.append(tab.evaluate("document.activeElement.id || document.activeElement.type"))
        assert reached == ["text", "file", "explain", "submit", "example", "speaker", "utterance", "submit"]
        tab.evaluate("document.getElementById('explain').click(), document.getElementById('text').focus()")
        tab.write("Ana: i am so happy!\nBen: what about the weather?")
        tab.press("Enter", 13, control=True)
        tab.wait_for("document.getElementById('status').textContent.startsWith('Labeled.')")
        shown = "document.getElementById('result').contentDocument"
        assert tab.wait_for(f"{shown}.querySelectorAll('.dialogue > li').length") == 2
        assert tab.evaluate(f"{shown}.querySelectorAll('.why').length") == 2
        tab.evaluate("document.getElementById('utterance').focus()")
        tab.write("so happy")
        tab.press("Enter", 13)
        assert tab.wait_for("document.querySelector('#turns b')?.textContent").split(" ")[0] in LABELS
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_stopped_service_answers_what_it_accepted(causal_model, emotions):
    content = [[f"i am so {word}", "what?"] * 10 for word in WORDS] * 3
    with serving(str(causal_model), "--max_batch_tokens", "64") as service, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(service.label, content) for _ in range(8)]
        until(lambda: service.metric("precode_batch_dialogues_count") and service.metric("precode_queue_requests") == 7)
        assert service.process
        service.process.send_signal(signal.SIGTERM)
        for answer in answers:
            assert_equal(answer.result().json, emotions(content))
        assert service.process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            service.label([])
    assert [line.partition(" ")[0] for line in service.log] == ["serving", "stopped;"]


def test_no_word_of_a_dialogue_is_in_the_log(service):
    service.label([f"{SECRET} {SECRET} {SECRET}"] * 3)
    service.label([f"{SECRET} " * 5000])
    service.label({SECRET: 1})
    service.upload(f"{SECRET}.txt", SECRET.encode())
    service.upload("chat.json", f"{{{SECRET}".encode())
    service.ask(f"/{SECRET}")
    with connect(f"ws://127.0.0.1:{service.port}/v1/stream") as stream:
        for message in (f'"{SECRET}"', SECRET):
            stream.send(message)
            stream.recv()
    time.sleep(0.2)  # until the log is read
    assert SECRET not in "".join(service.log)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--timeout", "0"], "timeout must be a positive number; got 0.0"),
        (["--max_queue", "many"], "--max_queue"),
        (["--api_key", "schlüssel"], "api_key must be"),
        (["nowhere"], "nowhere"),
        (["--label_map", "moods"], "moods: no such label map; use ekman, sentiment or a YAML file"),
        (["--host", "203.0.113.1"], "--host 203.0.113.1"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(arguments, message):
    from modeling_precode.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert message in str(ended.value) and "\n" not in str(ended.value)

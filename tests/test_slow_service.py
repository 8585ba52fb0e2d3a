"""What the service promises while its model is slow or fails: other requests get their answers."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from services import JSON, Service, serving_app
from tiny import save_model
from transformers import pipeline

from modeling_precode import ConversationEmotionPipeline
from modeling_precode.cli.page_parts import as_page
from modeling_precode.serving.application import create_app
from modeling_precode.serving.settings import ServiceSettings


@pytest.fixture(scope="module")
def emotions(tmp_path_factory) -> ConversationEmotionPipeline:
    return pipeline("conversation-emotion", model=str(save_model(tmp_path_factory.mktemp("model"), causal=True)))


class SlowPipeline(ConversationEmotionPipeline):
    """Waits before dialogues that begin with some words, and fails for others."""

    seconds = {"so": 2.0, "i": 1.0}

    def preprocess(self, dialogues):
        if any(dialogue[0]["text"] == "what?" for dialogue in dialogues):
            raise RuntimeError
        return super().preprocess(dialogues)

    def label_encoded(self, dialogues, *args, **kwargs):
        time.sleep(max(self.seconds.get(dialogue[0]["text"], 0) for dialogue in dialogues))
        if any(dialogue[0]["text"] == "what!" for dialogue in dialogues):
            raise RuntimeError
        return super().label_encoded(dialogues, *args, **kwargs)


@pytest.fixture(params=[60.0])
def slow(request, emotions) -> Iterator[Service]:
    """A service with a slow model, and the seconds that it waits for it."""
    settings = ServiceSettings(timeout=request.param)
    app = create_app(SlowPipeline(emotions.model, tokenizer=emotions.tokenizer), "slow", as_page, settings)
    with serving_app(app) as service:
        yield service


@pytest.mark.parametrize("slow", [0.5], indirect=True)
def test_a_model_that_takes_too_long_ends_in_504_and_the_service_goes_on(slow):
    answer = slow.label(["so"])
    assert answer.status == 504 and "0.5 seconds" in answer.json["error"]
    slow.wait_for("precode_utterances_total", 1)
    assert slow.label(["happy"]).status == 200


def test_a_dialogue_on_which_the_model_fails_costs_no_other_request_its_answer(slow):
    with ThreadPoolExecutor() as pool:
        pool.submit(slow.label, ["i"])
        slow.wait_for("precode_batch_dialogues_count", 1)
        # These wait together.
        answers = list(pool.map(slow.label, [["what?"], ["happy"], ["what!"], ["happy", "so"]]))
    assert [answer.status for answer in answers] == [500, 200, 500, 200]
    # That of the first request, and one of the others together.
    assert slow.metric("precode_batch_dialogues_count") == 2


def test_the_work_of_a_client_that_went_away_is_dropped(slow):
    with ThreadPoolExecutor() as pool:
        first = pool.submit(slow.label, ["so"])
        slow.wait_for("precode_batch_dialogues_count", 1)
        gone = slow.connection()
        gone.request("POST", "/v1/emotions", b'["happy", "happy", "happy"]', JSON)
        slow.wait_for("precode_queue_requests", 1)
        gone.close()
        first.result()
    assert slow.label(["happy"]).status == 200
    # That of the first request and of the last.
    slow.wait_for("precode_utterances_total", 2)

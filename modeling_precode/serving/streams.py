"""The WebSocket `/v1/stream`, which labels one utterance per message, with models that read forward only."""

import asyncio
import hmac
import json
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from ..dialogue_inputs import read_utterance
from .errors import INTERNAL, ServiceError, log_failure
from .guard import has_key

router = APIRouter()

# Close codes from 4000 on are for applications. These are 4000 plus the HTTP status.
NO_KEY, NOT_CAUSAL = 4401, 4422
FAILED, TRY_AGAIN = 1011, 1013


class Refusal(Exception):
    """The end of a stream, with its close code and reason."""

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code, self.reason = code, reason


@router.websocket("/v1/stream")
async def stream(socket: WebSocket) -> None:
    """Label the utterances of one dialogue in progress."""
    await socket.accept()
    metrics = socket.app.state.worker.metrics
    metrics.streams.inc()
    try:
        await label_messages(socket)
    except WebSocketDisconnect:
        pass
    except Refusal as refusal:
        await close(socket, refusal)
    except Exception as error:
        log_failure(error)
        await close(socket, Refusal(FAILED, INTERNAL))
    finally:
        metrics.streams.dec()
        socket.app.state.streams.discard(socket)


async def close(socket: WebSocket, refusal: Refusal) -> None:
    """Send the reason of a refusal, and close the connection."""
    try:
        await socket.send_text(json.dumps({"error": refusal.reason}))
        await socket.close(refusal.code, refusal.reason[:120])
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client closed it first


async def label_messages(socket: WebSocket) -> None:
    """Label messages until the client closes the connection. Raises a Refusal if the service ends it."""
    state = socket.app.state
    if not has_key(socket.headers.raw, state.settings.api_key):
        await receive_key(socket)
    if not state.is_causal:
        raise Refusal(
            NOT_CAUSAL,
            "the model also reads what is said later, and cannot label a dialogue in progress; use /v1/emotions",
        )
    if len(state.streams) >= state.settings.max_streams:
        raise Refusal(TRY_AGAIN, f"{state.settings.max_streams:,} streams are open, the limit; try again later")
    state.streams.add(socket)
    dialogue = state.emotions.stream(socket.query_params.get("distribution") == "true", state.label_map)
    while True:
        text = await receive_text(socket)
        try:
            turn = await step(state, dialogue, text)
        except ServiceError as error:
            turn = {"error": error.message}
        await socket.send_text(json.dumps(turn, ensure_ascii=False))


async def receive_text(socket: WebSocket) -> str:
    """Receive a text message. Raises a Refusal for binary data."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    if message.get("text") is None:
        raise Refusal(1003, "a message is text: the JSON of an utterance")
    return message["text"]


async def receive_key(socket: WebSocket) -> None:
    """Receive the key in the first message, because browsers cannot send headers. A wrong key raises a Refusal."""
    state = socket.app.state
    try:
        text = await asyncio.wait_for(receive_text(socket), state.settings.timeout)
        sent = json.loads(text)["api_key"].encode()
    except (asyncio.TimeoutError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sent = b""
    if not hmac.compare_digest(sent, state.settings.api_key.encode()):
        raise Refusal(
            NO_KEY, 'the key is missing or wrong; send Authorization: Bearer KEY, or {"api_key": KEY} as first message'
        )


async def step(state: Any, dialogue: Any, text: str) -> dict:
    """Label the next utterance. Raises a ServiceError if the message is invalid."""
    try:
        utterance = read_utterance(json.loads(text))
    except UnicodeError as error:
        raise ServiceError(422, str(error)) from None
    except (ValueError, RecursionError):
        raise ServiceError(
            422, 'a message is the JSON of an utterance: "Hi." or {"speaker": "Ana", "text": "Hi."}'
        ) from None
    answer = state.worker.step(dialogue, utterance)
    try:
        return await asyncio.wait_for(answer, state.settings.timeout)
    except asyncio.TimeoutError:
        raise Refusal(TRY_AGAIN, f"the model did not answer within {state.settings.timeout:g} seconds") from None

"""The routes that label dialogues: `/v1/emotions` with JSON as its answer, `/v1/page` with a web page."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse

from .errors import ServiceError
from .request_queue import ModelWorker
from .requests import OPTION_NAMES, SHORT_BYTES, Labeling, read_request

router = APIRouter()

UTTERANCE = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"speaker": {"type": "string", "nullable": True}, "text": {"type": "string"}},
            "required": ["text"],
        },
    ]
}
DIALOGUE = {"type": "array", "items": UTTERANCE}
ANSWER_OPTIONS = {name: {"type": "boolean"} for name in OPTION_NAMES}
REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "inputs": {"oneOf": [{"type": "string"}, DIALOGUE, {"type": "array", "items": DIALOGUE}]},
                        "parameters": {"type": "object", "properties": ANSWER_OPTIONS},
                    },
                    "required": ["inputs"],
                },
                "example": {"inputs": [{"speaker": "Ana", "text": "I got the job!"}, {"text": "You did?"}]},
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        **ANSWER_OPTIONS,
                        "input_format": {"type": "string"},
                    },
                    "required": ["file"],
                }
            },
        },
    }
}
STATUSES = {
    400: "The body is not JSON, or the form is broken.",
    401: "The key is missing or wrong.",
    408: "The request did not arrive in time.",
    413: "The body or the uploaded file is too large.",
    415: "The content type is unknown.",
    422: "The dialogues are in no known form, unreadable, or more than a limit.",
    429: "The client has too many requests in progress.",
    503: "The service has too many requests in progress; try again later.",
    504: "The model did not answer in time.",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}},
    }
    for status, text in STATUSES.items()
}


@router.post("/v1/emotions", openapi_extra=REQUEST_BODY, responses=RESPONSES)
async def emotions(request: Request) -> Response:
    """Label every utterance of one dialogue or of several.

    The answer has the form of the pipeline's: a list of utterances for a dialogue, a list of such lists for several.
    For a file it is a list of `{"dialogue_id", "turns"}`.
    """
    labeling, results = await label(request)
    answer: Any = results[0] if labeling.is_single else results
    if labeling.read is not None:
        answer = [
            {
                "dialogue_id": dialogue.dialogue_id,
                "turns": [with_times(*pair) for pair in zip(dialogue.utterances, turns, strict=True)],
            }
            for dialogue, turns in zip(labeling.read, results, strict=True)
        ]
    if not labeling.options.explain and sum(map(len, results)) * 100 < SHORT_BYTES:
        return Response(as_json(answer), media_type="application/json")
    return Response(await asyncio.to_thread(as_json, answer), media_type="application/json")


@router.post("/v1/page", openapi_extra=REQUEST_BODY, responses=RESPONSES, response_class=HTMLResponse)
async def page(request: Request) -> Response:
    """Label dialogues, and answer with the web page that `precode predict` writes."""
    labeling, results = await label(request, with_distribution=True)
    state = request.app.state
    labeled = list(zip(labeling.described, results, strict=True))
    name = labeling.file or "Conversation"
    try:
        text = await asyncio.to_thread(lambda: "".join(state.write_page(labeled, state.labels, name, state.name)))
    except ValueError:
        count = sum(map(len, results))
        raise ServiceError(
            422, f"{count:,} utterances in {len(results):,} dialogues are too many for one page; use /v1/emotions"
        ) from None
    return HTMLResponse(text)


async def label(request: Request, with_distribution: bool = False) -> tuple[Labeling, list[list[dict]]]:
    """Read a request, and label its dialogues.

    Args:
        request: The request.
        with_distribution: Whether to compute the probability of every label, even if the client did not ask for it.

    Returns:
        The content of the request, and the turns of the pipeline for each dialogue.

    Raises:
        ServiceError: The request is invalid, or was not received or answered in time.
    """
    state = request.app.state
    seconds = state.settings.timeout
    end = asyncio.get_running_loop().time() + seconds
    try:
        labeling = await asyncio.wait_for(read_request(request, state.settings), seconds)
    except ClientDisconnect:
        raise ServiceError(499, "the client closed the connection") from None
    except asyncio.TimeoutError:
        raise ServiceError(408, f"the request did not arrive within {seconds:g} seconds") from None
    if not labeling.dialogues:
        return labeling, []
    worker: ModelWorker = state.worker
    options = replace(labeling.options, distribution=labeling.options.distribution or with_distribution)
    answer = worker.label(labeling.dialogues, options)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait(
            {answer, gone}, timeout=end - asyncio.get_running_loop().time(), return_when="FIRST_COMPLETED"
        )
        if answer.done():
            return labeling, answer.result()
        if gone.done():
            raise ServiceError(499, "the client closed the connection")
        raise ServiceError(
            504, f"the model did not label this within {seconds:g} seconds; send less, or try again later"
        )
    finally:
        # Drops the request if it still waits.
        answer.cancel()
        gone.cancel()


def with_times(utterance: Any, turn: dict) -> dict:
    """A turn of the pipeline with the times of its utterance."""
    times = {"start": utterance.start, "end": utterance.end}
    return {**turn, **{name: time for name, time in times.items() if time is not None}}


def as_json(answer: Any) -> bytes:
    """An answer as compact JSON in UTF-8."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()

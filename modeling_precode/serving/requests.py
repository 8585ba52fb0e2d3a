"""The dialogues of a request, from JSON or from an uploaded file."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from data_scripts.building.dialogues import Dialogue, Utterance

from ..dialogue_inputs import INPUT_FORMS, read_inputs, read_utterance
from .errors import ServiceError
from .settings import ServiceSettings
from .uploads import check_number, read_upload, shown_name

FORMS = 'send JSON, such as {"inputs": ["Hi.", "Hello!"]}, or a file as the field `file` of multipart/form-data'
# JSON has neither tuples nor a Dataset.
JSON_FORMS = (
    'a dialogue is a list of utterances: strings or {"speaker": ..., "text": ...}; several dialogues are a list of '
    "such lists"
)
# Reading less than this takes less time than handing it to another thread.
SHORT_BYTES = 1 << 15


@dataclass(frozen=True)
class AnswerOptions:
    """What an answer has besides the labels.

    Args:
        distribution: The probability of every label.
        explain: How the probability of a label changes without a word or another utterance.
    """

    distribution: bool = False
    explain: bool = False


OPTION_NAMES = ("distribution", "explain")


@dataclass
class Labeling:
    """The content of a request.

    Attributes:
        dialogues: Lists of `{"text", "speaker"?}`, as the pipeline takes them.
        is_single: Whether the input is one dialogue, and not a list of dialogues.
        options: What the answer has besides the labels.
        file: The name of the uploaded file, if there is one.
        read: The dialogues of that file, with ids and times.
    """

    dialogues: list[list[dict]]
    is_single: bool
    options: AnswerOptions
    file: str | None = None
    read: list[Dialogue] | None = None

    @property
    def described(self) -> list[Dialogue]:
        """The dialogues with their ids, for the page."""
        if self.read is not None:
            return self.read
        return [
            Dialogue(str(number), [Utterance(turn["text"], turn.get("speaker", "")) for turn in turns])
            for number, turns in enumerate(self.dialogues, start=1)
        ]


async def read_request(request: Request, settings: ServiceSettings) -> Labeling:
    """Read a request.

    Raises:
        ServiceError: It is in no known form (400, 415, 422), or larger than a limit (413, 422).
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = await request.body()
        if len(body) < SHORT_BYTES:
            return read_json(body, settings)
        return await asyncio.to_thread(read_json, body, settings)
    if kind == "multipart/form-data":
        return await read_form(request, settings)
    raise ServiceError(415, f"the content type {kind[:80]!r} is unknown; {FORMS}")


def read_json(body: bytes, settings: ServiceSettings) -> Labeling:
    """Read the JSON of a request. Raises a ServiceError if it is invalid."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ServiceError(400, f"the body is not JSON; {FORMS}") from None
    inputs, options = content, AnswerOptions()
    if isinstance(content, dict):
        if "inputs" not in content or content.keys() - {"inputs", "parameters"}:
            raise ServiceError(422, f"the keys of the body must be `inputs` and optionally `parameters`; {FORMS}")
        inputs, options = content["inputs"], read_parameters(content.get("parameters") or {})
    try:
        dialogues, is_single = read_inputs(inputs)
        dialogues = list(dialogues)
    except ValueError as error:
        raise ServiceError(422, " ".join(str(error).replace(INPUT_FORMS, JSON_FORMS).split())) from None
    check_number(sum(map(len, dialogues)), settings)
    return Labeling(dialogues, is_single, options)


def read_parameters(parameters: Any) -> AnswerOptions:
    """Read the parameters of a request. Raises a ServiceError if they are invalid."""
    if not isinstance(parameters, dict) or parameters.keys() - set(OPTION_NAMES):
        raise ServiceError(422, f"`parameters` is an object whose only keys are {' and '.join(OPTION_NAMES)}")
    for name, value in parameters.items():
        if not isinstance(value, bool):
            raise ServiceError(422, f"`{name}` is true or false")
    return AnswerOptions(**parameters)


async def read_form(request: Request, settings: ServiceSettings) -> Labeling:
    """Read a form with an uploaded file. Raises a ServiceError if it is invalid."""
    try:
        form = await request.form(max_files=1, max_fields=30, max_part_size=1 << 12)
    except (HTTPException, FormParserError) as error:
        reason = getattr(error, "detail", error)
        raise ServiceError(400, f"the form cannot be read ({reason}); {FORMS}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or len(form.getlist("file")) > 1:
            raise ServiceError(422, f"the form has no field `file` with one file; {FORMS}")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        options = AnswerOptions(**{name: is_true(name, fields.pop(name, "false")) for name in OPTION_NAMES})
        filename = file.filename or "upload.txt"
        read = await asyncio.to_thread(read_upload, file.file, filename, fields, settings)
    finally:
        await form.close()
    try:
        dialogues = [
            [read_utterance({"speaker": said.speaker, "text": said.text}) for said in dialogue.utterances]
            for dialogue in read
        ]
    except UnicodeError as error:
        raise ServiceError(422, str(error)) from None
    return Labeling(dialogues, False, options, shown_name(filename), read)


def is_true(name: str, value: str) -> bool:
    """Whether a field of a form is true. Raises a ServiceError if it is neither true nor false."""
    if value not in ("true", "false"):
        raise ServiceError(422, f"the field `{name}` is true or false")
    return value == "true"

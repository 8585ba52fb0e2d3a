"""The application: its routes, its state, and how it starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ..label_folding import LabelFolding
from ..version import __version__
from . import front_page, labeling, streams
from .errors import ServiceError
from .guard import Guard
from .request_queue import ModelWorker
from .settings import ServiceSettings


def create_app(
    emotions: Any,
    name: str,
    write_page: Callable[..., Iterator[str]],
    settings: ServiceSettings | None = None,
    label_map: Mapping[str, str | None] | None = None,
) -> FastAPI:
    """Create the service of a pipeline, as an ASGI application.

    Args:
        emotions: A [`ConversationEmotionPipeline`], or a pipeline with the same call.
        name: The name of the model for clients.
        write_page: A function that returns a page in pieces of HTML. Its arguments are labeled dialogues, the labels, a
            title and the name of the model.
        settings: The limits and the key; by default those of [`ServiceSettings`].
        label_map: The label to return for each label of the model, as in a call of the pipeline; by default the labels
            of the model.

    Raises:
        ValueError: The map lacks a label of the model, or leaves fewer than two.
    """
    settings = settings or ServiceSettings()
    folding = None if label_map is None else LabelFolding(label_map, emotions.model.config.label_names)
    labels = list(folding.names if folding else emotions.model.config.label_names)
    worker = ModelWorker(emotions, settings, folding)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        await asyncio.to_thread(worker.stop)

    # The pages of FastAPI load scripts from other hosts.
    app = FastAPI(
        title="Pre-CODE",
        summary="Emotion recognition in conversations.",
        description=f"The labels are {', '.join(labels)}.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    state = app.state
    state.emotions, state.name, state.write_page, state.settings, state.worker = (
        *(emotions, name, write_page, settings, worker),
    )
    state.labels, state.label_map, state.is_causal = labels, label_map, bool(emotions.model.config.causal)
    state.streams = set()
    app.include_router(labeling.router)
    app.include_router(streams.router)
    app.include_router(front_page.router)
    app.get("/healthz")(health)
    app.get("/metrics")(metrics)
    app.add_middleware(Guard, settings=settings, metrics=worker.metrics)
    app.add_exception_handler(HTTPException, no_such_page)
    return app


async def health(request: Request) -> Response:
    """Whether the model runs, its name, its labels, and whether it can label a dialogue in progress."""
    state = request.app.state
    is_running = state.worker.is_running
    content = {"status": "ok" if is_running else "the model stopped; restart the service", "model": state.name}
    content |= {"labels": state.labels, "causal": state.is_causal}
    return JSONResponse(content, 200 if is_running else 503)


async def metrics(request: Request) -> Response:
    """The metrics, in the format of Prometheus."""
    return Response(request.app.state.worker.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def no_such_page(request: Request, error: Exception) -> Response:
    """Answer a request for an unknown address or with an unknown method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message = "no such address; known are /v1/emotions, /v1/page, /v1/stream, /healthz, /metrics and /openapi.json"
    else:
        message = f"{error.detail}; /openapi.json lists the methods of every address"
    return ServiceError(error.status_code, message, error.headers).response()

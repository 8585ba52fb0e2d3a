"""The front page for labeling a conversation in a browser: a template, a style sheet and a script."""

from functools import cache
from pathlib import Path

import jinja2
from fastapi import APIRouter, Request, Response

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent
# The result is shown in a frame that inherits this policy. It contains its own style.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def content_of(name: str) -> str:
    """The text of a file of the package."""
    return (FOLDER / name).read_text(encoding="utf-8")


@router.get("/")
async def front_page(request: Request) -> Response:
    """Answer with the front page."""
    state = request.app.state
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(content_of("front_page.html"))
    text = template.render(model=state.name, is_causal=state.is_causal, needs_key=state.settings.api_key is not None)
    return Response(text, media_type="text/html", headers={"Content-Security-Policy": POLICY})


@router.get("/page.css")
async def style() -> Response:
    """Answer with the style sheet."""
    return Response(content_of("front_page.css"), media_type="text/css")


@router.get("/page.js")
async def script() -> Response:
    """Answer with the script."""
    return Response(content_of("front_page.js"), media_type="text/javascript")

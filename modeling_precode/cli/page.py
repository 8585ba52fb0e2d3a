"""Renders a web page of labeled dialogues, or the index of several pages, from templates.

The markup is in `templates/`. Everything from the input is escaped there. A page is a single file without external
fonts or pictures. It has a script only if labels are explained: it marks the utterances that explain a label.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from data_scripts.tools.console import printable

from ..default_model import DEFAULT, LIMITS
from .band import BAND_HEIGHT, BAND_WIDTH, MOST_SHAPES, PLOT_HEIGHT, PLOT_WIDTH
from .excerpts import Excerpt
from .page_section import SPEAKER_TINTS, section_of
from .palette import looks_of
from .summary import Entry, Summary, summary_of

TEMPLATES = Path(__file__).with_name("templates")
# The number of pieces of output that are written together.
PIECES_AT_ONCE = 500


def without_control_characters(value: Any) -> Any:
    """Remove control characters from text. The template then escapes markup, except in values of type `Markup`."""
    return printable(value) if type(value) is str else value


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage: `25%`."""
    return f"{share:.{digits}%}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 utterance`, `2 utterances`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def environment() -> jinja2.Environment:
    """The environment of the templates. All values are escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=without_control_characters,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"percent": percent, "plural": plural}
    return found


ENVIRONMENT = environment()


def page(
    title: str,
    model: str,
    labels: Sequence[str],
    excerpts: Iterable[Excerpt],
    links: Sequence[tuple[str, str, str]] = (),
) -> Iterator[str]:
    """Yield a page of dialogues, in pieces of HTML.

    Args:
        title: The title of the page, such as the name of the file that was labeled.
        model: The name of the model.
        labels: The names of all labels.
        excerpts: The dialogues, or the parts of them, that are on this page.
        links: The links to other pages: address, text, and `prev`, `next` or empty.
    """
    shown_here = list(excerpts)
    sections = [section_of(excerpt, labels) for excerpt in shown_here]
    script = ""
    if any(section.is_explained for section in sections):
        script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    return rendered(
        "page.html.jinja",
        title,
        model,
        labels,
        script,
        links=links,
        sections=sections,
        summary=summary_of(shown_here, labels),
        entries=[Entry.of_dialogue(section.number, section.facts, section.summary) for section in sections],
        most_shapes=MOST_SHAPES,
        size={"band": (BAND_WIDTH, BAND_HEIGHT), "plot": (PLOT_WIDTH, PLOT_HEIGHT)},
    )


def index_page(
    title: str, model: str, labels: Sequence[str], summary: Summary, pages: int, entries: Iterable[Entry]
) -> Iterator[str]:
    """Yield the index of several pages, in pieces of HTML.

    Args:
        title: The title of the page.
        model: The name of the model.
        labels: The names of all labels.
        summary: The summary of all pages.
        pages: The number of pages.
        entries: The links to dialogues or pages.
    """
    return rendered("index.html.jinja", title, model, labels, "", summary=summary, pages=pages, entries=entries)


def rendered(template: str, title: str, model: str, labels: Sequence[str], script: str, **facts: Any) -> Iterator[str]:
    """Render a template with the values for the frame of all pages, in pieces of HTML."""
    stream = ENVIRONMENT.get_template(template).stream(
        title=title,
        model=model,
        limits=LIMITS if model == DEFAULT else "",
        labels=labels,
        looks=looks_of(labels),
        tints=SPEAKER_TINTS,
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=script,
        policy=policy(script),
        **facts,
    )
    stream.enable_buffering(PIECES_AT_ONCE)
    return stream


def policy(script: str) -> str:
    """The content security policy of a page: only its own styles and, by its digest, its own script are allowed."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"; script-src 'sha256-{digest}'" if script else ""
    return f"default-src 'none'; style-src 'unsafe-inline'{allowed}; base-uri 'none'; form-action 'none'"

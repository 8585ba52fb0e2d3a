"""`precode serve MODEL` labels dialogues over HTTP."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from data_scripts.tools.console import Parser

from .model_arguments import MODEL_HELP, add_model_arguments

KEY_VARIABLE = "PRECODE_API_KEY"


def parse_arguments(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the arguments. Raises a ValueError for invalid ones."""
    from ..serving.settings import ServiceSettings

    parser = Parser(
        prog,
        description="Serve a model over HTTP: POST /v1/emotions, the WebSocket /v1/stream, and a page to try it at /.",
        allow_abbrev=False,
    )
    defaults = ServiceSettings()
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help=MODEL_HELP)
    add_model_arguments(parser)
    add("--label_map", metavar="MAP", help="serve the labels of a smaller set: sentiment, ekman, or a YAML file "
        "of lines `label: counterpart`; probabilities are summed")  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every network (default: %(default)s)")
    add("--port", type=int, default=8000, help="port; 0 for any free port (default: %(default)s)")
    add("--api_key", metavar="KEY", help="clients have to send this key; other users of the machine can see arguments, "
        f"so set the environment variable {KEY_VARIABLE} instead")  # fmt: skip
    add("--max_body_bytes", type=int, default=defaults.max_body_bytes, metavar="N",
        help="maximum bytes of a request (otherwise status 413; default: %(default)s)")  # fmt: skip
    add("--max_utterances", type=int, default=defaults.max_utterances, metavar="N",
        help="maximum utterances of a request (422; default: %(default)s)")  # fmt: skip
    add("--max_dialogue_tokens", type=int, default=defaults.max_dialogue_tokens, metavar="N",
        help="maximum tokens of a dialogue, or of what is read to explain it (422; default: %(default)s)")  # fmt: skip
    add("--max_queue", type=int, default=defaults.max_queue, metavar="N",
        help="maximum requests in progress (503; default: %(default)s)")  # fmt: skip
    add("--max_client_requests", type=int, metavar="N",
        help="maximum requests in progress from one address (429; default: no limit)")  # fmt: skip
    add("--max_streams", type=int, default=defaults.max_streams, metavar="N",
        help="maximum open streams (close code 1013; default: %(default)s)")  # fmt: skip
    add("--max_batch_tokens", type=int, default=defaults.max_batch_tokens, metavar="N",
        help="maximum tokens that go through the model at once (default: %(default)s)")  # fmt: skip
    add("--timeout", type=float, default=defaults.timeout, metavar="SECONDS",
        help="maximum seconds to receive a request (408), and to answer it (504; default: %(default)s)")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, prog: str = "precode serve") -> None:
    """Run `precode serve`. `arguments` are those of the process by default, and `prog` is the name in messages."""
    args = parse_arguments(arguments, prog)
    try:
        from ..serving.application import create_app
        from ..serving.server import run_server
    except ModuleNotFoundError as error:
        raise ImportError(f'{error.name} is not installed; run pip install "precode[serve]"') from None
    from data_scripts.building.label_maps import LabelMap

    from ..serving.settings import ServiceSettings
    from .page_parts import as_page
    from .predict import counterparts_of, pipeline_of

    args.api_key = args.api_key or os.environ.get(KEY_VARIABLE) or None
    settings = ServiceSettings(**{field.name: getattr(args, field.name) for field in fields(ServiceSettings)})
    label_map = LabelMap.load(args.label_map) if args.label_map else None
    emotions, checkpoint = pipeline_of(args)
    # Clients must not learn local paths.
    name = Path(checkpoint).resolve().name if Path(checkpoint).is_dir() else checkpoint
    app = create_app(emotions, name, as_page, settings, counterparts_of(emotions, label_map, checkpoint))
    run_server(app, args.host, args.port)

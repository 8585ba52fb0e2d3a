"""The state of a dialogue in progress, and what a stream takes of the next utterance; with and without torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def check_one_utterance(shape: tuple[int, ...]) -> None:
    """Raise a ValueError unless token ids of this shape are those of one utterance, at least one."""
    if len(shape) != 1 or not shape[0]:
        raise ValueError(f"a stream takes the token ids of one utterance, at least one; got the shape {shape}")


def name_length_of(name_length: int | None, num_tokens: int, config: Any) -> int:
    """The number of token ids of an utterance that are the name of its speaker.

    Args:
        name_length: The argument of the stream.
        num_tokens: The number of token ids of the utterance.
        config: The configuration of the model.

    Raises:
        ValueError: A model that reads whole dialogues needs the argument, and other models do not read it. Or the
            utterance has no token after the name.
    """
    needed = config.text_context == "dialogue"
    if needed == (name_length is not None):
        name_length = name_length or 0
        if not 0 <= name_length < num_tokens:
            raise ValueError(
                f"`name_length` must be at least 0 and less than the number of tokens, {num_tokens}; got {name_length}"
            )
        return name_length
    raise ValueError(
        f"a model with `text_context` {config.text_context!r} {'needs' if needed else 'reads no'} `name_length`: use "
        f"encode_dialogues(..., text_context={config.text_context!r})"
    )


def check_stream_state(state: Mapping[str, Any], config: Any) -> None:
    """Check the state of another stream before a stream continues from it.

    Args:
        state: What `state_dict` returned.
        config: The configuration of the model.

    Raises:
        ValueError: The state comes from a model of another size, or is not the state of a stream.
    """
    if "state" not in state:
        raise ValueError(f"the state of a stream needs the key `state`; got {', '.join(state) or 'no keys'}")
    if ("window" in state) != (config.text_context == "dialogue"):
        raise ValueError(
            f"the state of a stream of a model with `text_context` {config.text_context!r} "
            f"{'has no' if 'window' in state else 'needs the'} key `window`; it is from another model"
        )
    last, shape = state["state"], (1, config.conversation_hidden_size)
    if last is not None and tuple(np.shape(last)) != shape:
        raise ValueError(
            f"a state of this model has the shape {shape}; got the shape {tuple(np.shape(last))} of another model"
        )

"""Labels a dialogue in progress with an exported model, utterance by utterance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dialogue_windows import current_window
from ..stream_state import check_one_utterance, check_stream_state, name_length_of

if TYPE_CHECKING:
    from .model import OnnxModel


class OnnxStream:
    """Takes the utterances of one dialogue one at a time, as [`DialogueStream`] does, with NumPy arrays.

    Args:
        model: An exported model with `causal=True`.

    Raises:
        ValueError: The model reads in both directions.
    """

    def __init__(self, model: "OnnxModel"):
        if not model.config.causal:
            raise ValueError(
                f"stream() needs a model that reads forward only; {model.name_or_path} also reads the utterances after "
                "the one that it labels. Pass the whole dialogue, or train a model with precode finetune --causal"
            )
        self.model = model
        self.state: np.ndarray | None = None
        # The utterances of the current window: token ids, and how many of them are the name of the speaker.
        self.window: list[tuple[list[int], int]] = []

    def __call__(self, input_ids: Sequence[int], speaker_id: int = 0, name_length: int | None = None) -> np.ndarray:
        """Label the next utterance.

        Args:
            input_ids: (T,), the token ids of the utterance.
            speaker_id: The speaker; 0, the default, is an unknown speaker.
            name_length: For a model that reads whole dialogues, which needs it: how many of the token ids are the name
                of the speaker.

        Returns:
            The logits (C,).

        Raises:
            ValueError: There is no token, or more than one utterance, or the token ids are for another `text_context`.
        """
        check_one_utterance(np.shape(input_ids))
        vector = self._vector(input_ids, name_length_of(name_length, len(input_ids), self.model.config))
        logits, self.state = self.model.step(vector, speaker_id, self.state)
        return logits

    def _vector(self, input_ids: Sequence[int], name_length: int) -> np.ndarray:
        """The vector (d_u,) of the next utterance."""
        if self.model.config.text_context != "dialogue":
            return self.model.vectors([input_ids])[0]
        utterances = [*self.window, (list(input_ids), name_length)]
        window = current_window(utterances, self.model.config.max_window_tokens)
        ids, names = zip(*window, strict=True)
        vectors = self.model.vectors_in_dialogues([ids], [names])
        self.window = window
        return vectors[-1]

    def state_dict(self) -> dict[str, Any]:
        """The state of the stream, without the model, as that of [`DialogueStream`]."""
        window = {"window": list(self.window)} if self.model.config.text_context == "dialogue" else {}
        return {"state": None if self.state is None else self.state.copy(), **window}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another stream of the same model.

        Raises:
            ValueError: The state comes from a model of another size, or is not the state of a stream.
        """
        check_stream_state(state, self.model.config)
        last = state["state"]
        self.state = None if last is None else np.array(last, np.float32)
        self.window = list(state.get("window", ()))

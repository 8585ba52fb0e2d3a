"""Labels a dialogue in progress with an exported model, utterance by utterance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

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

    def __call__(self, input_ids: Sequence[int], speaker_id: int = 0) -> np.ndarray:
        """Label the next utterance.

        Args:
            input_ids: (T,), the token ids of the utterance.
            speaker_id: The speaker; 0, the default, is an unknown speaker.

        Returns:
            The logits (C,).
        """
        logits, self.state = self.model.step(input_ids, speaker_id, self.state)
        return logits

    def state_dict(self) -> dict[str, np.ndarray | None]:
        """The state (1, d_c) of the stream, without the model; `None` before the first utterance."""
        return {"state": None if self.state is None else self.state.copy()}

    def load_state_dict(self, state: Mapping[str, np.ndarray | None]) -> None:
        """Continue from the state of another stream of the same model.

        Raises:
            ValueError: The state comes from a model of another size.
        """
        last, shape = state["state"], (1, self.model.config.conversation_hidden_size)
        if last is not None and np.shape(last) != shape:
            raise ValueError(f"a state of this model has the shape {shape}; got {np.shape(last)} of another model")
        self.state = None if last is None else np.array(last, np.float32)

"""Labels a dialogue in progress, utterance by utterance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .dialogue_text_encoder import DialogueTextEncoder
from .dialogue_windows import current_window
from .steps import Steps
from .stream_state import check_one_utterance, check_stream_state, name_length_of

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification


class DialogueStream:
    """Takes the utterances of one dialogue one at a time and returns the logits of each.

    The logits are equal to those for the whole dialogue. The stream stores only the last state and, for a model with
    `text_context="dialogue"`, the token ids of the current window. The cost of an utterance therefore does not depend
    on the length of the dialogue.

    ```python
    stream = model.stream()
    logits = stream(tokenizer("I got the job!")["input_ids"])
    ```

    A model with `text_context="dialogue"` reads the rows of [`encode_dialogues`] instead: their `input_ids` and
    `name_lengths`, utterance by utterance.

    Args:
        model: A `PreCodeForUtteranceClassification` with `causal=True`.

    Raises:
        ValueError: The model reads in both directions.
    """

    def __init__(self, model: "PreCodeForUtteranceClassification"):
        if not model.config.causal:
            raise ValueError(
                "stream() needs a model that reads forward only; this one has `causal=False` and also uses the "
                "utterances after the one that it labels. Pass the whole dialogue to the model, or train a model with "
                "precode finetune --causal"
            )
        self.model = model
        self.state: Tensor | None = None
        # The utterances of the current window: token ids, and how many of them are the name of the speaker.
        self.window: list[tuple[list[int], int]] = []

    @torch.no_grad()
    def __call__(
        self, input_ids: Sequence[int] | Tensor, speaker_id: int = 0, name_length: int | None = None
    ) -> Tensor:
        """Label the next utterance.

        Args:
            input_ids: (T,), the token ids of the utterance.
            speaker_id: The speaker, as [`SpeakerOrder`] numbers them; 0, the default, is an unknown speaker.
            name_length: For a model with `text_context="dialogue"`, which needs it: how many of the token ids are the
                name of the speaker.

        Returns:
            The logits (C,).

        Raises:
            ValueError: There is no token, or more than one utterance, or the token ids are for another `text_context`.
        """
        model = self.model
        tokens = torch.as_tensor(input_ids, dtype=torch.long, device=model.device)
        check_one_utterance(tuple(tokens.shape))
        vector = self._vector(tokens, name_length_of(name_length, len(tokens), model.config))
        encoder = model.precode.conversation_encoder
        speaker_ids = torch.tensor([speaker_id], device=tokens.device)
        state = encoder.with_speakers(vector, speaker_ids)
        if encoder.gru is not None:
            state = self.state = encoder.gru.step(state, self.state)
        return model.classifier(torch.cat([vector, encoder.dropout(state)], dim=-1))[0]

    def _vector(self, tokens: Tensor, name_length: int) -> Tensor:
        """The vector (1, d_u) of the next utterance."""
        encoder = self.model.precode.utterance_encoder
        if not isinstance(encoder, DialogueTextEncoder):
            return encoder(tokens, Steps.of([len(tokens)]).to(tokens.device))
        assert encoder.max_tokens is not None
        window = current_window([*self.window, (tokens.tolist(), name_length)], encoder.max_tokens)
        ids = tokens.new_tensor([token for ids, _ in window for token in ids])
        names = tokens.new_tensor([length for _, length in window])
        vectors = encoder(ids, [np.array([len(ids) for ids, _ in window])], names)
        self.window = window  # only now, because an utterance that is too long is refused
        return vectors[-1:]

    def state_dict(self) -> dict[str, Any]:
        """The state of the stream, without the model.

        Returns:
            `state`: the last state (1, d_c) on the CPU, or `None` before the first utterance and without a conversation
            encoder. For a model with `text_context="dialogue"` also `window`: the token ids of the utterances of the
            current window, each with the number of those of the speaker's name.
        """
        window = {"window": list(self.window)} if self.model.config.text_context == "dialogue" else {}
        return {"state": None if self.state is None else self.state.cpu().clone(), **window}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another stream of the same model.

        Raises:
            ValueError: The state comes from a model of another size, or is not the state of a stream.
        """
        check_stream_state(state, self.model.config)
        last = state["state"]
        if last is not None:  # a tensor, or the array of an exported model
            last = torch.as_tensor(last).to(self.model.device, self.model.dtype, copy=True)
        self.state = last
        self.window = list(state.get("window", ()))

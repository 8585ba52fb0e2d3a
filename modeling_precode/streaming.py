"""A dialogue that is labeled while it goes on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .steps import Steps

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification


class DialogueStream:
    """Takes the utterances of one dialogue one at a time and gives the logits of each, those that the model gives for
    the whole dialogue. Nothing but the last state is kept: an utterance costs the same however long the dialogue is.

    ```python
    stream = model.stream()
    logits = stream(tokenizer("I got the job!")["input_ids"])
    ```

    Args:
        model: a `PreCodeForUtteranceClassification` with `causal=True`.

    Raises:
        ValueError: the model reads in both directions.
    """

    def __init__(self, model: "PreCodeForUtteranceClassification"):
        if not model.config.causal:
            raise ValueError(
                "stream() needs a model that reads forward only; this one has `causal=False` and labels an utterance "
                "from what comes after it too. Give it the whole dialogue, or train one with precode finetune --causal"
            )
        self.model = model
        self.state: Tensor | None = None

    @torch.no_grad()
    def __call__(self, input_ids: Sequence[int] | Tensor, speaker_id: int = 0) -> Tensor:
        """The next utterance's token ids (T,), and who speaks, as [`SpeakerOrder`] counts -> its logits (C,).

        Raises:
            ValueError: there is no token, or more than one utterance.
        """
        model = self.model
        tokens = torch.as_tensor(input_ids, dtype=torch.long, device=model.device)
        if tokens.dim() != 1 or not len(tokens):
            raise ValueError(
                f"a stream takes the token ids of one utterance, at least one; got the shape {tuple(tokens.shape)}"
            )
        vector = model.precode.utterance_encoder(tokens, Steps.of([len(tokens)]).to(tokens.device))
        encoder = model.precode.conversation_encoder
        speaker_ids = torch.tensor([speaker_id], device=tokens.device)
        self.state = encoder.gru.step(encoder.with_speakers(vector, speaker_ids), self.state)
        return model.classifier(torch.cat([vector, encoder.dropout(self.state)], dim=-1))[0]

    def state_dict(self) -> dict[str, Tensor | None]:
        """All that the stream remembers: `state`, the last one (1, d_c) on the CPU, or `None` before the first
        utterance. The model is no part of it."""
        return {"state": None if self.state is None else self.state.cpu().clone()}

    def load_state_dict(self, state: Mapping[str, Tensor | None]) -> None:
        """Go on from what another stream of the same model remembered.

        Raises:
            ValueError: it is the state of a stream of a model of another size, or no such state.
        """
        if "state" not in state:
            raise ValueError(f"the state of a stream has `state`; got {', '.join(state) or 'nothing'}")
        last, shape = state["state"], (1, self.model.config.conversation_hidden_size)
        if last is not None and tuple(last.shape) != shape:
            raise ValueError(
                f"a state of this model has the shape {shape}; got {tuple(last.shape)}, that of another model's stream"
            )
        self.state = None if last is None else last.to(self.model.device, self.model.dtype, copy=True)

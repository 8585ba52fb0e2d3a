"""Labels a dialogue in progress, utterance by utterance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .steps import Steps

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification


class DialogueStream:
    """Takes the utterances of one dialogue one at a time and returns the logits of each.

    The logits are equal to those for the whole dialogue. The stream stores only the last state, so the cost of an
    utterance does not depend on the length of the dialogue.

    ```python
    stream = model.stream()
    logits = stream(tokenizer("I got the job!")["input_ids"])
    ```

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

    @torch.no_grad()
    def __call__(self, input_ids: Sequence[int] | Tensor, speaker_id: int = 0) -> Tensor:
        """Label the next utterance.

        Args:
            input_ids: (T,), the token ids of the utterance.
            speaker_id: The speaker, as [`SpeakerOrder`] numbers them; 0, the default, is an unknown speaker.

        Returns:
            The logits (C,).

        Raises:
            ValueError: There is no token, or more than one utterance.
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
        """The state of the stream, without the model.

        Returns:
            `state`: the last state (1, d_c) on the CPU, or `None` before the first utterance.
        """
        return {"state": None if self.state is None else self.state.cpu().clone()}

    def load_state_dict(self, state: Mapping[str, Tensor | None]) -> None:
        """Continue from the state of another stream of the same model.

        Raises:
            ValueError: The state comes from a model of another size, or is not the state of a stream.
        """
        if "state" not in state:
            raise ValueError(f"the state of a stream needs the key `state`; got {', '.join(state) or 'no keys'}")
        last, shape = state["state"], (1, self.model.config.conversation_hidden_size)
        if last is not None and tuple(last.shape) != shape:
            raise ValueError(
                f"a state of this model has the shape {shape}; got the shape {tuple(last.shape)} of another model"
            )
        self.state = None if last is None else last.to(self.model.device, self.model.dtype, copy=True)

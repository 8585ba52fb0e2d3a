"""A dialogue that is labelled while it goes on."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .steps import Steps


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

    def __init__(self, model: PreTrainedModel):
        if not model.config.causal:
            raise ValueError(
                "stream() needs a model that reads forward only; this one has `causal=False` and labels an utterance "
                "from what comes after it too. Give it the whole dialogue, or train one with run_finetune.py --causal"
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

"""The forward pass of a model as two modules that `torch.onnx` can export.

They are the utterance encoder, and the conversation encoder with its head.
The model itself computes without padding, in an order that depends on the lengths. These modules use its parameters,
take padded batches, and have the same results. Shapes: N utterances of T tokens; D dialogues of U utterances.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conversation_encoder import ConversationEncoder
from ..dialogue_text_encoder import DialogueTextEncoder, pool_spans
from ..gru_encoder import GRUUtteranceEncoder
from ..modeling_precode import PreCodeForUtteranceClassification
from ..text_encoder import TextUtteranceEncoder, pool_tokens, visibility_mask


class GRUGraph(nn.Module):
    """The GRU operator of ONNX with the weights of an `nn.GRU` of one layer. S is the number of directions.

    The exporter would write out an `nn.GRU` step by step, for the length of the example. As an operator, it takes
    sequences of any length, and the backward direction begins at the end of each sequence.
    """

    def __init__(self, gru: nn.GRU):
        super().__init__()
        self.size, self.directions = gru.hidden_size, 2 if gru.bidirectional else 1
        self.weight = nn.Buffer(_in_order_of_onnx(gru, "weight_ih"))
        self.recurrent_weight = nn.Buffer(_in_order_of_onnx(gru, "weight_hh"))
        biases = [_in_order_of_onnx(gru, name) for name in ("bias_ih", "bias_hh")]
        self.bias = nn.Buffer(torch.cat(biases, dim=-1))

    def forward(self, inputs: Tensor, lengths: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute the states (N, T, S H) of padded sequences (N, T, d), and the last states (S, N, H)."""
        count, steps, _ = inputs.shape
        states, last = torch.onnx.ops.symbolic_multi_out(
            "GRU",
            (inputs.transpose(0, 1), self.weight, self.recurrent_weight, self.bias, lengths.int(), state),
            # As in PyTorch, the reset gate is applied after the product with the recurrent weights.
            {"hidden_size": self.size, "direction": DIRECTIONS[self.directions], "linear_before_reset": 1},
            dtypes=[inputs.dtype, inputs.dtype],
            shapes=[[steps, self.directions, count, self.size], [self.directions, count, self.size]],
        )
        return states.permute(2, 0, 1, 3).flatten(2), last


DIRECTIONS = {1: "forward", 2: "bidirectional"}


def _in_order_of_onnx(gru: nn.GRU, name: str) -> Tensor:
    """The parameters of all directions (S, 3 H, ...), from PyTorch's order r, z, n to the order z, r, n of ONNX."""
    ordered = []
    for direction in ("", "_reverse")[: 2 if gru.bidirectional else 1]:
        r, z, n = getattr(gru, f"{name}_l0{direction}").detach().chunk(3)
        ordered.append(torch.cat([z, r, n]))
    return torch.stack(ordered)


class WordVectorGraph(nn.Module):
    """The utterance encoders over word vectors: token ids (N, T) and lengths (N,) -> vectors (N, d_u)."""

    def __init__(self, encoder: GRUUtteranceEncoder):
        super().__init__()
        self.encoder = encoder
        # The norms of word vectors are limited once, not in every forward pass.
        self.word_vectors = nn.Buffer(encoder.embed(torch.arange(encoder.word_embedding.num_embeddings)))
        self.gru = GRUGraph(encoder.gru)
        self.second_gru = GRUGraph(encoder.second_gru) if encoder.kind == "stacked_gru" else None

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Encode padded utterances: token ids (N, T) and lengths (N,) to vectors (N, d_u)."""
        encoder = self.encoder
        states, _ = self.gru(F.embedding(input_ids, self.word_vectors), lengths)
        if encoder.kind == "gru2":
            return encoder.project(self.pool(states, lengths))
        if self.second_gru is not None:
            states, _ = self.second_gru(states, lengths)
        return self.pool(encoder.project(states), lengths, torch.tanh(encoder.projection.bias))

    def pool(self, states: Tensor, lengths: Tensor, padding: Tensor | float = 0.0) -> Tensor:
        """Pool padded states (N, T, d) to (N, d), as [`pool`] of pooling.py does without padding."""
        mask = token_mask(states, lengths)
        counts = lengths.unsqueeze(1).to(states.dtype)
        maximum = states.masked_fill(~mask, torch.finfo(states.dtype).min).amax(1)
        total = (states * mask).sum(1)
        if self.encoder.pooling_length is None:
            return maximum + total / counts
        missing = (self.encoder.pooling_length - counts).clamp(min=0)
        maximum = torch.where(missing > 0, maximum.clamp(min=padding), maximum)
        return maximum + (total + missing * padding) / (counts + missing)


class TextEncoderGraph(nn.Module):
    """The utterance encoder with a text encoder: token ids (N, T) and lengths (N,) -> vectors (N, d_u)."""

    def __init__(self, encoder: TextUtteranceEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Encode padded utterances: token ids (N, T) and lengths (N,) to vectors (N, d_u)."""
        encoder = self.encoder
        mask = token_mask(input_ids, lengths)
        inputs = encoder.get_input_embeddings()(input_ids)
        states = encoder.encoder(inputs_embeds=inputs, attention_mask=mask.squeeze(-1).long()).last_hidden_state
        return encoder.project(pool_tokens(states, mask, encoder.pooling))


class DialogueEncoderGraph(nn.Module):
    """The utterance encoder that reads whole dialogues: W windows of T tokens -> vectors (W, M, d_u).

    M is the largest number of utterances whose vectors come from one window.
    """

    def __init__(self, encoder: DialogueTextEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, lengths: Tensor, members: Tensor, utterances: Tensor | None = None) -> Tensor:
        """Encode padded windows.

        Args:
            input_ids: (W, T), the token ids.
            lengths: (W,), the numbers of tokens.
            members: (W, M, T), 1 for the tokens that the vector of an utterance is pooled over, and 0 for others.
            utterances: (W, T), only for a causal model: the number of the utterance of each token.
        """
        encoder, mask = self.encoder, token_mask(input_ids, lengths).squeeze(-1)
        inputs = encoder.get_input_embeddings()(input_ids)
        attention = mask.long() if utterances is None else visibility_mask(utterances, mask, inputs.dtype)
        states = encoder.encoder(inputs_embeds=inputs, attention_mask=attention).last_hidden_state
        return encoder.project(pool_spans(states, members > 0, encoder.pooling))


class ConversationGraph(nn.Module):
    """The conversation encoder and the head: vectors (D, U, d_u) and lengths (D,) -> logits (D, U, C).

    `speaker_ids` (D, U) is only for a model with `max_speakers`. `state` (D, d_c) is only for a causal model, which
    also returns the last state of each dialogue (D, d_c).
    """

    def __init__(self, encoder: ConversationEncoder, classifier: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier
        self.gru = GRUGraph(encoder.gru) if encoder.gru is not None else None

    def forward(
        self, vectors: Tensor, lengths: Tensor, speaker_ids: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Compute the logits (D, U, C) of padded dialogues. A causal model also returns the last states (D, d_c)."""
        states = self.encoder.with_speakers(vectors, speaker_ids)
        state = state if state is None else state.unsqueeze(0)
        if self.gru is not None:
            states, last = self.gru(states, lengths, state)
            state = state if state is None else last
        logits = self.classifier(torch.cat([vectors, states], dim=-1))
        return logits if state is None else (logits, state.squeeze(0))


def token_mask(sequences: Tensor, lengths: Tensor) -> Tensor:
    """The mask (N, T, 1) of padded sequences (N, T, ...), true for an item and false for padding."""
    return (torch.arange(sequences.shape[1], device=lengths.device) < lengths.unsqueeze(1)).unsqueeze(-1)


def graphs_of(model: PreCodeForUtteranceClassification) -> tuple[nn.Module, nn.Module]:
    """The utterance encoder and the conversation encoder of a model, as modules for the export."""
    encoder = model.precode.utterance_encoder
    graph: type[nn.Module] = TextEncoderGraph if isinstance(encoder, TextUtteranceEncoder) else WordVectorGraph
    if isinstance(encoder, DialogueTextEncoder):
        graph = DialogueEncoderGraph
    return graph(encoder), ConversationGraph(model.precode.conversation_encoder, model.classifier)

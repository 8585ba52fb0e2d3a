"""The model in plain PyTorch, as in the original: one dialogue at a time, every utterance padded to 60 tokens.

Tests and benchmarks compare the model without padding with this code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from modeling_precode import PreCodeForConversationCompletion, PreCodeForUtteranceClassification, PreCodeModel

PADDED_TOKENS = 60


def utterance_vectors(model: PreCodeModel, utterances: list[list[int]]) -> Tensor:
    """The vectors (N, d_u) of utterances, with `gru2` and `pooling_length=60`."""
    encoder = model.utterance_encoder
    lengths = torch.tensor([len(utterance) for utterance in utterances])
    padded = torch.zeros(len(utterances), PADDED_TOKENS, dtype=torch.long)
    for row, utterance in zip(padded, utterances, strict=True):
        row[: len(utterance)] = torch.as_tensor(utterance)
    packed = pack_padded_sequence(encoder.embed(padded), lengths, batch_first=True, enforce_sorted=False)
    states = pad_packed_sequence(_gru(encoder.gru, packed), batch_first=True, total_length=PADDED_TOKENS)[0]
    pooled = states.max(1)[0] + states.mean(1)
    return F.dropout(torch.tanh(encoder.projection(pooled)), encoder.dropout.p, model.training)


def conversation_states(model: PreCodeModel, vectors: Tensor) -> Tensor:
    """The states in context (U, 2 d_c) for the utterance vectors (U, d_u) of a dialogue."""
    encoder = model.conversation_encoder
    return F.dropout(_gru(encoder.gru, vectors.unsqueeze(0))[0], encoder.dropout.p, model.training)


def convcom_loss(
    model: PreCodeForConversationCompletion, dialogue: list[list[int]], negatives: list[list[int]]
) -> Tensor:
    """The loss of the original for a dialogue with its ten negatives."""
    vectors = utterance_vectors(model.precode, dialogue)
    candidates = utterance_vectors(model.precode, negatives)
    forward_states, backward_states = conversation_states(model.precode, vectors).chunk(2, dim=-1)
    contexts = torch.tanh(model.context_projection(torch.cat([forward_states[:-2], backward_states[2:]], dim=-1)))
    scores = torch.cat([(contexts * vectors[1:-1]).sum(-1, keepdim=True), contexts @ candidates.T], dim=-1)
    truth = torch.zeros_like(scores)
    truth[:, 0] = 1
    return F.binary_cross_entropy_with_logits(scores, truth)


def erc_logits(model: PreCodeForUtteranceClassification, dialogue: list[list[int]]) -> Tensor:
    """The scores (U, classes) of the utterances of a dialogue."""
    vectors = utterance_vectors(model.precode, dialogue)
    return model.classifier(torch.cat([vectors, conversation_states(model.precode, vectors)], dim=-1))


def _gru(gru: nn.GRU, inputs):
    return nn.GRU.forward(gru, inputs)[0]

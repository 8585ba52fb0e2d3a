"""What a converted model promises: the numbers that were recorded from the original, for every model recorded.

A tolerance is relative to the largest number of the array that is compared: the recording itself was made in float32,
and its smallest numbers carry the rounding of its largest. `FLOOR` stands in for that number where all are tiny.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from modeling_precode.conversion.original_checkpoint import TENSOR_NAMES, convert_original_checkpoint
from modeling_precode.modeling_precode import (
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodePreTrainedModel,
)

UTTERANCE_ENCODERS = {"model_gru": "sentEncoder", "model_gru2": "sentGRUEncoder", "model_gru2l": "sentGRU2LEncoder"}
MODELS = [name + size for name in UTTERANCE_ENCODERS for size in ("", "_big")]
POOLING_LENGTH = 10
FORWARD, GRADIENT, FLOOR = 1e-5, 1e-4, 1e-3


@dataclass
class Recorded:
    """A recorded model with one head: loaded from its converted files, beside its recording."""

    model: PreCodePreTrainedModel
    arrays: dict[str, np.ndarray]
    tensor_names: dict[str, dict[str, str]]
    dialogues: list[str]

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(np.asarray(self.arrays[name]))

    def gradients(self, dialogue: str) -> dict[str, Tensor]:
        """The recorded gradients of a dialogue's loss, by our names."""
        return {
            ours: self[f"{dialogue}.grad.{module}.{theirs}"]
            for module, names in self.tensor_names.items()
            for theirs, ours in names.items()
        }


@pytest.fixture(scope="module", params=MODELS)
def recording(request, recordings) -> Path:
    return recordings / request.param


@pytest.fixture(scope="module", params=["completion", "classification"])
def task(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=["zip container", "older container"])
def recorded(request, recording, task, tmp_path_factory) -> Recorded:
    ending, head = {"completion": ("OpSub_8_6", "biLM"), "classification": ("Friends_finetune?True", "mlpDecoder")}[
        task
    ]
    files = recording / "legacy" if request.param == "older container" else recording
    modules = {module: files / f"{module}_{ending}.pt" for module in ("wordenc", "sentenc", "contenc", "dec")}
    folder = tmp_path_factory.mktemp(task)
    convert_original_checkpoint(**modules, output_dir=folder, pooling_length=POOLING_LENGTH)
    arrays = dict(np.load(recording / "forward.npz"))
    if task == "completion":
        model = PreCodeForConversationCompletion.from_pretrained(folder)
        dialogues = [f"lm{index}" for index in range(7)]
    else:
        weights = arrays["erc.weights"].tolist()
        model = PreCodeForUtteranceClassification.from_pretrained(folder, class_weights=weights)
        dialogues = [f"erc{index}" for index in range(5)]
    classes = {
        "sentenc": UTTERANCE_ENCODERS[recording.name.removesuffix("_big")],
        "contenc": "contEncoder",
        "dec": head,
    }
    return Recorded(model, arrays, {module: TENSOR_NAMES[name] for module, name in classes.items()}, dialogues)


def assert_close(actual: Tensor, recorded: Tensor, tolerance: float, name: str):
    assert actual.shape == recorded.shape, name
    difference = (actual.detach().double() - recorded.double()).abs().max().item()
    scale = max(recorded.abs().max().item(), FLOOR)
    assert difference <= tolerance * scale, f"{name}: {difference:.1e} apart, where the largest is {scale:.1e}"


def assert_gradients_close(recorded: Recorded, loss: Tensor, gradients: dict[str, Tensor], name: str):
    recorded.model.zero_grad()
    loss.backward()
    parameters = dict(recorded.model.named_parameters())
    for parameter, gradient in gradients.items():
        assert_close(parameters[parameter].grad, gradient, GRADIENT, f"{name}, gradient of {parameter}")


def padded(arrays: list[Tensor], *shape: int, value: int = 0) -> Tensor:
    """Arrays, each padded on the right to a shape, as one batch."""
    batch = torch.full((len(arrays), *shape), value)
    for row, array in zip(batch, arrays, strict=True):
        row[tuple(slice(size) for size in array.shape)] = array
    return batch


def tokens(ids: list[Tensor], lengths: list[Tensor], *shape: int) -> tuple[Tensor, Tensor]:
    """Recorded utterances and their mask, padded to (utterances, tokens), or less than recorded where that is all 0."""
    masks = [
        (torch.arange(row.shape[1]) < length.unsqueeze(1)).long() for row, length in zip(ids, lengths, strict=True)
    ]
    return tuple(padded([array[:, : shape[1]] for array in arrays], *shape) for arrays in (ids, masks))


def completion_batch(recorded: Recorded, dialogues: list[str], *shape: int) -> dict[str, Tensor]:
    batch = {}
    for prefix, name, rows in (("", "script", shape[0]), ("negative_", "neg", 10)):
        ids = [recorded[f"{dialogue}.{name}"] for dialogue in dialogues]
        lengths = [recorded[f"{dialogue}.{name}_lens"] for dialogue in dialogues]
        width = max(shape[1], *(int(length.max()) for length in lengths))
        batch[f"{prefix}input_ids"], batch[f"{prefix}attention_mask"] = tokens(ids, lengths, rows, width)
    return batch


def classification_batch(recorded: Recorded, dialogues: list[str], *shape: int) -> dict[str, Tensor]:
    ids = [recorded[f"{dialogue}.feat"] for dialogue in dialogues]
    input_ids, mask = tokens(ids, [recorded[f"{dialogue}.lens"] for dialogue in dialogues], *shape)
    labels = padded([recorded[f"{dialogue}.label"][:, 0] for dialogue in dialogues], shape[0], value=-100)
    return {"input_ids": input_ids, "attention_mask": mask, "labels": labels}


def assert_states_recorded(recorded: Recorded, dialogue: str, hidden_states: tuple[Tensor, Tensor]):
    count = len(recorded[f"{dialogue}.s_embed"])
    for states, name in zip(hidden_states, ("s_embed", "s_context"), strict=True):
        assert_close(states[:count], recorded[f"{dialogue}.{name}"], FORWARD, f"{dialogue}, {name}")
        assert not states[count:].any(), "padding has states of 0"


def assert_completion_recorded(recorded: Recorded, dialogue: str, logits: Tensor):
    expected = recorded[f"{dialogue}.logits"]
    assert_close(logits[1 : 1 + len(expected)], expected, FORWARD, f"{dialogue}, logits")
    rest = torch.cat([logits[:1], logits[1 + len(expected) :]])
    assert (rest == torch.finfo(logits.dtype).min).all(), "positions without both neighbours are masked"


def assert_classification_recorded(recorded: Recorded, dialogue: str, logits: Tensor):
    expected = recorded[f"{dialogue}.logprob"]
    assert_close(logits[: len(expected)].log_softmax(-1), expected, FORWARD, f"{dialogue}, log-probabilities")
    assert not logits[len(expected) :].any(), "padding has logits of 0"


def weighted_mean(values: list[Tensor], weights: list[int]) -> Tensor:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


TASKS = {
    "completion": (completion_batch, assert_completion_recorded),
    "classification": (classification_batch, assert_classification_recorded),
}


def test_every_dialogue_reproduces_its_recorded_scores_states_loss_and_gradients(task, recorded):
    make_batch, assert_scores_recorded = TASKS[task]
    for dialogue in recorded.dialogues:
        count, width = len(recorded[f"{dialogue}.s_embed"]), POOLING_LENGTH
        output = recorded.model(**make_batch(recorded, [dialogue], count, width), output_hidden_states=True)
        assert_scores_recorded(recorded, dialogue, output.logits[0])
        assert_states_recorded(recorded, dialogue, [states[0] for states in output.hidden_states])
        assert_close(output.loss, recorded[f"{dialogue}.loss"], FORWARD, f"{dialogue}, loss")
        assert_gradients_close(recorded, output.loss, recorded.gradients(dialogue), dialogue)


def test_one_batch_of_all_dialogues_padded_further_gives_the_same_numbers(task, recorded):
    make_batch, assert_scores_recorded = TASKS[task]
    output = recorded.model(**make_batch(recorded, recorded.dialogues, 17, 13), output_hidden_states=True)
    for row, dialogue in enumerate(recorded.dialogues):
        assert_scores_recorded(recorded, dialogue, output.logits[row])
        assert_states_recorded(recorded, dialogue, [states[row] for states in output.hidden_states])
    # The batch's loss is a mean over what the losses of its dialogues are means over.
    scores = {"completion": "logits", "classification": "logprob"}[task]
    weights = [len(recorded[f"{dialogue}.{scores}"]) for dialogue in recorded.dialogues]
    loss = weighted_mean([recorded[f"{dialogue}.loss"] for dialogue in recorded.dialogues], weights)
    assert_close(output.loss, loss, FORWARD, "loss")
    gradients = [recorded.gradients(dialogue) for dialogue in recorded.dialogues]
    mean = {name: weighted_mean([gradient[name] for gradient in gradients], weights) for name in gradients[0]}
    assert_gradients_close(recorded, output.loss, mean, "batch")


def test_padding_no_further_than_the_longest_utterance_gives_the_same_numbers(task, recorded):
    make_batch, assert_scores_recorded = TASKS[task]
    lengths = {"completion": "script_lens", "classification": "lens"}[task]
    for dialogue in recorded.dialogues:
        length = recorded[f"{dialogue}.{lengths}"]
        batch = make_batch(recorded, [dialogue], len(length), int(length.max()))
        with torch.no_grad():
            output = recorded.model(**batch)
        assert_scores_recorded(recorded, dialogue, output.logits[0])
        assert_close(output.loss, recorded[f"{dialogue}.loss"], FORWARD, f"{dialogue}, loss")


def test_a_converted_model_holds_the_recorded_parameters_exactly(task, recorded):
    state = recorded.model.state_dict()
    assert torch.equal(state["precode.utterance_encoder.word_embedding.weight"], recorded["emb.before"])
    for module, names in recorded.tensor_names.items():
        prefix = "param.erc" if (task, module) == ("classification", "dec") else "param.convcom"
        for theirs, ours in names.items():
            assert torch.equal(state[ours], recorded[f"{prefix}.{module}.{theirs}"]), ours


def test_a_forward_pass_leaves_the_word_vectors_as_they_are(task, recorded):
    make_batch, _ = TASKS[task]
    with torch.no_grad():
        recorded.model(**make_batch(recorded, recorded.dialogues, 14, 10))
    weights = recorded.model.get_input_embeddings().weight
    # The original shortened the looked-up ones for good.
    assert torch.equal(weights, recorded["emb.before"]) and not torch.equal(weights, recorded["emb.after_lm"])

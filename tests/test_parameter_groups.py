"""What learning rates a text encoder promises: one of its own, that falls with the depth, under every schedule."""

import pytest
import torch
from text_encoders import KINDS, write_text_encoder
from transformers import AlbertConfig, AutoModel

from modeling_precode import PreCodeForUtteranceClassification
from modeling_precode.training.optimization import Schedule, parameter_groups

SMALL = {"utterance_hidden_size": 8, "conversation_hidden_size": 6}


@pytest.fixture
def make(tmp_path):
    def make(kind="bert", **config):
        folder = write_text_encoder(tmp_path / kind, ["so happy"], kind)
        return PreCodeForUtteranceClassification.from_utterance_encoder(folder, **SMALL, **config)

    return make


def rates(model, *given):
    """The learning rate of every parameter by its name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, *given)
    found = [(names[parameter], group["lr"]) for group in groups for parameter in group["params"]]
    assert len(found) == len(dict(found))
    return dict(found)


def test_a_model_over_words_has_one_group_in_the_order_of_its_parameters(tiny_config):
    model = PreCodeForUtteranceClassification(tiny_config(freeze_word_vectors=True))
    [group] = parameter_groups(model, 0.1)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert group["lr"] == 0.1 and len(trained) == len(group["params"])
    assert all(one is other for one, other in zip(group["params"], trained, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_deeper_the_slower(make, kind):
    model = make(kind)
    found = rates(model, 0.1, 0.01, 0.5)
    assert found.keys() == {name for name, _ in model.named_parameters()}
    for name, rate in found.items():
        if ".encoder." not in name or "conversation_encoder" in name:
            assert rate == 0.1, name
        elif "embed" in name and "rel_embeddings" not in name:  # all layers share these
            assert rate == pytest.approx(0.01 * 0.25), name
        elif ".0." in name.partition(".encoder.")[2]:
            assert rate == pytest.approx(0.01 * 0.5), name
        else:
            assert rate == 0.01, name
    assert parameter_groups(model, 0.1, 0.01, 0.5)[0]["lr"] == 0.1


def test_a_frozen_encoder_is_in_no_group(make):
    assert set(rates(make(freeze_text_encoder=True), 0.1).values()) == {0.1}


def test_the_groups_of_an_optimiser_keep_their_settings(make):
    model = make()
    decayed, kept = [], []
    for parameter in model.parameters():
        (decayed if parameter.dim() > 1 else kept).append(parameter)
    given = [{"params": decayed, "weight_decay": 0.1}, {"params": kept, "weight_decay": 0.0}]
    groups = parameter_groups(model, 0.1, None, None, given)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.1, 0.1), (0.1, 0), (2e-5, 0.1), (2e-5, 0)]
    assert all(
        (parameter.dim() > 1) == (group["weight_decay"] > 0) for group in groups for parameter in group["params"]
    )


@pytest.mark.parametrize("kind", ["plateau", "constant", "linear", "cosine"])
def test_every_schedule_keeps_the_rates_in_proportion(make, kind):
    optimizer = torch.optim.SGD(parameter_groups(make(), 0.1, 0.001, 0.5))
    schedule = Schedule(kind, optimizer, 3, 20, 0.5, 0.02)
    for step in range(19):
        optimizer.step()
        schedule.after_step()
        if step > 3:
            schedule.after_evaluation(0.0)
        first, *others = [group["lr"] for group in optimizer.param_groups]
        assert others == pytest.approx([first * share for share in (0.01, 0.005, 0.0025)])
    if kind == "plateau":
        assert first == pytest.approx(0.02)  # not below, and the others not before it


def test_what_cannot_decay_is_named(make, tmp_path):
    with pytest.raises(ValueError, match="--layer_decay must be more than 0 and at most 1; got 1.5"):
        parameter_groups(make(), 0.1, None, 1.5)
    sizes = {"hidden_size": 8, "embedding_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
    AutoModel.from_config(AlbertConfig(vocab_size=9, **sizes)).save_pretrained(tmp_path / "albert")
    albert = PreCodeForUtteranceClassification.from_utterance_encoder(tmp_path / "albert", **SMALL)
    assert set(rates(albert, 0.1).values()) == {0.1, 2e-5}
    with pytest.raises(ValueError, match="a 'albert' has no list of 12 layers; leave this out"):
        parameter_groups(albert, 0.1, None, 0.9)

"""What Conversation Completion promises for a text encoder that reads the dialogue: it never sees the utterance that it
has to choose."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from text_encoders import write_text_encoder
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy, pad
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from modeling_precode import (
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    encode_dialogues,
)
from modeling_precode.masked_dialogues import masked_in_turn
from modeling_precode.training.completion_dialogues import encode_with_negatives
from modeling_precode.training.masking import MaskedDialogues, draw_masked, num_masked
from modeling_precode.training.negatives import DialoguesWithNegatives

DIALOGUES = [
    [
        "I am so happy!",
        "About what?",
        "the weather, the sun and all the rest of it",
        "No way.",
        "I passed!",
        "You did?",
    ],
    ["You did?", "No way.", "I passed!", "About what?"],
    ["the sun", "No way.", "the rest of it"],
]
SPEAKERS = [["Ann", "Bo", None] * 2, ["Ann", "Bo"] * 2, ["Bo", "Ann", "Bo"]]
MASKED = [[0, 1, 0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0]]
NEGATIVES = ["the sun", "I am so happy!", "You did?"]
CONTEXT = {"text_context": "dialogue", "speaker_prefix": True}
SMALL = {"utterance_hidden_size": 8, "conversation_hidden_size": 6, "dropout": 0.0, **CONTEXT}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    texts = [text for dialogue in DIALOGUES for text in dialogue]
    return write_text_encoder(tmp_path_factory.mktemp("encoder") / "bert", [*texts, "Ann:", "Bo:"])


@pytest.fixture
def make(folder):
    def make(model_class=PreCodeForConversationCompletion, **config):
        torch.manual_seed(0)
        return model_class.from_utterance_encoder(folder, **{**SMALL, **config}).eval()

    return make


def rows_of(folder, dialogues=DIALOGUES, speakers=SPEAKERS, masked=MASKED):
    examples = {"utterances": dialogues, "speakers": speakers}
    encoded = encode_dialogues(examples, AutoTokenizer.from_pretrained(folder), **CONTEXT)
    if masked is not None:
        encoded["masked_utterances"] = masked
    return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]


def batch_of(folder, *args, **kwargs):
    return PreCodeDataCollator(0, with_layout=True)(rows_of(folder, *args, **kwargs))


def with_negatives(folder, rows):
    examples = {"utterances": [NEGATIVES]}
    encoded = encode_dialogues(examples, AutoTokenizer.from_pretrained(folder), text_context="dialogue")
    return [{**row, "negative_input_ids": encoded["input_ids"][0]} for row in rows]


def contexts_of(model, batch):
    """The context vectors of the masked utterances."""
    contexts = []
    hook = model.context_projection.register_forward_hook(lambda *call: contexts.append(call[2]))
    model(**batch)
    hook.remove()
    return torch.cat(contexts)


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_the_words_of_a_target_do_not_change_its_context_vector(folder, make, causal):
    model = make(causal=causal)
    before = contexts_of(model, batch_of(folder))
    others = [list(dialogue) for dialogue in DIALOGUES]
    others[0][1], others[0][3], others[1][2] = "I passed! " * 9, "", "the weather, the sun and all the rest of it"
    assert torch.equal(contexts_of(model, batch_of(folder, others)), before)
    others[0][0], others[1][1] = "the sun", "the sun"
    assert not torch.isclose(contexts_of(model, batch_of(folder, others))[:3], before[:3]).all(-1).any()


@torch.no_grad()
def test_the_speaker_of_a_target_is_in_its_context_and_in_no_candidate(folder, make):
    model, speakers = make(), [["Ann", "Ann", None] * 2, *SPEAKERS[1:]]
    one, other = (
        model(**batch_of(folder, speakers=names), output_hidden_states=True).hidden_states
        for names in (SPEAKERS, speakers)
    )
    assert torch.equal(one[0], other[0]) and not torch.isclose(one[1][0, 1], other[1][0, 1]).all()


def by_hand(folder, model, rows):
    """The context vectors of the masked utterances, the vectors of all utterances, and the places of the former."""
    encoder, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    precode = model.base_model

    def read(utterances):
        """In one sequence, the vectors of utterances, and their states in context."""
        ids, spans = [tokenizer.cls_token_id], []
        for tokens, name in utterances:
            spans.append(slice(len(ids) + name, len(ids) + len(tokens)))
            ids += [*tokens, tokenizer.sep_token_id]
        [states] = encoder(input_ids=torch.tensor([ids])).last_hidden_state
        found = precode(utterance_embeds=torch.stack([states[span].mean(0) for span in spans]).unsqueeze(0))
        return found.utterance_vectors[0], found.last_hidden_state[0]

    states, vectors, places = [], [], []
    for row in rows:
        utterances = list(zip(row["input_ids"], row["name_lengths"], strict=True))
        masked = [place for place, is_masked in enumerate(row["masked_utterances"]) if is_masked]
        places += [len(vectors) + place for place in masked]
        vectors += [read([(ids[name:], 0)])[0][0] for ids, name in utterances]
        for place in masked:
            ids, name = utterances[place]
            utterances[place] = ([*ids[:name], tokenizer.mask_token_id], name)
        states += list(read(utterances)[1][masked])
    return torch.tanh(model.context_projection(torch.stack(states))), torch.stack(vectors), places


@torch.no_grad()
def test_scores_and_loss_are_those_of_the_sequences_by_hand(folder, make):
    model, rows = make(), rows_of(folder)
    contexts, vectors, places = by_hand(folder, model, rows)
    texts = [(number, text) for number, dialogue in enumerate(DIALOGUES) for text in dialogue]
    losses = []
    for context, place in zip(contexts, places, strict=True):
        others = [i for i, one in enumerate(texts) if one[0] != texts[place][0] and one[1] != texts[place][1]]
        assert 0 < len(others) < len(texts)
        scores = vectors[[place, *others]] @ context
        losses.append(cross_entropy(scores.unsqueeze(0), torch.tensor([0])))
    output = model(**PreCodeDataCollator(0)(rows))
    assert len(losses) == 4
    torch.testing.assert_close(output.loss, torch.stack(losses).mean(), atol=1e-5, rtol=1e-4)
    is_masked = torch.stack([pad(torch.tensor(row), (0, 6 - len(row))) for row in MASKED]).bool()
    expected = (contexts * vectors[places]).sum(-1)
    torch.testing.assert_close(output.logits[is_masked][:, 0], expected, atol=1e-5, rtol=1e-4)
    assert (output.logits[~is_masked] == torch.finfo(torch.float32).min).all()

    negatives = model.base_model.encode_utterances(batch_of(folder, [NEGATIVES], [[None] * 3], None)["input_ids"])[0]
    model.config.convcom_objective = "sampled_bce"
    output = model(**PreCodeDataCollator(0)(with_negatives(folder, rows)))
    scores = torch.cat([expected.unsqueeze(1), contexts @ negatives[0].T], dim=1)
    torch.testing.assert_close(output.logits[is_masked], scores, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(output.loss, bce(scores, torch.eye(4)[:1].expand(4, -1)), atol=1e-5, rtol=1e-4)


def test_in_evaluation_every_target_is_masked_once_and_no_two_neighbors_at_a_time():
    has_utterance = torch.arange(20) < torch.tensor([20, 3, 9, 1, 4]).unsqueeze(1)
    readings = torch.stack(masked_in_turn(has_utterance))
    expected = (torch.arange(20) > 0) & (torch.arange(20) < torch.tensor([19, 2, 8, 0, 3]).unsqueeze(1))
    assert torch.equal(readings.sum(0), expected.long())
    assert not (readings[..., 1:] & readings[..., :-1]).any()


@torch.no_grad()
def test_in_evaluation_a_targets_scores_are_those_of_the_reading_in_which_it_is_masked(folder, make):
    model = make(causal=True)
    rows = with_negatives(folder, rows_of(folder, masked=None))
    whole = model(**PreCodeDataCollator(0)(rows)).logits
    for number, dialogue in enumerate(DIALOGUES):
        [alone] = model(**PreCodeDataCollator(0)([rows[number]])).logits
        torch.testing.assert_close(alone, whole[number, : len(dialogue)], atol=1e-5, rtol=1e-4)
        for place in range(1, len(dialogue) - 1):
            row = {**rows[number], "masked_utterances": [int(other == place) for other in range(len(dialogue))]}
            [one] = model(**PreCodeDataCollator(0)([row])).logits
            torch.testing.assert_close(one[place], whole[number, place], atol=1e-5, rtol=1e-4)
    assert len(DIALOGUES[0]) <= 8  # so no reading masks two


def test_in_training_a_share_of_the_utterances_is_masked_and_no_two_neighbors():
    generator, counts = np.random.default_rng(0), np.zeros(12)
    for size in range(3, 60):
        masked = draw_masked(size, generator)
        places = np.flatnonzero(masked)
        assert len(masked) == size and len(places) == num_masked(np.array([size]))[0] == max(round(0.15 * size), 1)
        assert places[0] > 0 and places[-1] < size - 1 and all(after - before > 1 for before, after in pairwise(places))
    for _ in range(200):
        counts += draw_masked(12, generator)
    assert counts[0] == counts[-1] == 0 and counts[1:-1].min() > 15


def test_what_is_masked_depends_on_seed_epoch_and_dialogue_only(folder):
    dialogues = [row for row in rows_of(folder, masked=None) for _ in range(5)]

    def drawn(seed, epoch, order=range(15)):
        rows = MaskedDialogues(DialoguesWithNegatives(dialogues, 2, seed), seed)
        rows.redraw(epoch)
        return {index: (tuple(rows[index]["masked_utterances"]), rows[index]["negative_input_ids"]) for index in order}

    assert drawn(1, 4) == drawn(1, 4, reversed(range(15)))
    for other in ((1, 5), (2, 4)):
        assert any(drawn(1, 4)[index][0] != drawn(*other)[index][0] for index in range(15))
        assert any(drawn(1, 4)[index][1] != drawn(*other)[index][1] for index in range(15))


def test_sampled_negatives_have_no_names(folder):
    rows = rows_of(folder, masked=None)
    texts = {tuple(ids[name:]) for row in rows for ids, name in zip(row["input_ids"], row["name_lengths"], strict=True)}
    negatives = [tuple(ids) for i in range(3) for ids in DialoguesWithNegatives(rows, 2, 0)[i]["negative_input_ids"]]
    assert len(negatives) == 6 and set(negatives) <= texts


def test_equal_texts_have_equal_token_ids_with_and_without_a_name():
    """Byte-level tokenizers distinguish the first word of a text from one after a name. A candidate must not show by
    this whether it is the true one."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [*DIALOGUES[0], *DIALOGUES[2]] * 9
    backend.train_from_iterator(texts, BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=128)
    negatives = (DIALOGUES[0] * 2)[:10]
    for speakers in (SPEAKERS[2], [None] * 3, ["Ann", None, None]):
        examples = {"utterances": [DIALOGUES[2]], "speakers": [speakers], "negatives": [negatives]}
        encoded = encode_with_negatives(examples, tokenizer=tokenizer, version="", **CONTEXT)
        [row], [ids], [names] = (encoded[name] for name in ("negative_input_ids", "input_ids", "name_lengths"))
        assert row == [tokenizer(f" {text}")["input_ids"] for text in negatives]
        texts = [own[length:] for own, length in zip(ids, names, strict=True)]
        assert texts == [tokenizer(f" {text}")["input_ids"] for text in DIALOGUES[2]]


@pytest.mark.parametrize("settings", [{"max_speakers": 2}, {"causal": True, "text_pooling": "max_mean"}], ids=str)
def test_every_parameter_learns_and_gradient_checkpointing_changes_no_gradient(folder, make, settings):
    models = [make(max_window_tokens=30, **settings) for _ in range(2)]
    models[1].gradient_checkpointing_enable()
    for model in models:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.train()(**batch_of(folder)).loss.backward()
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert one.grad is not None and one.grad.any(), name
        torch.testing.assert_close(one.grad, other.grad)


@torch.no_grad()
def test_bfloat16_is_close_to_float32(folder, make):
    model, batch = make(), batch_of(folder)
    whole = model(**batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(**batch)
    torch.testing.assert_close(found.loss, whole.loss, atol=2e-2, rtol=2e-2)
    assert model.bfloat16()(**batch).loss.isfinite()


@torch.no_grad()
def test_pretraining_goes_on_from_a_checkpoint_of_utterances_and_finetuning_from_the_result(folder, make, tmp_path):
    start = make(text_context="utterance", speaker_prefix=False)
    start.save_pretrained(tmp_path / "start")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(tmp_path / "start")
    model = PreCodeForConversationCompletion.from_pretrained(tmp_path / "start", **CONTEXT)
    assert model.config.mask_token_id == tokenizer.mask_token_id is not None
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in start.state_dict().items())
    model.save_pretrained(tmp_path / "pretrained")
    again = PreCodeForConversationCompletion.from_pretrained(tmp_path / "pretrained")
    assert torch.equal(again(**batch_of(folder)).logits, model(**batch_of(folder)).logits)
    classifier = PreCodeForUtteranceClassification.from_pretrained(tmp_path / "pretrained", num_labels=3)
    assert classifier.config.text_context == "dialogue" and classifier.config.speaker_prefix
    assert classifier(**batch_of(folder, masked=None)).logits.isfinite().all()
    assert all(
        torch.equal(value, classifier.state_dict()[f"precode.{name}"])
        for name, value in model.precode.state_dict().items()
    )


def test_a_tokenizer_without_a_mask_token_is_refused(folder, make, tmp_path):
    shutil.copytree(folder, tmp_path / "encoder")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path / "encoder")
    with pytest.raises(ValueError, match="`mask_token_id` is None: .* needs a tokenizer with a mask token"):
        PreCodeForConversationCompletion.from_utterance_encoder(tmp_path / "encoder", **SMALL)
    PreCodeForUtteranceClassification.from_utterance_encoder(tmp_path / "encoder", **SMALL)
    with pytest.raises(Exception, match="`mask_token_id` must be the id of a token .*; got 999"):
        make(mask_token_id=999)


def test_a_batch_that_does_not_fit_is_refused(folder, make):
    batch, masked = batch_of(folder, masked=None), torch.tensor([[0, 1]])
    with pytest.raises(ValueError, match=r"masked utterances must have the shape .* here \(3, 6\); got \(1, 2\)"):
        make()(**batch, masked_utterances=masked)
    with pytest.raises(ValueError, match="with `text_context` 'dialogue' masks utterances; give `input_ids`"):
        make()(utterance_embeds=torch.zeros(1, 3, 16))
    with pytest.raises(ValueError, match="give `input_ids`, and no embeddings"):
        make()(**batch, negative_utterance_embeds=torch.zeros(1, 2, 16))
    with pytest.raises(ValueError, match="`name_lengths` must be at least 0 and less than .* got [0-9]+ of [0-9]+"):
        make()(**{**batch, "name_lengths": batch["name_lengths"] + 99})
    names = batch.pop("name_lengths")
    with pytest.raises(ValueError, match=r"name lengths must have the shape .* here \(3, 6\); got \(3, 2\)"):
        make()(**batch, name_lengths=names[:, :2])
    with pytest.raises(ValueError, match="with `text_context` 'dialogue' needs `name_lengths`: use encode_dialogues"):
        make()(**batch)
    utterances = make(text_context="utterance")
    with pytest.raises(ValueError, match="`masked_utterances` are for a model with `text_context` 'dialogue'"):
        utterances(**batch, masked_utterances=masked)
    with pytest.raises(ValueError, match="with `text_context` 'utterance' reads no `name_lengths`"):
        utterances(**batch, name_lengths=names)

"""What the models promise: the paper's mathematics, results that depend on valid tokens only, and the manners of
transformers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
)

from modeling_precode import (
    PreCodeConfig,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeModel,
)
from modeling_precode.configuration_precode import CONVCOM_OBJECTIVES, GRU_UTTERANCE_ENCODERS
from modeling_precode.dropout import Dropout
from modeling_precode.steps import Steps

SIZES = (5, 1, 3, 2)
LOWEST = torch.finfo(torch.float32).min


def dialogues(sizes=SIZES, seed=0, words=17) -> list[list[list[int]]]:
    generator = torch.Generator().manual_seed(seed)

    def number(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    return [[[number(2, words) for _ in range(number(1, 7))] for _ in range(size)] for size in sizes]


def batch(rows: list[list[list[int]]], extra_tokens=0, extra_utterances=0) -> dict[str, torch.Tensor]:
    collated = PreCodeDataCollator()([{"input_ids": row} for row in rows])
    return {name: F.pad(tensor, (0, extra_tokens, 0, extra_utterances)) for name, tensor in collated.items()}


def negatives(rows: list[list[list[int]]], count=10) -> dict[str, torch.Tensor]:
    drawn = dialogues([count] * len(rows), seed=9)
    return {f"negative_{name}": tensor for name, tensor in batch(drawn).items()}


@pytest.fixture
def make(tiny_config):
    """A function: model class, settings -> a model in evaluation mode, the same at every call."""

    def make_model(model_class, **settings):
        torch.manual_seed(0)
        return model_class(tiny_config(**settings)).eval()

    return make_model


@pytest.mark.parametrize("pooling_length", [None, 60])
@pytest.mark.parametrize("utterance_encoder", GRU_UTTERANCE_ENCODERS)
def test_a_dialogues_logits_depend_on_its_tokens_only(make, utterance_encoder, pooling_length):
    """Not on padding, on the other dialogues of the batch, or on their order."""
    rows = dialogues()
    settings = {"utterance_encoder": utterance_encoder, "pooling_length": pooling_length}
    classifier = make(PreCodeForUtteranceClassification, **settings)
    completion = make(PreCodeForConversationCompletion, **settings)
    together = classifier(**batch(rows)).logits
    padded = classifier(**batch(rows, extra_tokens=5, extra_utterances=4)).logits
    backwards = classifier(**batch(rows[::-1])).logits
    candidates = negatives(rows)
    scored = completion(**batch(rows), **candidates).logits
    for i, row in enumerate(rows):
        alone = classifier(**batch([row])).logits[0]
        for other in (together[i], padded[i], backwards[-1 - i]):
            torch.testing.assert_close(other[: len(row)], alone, rtol=1e-5, atol=1e-6)
        own = {name: tensor[i : i + 1] for name, tensor in candidates.items()}
        torch.testing.assert_close(
            scored[i, : len(row)], completion(**batch([row]), **own).logits[0], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("utterance_encoder", GRU_UTTERANCE_ENCODERS)
def test_pooling_length_pools_as_if_over_that_many_padded_positions(make, utterance_encoder):
    """The utterance encoder, written out with padded tensors as in the original."""
    encoder = make(PreCodeModel, utterance_encoder=utterance_encoder, pooling_length=60).utterance_encoder
    rows = dialogues([4])[0]
    collated = batch([rows])
    padded = F.pad(collated["input_ids"][0], (0, 60 - collated["input_ids"].shape[-1]))
    lengths = torch.tensor([len(row) for row in rows])

    def run(gru, inputs):
        packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(nn.GRU.forward(gru, packed)[0], batch_first=True, total_length=60)[0]

    states = run(encoder.gru, encoder.embed(padded))
    if utterance_encoder == "stacked_gru":
        states = run(encoder.second_gru, states)
    if utterance_encoder == "gru2":
        expected = torch.tanh(encoder.projection(states.max(1)[0] + states.mean(1)))
    else:
        states = torch.tanh(encoder.projection(states))
        expected = states.max(1)[0] + states.mean(1)
    vectors = encoder(torch.tensor([token for row in rows for token in row]), Steps.of(lengths))
    torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-6)


def test_an_utterance_is_hidden_from_its_own_context(make):
    """At a position, the negatives' scores do not change with the utterance that stands there; elsewhere they do."""
    model = make(PreCodeForConversationCompletion)
    row = dialogues([5])[0]
    candidates = negatives([row])
    before = model(**batch([row]), **candidates).logits[0]
    after = model(**batch([[*row[:2], [3, 3, 3], *row[3:]]]), **candidates).logits[0]
    torch.testing.assert_close(before[2, 1:], after[2, 1:], rtol=1e-6, atol=1e-7)
    assert (before[1, 1:] - after[1, 1:]).abs().max() > 1e-4
    assert (before[2, 0] - after[2, 0]).abs() > 1e-4


@pytest.mark.parametrize("objective", CONVCOM_OBJECTIVES)
def test_only_positions_with_both_neighbours_are_scored(make, objective):
    model = make(PreCodeForConversationCompletion, convcom_objective=objective)
    rows = dialogues()
    output = model(**batch(rows), **negatives(rows))
    assert output.logits.shape == (4, 5, 11)
    scored = (output.logits > LOWEST).all(-1)
    assert scored.tolist() == [[0 < u < size - 1 for u in range(5)] for size in SIZES]
    assert torch.equal(scored, (output.logits > LOWEST).any(-1))
    # Dialogues without a target change nothing.
    longer = [row for row in rows if len(row) > 2]
    picked = {name: tensor[[0, 2]] for name, tensor in negatives(rows).items()}
    torch.testing.assert_close(model(**batch(longer), **picked).loss, output.loss)


@pytest.mark.parametrize("objective", CONVCOM_OBJECTIVES)
@pytest.mark.parametrize("with_negatives", [True, False])
def test_a_batch_without_a_target_trains_nothing_and_breaks_nothing(make, objective, with_negatives):
    model = make(PreCodeForConversationCompletion, convcom_objective=objective)
    rows = dialogues([1, 2, 2])
    output = model(**batch(rows), **(negatives(rows) if with_negatives else {}))
    assert not output.logits.isnan().any()
    if output.loss is None:
        assert (objective, with_negatives) == ("sampled_bce", False)
    else:
        assert output.loss == 0
        output.loss.backward()
        assert all((p.grad is None) or (p.grad == 0).all() for p in model.parameters())


def test_sampled_bce_is_the_mean_over_all_scores(make):
    model = make(PreCodeForConversationCompletion, convcom_objective="sampled_bce")
    rows = dialogues()
    output = model(**batch(rows), **negatives(rows))
    losses = []
    for i, size in enumerate(SIZES):
        for u in range(1, size - 1):
            for k in range(11):
                score = output.logits[i, u, k]
                losses.append(-F.logsigmoid(score if k == 0 else -score))
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())


def test_in_batch_softmax_is_over_the_other_dialogues_without_the_targets_own_words(make):
    """Written out with loops: candidates are the target and what other dialogues say in other words."""
    model = make(PreCodeForConversationCompletion)
    rows = dialogues([4, 3, 5, 1])
    rows[1][2] = rows[0][1]
    rows[2][3] = rows[0][1]
    rows[2][0] = rows[2][1]
    inputs = batch(rows, extra_tokens=2)
    encoded = model.precode(**inputs)
    forward_states, backward_states = encoded.last_hidden_state.chunk(2, -1)
    losses = []
    for i, row in enumerate(rows):
        for u in range(1, len(row) - 1):
            states = torch.cat([forward_states[i, u - 1], backward_states[i, u + 1]])
            context = torch.tanh(model.context_projection(states))
            candidates = [encoded.utterance_vectors[i, u]]
            for j, other in enumerate(rows):
                candidates += [
                    encoded.utterance_vectors[j, v] for v, words in enumerate(other) if j != i and words != row[u]
                ]
            losses.append(F.cross_entropy(torch.stack(candidates) @ context, torch.tensor(0)))
    torch.testing.assert_close(model(**inputs).loss, torch.stack(losses).mean())


def test_the_classification_loss_is_weighted_and_divided_by_the_number_of_labels(make):
    weights = [0.2, 0.0, 0.8]
    model = make(PreCodeForUtteranceClassification, class_weights=weights)
    inputs = batch(dialogues())
    labels = torch.full((4, 5), -100)
    given = {(0, 0): 0, (0, 3): 2, (1, 0): 1, (2, 2): 2}
    for place, label in given.items():
        labels[place] = label
    output = model(**inputs, labels=labels)
    log_probabilities = output.logits.log_softmax(-1)
    total = sum(-weights[label] * log_probabilities[(*place, label)] for place, label in given.items())
    torch.testing.assert_close(output.loss, total / len(given))
    torch.testing.assert_close(model(**inputs, labels=labels, num_items_in_batch=8).loss, total / 8)
    for count in (None, 0, torch.tensor(0)):
        assert model(**inputs, labels=torch.full((4, 5), -100), num_items_in_batch=count).loss == 0


def test_long_word_vectors_are_scaled_down_on_look_up_and_stay_as_they_are(make):
    model = make(PreCodeModel, word_vector_max_norm=1.0)
    embedding = model.get_input_embeddings()
    with torch.no_grad():
        embedding.weight[2] = 3.0
        embedding.weight[3] = 0.01
    before = embedding.weight.clone()
    vectors = model.utterance_encoder.embed(torch.tensor([2, 3]))
    torch.testing.assert_close(vectors.norm(dim=-1), torch.tensor([1.0, 0.01 * 12**0.5]))
    torch.testing.assert_close(embedding.weight, before, rtol=0, atol=0)
    assert make(PreCodeModel, word_vector_max_norm=None).utterance_encoder.max_norm is None


@pytest.mark.parametrize(
    ("model_class", "objective"),
    [
        (PreCodeForConversationCompletion, "in_batch_softmax"),
        (PreCodeForConversationCompletion, "sampled_bce"),
        (PreCodeForUtteranceClassification, "in_batch_softmax"),
    ],
)
def test_a_training_step_with_a_layout_waits_for_no_number_of_the_device(make, model_class, objective):
    """The device `meta` has no numbers: whatever asks for one fails there."""
    rows = [
        {"input_ids": row, "labels": [0] * len(row), "label_distributions": [[0.5, 0.5, 0.0]] * len(row)}
        for row in dialogues()
    ]
    if model_class is PreCodeForConversationCompletion:
        rows = [{"input_ids": row["input_ids"]} for row in rows]
    if objective == "sampled_bce":
        rows = [{**row, "negative_input_ids": drawn} for row, drawn in zip(rows, dialogues([10] * 4), strict=True)]
    model = make(model_class, convcom_objective=objective).train()
    inputs = PreCodeDataCollator(with_layout=True)(rows)
    torch.manual_seed(0)
    expected = model(**inputs).loss
    del inputs["layout"]
    torch.manual_seed(0)
    assert torch.equal(model(**inputs).loss, expected)

    model, inputs = model.to("meta"), PreCodeDataCollator(with_layout=True)(rows)
    loss = model(**{name: value.to("meta") for name, value in inputs.items()}).loss
    loss.backward()
    with pytest.raises(NotImplementedError, match="no data"):
        model(**{name: value.to("meta") for name, value in inputs.items() if name != "layout"})


def test_dropout_drops_its_share_and_scales_the_rest():
    torch.manual_seed(0)
    dropped = Dropout(0.2)(torch.ones(999, 101))
    assert (dropped == 0).float().mean() == pytest.approx(0.2, abs=0.01)
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    assert dropped.unique().numel() == 2
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.2)(torch.ones(999, 101)), dropped)
    assert torch.equal(Dropout(0.2).eval()(torch.ones(3)), torch.ones(3))
    # The nearest probability to these that leaves something is 65535 / 65536.
    nearly_all = Dropout(0.999999)(torch.ones(2**20))
    assert set(nearly_all.unique().tolist()) == {0.0, 2.0**16}
    assert not Dropout(1.0)(torch.ones(2**20)).any()


@pytest.mark.parametrize("frozen", [True, False])
def test_word_vectors_are_frozen_or_trained_after_loading_too(make, tmp_path, frozen):
    model = make(PreCodeForConversationCompletion, freeze_word_vectors=frozen)
    model.save_pretrained(tmp_path)
    for loaded in (model, PreCodeForUtteranceClassification.from_pretrained(tmp_path)):
        assert loaded.get_input_embeddings().weight.requires_grad is not frozen


def test_fine_tuning_takes_over_the_encoder_and_a_new_head(make, tmp_path):
    completion = make(PreCodeForConversationCompletion)
    completion.save_pretrained(tmp_path)
    classifier = PreCodeForUtteranceClassification.from_pretrained(tmp_path, num_labels=5)
    for name, parameter in completion.precode.state_dict().items():
        assert torch.equal(classifier.precode.state_dict()[name], parameter)
    assert classifier(**batch(dialogues())).logits.shape == (4, 5, 5)


@pytest.mark.parametrize(
    ("model_class", "auto_class"),
    [
        (PreCodeModel, AutoModel),
        (PreCodeForConversationCompletion, AutoModelForPreTraining),
        (PreCodeForUtteranceClassification, AutoModelForSequenceClassification),
    ],
)
def test_it_comes_back_from_a_folder_through_its_auto_class(make, tmp_path, model_class, auto_class):
    model = make(model_class)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded = auto_class.from_pretrained(tmp_path)
    assert type(loaded) is model_class
    assert isinstance(AutoConfig.from_pretrained(tmp_path), PreCodeConfig)
    inputs = batch(dialogues())
    torch.testing.assert_close(loaded(**inputs)[0], model(**inputs)[0])


def test_return_dict_and_output_hidden_states_behave_as_in_transformers(make):
    model = make(PreCodeForUtteranceClassification)
    inputs = batch(dialogues())
    labels = torch.zeros(4, 5, dtype=torch.long)
    output = model(**inputs, labels=labels)
    assert output.hidden_states is None
    loss, logits = model(**inputs, labels=labels, return_dict=False)
    assert torch.equal(loss, output.loss)
    assert torch.equal(logits, output.logits)
    vectors, states = model(**inputs, output_hidden_states=True).hidden_states
    assert (vectors.shape, states.shape) == ((4, 5, 8), (4, 5, 12))
    model.config.return_dict = False
    assert isinstance(model(**inputs), tuple)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_is_that_of_the_weights_and_the_logits(make, tmp_path, dtype):
    model = make(PreCodeForUtteranceClassification)
    model.save_pretrained(tmp_path)
    loaded = PreCodeForUtteranceClassification.from_pretrained(tmp_path, dtype=dtype)
    output = loaded(**batch(dialogues()), labels=torch.zeros(4, 5, dtype=torch.long))
    assert loaded.dtype == output.logits.dtype == dtype
    torch.testing.assert_close(output.logits.float(), model(**batch(dialogues())).logits, rtol=0.05, atol=0.02)
    output.loss.backward()


@pytest.mark.parametrize("objective", CONVCOM_OBJECTIVES)
@pytest.mark.parametrize("autocast", [True, False])
def test_conversation_completion_in_bfloat16(make, objective, autocast):
    """Close to float32, and positions without a score stay told apart from those with one."""
    model = make(PreCodeForConversationCompletion, convcom_objective=objective)
    rows = dialogues()
    expected = model(**batch(rows), **negatives(rows))
    if not autocast:
        model = model.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        output = model(**batch(rows), **negatives(rows))
    assert output.logits.dtype == torch.bfloat16
    scored = output.logits > torch.finfo(torch.bfloat16).min
    assert torch.equal(scored, expected.logits > LOWEST)
    torch.testing.assert_close(output.logits[scored].float(), expected.logits[scored], rtol=0.05, atol=0.05)
    torch.testing.assert_close(output.loss, expected.loss, rtol=0.02, atol=0.02)
    output.loss.backward()


def test_the_mask_is_taken_from_the_padding_token_when_not_given(make):
    model = make(PreCodeForUtteranceClassification)
    inputs = batch(dialogues())
    assert torch.equal(model(inputs["input_ids"]).logits, model(**inputs).logits)


def test_dropout_acts_in_training_only(make):
    model = make(PreCodeForUtteranceClassification)
    inputs = batch(dialogues())
    assert torch.equal(model(**inputs).logits, model(**inputs).logits)
    model.train()
    assert not torch.equal(model(**inputs).logits, model(**inputs).logits)


def test_bad_tensors_are_refused_with_their_shape(make, tiny_config):
    model = make(PreCodeForUtteranceClassification)
    with pytest.raises(ValueError, match=r"\(dialogues, utterances, tokens\); got \(3, 4\)"):
        model(torch.ones(3, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"the shape of the token ids, \(1, 2, 3\); got \(1, 2\)"):
        model(torch.ones(1, 2, 3, dtype=torch.long), torch.ones(1, 2))
    for mask in ([[[0, 1], [1, 1]]], [[[0, 0], [1, 1]]]):
        with pytest.raises(ValueError, match="padded on the right"):
            model(torch.ones(1, 2, 2, dtype=torch.long), torch.tensor(mask))
    with pytest.raises(ValueError, match="has no utterance"):
        model(torch.zeros(1, 2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="`class_weights` has 2 numbers for 3 labels"):
        PreCodeForUtteranceClassification(tiny_config(class_weights=[0.5, 0.5]))


def test_without_a_padding_token_the_mask_must_be_given(make):
    model, inputs = make(PreCodeForUtteranceClassification, pad_token_id=None), batch(dialogues())
    assert model(**inputs).logits.shape[:2] == inputs["input_ids"].shape[:2]
    with pytest.raises(
        ValueError, match="need an `attention_mask`, because the model's configuration has `pad_token_id=None`"
    ):
        model(input_ids=inputs["input_ids"])

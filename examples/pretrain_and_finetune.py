"""Both trainers, cell by cell as in a notebook: pre-train on chats, fine-tune for emotions, label a dialogue.

python examples/pretrain_and_finetune.py [OUTPUT [STEPS [EPOCHS]]]
"""

import sys

from transformers import pipeline, set_seed

from data_scripts import load_corpus
from modeling_precode import (
    ConversationCompletionArguments,
    ConversationCompletionTrainer,
    PreCodeConfig,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
    UtteranceClassificationArguments,
    UtteranceClassificationTrainer,
    label_settings,
)

output = sys.argv[1] if len(sys.argv) > 1 else "checkpoints/notebook"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 300
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20
set_seed(1)

# Pre-train: the model predicts hidden utterances. No labels are needed.
chats = load_corpus("sample")
tokenizer = PreCodeTokenizer.train(chats["train"]["utterances"])
sizes = {"word_vector_size": 64, "utterance_hidden_size": 64, "conversation_hidden_size": 64}
config = PreCodeConfig(vocab_size=len(tokenizer), **sizes)
args = ConversationCompletionArguments(output_dir=f"{output}/pretrained", max_steps=steps, learning_rate=1e-3)
model = PreCodeForConversationCompletion(config)
trainer = ConversationCompletionTrainer(model, args, chats["train"], chats["validation"], tokenizer)
trainer.train()
trainer.save_model()

# Fine-tune: the model labels every utterance with an emotion.
corpus = load_corpus("sample")
args = UtteranceClassificationArguments(output_dir=f"{output}/finetuned", num_train_epochs=epochs, learning_rate=1e-3)
model = PreCodeForUtteranceClassification.from_pretrained(f"{output}/pretrained", **label_settings(corpus))
trainer = UtteranceClassificationTrainer(model, args, corpus["train"], corpus["validation"], tokenizer)
trainer.train()
print(trainer.evaluate(corpus["test"]))
trainer.save_model()

# Label a dialogue.
emotions = pipeline("conversation-emotion", model=f"{output}/finetuned")
print(emotions([("Ana", "Ben, you got in!"), ("Ben", "What? Are you serious?")]))

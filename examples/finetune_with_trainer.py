"""Fine-tuning with `Trainer`, cell by cell as in a notebook: from a pre-trained checkpoint to a labeled dialogue.

python examples/finetune_with_trainer.py [CHECKPOINT [OUTPUT]]
"""

import sys

from transformers import Trainer, TrainingArguments, pipeline

from data_scripts import label_names, load_corpus
from modeling_precode import PreCodeDataCollator, PreCodeForUtteranceClassification, PreCodeTokenizer, encode_dialogues

# The checkpoint, a folder or a name on the Hub, and the folder for the result.
checkpoint = sys.argv[1] if len(sys.argv) > 1 else "checkpoints/quickstart/pretrained"
output = sys.argv[2] if len(sys.argv) > 2 else "checkpoints/notebook"

# A corpus, and the tokenizer and the pre-trained encoder, with a new head for the labels of the corpus.
corpus = load_corpus("sample")
names = label_names(corpus)
labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
tokenizer = PreCodeTokenizer.from_pretrained(checkpoint)
model = PreCodeForUtteranceClassification.from_pretrained(checkpoint, **labels)
dialogues = corpus.map(encode_dialogues, batched=True, fn_kwargs={"tokenizer": tokenizer})

# Train on all utterances of a dialogue at once.
args = TrainingArguments(output, num_train_epochs=10, learning_rate=1e-3, eval_strategy="epoch", report_to="none")
datasets = {"train_dataset": dialogues["train"], "eval_dataset": dialogues["validation"]}
trainer = Trainer(model, args, PreCodeDataCollator(), **datasets, processing_class=tokenizer)
trainer.train()
print(trainer.evaluate(dialogues["test"]))

# Label a dialogue, and save the checkpoint. To share it: `emotions.push_to_hub("you/name")`.
emotions = pipeline("conversation-emotion", model=model, tokenizer=tokenizer)
for turn in emotions([("Ana", "Ben, you got in!"), ("Ben", "What? Are you serious?")]):
    print(turn["speaker"], turn["text"], turn["label"], f"{turn['score']:.0%}")
emotions.save_pretrained(output)

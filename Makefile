# `make quickstart` and `make test` set up a virtual environment themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
SOURCES := modeling_precode data_scripts tests examples benchmarks docs/site_hooks.py run_pretrain.py run_finetune.py
# The versions that pip installs. constraints-lowest.txt has the lowest ones.
CONSTRAINTS ?= constraints.txt
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --constraint $(CONSTRAINTS) --editable

# The package is installed again when one of these files changes.
INSTALLED = setup.cfg setup.py $(CONSTRAINTS) modeling_precode/kernels.c

# The folder with the corpora of the experiments, under the names in benchmarks/evidence/experiments.yaml.
DATA ?= data

.PHONY: quickstart test test-slow test-lowest faults soak fuzz evidence evidence-quick default-model style quality types docs clean

quickstart: $(VENV)/quickstart
	$(BIN)/python examples/quickstart.py

test: $(VENV)/test quality
	$(PYTEST) --durations=10

test-slow: $(VENV)/test
	$(PYTEST) -m slow

# Run the tests with the lowest versions that setup.cfg allows, in a separate environment. They need Python 3.11.
test-lowest:
	$(MAKE) VENV=$(VENV)-lowest CONSTRAINTS=constraints-lowest.txt $(VENV)-lowest/test
	$(VENV)-lowest/bin/python -m pytest -n 2 --dist worksteal

# Kill and disturb training, caching, corpus builds and pushes, compare their results with those of undisturbed runs, and
# write the report.
faults: $(VENV)/test
	rm -rf build/faults
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults.py --output_dir build/faults --report docs/reliability.md

# Label UTTERANCES utterances with the default model, and some of them in eight threads, and write the report.
UTTERANCES ?= 1000000
soak: $(VENV)/test
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak.py --utterances $(UTTERANCES) --report docs/reliability.md

# Damage files of every format, checkpoints and an exported model for MINUTES, read them, and write the report. With
# `pip install ".[fuzz]"` in the environment, the parsers are also tried with inputs that are guided by coverage.
MINUTES ?= 30
fuzz: $(VENV)/test
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz.py --minutes $(MINUTES) --report docs/reliability.md

# Run every experiment of RESULTS.md that has no result in build/evidence yet, and write the tables. An interrupted run
# is resumed.
evidence: $(VENV)/test
	$(BIN)/python -m benchmarks.evidence --data_dir $(DATA)
	$(BIN)/python -m benchmarks.ingredients --word_vectors $(DATA)/glove.6B.100d.subset.txt.gz \
		--corpora meld=$(DATA)/meld emorynlp=$(DATA)/emorynlp --results build/evidence/ingredients.jsonl

# Run a part of the experiments, in 8 minutes on two cores.
evidence-quick: $(VENV)/test
	$(BIN)/python -m benchmarks.evidence --data_dir $(DATA) --experiments benchmarks/evidence/quick.yaml \
		--results build/evidence-quick/results.jsonl --output_dir build/evidence-quick

# Train the model that comes with the package. TEACHER and STUDENT are text encoders: folders or names on the Hub. It
# needs 4 GB of memory and hours of two cores (docs/results/default-model.md), and continues after an interruption.
TEACHER ?= sentence-transformers/all-mpnet-base-v2
STUDENT ?= sentence-transformers/all-MiniLM-L6-v2
default-model: $(VENV)/test
	$(BIN)/python -m benchmarks.default_model --teacher_encoder "$(TEACHER)" --student_encoder "$(STUDENT)"

# Format the code, and fix what ruff can fix.
style: $(VENV)/test
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

quality: $(VENV)/test types
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

# Check the types. pyproject.toml has the files and settings.
types: $(VENV)/test
	$(BIN)/mypy

# Build the documentation in build/site. A broken link is an error.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV)-lowest checkpoints build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Each of these files marks an installed set of packages.
$(VENV)/quickstart: $(INSTALLED) | $(BIN)/python
	$(INSTALL) ".[chitchat]"
	touch $@

$(VENV)/test: $(INSTALLED) | $(BIN)/python
	$(INSTALL) ".[test]"
	touch $@

$(VENV)/docs: $(INSTALLED) | $(BIN)/python
	$(INSTALL) ".[docs]"
	touch $@

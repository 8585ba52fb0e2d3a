# `make quickstart` and `make test` set up a virtual environment themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
SOURCES := modeling_precode data_scripts tests examples benchmarks run_pretrain.py run_finetune.py

# An installation is made anew when one of these changes.
INSTALLED := setup.cfg setup.py constraints.txt modeling_precode/kernels.c

# Where the corpora of the experiments are, as benchmarks/evidence/experiments.yaml names them.
DATA ?= data

.PHONY: quickstart test test-slow faults evidence evidence-quick style quality clean

quickstart: $(VENV)/quickstart
	$(BIN)/python examples/quickstart.py

test: $(VENV)/test quality
	$(PYTEST) --durations=10

test-slow: $(VENV)/test
	$(PYTEST) -m slow

# Kill training again and again at random moments, and compare what comes out with runs that were left alone.
faults: $(VENV)/test
	rm -rf build/faults
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults.py --output_dir build/faults

# Every experiment of RESULTS.md that has no result in build/evidence yet, and its tables; interrupted, it goes on.
evidence: $(VENV)/test
	$(BIN)/python -m benchmarks.evidence --data_dir $(DATA)

# A part of them, in 8 minutes on two cores.
evidence-quick: $(VENV)/test
	$(BIN)/python -m benchmarks.evidence --data_dir $(DATA) --experiments benchmarks/evidence/quick.yaml \
		--results build/evidence-quick/results.jsonl --output_dir build/evidence-quick

# Format the code, and mend what ruff can mend.
style: $(VENV)/test
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

quality: $(VENV)/test
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

clean:
	rm -rf $(VENV) checkpoints build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# One file a set of packages.
$(VENV)/quickstart: $(INSTALLED) | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable ".[chitchat]"
	touch $@

$(VENV)/test: $(INSTALLED) | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@

"""The parts of `tests/fuzz.py`: files that are damaged by their structure, and how they are read."""

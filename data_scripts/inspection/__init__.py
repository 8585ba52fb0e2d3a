"""Inspection of a corpus: counts, plots, and overlap with other corpora."""

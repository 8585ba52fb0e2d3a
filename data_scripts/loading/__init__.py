"""Loading of corpora by their names."""

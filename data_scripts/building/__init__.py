"""Building of corpora: the form of a dialogue, the builder, its parts, splits and options."""

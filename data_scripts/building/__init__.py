"""How a corpus is built: the shape of a dialogue, the builder, its parts, splits and options."""

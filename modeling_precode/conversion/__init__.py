"""Files of other kinds: the original implementation's in, other formats out."""

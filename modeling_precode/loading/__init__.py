"""Loading of the parts of a checkpoint, for every command."""

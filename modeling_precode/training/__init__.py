"""Training: arguments, batches, the two trainers, checkpoints and resuming."""

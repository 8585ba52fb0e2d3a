"""From a corpus to a trained model: arguments, batches, the two trainers, checkpoints and resuming."""

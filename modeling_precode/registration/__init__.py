"""Registration with the Auto classes and the pipelines of transformers, whenever transformers is imported."""

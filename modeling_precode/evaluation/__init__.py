"""Evaluation of models: metrics, calibration, significance, and the scoring of a finished model."""

"""How good a model is: metrics, calibration and significance."""

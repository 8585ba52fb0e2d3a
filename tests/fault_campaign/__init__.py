"""The parts of `tests/faults.py`: what is disturbed (a job), and how (a scenario)."""

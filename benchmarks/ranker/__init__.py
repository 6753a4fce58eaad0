"""Signals whose pattern changes at known places (patterns.py), and the table trained on them (train.py)."""

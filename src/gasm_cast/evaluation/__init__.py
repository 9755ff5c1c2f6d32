"""Evaluation: scores of clips, metrics with intervals, and comparison of runs."""

"""Drivers on recorded episodes: figures with intervals, baselines, what the log itself does, and the report."""

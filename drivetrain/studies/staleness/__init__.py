"""Learning from windows that an older policy drove, with V-trace's correction and without it."""

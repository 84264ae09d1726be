"""Policies: what turns one agent's observation into a distribution over its actions, and a value."""

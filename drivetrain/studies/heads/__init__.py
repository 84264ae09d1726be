"""Heads side by side: columns of an action apart, all their combinations, motions of a learnt vocabulary."""

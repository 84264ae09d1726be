"""Chains of goals along routes. NumPy, once, at load."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from drivetrain.sim.bank import GoalRow

Chain = Float[np.ndarray, "_ 4"]
"""Rows by `GoalRow`: the beginning of a drive, then its goals."""


def chain(arc: Float[np.ndarray, "P"], centre: Float[np.ndarray, "n 2"], along: Float[np.ndarray, "_"]) -> Chain:
    """Places so many metres along a route, of which the first n stations exist, with their centres."""
    known = arc[: len(centre)]
    x, y = (np.interp(along, known, centre[:, axis]) for axis in (0, 1))
    return np.stack([along, x, y, np.interp(along, known, np.arange(len(centre)))], axis=1)


def evenly(arc: Float[np.ndarray, "P"], centre: Float[np.ndarray, "n 2"], spacing: float) -> Chain:
    """Goals all along a route, so far from each other."""
    known = arc[: len(centre)]
    return chain(arc, centre, np.arange(float(known[0]), max(float(known[-1]), float(known[0]) + 1e-3), spacing))


def stack_chains(chains: Sequence[Chain]) -> Float[np.ndarray, "pool G 4"]:
    """Chains of one length: beyond its last goal, each is at infinity, in one row at least."""
    goals = np.full((len(chains), max(len(each) for each in chains) + 1, len(GoalRow)), np.inf, np.float32)
    for each, room in zip(chains, goals, strict=True):
        room[: len(each)] = each
    return goals

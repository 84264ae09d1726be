"""Points that belong together: DBSCAN over a table of distances (Ester et al. 1996). NumPy."""

import numpy as np
from jaxtyping import Float, Int


def dbscan(distance: Float[np.ndarray, "n n"], reach: float, least: int) -> Int[np.ndarray, "n"]:
    """The cluster of each point, the largest first; −1: none.

    A point with at least `least` points (itself counted) within `reach` is in the middle of a cluster, with all that
    are within reach of it; one at the rim belongs to the nearest middle. Distances are symmetric.
    """
    count = len(distance)
    near = distance <= reach
    middle = near.sum(axis=1) >= least
    cluster = np.full(count, -1)
    number = 0
    for start in np.flatnonzero(middle).tolist():
        if cluster[start] >= 0:
            continue
        members, front = np.zeros(count, bool), np.zeros(count, bool)
        members[start] = front[start] = True
        while front.any():
            reached = near[front].any(axis=0) & middle & ~members
            members |= reached
            front = reached
        cluster[members] = number
        number += 1
    to_middle = np.where(middle[None], distance, np.inf)
    if number:
        nearest = np.argmin(to_middle, axis=1)
        rim = ~middle & (to_middle[np.arange(count), nearest] <= reach)
        cluster[rim] = cluster[nearest[rim]]
    sizes = np.bincount(cluster[cluster >= 0], minlength=number)
    rank = np.empty(number, int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(number)
    return np.where(cluster >= 0, rank[np.maximum(cluster, 0)] if number else -1, -1)

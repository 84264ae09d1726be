"""Polylines by arc length.

Shapes: n points of a polyline.
"""

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.recording import Polyline


def arc_length(points: Polyline) -> float:
    """The length of a polyline, m."""
    return float(_steps(points).sum())


def arc_lengths(points: Polyline) -> Float[np.ndarray, "n"]:
    """How far along a polyline each of its points lies, m."""
    return np.concatenate([[0.0], np.cumsum(_steps(points))])


def _steps(points: Polyline) -> Float[np.ndarray, "_"]:
    return np.linalg.norm(np.diff(points, axis=0), axis=1)


def at_shares(points: Polyline, shares: Float[np.ndarray, "m"]) -> Float[np.ndarray, "m 2"]:
    """Points of a polyline at shares 0…1 of its arc length; the ends are exact."""
    arc = arc_lengths(points)
    at = shares * arc[-1]
    between = np.stack([np.interp(at, arc, points[:, 0]), np.interp(at, arc, points[:, 1])], axis=1)
    between[0], between[-1] = points[0], points[-1]
    return between

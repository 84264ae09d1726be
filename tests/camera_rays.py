"""A ray against planes, in NumPy: an oracle that shares nothing with the package."""

import numpy as np


def convex(origin, ray, planes):
    """Where a ray enters what lies within planes (n, c: n·p ≤ c); None where it does not. By clipping, one by one."""
    enter, leave = 0.0, np.inf
    for normal, limit in planes:
        slope, room = float(np.dot(normal, ray)), limit - float(np.dot(normal, origin))
        if slope == 0.0:
            if room < 0.0:
                return None
        elif slope < 0.0:
            enter = max(enter, room / slope)
        else:
            leave = min(leave, room / slope)
    return enter if enter < leave else None

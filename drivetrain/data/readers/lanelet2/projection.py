"""Latitude and longitude to metres: the Universal Transverse Mercator projection of the WGS 84 ellipsoid.

Krüger's series to the sixth order (C. F. F. Karney, Transverse Mercator with an accuracy of a few nanometers, 2011):
below a micrometre within a zone.
"""

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.series import wrapped

A, F = 6378137.0, 1.0 / 298.257223563  # WGS 84: half the major axis, m; flattening
K0, FALSE_EASTING = 0.9996, 500_000.0
N = F / (2.0 - F)
E = np.sqrt(F * (2.0 - F))
RADIUS = A / (1.0 + N) * (1.0 + N**2 / 4.0 + N**4 / 64.0 + N**6 / 256.0)
ALPHA = (
    N / 2 - 2 * N**2 / 3 + 5 * N**3 / 16 + 41 * N**4 / 180 - 127 * N**5 / 288 + 7891 * N**6 / 37800,
    13 * N**2 / 48 - 3 * N**3 / 5 + 557 * N**4 / 1440 + 281 * N**5 / 630 - 1983433 * N**6 / 1935360,
    61 * N**3 / 240 - 103 * N**4 / 140 + 15061 * N**5 / 26880 + 167603 * N**6 / 181440,
    49561 * N**4 / 161280 - 179 * N**5 / 168 + 6601661 * N**6 / 7257600,
    34729 * N**5 / 80640 - 3418889 * N**6 / 1995840,
    212378941 * N**6 / 319334400,
)


def zone_of(longitude: float) -> int:
    """The zone of a longitude in degrees, 1 to 60."""
    return int((longitude + 180.0) // 6.0) % 60 + 1


def to_utm(latitude: Float[np.ndarray, "n"], longitude: Float[np.ndarray, "n"], zone: int) -> Float[np.ndarray, "n 2"]:
    """Easting and northing in metres, of degrees; southern northings are negative."""
    phi, turn = np.radians(latitude), wrapped(np.radians(longitude - (6.0 * zone - 183.0)))
    tau = np.tan(phi)
    sigma = np.sinh(E * np.arctanh(E * tau / np.hypot(1.0, tau)))
    conformal = tau * np.hypot(1.0, sigma) - sigma * np.hypot(1.0, tau)
    xi = np.arctan2(conformal, np.cos(turn))
    eta = np.arcsinh(np.sin(turn) / np.hypot(conformal, np.cos(turn)))
    north, east = xi.copy(), eta.copy()
    for index, alpha in enumerate(ALPHA, start=1):
        north += alpha * np.sin(2 * index * xi) * np.cosh(2 * index * eta)
        east += alpha * np.cos(2 * index * xi) * np.sinh(2 * index * eta)
    return np.stack([FALSE_EASTING + K0 * RADIUS * east, K0 * RADIUS * north], axis=1)

"""What a camera reports of one moment, whoever made the report: a network, the labels of a picture, a model of errors.

    picture → detector ┐
                       ├→ Report → tokens of an observation
    State → exposure → errors ┘

All is on the ground seen from the camera's foot, x ahead along the optical axis and y to the left, m. A *slope* is
y / x of a ray there: what a column of the picture is, positive to the left. A *depth* is x.
"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.camera.pinhole import Camera
from drivetrain.types import Array, record

STATIONS = (6.0, 10.0, 15.0, 20.0, 30.0, 40.0)
"""m ahead at which lines are reported."""
SIDES = 2
"""The line that bounds the camera's own lane on the left, and that on the right."""


@record
class Report:
    """Vehicles in any order, and the lines beside the camera's own lane."""

    depth: Float[Array, "*t n"]  # m, of the nearest of it that is visible
    left: Float[Array, "*t n"]  # slope of the left border of its rectangle
    right: Float[Array, "*t n"]
    seen: Bool[Array, "*t n"]  # False: padding, or missed
    aside: Float[Array, "*t 2 k"]  # m to the left, at `STATIONS`
    lines: Bool[Array, "*t 2 k"]  # which of these are seen


def nothing(vehicles: int) -> Report:
    """The report of one who sees nothing."""
    zeros, blank = jnp.zeros(vehicles), jnp.zeros((SIDES, len(STATIONS)))
    return Report(zeros, zeros, zeros, zeros > 0.0, blank, blank > 0.0)


def half_field(camera: Camera) -> float:
    """The slope of the picture's border; of a camera whose axis is not in the middle, that of the nearer one."""
    return min(camera.cx + 0.5, camera.width - 0.5 - camera.cx) / camera.fx

"""What looks at a picture and reports: a network whose cells are decoded, or what else maps pixels to a `Report`."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt

from drivetrain.camera.pinhole import Camera
from drivetrain.perception.decoding import Decoding, decode
from drivetrain.perception.exposure import followed
from drivetrain.perception.found import Found
from drivetrain.perception.network import Network, Seen
from drivetrain.perception.report import Report
from drivetrain.perception.warping import fitted
from drivetrain.types import Array, InputError

PIECES = 256
"""Of lines, in a report, at most."""


class Detector(eqx.Module):
    """What looks at a picture."""

    @abstractmethod
    def __call__(self, picture: UInt[Array, "h w 3"]) -> Report:
        """What it makes of it: always of the same number of vehicles, padded."""


class NetworkDetector(Detector):
    """A network, and its decoding on the host: one picture after the other.

    Raises `InputError` for a camera that distorts: slopes of a report are straight.
    """

    network: Network
    camera: Camera = eqx.field(static=True)  # of the pictures, which the network takes as large as they are
    decoding: Decoding = eqx.field(static=True, default=Decoding())
    least: float = eqx.field(static=True, default=0.3)  # score of a vehicle that is reported
    vehicles: int = eqx.field(static=True, default=16)

    def __check_init__(self):
        """Refuse lenses that bend."""
        if self.camera.distorts:
            raise InputError("detector: camera: it distorts (give one without k1 and k2)")

    def __call__(self, picture: UInt[Array, "h w 3"]) -> Report:
        """The surest vehicles, and the lines of the own lane."""
        high, wide = picture.shape[:2]
        warp = fitted(wide, high, max(wide, high), self.camera.fx)
        seen = self.network(jnp.pad(picture, ((0, warp.height - high), (0, warp.width - wide), (0, 0))))

        def decoded(seen: Seen) -> tuple[np.ndarray, ...]:
            found = decode(seen, warp, wide, high, self.camera, self.decoding)
            return *_boxes(found, self.vehicles, self.least), *_pieces(found, self.camera)

        n, floats = self.vehicles, jnp.float32
        shapes = [((n, 4), floats), ((n,), floats), ((n,), jnp.bool_), ((4, PIECES), floats), ((PIECES,), jnp.bool_)]
        like = tuple(jax.ShapeDtypeStruct(*each) for each in shapes)
        box, depth, there, pieces, painted = jax.pure_callback(decoded, like, seen, vmap_method="sequential")
        return of_boxes(self.camera, box, depth, there, followed(tuple(pieces), painted))  # type: ignore[arg-type]


def of_boxes(
    camera: Camera,
    box: Float[Array, "n 4"],
    depth: Float[Array, "n"],
    seen: Bool[Array, "n"],
    lines: tuple[Float[Array, "2 k"], Bool[Array, "2 k"]],
) -> Report:
    """The report of rectangles in a picture without distortion, pixels, whose depths are known, m, and of lines."""
    left, right = ((camera.cx - box[:, column]) / camera.fx for column in (0, 2))
    depth, left, right = (jnp.where(seen, row, 0.0) for row in (depth, left, right))
    return Report(depth, left, right, seen, *lines)


def _boxes(found: Found, count: int, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rectangles, depths, and which there are, the surest first."""
    sure = sorted((each for each in found.things if each.score >= least), key=lambda each: -each.score)[:count]
    box, depth, there = np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.arange(count) < len(sure)
    for row, each in enumerate(sure):
        box[row], depth[row] = each.box, each.depth
    return box, depth, there


def _pieces(found: Found, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Lines as segments on the ground, x0, y0, x1, y1, in the frame of `report.py`, and which there are."""
    segments = [np.zeros((0, 4))]
    for each in found.lines:
        column, _, depth = np.asarray(each.line.points, np.float64).T
        place = np.stack([depth, (camera.cx - column) / camera.fx * depth], -1)
        segments.append(np.concatenate([place[:-1], place[1:]], -1))
    whole = np.concatenate(segments)[:PIECES]
    pieces = np.zeros((4, PIECES), np.float32)
    pieces[:, : len(whole)] = whole.T
    return pieces, np.arange(PIECES) < len(whole)

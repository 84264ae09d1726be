"""A pinhole camera with radial distortion, and where it is mounted.

Frames, all right-handed, metres:
    map     x, y of the map's own frame, z up from the road below the ego
    ego     x forward, y left, z up; origin on the road below the centre of the ego's box
    camera  x right, y down, z along the optical axis (as OpenCV has it); origin at the pinhole

Pixels: (column, row), x right, y down; the centre of the first pixel is (0, 0). *Depth* is the z of the camera frame.
A *slope* is (x/z, y/z) of a ray in the camera frame: what a pixel is, whatever the lens does.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from drivetrain.types import Array, InputError, component, record, replace

NEAREST = 0.1
"""What is nearer than this depth, m, has no place in the picture."""
TURNS = 8
"""Steps of the fixed point that takes distortion away."""


@component
class Mount:
    """Where a camera sits on its vehicle, in the ego frame, and how it is turned there."""

    x: float = 0.4  # m, ahead of the centre of the box
    y: float = 0.0  # m, to the left
    z: float = 1.45  # m, above the road
    pitch: float = 0.0  # rad; positive looks down
    roll: float = 0.0  # rad; positive leans to the right
    yaw: float = 0.0  # rad; positive looks to the left


@component
class Camera:
    """Intrinsics (pixels), size of the picture, distortion and mount.

    Distortion is Brown's, radial: a slope of square length r² is drawn (1 + k1 r² + k2 r⁴) times as far out (Brown
    1971; OpenCV's k1 and k2). Raises `InputError` on sizes and focal lengths that are not positive, and where the
    distortion folds the picture over itself.
    """

    width: int = 320
    height: int = 240
    fx: float = 277.0
    fy: float = 277.0
    cx: float = 159.5
    cy: float = 119.5
    k1: float = 0.0
    k2: float = 0.0
    mount: Mount = Mount()

    def __post_init__(self) -> None:
        """Refuse what is no camera."""
        for name in ("width", "height", "fx", "fy"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"camera: {name}: {getattr(self, name)} (give a positive number)")
        edge = max(np.hypot(*corner) for corner in _drawn_corners(self))
        if self._drawn_length(edge, undone=True) is None:
            raise InputError(
                f"camera: k1, k2: {self.k1}, {self.k2} fold the picture's corners over (give smaller ones)"
            )

    @property
    def distorts(self) -> bool:
        """Whether the lens bends straight lines."""
        return self.k1 != 0.0 or self.k2 != 0.0

    def _drawn_length(self, drawn: float, undone: bool) -> float | None:
        """The length of the slope that is drawn so far out; None where no slope below the fold is."""
        length = np.linspace(0.0, 2.0 * drawn + 0.1, 2001)
        out = length * (1.0 + self.k1 * length**2 + self.k2 * length**4)
        rising = np.diff(out) > 0.0
        last = len(length) - 1 if rising.all() else int(np.argmin(rising))
        return None if out[last] < drawn and undone else float(np.interp(drawn, out[: last + 1], length[: last + 1]))


def of_field(width: int, height: int, degrees: float = 60.0, mount: Mount = Mount()) -> Camera:  # noqa: B008 - frozen
    """A camera without distortion whose picture spans so many degrees from left to right."""
    focal = 0.5 * width / math.tan(math.radians(0.5 * degrees))
    return Camera(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1), mount=mount)


def finer(camera: Camera, times: int) -> Camera:
    """The same camera with `times` as many pixels along both sides: its pixels fill those of the first."""
    shift = 0.5 * (times - 1)
    return replace(
        camera,
        width=camera.width * times,
        height=camera.height * times,
        fx=camera.fx * times,
        fy=camera.fy * times,
        cx=camera.cx * times + shift,
        cy=camera.cy * times + shift,
    )


def _drawn_corners(camera: Camera) -> list[tuple[float, float]]:
    """Slopes of the picture's corners as they are drawn."""
    return [
        ((column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy)
        for column in (-0.5, camera.width - 0.5)
        for row in (-0.5, camera.height - 0.5)
    ]


def slopes(camera: Camera) -> Float[np.ndarray, "H W 2"]:
    """The slope of every pixel, distortion taken away. NumPy, once: it is the same in every picture."""
    column, row = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return np.asarray(undistorted(camera, (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy), np.float32)


def undistorted(camera: Camera, x: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """Slopes of rays from where they are drawn (slopes too), by Newton's steps on their length."""
    drawn = np.hypot(x, y)
    if not camera.distorts:
        return np.stack([x, y], -1)
    length = drawn.copy()
    for _ in range(TURNS):
        square = length * length
        out = length * (1.0 + camera.k1 * square + camera.k2 * square * square)
        slope = 1.0 + 3.0 * camera.k1 * square + 5.0 * camera.k2 * square * square
        length = np.clip(length - (out - drawn) / np.where(slope > 0.05, slope, 0.05), 0.0, 4.0 * drawn + 1.0)
    share = np.divide(length, drawn, out=np.ones_like(drawn), where=drawn > 0.0)
    return np.stack([x * share, y * share], -1)


def project(camera: Camera, points: Float[Array, "*n 3"]) -> tuple[Float[Array, "*n 2"], Float[Array, "*n"]]:
    """Pixels (column, row) of points in the camera frame, and their depths, m.

    What is not in front has no pixel: its depth says so (below `NEAREST`), and its pixel is that of a point at
    `NEAREST`.
    """
    depth = points[..., 2]
    inverse = 1.0 / jnp.maximum(depth, NEAREST)
    x, y = points[..., 0] * inverse, points[..., 1] * inverse
    if camera.distorts:
        # Beyond the fold of the polynomial a ray would come back into the picture: it is held there.
        square = jnp.minimum(x * x + y * y, _fold(camera))
        out = 1.0 + camera.k1 * square + camera.k2 * square * square
        x, y = x * out, y * out
    return jnp.stack([camera.fx * x + camera.cx, camera.fy * y + camera.cy], -1), depth


def _fold(camera: Camera) -> float:
    """The square of the largest slope up to which what is drawn moves outwards."""
    roots = np.roots([5.0 * camera.k2, 3.0 * camera.k1, 1.0])
    real = [float(root.real) for root in roots if abs(root.imag) < 1e-9 and root.real > 0.0]
    return min(real, default=1e6)


def back_project(
    camera: Camera, pixels: Float[np.ndarray, "*n 2"], depth: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n 3"]:
    """Points in the camera frame of pixels (column, row) whose depths, m, are known. NumPy."""
    pixels = np.asarray(pixels, np.float64)
    x, y = (pixels[..., 0] - camera.cx) / camera.fx, (pixels[..., 1] - camera.cy) / camera.fy
    slope = undistorted(camera, np.asarray(x), np.asarray(y))
    depth = np.asarray(depth)[..., None]
    return np.concatenate([slope * depth, depth], -1)


# ----------------------------------------------------------------------------------------------------------------- pose


@record
class Eye:
    """Where a camera is, and how it is turned: `turn` takes vectors of the camera frame to the frame of `place`."""

    turn: Float[Array, "*n 3 3"]
    place: Float[Array, "*n 3"]  # m, of the pinhole


def mounted(mount: Mount, shift: Float[Array, "3"] | None = None, tilt: Float[Array, "3"] | None = None) -> Eye:
    """The camera in the ego frame; `shift` (x, y, z, m) and `tilt` (pitch, roll, yaw, rad) are added to its mount."""
    shift = jnp.zeros(3) if shift is None else shift
    tilt = jnp.zeros(3) if tilt is None else tilt
    pitch, roll, yaw = mount.pitch + tilt[0], mount.roll + tilt[1], mount.yaw + tilt[2]
    place = jnp.stack([mount.x + shift[0], mount.y + shift[1], mount.z + shift[2]])
    (cp, sp), (cr, sr), (cy, sy) = ((jnp.cos(angle), jnp.sin(angle)) for angle in (pitch, roll, yaw))
    ahead = jnp.stack([cy * cp, sy * cp, -sp])
    right = jnp.stack([sy, -cy, jnp.zeros_like(sy)])
    down = jnp.stack([-cy * sp, -sy * sp, -cp])
    return Eye(turn=jnp.stack([right * cr + down * sr, down * cr - right * sr, ahead], -1), place=place)


def on_map(eye: Eye, position: Float[Array, "2"], heading: Float[Array, "2"]) -> Eye:
    """A camera of the ego frame in the map's, of an ego at a position with a heading."""
    cos, sin = heading[0], heading[1]
    zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
    turn = jnp.stack([jnp.stack([cos, -sin, zero]), jnp.stack([sin, cos, zero]), jnp.stack([zero, zero, one])])
    foot = jnp.concatenate([position, jnp.zeros(1)])
    return Eye(turn=turn @ eye.turn, place=turn @ eye.place + foot)


def to_camera(eye: Eye, points: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Points of the frame in which the camera stands, in the camera frame."""
    return (points - eye.place) @ eye.turn


def from_camera(eye: Eye, points: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Points of the camera frame, in the frame in which the camera stands."""
    return points @ eye.turn.T + eye.place

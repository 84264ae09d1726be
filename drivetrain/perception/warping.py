"""A picture as the network takes it: turned, shifted, scaled and cut by one homography, its labels with it.

Also how that is drawn for training: the perspective shift of Huval et al. 2015 (a camera that stands further left or
right, or looks aside, as far as the road is flat), scale, crop and flip.
"""

import dataclasses
import math
from types import ModuleType

import numpy as np
from jaxtyping import Float, UInt8

from drivetrain.perception.labelled import Labelled
from drivetrain.perception.network import MULTIPLE
from drivetrain.types import component

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Warp:
    """From a picture to the network's input."""

    matrix: Float[np.ndarray, "3 3"]  # (column, row, 1) of the picture → those of the input, times a number
    width: int  # of the input
    height: int
    focal: float = math.nan  # of the input, pixels; nan: not known, and no depth is learnt
    deeper: Float[np.ndarray, "3"] = dataclasses.field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    """What depths are multiplied by: its product with (column, row, 1) of the picture."""
    vehicles: bool = True  # whether boxes may be learnt: what stands on the road is sheared by a shift aside

    def place(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Where pixels of the picture come to lie."""
        there = np.column_stack([points, np.ones(len(points))]) @ self.matrix.T
        return there[:, :2] / np.maximum(there[:, 2:], 1e-6)

    def depth(self, points: Float[np.ndarray, "n 2"], depth: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Depths, m, of pixels of the picture as the turned camera has them."""
        return depth * (np.column_stack([points, np.ones(len(points))]) @ self.deeper)


def fitted(width: int, height: int, longest: int, focal: float = math.nan) -> Warp:
    """A whole picture, its longer side brought to `longest` pixels, padded right and below to whole cells."""
    scale = longest / max(width, height)
    wide, high = (max(MULTIPLE, -(-round(side * scale) // MULTIPLE) * MULTIPLE) for side in (width, height))
    # The first pixel's outer corner stays: pixel centres are at integers.
    matrix = np.array([[scale, 0.0, 0.5 * (scale - 1.0)], [0.0, scale, 0.5 * (scale - 1.0)], [0.0, 0.0, 1.0]])
    return Warp(matrix, wide, high, scale * focal)


def drawn(pixels: UInt8[np.ndarray, "H W 3"], warp: Warp, image: ModuleType) -> UInt8[np.ndarray, "h w 3"]:
    """The network's input. `image` is Pillow's module; what lies beyond the picture is black."""
    picture, matrix = image.fromarray(pixels), warp.matrix
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2]))) / matrix[2, 2]
    times = max(1, min(8, int(0.7 / max(scale, 1e-3))))  # what is much smaller is averaged first
    if times > 1:
        picture = picture.reduce(times)
        half = 0.5 * (times - 1.0)
        matrix = matrix @ np.array([[times, 0.0, half], [0.0, times, half], [0.0, 0.0, 1.0]])
    back = np.linalg.inv(matrix)
    # Pillow's coordinates have the first pixel's centre at (½, ½).
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    back = half @ back @ np.linalg.inv(half)
    numbers = (back / back[2, 2]).reshape(-1)[:8].tolist()
    made = picture.transform(
        (warp.width, warp.height), image.Transform.PERSPECTIVE, numbers, resample=image.Resampling.BILINEAR
    )
    return np.asarray(made)


@component
class Warping:
    """What warps of training are drawn from."""

    width: int = 320  # of the network's input, pixels
    height: int = 192
    scale: Range = (0.5, 1.25)  # pixels of the input to one of a picture whose longer side has `longest`
    longest: int = 640
    flip: float = 0.5  # share
    turn: float = 0.5  # share of pictures that are turned
    yaw: float = 0.12  # rad, at most (the paper's largest)
    pitch: float = 0.05
    roll: float = 0.03
    shift: float = 0.15  # share of pictures whose camera is shifted aside, where it is known
    aside: float = 1.0  # m, at most (the paper's)

    def __call__(self, of: Labelled, random: np.random.Generator) -> Warp:
        """Draw one for a picture."""
        camera = of.camera
        focal = camera.fx if camera is not None else 0.9 * of.width
        cx, cy = (camera.cx, camera.cy) if camera is not None else (0.5 * (of.width - 1), 0.5 * (of.height - 1))
        lens = np.array([[focal, 0.0, cx], [0.0, camera.fy if camera is not None else focal, cy], [0.0, 0.0, 1.0]])
        move, deeper, sheared = np.eye(3), np.array([0.0, 0.0, 1.0]), False
        if camera is not None and random.uniform() < self.shift:
            pitch, high = camera.mount.pitch, max(camera.mount.z, 0.5)
            down = np.array([0.0, math.cos(pitch), math.sin(pitch)])
            # What lies on the road, where down · x = its height, moves against the camera.
            move = move - random.uniform(-self.aside, self.aside) * np.outer([1.0, 0.0, 0.0], down) / high
            sheared = True
        if random.uniform() < self.turn:
            turn = _turned(*(random.uniform(-most, most) for most in (self.yaw, self.pitch, self.roll)))
            move = turn @ move
            deeper = turn[2]
        unlens = np.linalg.inv(lens)
        through = lens @ move @ unlens
        scale = math.exp(random.uniform(*np.log(self.scale))) * self.longest / max(of.width, of.height)
        zoom = np.diag([scale, scale, 1.0])
        beside, below = self.width - scale * of.width, self.height - scale * of.height
        left = random.uniform(min(0.0, beside), max(0.0, beside))
        top = random.uniform(min(0.0, below), max(0.0, below))
        zoom[:2, 2] = left, top
        if random.uniform() < self.flip:
            zoom = np.array([[-1.0, 0.0, self.width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ zoom
        known = scale * focal if camera is not None else math.nan
        return Warp(zoom @ through, self.width, self.height, known, deeper @ unlens, not sheared)


def _turned(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """A small turn of the camera frame (x right, y down, z ahead)."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(angle), math.sin(angle)) for angle in (yaw, pitch, roll))
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_z = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return about_z @ about_x @ about_y

"""Labels on the grid: what the network should say of each cell, and where it is not asked. NumPy.

As in Huval et al. 2015 the mask of a vehicle is its box shrunk to a quarter about its middle (the cell at its middle
always), sides and depth are asked of that mask alone; the mask of a line is the cells that it passes through. Round
both lies a rim of which nothing is asked. Where the central parts of two vehicles meet, the nearer has the cell.
"""

import math

import numpy as np
from jaxtyping import Float

from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.perception.matching import VEHICLES
from drivetrain.perception.network import STRIDE
from drivetrain.perception.warping import Warp
from drivetrain.types import Array, record

CENTRAL = 0.25
"""The mask of a box, as a share of its width and height."""
RIM = 0.6
"""Of that much of a box, outside its mask, nothing is asked."""
LEAST_HEIGHT = 8.0
"""Boxes lower than this, pixels of the network's input, are neither asked for nor denied."""
LEAST_VISIBLE = 0.25
"""The same where less of a vehicle is seen, as a share."""
FARTHEST = 80.0
"""Lines are asked for up to this depth, m."""
SAMPLE = 2.0
"""Pixels from one point of a line to the next."""
PIECE = 2
"""Points to each side of the one nearest to a cell's centre that its piece of line reaches: 4 pixels."""


@record
class Targets:
    """What the network should say; the letters and numbers of `Seen`. Weights are 0 where nothing is asked."""

    vehicle: Float[Array, "*n h w"]  # 1: the central part of a vehicle
    vehicle_weight: Float[Array, "*n h w"]
    sides: Float[Array, "*n h w 4"]  # pixels, where `vehicle` is 1
    depth: Float[Array, "*n h w"]  # log(m / focal length)
    depth_weight: Float[Array, "*n h w"]
    lane: Float[Array, "*n h w"]
    lane_weight: Float[Array, "*n h w"]
    segment: Float[Array, "*n h w 4"]
    ends: Float[Array, "*n h w 2"]
    ends_weight: Float[Array, "*n h w"]


def targets_of(labelled: Labelled, warp: Warp) -> Targets:
    """A picture's labels on the grid of the network's input."""
    shape = (warp.height // STRIDE, warp.width // STRIDE)
    vehicle = _vehicles(labelled, warp, shape)
    lane = _lanes(labelled, warp, shape)
    return Targets(*vehicle, *lane)


def _vehicles(labelled: Labelled, warp: Warp, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    mask, sides, depth = np.zeros(shape, np.float32), np.ones((*shape, 4), np.float32), np.zeros(shape, np.float32)
    weight = np.ones(shape, np.float32)
    if labelled.things is None or not warp.vehicles:
        return mask, np.zeros_like(weight), sides, depth, np.zeros_like(weight)
    down, across = centres(shape)
    known = np.zeros(shape, np.float32)
    for region in labelled.ignored:
        weight[_within(_corners(warp, region), down, across)] = 0.0
    for thing in sorted(labelled.things, key=_farthest_first):
        box = _corners(warp, thing.box)
        seen, share = _inside(box, warp)
        if share <= 0.0:
            continue
        if not _asked(thing, seen, share):
            weight[_within(seen, down, across) & (mask == 0.0)] = 0.0
            continue
        rim, middle = _about(seen, RIM), _about(seen, CENTRAL)
        weight[_within(rim, down, across) & (mask == 0.0)] = 0.0
        here = _within(middle, down, across)
        row, column, _ = _cells(0.5 * (seen[None, :2] + seen[None, 2:]), shape)
        here[row, column] = True
        mask[here], weight[here] = 1.0, 1.0
        gaps = np.stack([across - seen[0], down - seen[1], seen[2] - across, seen[3] - down], -1)
        sides[here] = np.maximum(gaps[here], 1.0)
        deep = warp.depth(np.array([[0.5 * (thing.box[0] + thing.box[2]), thing.box[3]]]), np.array([thing.depth]))[0]
        known[here] = math.isfinite(deep / warp.focal) and deep > 0.0
        depth[here] = math.log(deep / warp.focal) if known[here].any() else 0.0
    return mask, weight, sides, depth, known


def _farthest_first(thing: Boxed) -> float:
    """What is not known to be deep stands as high in the picture as it is far."""
    return -thing.depth if math.isfinite(thing.depth) else thing.box[3] - 1e6


def _asked(thing: Boxed, seen: np.ndarray, share: float) -> bool:
    """Whether a box is large and visible enough, and of a vehicle."""
    high = float(seen[3] - seen[1])
    return thing.kind in VEHICLES and high >= LEAST_HEIGHT and thing.visible >= LEAST_VISIBLE and share >= 0.3


def centres(shape: tuple[int, int]) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Rows and columns, pixels, of the cells' centres."""
    rows, columns = np.arange(shape[0]) * STRIDE + 3.5, np.arange(shape[1]) * STRIDE + 3.5
    down, across = np.meshgrid(rows, columns, indexing="ij")
    return down, across


def _corners(warp: Warp, box: tuple[float, ...] | np.ndarray) -> Float[np.ndarray, "4"]:
    """The rectangle round a warped rectangle."""
    x0, y0, x1, y1 = box
    points = warp.place(np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]))
    return np.concatenate([points.min(0), points.max(0)])


def _inside(box: np.ndarray, warp: Warp) -> tuple[Float[np.ndarray, "4"], float]:
    """What of a rectangle the input shows, and which share that is."""
    seen = np.clip(box, -0.5, np.tile([warp.width - 0.5, warp.height - 0.5], 2))
    area = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
    return seen, float((seen[2] - seen[0]) * (seen[3] - seen[1]) / area)


def _about(box: np.ndarray, share: float) -> np.ndarray:
    """A rectangle shrunk about its middle."""
    middle, half = 0.5 * (box[:2] + box[2:]), 0.5 * share * (box[2:] - box[:2])
    return np.concatenate([middle - half, middle + half])


def _within(box: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    return (across >= box[0]) & (across <= box[2]) & (down >= box[1]) & (down <= box[3])


# ---------------------------------------------------------------------------------------------------------------- lines


def _lanes(labelled: Labelled, warp: Warp, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    mask, weight = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    segment, ends = np.zeros((*shape, 4), np.float32), np.zeros((*shape, 2), np.float32)
    known = np.zeros(shape, np.float32)
    lines = labelled.lines
    if lines is None:
        return mask, np.zeros_like(weight), segment, ends, known
    sampled = [along(line, labelled, warp) for line in lines]
    sampled = [each for each in sampled if len(each)]
    if labelled.only_named:
        weight[:] = 0.0
    if not sampled:
        return mask, weight, segment, ends, known
    # Points of all lines in one table: column, row, depth, asked for; and of each the ends of its piece.
    points = np.concatenate(sampled)
    first, last = (np.concatenate([_beside(each, step) for each in sampled]) for step in (-PIECE, PIECE))
    row, column, inside = _cells(points[:, :2], shape)
    if labelled.only_named:
        for aside in (-3, -2, -1, 0, 1, 2, 3):
            weight[row[inside], np.clip(column[inside] + aside, 0, shape[1] - 1)] = 1.0
    for aside, below in ((-3.0, 0.0), (3.0, 0.0), (0.0, -3.0), (0.0, 3.0)):
        near = _cells(points[:, :2] + (aside, below), shape)
        weight[near[0][near[2]], near[1][near[2]]] = 0.0
    centre = np.stack([column, row], -1) * STRIDE + 3.5
    away = np.linalg.norm(points[:, :2] - centre, axis=1)
    order = np.argsort(-away, kind="stable")  # the nearest to the centre is written last
    order = order[inside[order]]
    at = (row[order], column[order])
    mask[at] = 1.0
    weight[at] = points[order, 3]
    segment[at] = np.concatenate([first[order, :2] - centre[order], last[order, :2] - centre[order]], -1)
    both = np.stack([first[order, 2], last[order, 2]], -1) / warp.focal
    known[at] = np.isfinite(both).all(1) & (both > 0.0).all(1)
    ends[at] = np.where(known[at][:, None] > 0.0, np.log(np.maximum(np.nan_to_num(both), 1e-6)), 0.0)
    return mask, weight, segment, ends, known


def along(line: Line, labelled: Labelled, warp: Warp) -> Float[np.ndarray, "n 4"]:
    """Points of a line, `SAMPLE` pixels apart in the input: column, row, depth (m; nan: unknown), whether asked for."""
    given, visible = _reaching(line, labelled)
    pixels, depth = warp.place(given[:, :2]), warp.depth(given[:, :2], given[:, 2])
    keep = ~(depth <= 0.5)
    pixels, depth, visible = pixels[keep], depth[keep], visible[keep]
    if len(pixels) < 2:
        return np.zeros((0, 4))
    step = np.linalg.norm(np.diff(pixels, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(step)])
    count = min(int(reached[-1] / SAMPLE) + 1, 4000)
    if count < 2:
        return np.zeros((0, 4))
    wanted = np.linspace(0.0, reached[-1], count)
    column, row, inverse, shown = (
        np.interp(wanted, reached, values) for values in (pixels[:, 0], pixels[:, 1], 1.0 / depth, visible * 1.0)
    )
    deep = 1.0 / inverse
    asked = (shown > 0.99) & ~(deep > FARTHEST)
    rows = np.column_stack([column, row, deep, asked])
    near = (np.abs(column - 0.5 * warp.width) < 0.5 * warp.width + 16) & (
        np.abs(row - 0.5 * warp.height) < 0.5 * warp.height + 16
    )
    return rows[near]


def _reaching(line: Line, labelled: Labelled) -> tuple[Float[np.ndarray, "n 3"], np.ndarray]:
    """A line's points, and one more beyond the border where it leaves the picture: the last of them lies within."""
    points, visible = np.asarray(line.points, np.float64), np.asarray(line.visible)
    camera = labelled.camera
    if camera is None or len(points) < 2 or not np.isfinite(points[:2, 2]).all():
        return points, visible
    for end, before in ((0, 1), (-1, -2)):
        ray = (points[[end, before], :2] - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
        place = np.column_stack([ray, [1.0, 1.0]]) * points[[end, before], 2:]
        further = 2.0 * place[0] - place[1]
        if further[2] < 0.5:  # behind the camera, or all but: as far as half a metre before it
            share = (place[0, 2] - 0.5) / max(place[0, 2] - further[2], 1e-6)
            further = place[0] + max(share, 0.0) * (further - place[0])
        pixel = further[:2] / further[2] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        outside = np.any(pixel < -0.5) or np.any(pixel > (labelled.width - 0.5, labelled.height - 0.5))
        if outside:
            row = np.array([[*pixel, further[2]]])
            points = np.concatenate([row, points]) if end == 0 else np.concatenate([points, row])
            visible = np.concatenate([visible[:1], visible]) if end == 0 else np.concatenate([visible, visible[-1:]])
    return points, visible


def _beside(points: np.ndarray, step: int) -> np.ndarray:
    """For each point of a line that which is so many steps further, or the last."""
    return points[np.clip(np.arange(len(points)) + step, 0, len(points) - 1)]


def _cells(points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of the cell of each pixel, and whether there is one."""
    cell = np.floor((points + 0.5) / STRIDE).astype(int)
    inside = (cell >= 0).all(1) & (cell[:, 0] < shape[1]) & (cell[:, 1] < shape[0])
    return np.clip(cell[:, 1], 0, shape[0] - 1), np.clip(cell[:, 0], 0, shape[1] - 1), inside

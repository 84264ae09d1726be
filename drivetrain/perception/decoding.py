"""What the network says of cells, as things and lines: `Seen` → `Found`. NumPy, on the host.

Boxes are grouped as in Huval et al. 2015: what overlaps the surest is one thing, and its box is their mean. Pieces of
lines are put in 3D by their depths, the road's plane is fitted to all of them, and on it they are clustered (DBSCAN)
and fitted with curves.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from drivetrain.camera.pinhole import Camera, Mount, back_project
from drivetrain.perception.clustering import dbscan
from drivetrain.perception.found import Detection, Found, FoundLine
from drivetrain.perception.labelled import Line
from drivetrain.perception.matching import iou
from drivetrain.perception.network import STRIDE, Seen
from drivetrain.perception.targets import centres
from drivetrain.perception.warping import Warp
from drivetrain.types import Array, component

FOCAL = 0.9
"""The focal length, in widths of the picture, of a camera that nobody knows."""

UNKNOWN = 0.3
"""A mount no higher than this, m, is one that nobody knows."""
HEIGHT = 1.4
"""What the height of such a camera is expected to be, m."""
SPREAD = (0.1, 0.015)
"""How far the road leans from where the mount has it: where that is not known, and where it is. Slopes."""
BEYOND = 1.0
"""What a line is told beyond its last piece, m: the cells after it may show half a piece."""
NOISE, ALONE = 0.15, 20.0
"""Of depths, as a share; and as how many points all count at most, because they err together."""


@component
class Decoding:
    """From when on something counts, and what belongs together."""

    least: float = 0.05  # score of a cell whose box is looked at
    most: int = 400  # such cells, the surest
    grouped: float = 0.45  # overlap (intersection over union) from which two boxes are one thing
    averaged: float = 0.65  # overlap from which a box has a share in the mean
    passes: float = 0.4  # score of a cell through which a line passes
    aside: float = 0.6  # m; pieces of one line lie no farther beside one another's course
    along: float = 36.0  # pixels of the input; nor farther apart
    points: int = 3  # pieces within reach that make a line
    longest: float = 80.0  # m; lines are followed so far
    shortest: float = 40.0  # pixels of the input that a line must have
    held: float = 0.3  # share of it along which pieces are seen
    flattest: float = 8.0  # rows of the input that it must span: the depth of a flatter one cannot be told
    gap: float = 30.0  # m; lines are joined over so much that vehicles hide
    order: int = 3  # of the curves
    rough: float = 0.25  # m; a line that lies farther from its curve, in the middle, is two


def decode(seen: Seen, warp: Warp, width: int, height: int, camera: Camera | None, decoding: Decoding) -> Found:
    """What is found in a picture of `width` × `height` pixels that the network saw through `warp`.

    Depths are in metres where the camera is known, and guesses by a usual lens where it is not. Where its mount's
    height is known (not 0) it sets the scale of what lies on the road.
    """
    seen = Seen(**{field.name: np.asarray(getattr(seen, field.name), np.float64) for field in dataclasses.fields(seen)})
    focal = warp.focal if math.isfinite(warp.focal) else FOCAL * width * _scale(warp)
    things = _things(seen, warp, width, height, focal, camera is not None, decoding)
    return Found(things, _lines(seen, warp, width, height, camera, focal, decoding))


def _scale(warp: Warp) -> float:
    return math.sqrt(abs(float(np.linalg.det(warp.matrix[:2, :2])))) / float(warp.matrix[2, 2])


def _sure(logit: Array) -> Float[np.ndarray, "h w"]:
    return 1.0 / (1.0 + np.exp(-np.asarray(logit)))


def unwarped(warp: Warp, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Pixels of the picture from those of the input."""
    there = np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(warp.matrix).T
    return there[:, :2] / there[:, 2:]


# --------------------------------------------------------------------------------------------------------------- things


def _things(
    seen: Seen, warp: Warp, width: int, height: int, focal: float, known: bool, decoding: Decoding
) -> tuple[Detection, ...]:
    score = _sure(seen.vehicle)
    down, across = centres(score.shape)  # type: ignore[arg-type]
    rows = np.flatnonzero(score.reshape(-1) >= decoding.least)
    rows = rows[np.argsort(-score.reshape(-1)[rows], kind="stable")][: decoding.most]
    score, depth = score.reshape(-1)[rows], focal * np.exp(np.asarray(seen.depth).reshape(-1)[rows])
    x, y, sides = across.reshape(-1)[rows], down.reshape(-1)[rows], np.asarray(seen.sides).reshape(-1, 4)[rows]
    boxes = np.stack([x - sides[:, 0], y - sides[:, 1], x + sides[:, 2], y + sides[:, 3]], -1)
    corners = [unwarped(warp, boxes[:, at]) for at in ([0, 1], [2, 3])]
    boxes = np.concatenate(corners, -1).clip(-0.5, [width - 0.5, height - 0.5] * 2)
    grouped = grouping(boxes, score, decoding)
    return tuple(
        Detection(
            box=tuple(float(side) for side in box),  # type: ignore[arg-type]
            score=float(score[first]),
            depth=float(np.exp(np.average(np.log(depth[members]), weights=score[members]))) if known else math.nan,
        )
        for first, members, box in grouped
        if box[2] > box[0] and box[3] > box[1]
    )


def grouping(
    boxes: Float[np.ndarray, "n 4"], score: Float[np.ndarray, "n"], decoding: Decoding
) -> list[tuple[int, np.ndarray, Float[np.ndarray, "4"]]]:
    """Groups of boxes, given the surest first: the surest of each, its members, and their mean by score."""
    both = iou(boxes, boxes)
    left, groups = np.ones(len(boxes), bool), []
    for first in range(len(boxes)):
        if not left[first]:
            continue
        members = np.flatnonzero((both[first] >= decoding.averaged) & left)
        members = np.union1d(members, [first])
        left &= both[first] < decoding.grouped
        left[first] = False
        groups.append((first, members, np.average(boxes[members], axis=0, weights=score[members])))
    return groups


# ---------------------------------------------------------------------------------------------------------------- lines


def _lines(
    seen: Seen, warp: Warp, width: int, height: int, camera: Camera | None, focal: float, decoding: Decoding
) -> tuple[FoundLine, ...]:
    score = _sure(seen.lane)
    down, across = centres(score.shape)  # type: ignore[arg-type]
    rows = np.flatnonzero(score.reshape(-1) >= decoding.passes)
    if len(rows) < decoding.points:
        return ()
    score, segment = score.reshape(-1)[rows], np.asarray(seen.segment).reshape(-1, 4)[rows]
    depth = focal * np.exp(np.asarray(seen.ends).reshape(-1, 2)[rows])
    centre = np.stack([across.reshape(-1)[rows], down.reshape(-1)[rows]], -1)
    ends = [centre + segment[:, :2], centre + segment[:, 2:]]
    known = camera if camera is not None else _usual(width, height)
    pixels = [unwarped(warp, end) for end in ends]
    rays = [back_project(known, each, np.ones(len(each))) for each in pixels]
    spread = SPREAD[camera is not None and known.mount.z > UNKNOWN]
    plane = road(np.concatenate(rays), depth.T.reshape(-1), np.tile(score, 2), known.mount, spread)
    if plane is None:
        return ()
    above = known.mount.z if camera is not None and known.mount.z > UNKNOWN else None
    ground = Ground.of(plane, above)
    places = [ground.place(ray) for ray in rays]
    good = np.isfinite(places[0]).all(1) & np.isfinite(places[1]).all(1)
    good &= (places[0][:, 0] < decoding.longest) & (places[1][:, 0] < 1.5 * decoding.longest)
    at, score, middle = [place[good] for place in places], score[good], (0.5 * (ends[0] + ends[1]))[good]
    cluster = dbscan(apart(at[0], at[1], middle, decoding), 1.0, decoding.points)
    clusters = [np.flatnonzero(cluster == number) for number in range(int(cluster.max(initial=-1)) + 1)]
    found = []
    for rows in joined(at[0], at[1], clusters, decoding):
        for members, curve in fitted_curves(at[0], at[1], score, rows, decoding):
            pixel, deep = ground.seen(curve, known)
            inside = (pixel >= -0.5).all(1) & (pixel[:, 0] <= width - 0.5) & (pixel[:, 1] <= height - 0.5)
            span = np.ptp(np.concatenate([ends[0][good][members], ends[1][good][members]]), axis=0)
            long = float(np.hypot(*span))
            held = STRIDE * len(members) >= decoding.held * long
            if inside.sum() >= 2 and held and long >= decoding.shortest and span[1] >= decoding.flattest:
                kept = np.column_stack([pixel, deep])[inside]
                found.append((float(np.mean(score[members])), kept, curve[inside]))
    return _with_roles(found)


def _usual(width: int, height: int) -> Camera:
    """A camera that is not known."""
    focal = FOCAL * width
    return Camera(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1), mount=Mount(z=0.0))


def road(
    rays: Float[np.ndarray, "n 3"],
    depth: Float[np.ndarray, "n"],
    weight: Float[np.ndarray, "n"],
    mount: Mount,
    spread: float,
) -> Float[np.ndarray, "3"] | None:
    """The road's plane: the vector p with p · ray = 1 / depth for points on it, by reweighted least squares.

    `mount` says where it is expected, to within `spread`, a slope; a line that crosses the picture tells little. None
    where no plane below the camera fits.
    """
    inverse = 1.0 / depth
    expected = down_of(mount) / (mount.z if mount.z > UNKNOWN else HEIGHT)
    doubt = np.diag(1.0 / np.square(np.array([spread, 0.2, spread])))
    weight = weight * min(1.0, ALONE / max(float(np.sum(weight)), 1e-6))
    sure, plane = weight.copy(), expected
    for _ in range(12):
        # The depths' relative errors are all of a size: near ones of inverse depths are weighed down.
        scaled = (sure / np.square(NOISE * inverse))[:, None]
        gram = rays.T @ (scaled * rays) + doubt
        plane = np.linalg.solve(gram, rays.T @ (scaled[:, 0] * inverse) + doubt @ expected)
        off = np.abs(rays @ plane / inverse - 1.0)
        sure = weight / np.square(1.0 + np.square(off / 0.1))
    return plane if plane[1] > 0.0 and np.linalg.norm(plane) > 1e-3 else None


def down_of(mount: Mount) -> Float[np.ndarray, "3"]:
    """The way down to the road, in the frame of a camera that is mounted so."""
    (cp, sp), (cr, sr) = ((math.cos(angle), math.sin(angle)) for angle in (mount.pitch, mount.roll))
    return np.array([cp * sr, cp * cr, sp])


@dataclasses.dataclass(frozen=True)
class Ground:
    """The road's plane in the camera frame, with axes ahead and to the left on it."""

    plane: Float[np.ndarray, "3"]  # p · x = 1 on it
    ahead: Float[np.ndarray, "3"]
    left: Float[np.ndarray, "3"]
    foot: Float[np.ndarray, "3"]  # below the camera

    @classmethod
    def of(cls, plane: Float[np.ndarray, "3"], above: float | None) -> "Ground":
        """`above`, m, sets how far below the camera it lies."""
        normal = plane / np.linalg.norm(plane)
        plane = plane if above is None else normal / above
        ahead = np.array([0.0, 0.0, 1.0]) - normal[2] * normal
        ahead = ahead / np.linalg.norm(ahead)
        return cls(plane, ahead, np.cross(ahead, normal), plane / (plane @ plane))

    def place(self, rays: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """(ahead, left), m, of where rays meet it; nan where they do not."""
        closeness = rays @ self.plane
        points = rays / np.where(closeness > 1e-4, closeness, np.nan)[:, None] - self.foot
        return np.stack([points @ self.ahead, points @ self.left], -1)

    def seen(self, places: Float[np.ndarray, "n 2"], camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and depths, m, of places on it."""
        points = self.foot + places[:, :1] * self.ahead + places[:, 1:] * self.left
        depth = np.maximum(points[:, 2], 0.1)
        x, y = points[:, 0] / depth, points[:, 1] / depth
        square = np.minimum(x * x + y * y, 4.0)
        out = 1.0 + camera.k1 * square + camera.k2 * square * square
        pixel = np.stack([camera.fx * x * out + camera.cx, camera.fy * y * out + camera.cy], -1)
        pixel[points[:, 2] < 0.3] = np.nan
        return np.nan_to_num(pixel, nan=-1e9), depth


def apart(
    near: Float[np.ndarray, "n 2"], far: Float[np.ndarray, "n 2"], pixel: Float[np.ndarray, "n 2"], decoding: Decoding
) -> Float[np.ndarray, "n n"]:
    """How far pieces of lines are from continuing one another: 1 is as far as the same line may be."""
    middle, way = 0.5 * (near + far), far - near
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    to = middle[None] - middle[:, None]
    off = np.abs(to[..., 0] * way[:, None, 1] - to[..., 1] * way[:, None, 0])
    off = np.maximum(off, off.T) / decoding.aside
    far_apart = np.linalg.norm(pixel[None] - pixel[:, None], axis=-1) / decoding.along
    turned = np.abs(way @ way.T)
    return np.where(turned > 0.7, np.maximum(off, far_apart), 9.0)


def joined(
    near: Float[np.ndarray, "n 2"], far: Float[np.ndarray, "n 2"], clusters: list[np.ndarray], decoding: Decoding
) -> list[np.ndarray]:
    """Clusters, those joined that continue one another: what hides a line must not make it two."""
    clusters = [rows for rows in clusters if len(rows) >= 2]
    while True:
        best, pair = 1.0, None
        runs = [_run(near, far, rows) for rows in clusters]
        for one in range(len(runs)):
            for other in range(len(runs)):
                if one != other and (off := _continues(runs[one], runs[other], decoding)) < best:
                    best, pair = off, (one, other)
        if pair is None:
            return clusters
        both = np.concatenate([clusters[row] for row in pair])
        clusters = [rows for row, rows in enumerate(clusters) if row not in pair] + [both]


def _run(near: np.ndarray, far: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where the pieces of a cluster begin and end, and which way they run there."""
    points = np.concatenate([near[rows], far[rows]])
    middle = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    axis = axes[0] * (1.0 if axes[0, 0] >= 0.0 else -1.0)
    order = np.argsort((points - middle) @ axis)
    few = max(4, len(order) // 2)
    tips = []
    for part, tip in ((order[:few], 0), (order[-few:], -1)):
        own = points[part]
        centre = own.mean(axis=0)
        _, _, ways = np.linalg.svd(own - centre, full_matrices=False)
        way = ways[0] * (1.0 if ways[0] @ axis >= 0.0 else -1.0)
        tips.append((centre + ((own[tip] - centre) @ way) * way, way))
    return (*tips[0], *tips[1])


def _continues(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...], decoding: Decoding) -> float:
    """How well the second goes on where the first ends: below 1 they are one line."""
    _, _, end, way = one
    begin, other_way, _, _ = other
    to = begin - end
    gap = float(to @ (way + other_way)) / max(float(np.linalg.norm(way + other_way)), 1e-6)
    if not -decoding.gap < gap < decoding.gap or way @ other_way < 0.95:
        return 9.0
    off = max(abs(to[0] * one_way[1] - to[1] * one_way[0]) for one_way in (way, other_way))
    return max(off / (decoding.aside + 0.03 * max(gap, 0.0)), 0.0) + 0.3 * max(gap, 0.0) / decoding.gap


def fitted_curves(
    near: Float[np.ndarray, "n 2"],
    far: Float[np.ndarray, "n 2"],
    score: Float[np.ndarray, "n"],
    rows: np.ndarray,
    decoding: Decoding,
) -> list[tuple[np.ndarray, Float[np.ndarray, "m 2"]]]:
    """Curves through the pieces of a cluster: aside as a polynomial of along its main axis; halves where none fits."""
    if len(rows) < decoding.points:
        return []
    points = np.concatenate([near[rows], far[rows]])
    middle = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    axis = axes[0] * (1.0 if axes[0, 0] >= 0.0 else -1.0)
    across = np.array([-axis[1], axis[0]])
    along, aside = (points - middle) @ axis, (points - middle) @ across
    low, high = along.min() - BEYOND, along.max() + BEYOND
    away = np.maximum(np.linalg.norm(points, axis=1), 3.0)
    # A pixel is worth metres with the square of the distance along, and with the distance across.
    weight = np.tile(score[rows], 2) / away
    half = max(0.5 * (high - low), 1.0)
    order = min(decoding.order, 1 + int((high - low) / 8.0))
    powers = ((along - 0.5 * (low + high)) / half)[:, None] ** np.arange(order + 1)
    ridge = np.diag(np.array([0.0, 0.0, 1e-3, 1e-2])[: order + 1] * np.sum(weight**2))
    sure = np.ones_like(weight)
    for _ in range(4):
        scaled = powers * (sure * weight**2)[:, None]
        bent = np.linalg.solve(powers.T @ scaled + ridge + 1e-9 * np.eye(order + 1), scaled.T @ aside)
        off = np.abs(powers @ bent - aside)
        sure = 1.0 / (1.0 + np.square(off / (0.1 + 0.01 * away)))
    rough = np.median(off / np.maximum(1.0, away / 15.0))
    if rough > decoding.rough and len(rows) >= 4 * decoding.points:
        order_along = np.argsort((0.5 * (near[rows] + far[rows]) - middle) @ axis)
        parts = np.array_split(rows[order_along], 2)
        return [curve for part in parts for curve in fitted_curves(near, far, score, part, decoding)]
    # As dense near the camera as rows there ask for.
    stations = np.linspace(low, high, max(2, min(600, int(5.0 * (high - low)) + 2)))
    far_off = np.linalg.norm(middle + stations[:, None] * axis, axis=1) > 15.0
    number = np.arange(len(stations))
    stations = stations[~far_off | (number % 5 == 0) | (number == len(stations) - 1)]
    powers = ((stations - 0.5 * (low + high)) / half)[:, None] ** np.arange(order + 1)
    curve = middle + stations[:, None] * axis + (powers @ bent)[:, None] * across
    return [(rows, curve)]


def _with_roles(found: list[tuple[float, np.ndarray, np.ndarray]]) -> tuple[FoundLine, ...]:
    """Lines with their roles, by which side of the camera they pass a few metres ahead and how near."""
    aside = [_aside(curve) for _, _, curve in found]
    roles = [""] * len(found)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        passing = sorted((sign * left, row) for row, left in enumerate(aside) if left is not None and sign * left > 0.0)
        for rank, (_, row) in enumerate(passing, start=1):
            roles[row] = f"ego_{side}" if rank == 1 else f"{side}{rank}"
    lines = []
    for (score, points, _), role in zip(found, roles, strict=True):
        way = slice(None) if points[0, 2] <= points[-1, 2] else slice(None, None, -1)
        lines.append(FoundLine(Line(points[way], np.ones(len(points), bool), role), score))
    return tuple(lines)


def _aside(curve: Float[np.ndarray, "n 2"]) -> float | None:
    """How far to the left a line is 10 m ahead; None where it neither passes there nor begins soon after."""
    order = np.argsort(curve[:, 0])
    ahead, left = curve[order, 0], curve[order, 1]
    return None if ahead[0] > 20.0 or ahead[-1] < 6.0 else float(np.interp(10.0, ahead, left))

"""The ground around a map as a picture looks it up: texels of half a metre, two words each. NumPy, once a map.

A texel holds no colour. It holds the *line* that passes it (which paint, its direction, how far its centre is from it
and along it) and the *edge* of the road near it, so that a pixel finds with two reads where it is relative to both, to
a millimetre or two, and paints them as sharp as they are from there. 400 × 400 m, and 80 m around, take 10 MB.
"""

import jax
import jax.numpy as jnp
import numpy as np
import shapely
from jaxtyping import Bool, Float, Int, UInt

from drivetrain.camera.beside import Laying, place_beside, place_posts
from drivetrain.camera.grid import REACH, TEXEL, VERGE, Grid, nearest_segments
from drivetrain.camera.markings import Drawn, Paint, boundary_points, crosswalks, edges
from drivetrain.types import Array, Cross, InputError, Map, record, replace

AROUND = 80.0
"""The ground goes on so far beyond the map's elements, m; farther out it is as at its rim."""
FILLED = 30.0
"""Farther than this from every edge, m, only what lies in a lane is road."""
PERIOD = 12.0
"""Metres along a line after which what is counted along it begins again: a multiple of what dashes repeat by."""
STRIPES = 1.0
"""Stripes of a zebra crossing repeat by this, m."""
MOST = 1 << 26
"""Texels of a map at most: 4 × 4 km."""
ANGLES, OFFSETS, PHASES, MARGINS = 1024, 1024, 256, 4096
"""Steps in which a word holds a direction, a line's offset, metres along it, and an edge's offset."""


@record
class Ground:
    """The ground of one map and what stands on it (G texels, B things beside the road, P points of lines).

    Words, from the lowest bit: `line` = paint 4 · direction 10 · offset 10 · along 8; `edge` = direction 10 ·
    offset 12. The road is where an edge's offset is positive.
    """

    origin: Float[Array, "*M 2"]  # lower corner, m
    size: Int[Array, "*M 2"]  # texels along x and y; a texel's row is x + y · size[0]
    line: UInt[Array, "*M G"]
    edge: UInt[Array, "*M G"]
    beside: Float[Array, "*M B 8"]  # columns by `Beside`
    posts: Float[Array, "*M S 6"]  # of the control lines' lights and signs, columns by `Post`
    points: Float[Array, "*M P 2"]  # of the lines that bound lanes, in their order
    point_paint: Int[Array, "*M P"]  # Paint; 0 is padding
    point_line: Int[Array, "*M P"]  # the number of the line; -1 is padding


def lay_ground(map_: Map, laying: Laying = Laying()) -> Ground:  # noqa: B008 - frozen
    """The ground of a compiled map. Raises `InputError` for maps that are too large."""
    drawn, rim = Drawn(map_), edges(map_)
    ends = np.concatenate([drawn.segments.reshape(-1, 2), rim.reshape(-1, 2), _lane_points(map_)])
    ends = ends if len(ends) else np.zeros((1, 2))
    origin = np.floor(ends.min(0) - AROUND)
    size = np.ceil((ends.max(0) + AROUND - origin) / TEXEL).astype(np.int64)
    if size.prod() > MOST:
        raise InputError(f"ground: {size[0] * TEXEL:.0f} × {size[1] * TEXEL:.0f} m is too large (crop the map)")
    grid = Grid(origin, size)
    line = _lines(grid, drawn)
    _zebras(grid, line, crosswalks(map_))
    edge, road = _edges(grid, rim, _lane_texels(grid, map_))
    points, paint, number = boundary_points(drawn)
    return Ground(
        origin=origin.astype(np.float32),
        size=size.astype(np.int32),
        line=line,
        edge=edge,
        beside=place_beside(grid, rim, road, laying),
        posts=place_posts(map_, lambda at: bool(road.reshape(-1)[grid.texel(at[None])[0]])),
        points=points.astype(np.float32),
        point_paint=paint.astype(np.int32),
        point_line=number.astype(np.int32),
    )


def stack_grounds(grounds: list[Ground]) -> Ground:
    """Grounds of several maps [M], padded to the largest of each."""
    texels, things, points = (
        max(getattr(ground, name).shape[0] for ground in grounds) for name in ("line", "beside", "points")
    )

    return jax.tree.map(lambda *rows: np.stack(rows), *(_padded(ground, texels, things, points) for ground in grounds))


def with_room(ground: Ground) -> Ground:
    """The ground padded to powers of two, so that programs of few sizes serve many maps."""

    def room(rows: Array, least: int) -> int:
        return max(least, 1 << max(len(rows) - 1, 0).bit_length())

    return _padded(ground, room(ground.line, 1), room(ground.beside, 64), room(ground.points, 1024))


def _padded(ground: Ground, texels: int, things: int, points: int) -> Ground:
    def pad(rows: Array, size: int, value: int = 0) -> Array:
        more = [(0, size - len(rows))] + [(0, 0)] * (rows.ndim - 1)
        return np.pad(rows, more, constant_values=value)

    return replace(
        ground,
        line=pad(ground.line, texels),
        edge=pad(ground.edge, texels),
        beside=pad(ground.beside, things),
        points=pad(ground.points, points),
        point_paint=pad(ground.point_paint, points),
        point_line=pad(ground.point_line, points, -1),
    )


# ---------------------------------------------------------------------------------------------------------------- words


def to_angle(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """A direction in `ANGLES` steps around the square |x| + |y| = 1, which needs no trigonometry."""
    share = x / np.maximum(np.abs(x) + np.abs(y), 1e-12)
    around = np.where(y >= 0.0, 1.0 - share, 3.0 + share)
    return np.round(around * (ANGLES / 4)).astype(np.int64) % ANGLES


def of_angle(angle: Array) -> tuple[Array, Array]:
    """The unit vector of a direction (float32 steps)."""
    around = angle * jnp.float32(4.0 / ANGLES)
    x = jnp.abs(around - 2.0) - 1.0
    y = jnp.where(around < 2.0, 1.0, -1.0) * (1.0 - jnp.abs(x))
    scale = jax.lax.rsqrt(x * x + y * y)
    return x * scale, y * scale


def _lines(grid: Grid, drawn: Drawn) -> UInt[np.ndarray, "G"]:
    """The line word of every texel."""
    words = np.zeros(grid.count, np.uint32)
    texel, row, aside, along = nearest_segments(grid, drawn.segments, REACH, 0.25)
    chord = drawn.segments[row, 2:] - drawn.segments[row, :2]
    metres = (drawn.arc[row] + along) % PERIOD
    words[texel] = _line_word(drawn.paint[row], -chord[:, 1], chord[:, 0], aside, metres / PERIOD)
    return words


def _line_word(
    paint: np.ndarray, x: np.ndarray, y: np.ndarray, offset: np.ndarray, along: np.ndarray
) -> UInt[np.ndarray, "n"]:
    """A word of a line from its normal (to its left), its signed distance, m, and the share of a period along it."""
    step = np.clip(np.round((np.asarray(offset) / REACH + 1.0) * (OFFSETS / 2)), 0, OFFSETS - 1).astype(np.uint32)
    phase = np.floor(np.asarray(along) * PHASES).astype(np.uint32) % PHASES
    word = np.asarray(paint).astype(np.uint32) | to_angle(x, y).astype(np.uint32) << 4
    return word | step << 14 | phase << 24


def _zebras(grid: Grid, words: UInt[np.ndarray, "G"], shapes: list[shapely.Polygon]) -> None:
    """Crossings, written over whatever else is there: stripes along the road, across the way of those who walk."""
    for shape in shapes:
        low, high = np.array(shape.bounds[:2]), np.array(shape.bounds[2:])
        across = np.arange(low[0], high[0] + TEXEL, TEXEL), np.arange(low[1], high[1] + TEXEL, TEXEL)
        texel = np.unique(grid.texel(np.stack(np.meshgrid(*across), -1).reshape(-1, 2)))
        centre = grid.centre(texel)
        inside = shapely.contains_xy(shape, centre[:, 0], centre[:, 1])
        texel, centre = texel[inside], centre[inside]
        corners = shapely.get_coordinates(shape.minimum_rotated_rectangle)
        sides = corners[1:3] - corners[:2]
        long = sides[int(np.argmax(np.linalg.norm(sides, axis=1)))]
        x, y = long / max(float(np.linalg.norm(long)), 1e-9)
        metres = (centre - corners[0]) @ np.array([x, y])
        offset = (metres % STRIPES) * (REACH / STRIPES)
        every = np.ones(len(texel))
        words[texel] = _line_word(np.full(len(texel), Paint.ZEBRA), x * every, y * every, offset, 0.0 * every)


def _edges(
    grid: Grid, rim: Float[np.ndarray, "n 4"], lanes: Int[np.ndarray, "m"]
) -> tuple[UInt[np.ndarray, "G"], Bool[np.ndarray, "h w"]]:
    """The edge word of every texel, and which of them are road.

    Far from edges, what lies between is road or not: a texel asks the nearest that knows along its row, both ways, and
    along its column; three of four decide, so that one gap in an edge makes no road of a field.
    """
    texel, row, aside, _ = nearest_segments(grid, rim, VERGE, 1.0)
    known = np.zeros(grid.count, np.int8)
    known[texel] = np.where(aside >= 0.0, 1, -1)
    shape = (int(grid.size[1]), int(grid.size[0]))
    known = known.reshape(shape)
    votes = sum((_filled(known, axis, back) > 0).astype(np.int8) for axis in (0, 1) for back in (False, True))
    road = np.where(known != 0, known > 0, votes >= 3).reshape(-1)
    road[lanes] = road[lanes] | (known.reshape(-1)[lanes] == 0)
    offset = np.where(road, VERGE, -VERGE)
    offset[texel] = aside
    angle = np.zeros(grid.count, np.int64)
    chord = rim[row, 2:] - rim[row, :2]
    angle[texel] = to_angle(-chord[:, 1], chord[:, 0])
    step = np.clip(np.round((offset / VERGE + 1.0) * (MARGINS / 2)), 0, MARGINS - 1).astype(np.uint32)
    return angle.astype(np.uint32) | step << 10, road.reshape(shape)


def _filled(known: Int[np.ndarray, "h w"], axis: int, back: bool) -> Int[np.ndarray, "h w"]:
    """Each texel's own, or that of the last within `FILLED` before it along an axis that is not 0; else 0."""
    rows = np.swapaxes(known, 0, 1) if axis == 0 else known
    rows = rows[:, ::-1] if back else rows
    last = np.maximum.accumulate(np.where(rows != 0, np.arange(rows.shape[1]), 0), axis=1)
    near = np.arange(rows.shape[1]) - last <= FILLED / TEXEL
    rows = np.take_along_axis(rows, last, axis=1) * near
    rows = rows[:, ::-1] if back else rows
    return np.swapaxes(rows, 0, 1) if axis == 0 else rows


def _lane_points(map_: Map) -> Float[np.ndarray, "n 2"]:
    """Left and right ends of every lane's cross-sections."""
    rows = np.asarray(map_.stations, np.float64)[np.asarray(map_.station_lane) >= 0]
    return rows[:, Cross.LEFT_X : Cross.RIGHT_Y + 1].reshape(-1, 2)


def _lane_texels(grid: Grid, map_: Map) -> Int[np.ndarray, "m"]:
    """Texels that lie in a lane."""
    lane, rows = np.asarray(map_.station_lane), np.asarray(map_.stations, np.float64)
    here = np.flatnonzero((lane[:-1] >= 0) & (lane[:-1] == lane[1:]))
    sides = [rows[:, [x, x + 1]] for x in (Cross.LEFT_X, Cross.RIGHT_X)]
    shares = np.linspace(0.0, 1.0, 13)[:, None, None]
    points = []
    for ahead in np.linspace(0.0, 1.0, 6):
        left, right = ((1.0 - ahead) * side[here] + ahead * side[here + 1] for side in sides)
        points.append((left + shares * (right - left)).reshape(-1, 2))
    return np.unique(grid.texel(np.concatenate(points))) if len(here) else np.zeros(0, np.int64)

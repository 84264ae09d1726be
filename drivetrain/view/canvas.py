"""A road and its users as one picture, as the page's canvas draws them (`page/draw.js`), by Pillow.

Coordinates are metres of the map's frame; a camera places them. Everything is drawn at twice the size and reduced.
"""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from drivetrain.types import AgentKind, Array, ControlKind, Cross, ElementKind, InputError, Map, Route
from drivetrain.view.drawing import chains, route_shapes
from drivetrain.view.style import Colour, colour

FINER = 2  # as many pixels along each side as the picture will have
LAMPS = ("#9aa0a8", "#2fa866", "#e2a01b", "#d8383f", "#e06a2b", "#6a707a")
"""By `LightState`."""
PAINT: dict[int, tuple[str, float, float, float]] = {
    ElementKind.DRIVEWAY: ("edge", 0.1, 0.3, 0.6),
    ElementKind.LINE_VIRTUAL: ("virtual", 0.08, 0.6, 1.2),
    ElementKind.CROSSWALK: ("paint", 0.35, 0.5, 0.5),
    ElementKind.BIKE_BORDER: ("bike", 0.15, 0.0, 0.0),
    ElementKind.SPEED_BUMP: ("warn", 0.2, 0.0, 0.0),
    ElementKind.LINE_DASHED: ("paint", 0.16, 3.0, 4.0),
    ElementKind.LINE_SOLID: ("paint", 0.16, 0.0, 0.0),
    ElementKind.STOP_LINE: ("paint", 0.4, 0.0, 0.0),
    ElementKind.ROAD_EDGE: ("edge", 0.2, 0.0, 0.0),
}
"""What a road's lines look like, from the lowest to the topmost: colour, width, dash and gap, m; no dash: solid."""

Points = Float[np.ndarray, "_ 2"]
Scalar = float | int | np.floating
Size = Sequence[float] | np.ndarray
"""Length and width, m."""


def pillow() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Pillow's modules Image, ImageDraw and ImageFont. Raises `InputError` where it is not installed."""
    try:
        image, draw, font = (importlib.import_module(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont"))
    except ImportError:
        raise InputError("pillow: not installed (pip install 'drivetrain[pictures]')") from None
    return image, draw, font


@dataclass(frozen=True)
class Shape:
    """Points that are drawn together, and the box that they fill."""

    points: Points
    kind: int = 0

    def seen(self, low: Array, high: Array) -> bool:
        """Whether any of it may be within a box."""
        return bool(np.all(self.points.min(0) <= high) and np.all(self.points.max(0) >= low))


@dataclass(frozen=True)
class Road:
    """What of a scene does not move, ready to be drawn."""

    surface: tuple[Shape, ...]
    route: tuple[Shape, ...]
    lines: tuple[Shape, ...]  # in the order of PAINT
    controls: Float[np.ndarray, "S 4"]
    control_kind: np.ndarray  # [S], ControlKind
    lamps: Float[np.ndarray, "S 2"]  # zeros: none is drawn apart

    def box(self) -> tuple[Array, Array]:
        """The least and the greatest coordinates of the road; 100 m square where there is none."""
        points = [shape.points for shape in (*self.surface, *self.lines)] or [np.array([[-50.0, -50.0], [50.0, 50.0]])]
        return np.concatenate(points).min(0), np.concatenate(points).max(0)


def road_of(map: Map, routes: Sequence[Route] = ()) -> Road:
    """A map with the lanes of some routes."""
    stations = np.asarray(map.stations)

    def strip(rows: Iterable[int]) -> Shape:
        cut = stations[list(rows)]
        return Shape(np.concatenate([cut[:, Cross.LEFT_X : Cross.RIGHT_X], cut[::-1, Cross.RIGHT_X : Cross.CENTRE_X]]))

    first, count = np.asarray(map.lane_first), np.asarray(map.lane_count)
    lanes = [range(first[lane], first[lane] + count[lane]) for lane in np.flatnonzero(count > 1)]
    painted = [Shape(points, kind) for kind, points in chains(np.asarray(map.elements), np.asarray(map.element_kind))]
    order = {int(kind): place for place, kind in enumerate(PAINT)}
    return Road(
        surface=tuple(strip(rows) for lane in lanes for rows in _pieces(lane)),
        route=tuple(Shape(points) for route in routes for points in route_shapes(map, route)),
        lines=tuple(sorted((shape for shape in painted if shape.kind in order), key=lambda shape: order[shape.kind])),
        controls=np.asarray(map.lines),
        control_kind=np.asarray(map.line_kind),
        lamps=np.asarray(map.light_position),
    )


def _pieces(rows: Sequence[int], size: int = 24) -> list[Sequence[int]]:
    """Runs of stations that meet, short enough that little is drawn out of sight."""
    return [rows[at : at + size + 1] for at in range(0, max(len(rows) - 1, 1), size)]


@dataclass(frozen=True)
class Camera:
    """What a picture shows: its centre, m, pixels a metre, and its size in pixels."""

    x: float
    y: float
    scale: float
    width: int
    height: int

    def place(self, points: Array) -> list[float]:
        """Pixels of the finer picture, x and y in turn; y points down."""
        off = (np.asarray(points, np.float64) - (self.x, self.y)) * (self.scale, -self.scale)
        return ((off + (0.5 * self.width, 0.5 * self.height)) * FINER).ravel().tolist()

    def box(self) -> tuple[Array, Array]:
        """The least and the greatest coordinates that are seen."""
        half = np.array([self.width, self.height]) / (2.0 * self.scale)
        return np.array([self.x, self.y]) - half, np.array([self.x, self.y]) + half


class Canvas:
    """One picture while it is drawn. Widths are metres, but at least so many pixels."""

    def __init__(self, camera: Camera):
        self.camera = camera
        self.image, drawing, self.font = pillow()
        self.whole = self.image.new("RGB", (camera.width * FINER, camera.height * FINER), colour("sky"))
        self.draw: Any = drawing.Draw(self.whole)

    def pixels(self, metres: Scalar, least: Scalar) -> int:
        """A width."""
        return max(round(FINER * max(metres * self.camera.scale, least)), 1)

    def line(
        self,
        points: Array,
        fill: Colour,
        metres: Scalar,
        least: Scalar,
        dash: Scalar = 0.0,
        gap: Scalar = 0.0,
    ):
        """A polyline, dashed where a dash is given, m."""
        width = self.pixels(metres, least)
        for piece in _dashes(np.asarray(points, np.float64), dash, gap) if dash else [points]:
            self.draw.line(self.camera.place(piece), fill=fill, width=width, joint="curve")

    def road(self, road: Road, lights: Array) -> None:
        """The road, with its lights [S] as they are."""
        low, high = self.camera.box()
        surface = colour("road")
        for shapes, fill in ((road.surface, surface), (road.route, colour("route", surface))):
            for shape in shapes:
                if shape.seen(low, high):
                    self.draw.polygon(self.camera.place(shape.points), fill=fill)
        for shape in road.lines:
            name, wide, dash, gap = PAINT[shape.kind]
            if shape.seen(low, high):
                self.line(shape.points, colour(name), wide, 0.8, dash, gap)
        for row, kind in enumerate(road.control_kind):
            if kind != ControlKind.NONE:
                self._control(road, row, int(kind), int(lights[row]))

    def _control(self, road: Road, row: int, kind: int, light: int) -> None:
        ends = road.controls[row].reshape(2, 2)
        names = {ControlKind.LIGHT: LAMPS[light], ControlKind.STOP_SIGN: LAMPS[3]}
        fill = colour(names.get(ControlKind(kind), "paint"))
        self.line(ends, fill, 0.5, 2.0)
        if kind in names:
            self.ring(road.lamps[row] if road.lamps[row].any() else ends[0], 0.5, 3.0, fill)

    def ring(
        self, at: Array, metres: Scalar, least: Scalar, fill: Colour | None = None, line: Colour | None = None
    ) -> None:
        """A disc, or a ring where only its line is given."""
        x, y = self.camera.place(at)
        r = self.pixels(metres, least)
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=line or colour("panel"), width=FINER * 2)

    def agent(self, pose: Float[np.ndarray, "4"], size: Size, fill: Colour, line: Colour) -> None:
        """A box with blunt corners, at x, y and a heading (cos, sin), with a wedge under its front."""
        length, width = (max(float(side), 0.6) for side in size)
        self.draw.polygon(self.camera.place(_blunt(pose, length, width)), fill=fill)
        self.draw.line(self.camera.place(_closed(_blunt(pose, length, width))), fill=line, width=FINER, joint="curve")
        if length > 1.2:
            tip, foot = 0.5 * length - 0.15 * width, 0.5 * length - 0.6 * width
            wedge = np.array([[tip, 0.0], [foot, 0.3 * width], [foot, -0.3 * width]])
            self.draw.polygon(self.camera.place(_turned(wedge, pose)), fill=line)

    def users(self, poses: Float[np.ndarray, "n 4"], sizes: Float[np.ndarray, "n 2"], kinds: Array) -> None:
        """Road users, each in the colour of its kind."""
        for pose, size, kind in zip(poses, sizes, kinds, strict=True):
            fill = colour(AgentKind(int(kind)).name.lower() if kind else "other")
            self.agent(pose, size, fill, colour("agent-line", fill))

    def ghost(self, pose: Float[np.ndarray, "4"], size: Size, line: Colour) -> None:
        """The outline of a box, dashed."""
        px = 1.0 / self.camera.scale
        length, width = size
        self.line(_closed(_blunt(pose, float(length), float(width))), line, 0.0, 1.5, 4 * px, 3 * px)

    def text(
        self, at: tuple[float | int, float | int], words: str, size: int, fill: Colour, anchor: str = "ls"
    ) -> None:
        """Words at pixels of the picture, legible on whatever is there."""
        font = self.font.load_default(size * FINER)
        edge = {"stroke_width": 2 * FINER, "stroke_fill": colour("sky")}
        self.draw.text((at[0] * FINER, at[1] * FINER), words, font=font, fill=fill, anchor=anchor, **edge)

    def bar(self) -> None:
        """How long a round number of metres is, in the corner."""
        lengths = (1, 2, 5, 10, 20, 50, 100, 200, 500)
        metres = next((each for each in lengths if each * self.camera.scale >= 60), 1000)
        left, right, low = 14.0, 14.0 + metres * self.camera.scale, self.camera.height - 14.0
        corners = ((left, low - 5), (left, low), (right, low), (right, low - 5))
        self.draw.line([FINER * value for point in corners for value in point], fill=colour("soft"), width=3)
        self.text(((left + right) / 2, low - 6), f"{metres} m", 11, colour("soft"), "ms")

    def done(self) -> Any:
        """The picture, reduced to its size."""
        return self.whole.resize((self.camera.width, self.camera.height), self.image.Resampling.BOX)


def _blunt(pose: Float[np.ndarray, "4"], length: float, width: float) -> Points:
    """The corners of a box, each cut off."""
    cut, x, y = min(0.3, width / 5), 0.5 * length, 0.5 * width
    quarter = np.array([[x, y - cut], [x - cut, y]])
    half = np.concatenate([quarter, (quarter * (-1, 1))[::-1]])
    return _turned(np.concatenate([half, (half * (1, -1))[::-1]]), pose)


def _turned(points: Points, pose: Float[np.ndarray, "4"]) -> Points:
    """From a road user's frame into the map's."""
    x, y, cos, sin = pose
    return points @ np.array([[cos, sin], [-sin, cos]]) + (x, y)


def _closed(points: Points) -> Points:
    return np.concatenate([points, points[:1]])


def _dashes(points: Points, dash: Scalar, gap: Scalar) -> list[Points]:
    """The pieces of a polyline that are drawn: `dash` m of every `dash + gap`, from its start."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    starts = np.arange(0.0, max(along[-1], 1e-9), dash + gap)
    ends = np.minimum(starts + dash, along[-1])

    def at(distance: Scalar) -> Float[np.ndarray, "2"]:
        return np.array([np.interp(distance, along, points[:, column]) for column in (0, 1)])

    def piece(start: Scalar, end: Scalar) -> Points:
        return np.concatenate([at(start)[None], points[(along > start) & (along < end)], at(end)[None]])

    return [piece(start, end) for start, end in zip(starts, ends, strict=True)]

"""Curves of an OpenDRIVE document: reference lines by arc length, and piecewise cubics.

A reference line is a chain of pieces (line, arc, spiral, poly3, paramPoly3), each with its own start and heading.
Lines and arcs are closed forms; a spiral is a clothoid, integrated by Gauss and Legendre's rule; polynomials are taken
by arc length, as `s` is, whatever their own parameter.

Shapes: n places along a road · k records.
"""

from collections.abc import Callable
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Float

from drivetrain.data.readers.hardened_xml import number, quote, refuse

MAX_ROAD = 100_000.0  # m
MAX_PARTS = 5_000  # of one kind in a road
MAX_TURN = 100.0  # rad, of an arc or a spiral: a ramp of sixteen turns; short ones may be as tight as they like
CELL = 0.5  # m, of the tables along curved pieces
GAP = 0.01  # m; pieces that start further than this from where the one before ended are counted
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)

Values = Float[np.ndarray, "n"]


class Cubics(NamedTuple):
    """A function of s: a cubic from each start on; 0 everywhere without records, the first also before its start."""

    start: Float[np.ndarray, "k"]
    coefficients: Float[np.ndarray, "k 4"]

    def at(self, s: Values, before: float = np.inf) -> Values:
        """Values at `s`; records that start at `before` or later are not yet in force."""
        if not len(self.start):
            return np.zeros(len(s))
        chosen = np.searchsorted(self.start, np.minimum(s, before - 1e-6), side="right") - 1
        chosen = np.maximum(chosen, 0)
        ds, (a, b, c, d) = s - self.start[chosen], self.coefficients[chosen].T
        return a + ds * (b + ds * (c + ds * d))


class Piece(NamedTuple):
    """One piece of a reference line."""

    shape: str
    s: float
    x: float
    y: float
    heading: float
    length: float
    parameters: tuple[float, ...]


def cubics(where: str, elements: list[Element], start: str = "s", from_s: float = 0.0) -> Cubics:
    """The records a, b, c, d of some elements, sorted by their attribute `start`, which counts from `from_s`."""
    rows = []
    for element in elements:
        at = number(f"{where}: {start}", element.get(start, "0"))
        rows.append([at, *(_coefficient(f"{where}: {key}", element.get(key, "0")) for key in "abcd")])
    rows.sort(key=lambda row: row[0])
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Cubics(table[:, 0] + from_s, table[:, 1:])


def _coefficient(where: str, text: str) -> float:
    """A finite number of any size: of records in force for a thousandth of a millimetre, cubic terms are huge."""
    try:
        value = float(text)
    except ValueError:
        refuse(where, f"{quote(text)} is not a number", "give a decimal number")
    if not abs(value) < 1e100:
        refuse(where, f"{quote(text)} is not finite", "mend or drop the value")
    return value


def read_pieces(where: str, road: Element) -> tuple[Piece, ...]:
    """The reference line of a road, by s. Raises `InputError` where it is missing or beyond sense."""
    elements = road.findall("planView/geometry")
    if len(elements) > MAX_PARTS:
        refuse(f"{where}: planView", f"more than {MAX_PARTS} pieces", "split the road")
    pieces = [_piece(f"{where}: geometry", element) for element in elements]
    if not pieces:
        refuse(f"{where}: planView", "no geometry", "give the road a reference line")
    pieces.sort(key=lambda piece: piece.s)
    return tuple(pieces)


def _piece(where: str, element: Element) -> Piece:
    s, x, y, heading, length = (number(f"{where}: {key}", element.get(key)) for key in ("s", "x", "y", "hdg", "length"))
    if not (0.0 <= s <= MAX_ROAD and 0.0 <= length <= MAX_ROAD):
        refuse(where, f"s {s:g}, length {length:g} m", f"give values from 0 to {MAX_ROAD:g} m")
    shapes = [child for child in element if child.tag in _PARAMETERS]
    if len(shapes) != 1:
        refuse(where, "not one line, arc, spiral, poly3 or paramPoly3", "restore the file")
    shape = shapes[0]
    parameters = tuple(number(f"{where}: {shape.tag}: {key}", shape.get(key)) for key in _PARAMETERS[shape.tag])
    if shape.tag in ("arc", "spiral") and max(map(abs, parameters)) * length > MAX_TURN:
        refuse(f"{where}: {shape.tag}", f"a curvature that turns more than {MAX_TURN:g} rad", "mend the value")
    if shape.tag == "paramPoly3":
        span = shape.get("pRange", "normalized")
        if span not in ("normalized", "arcLength"):
            refuse(f"{where}: paramPoly3: pRange", quote(span), "normalized or arcLength")
        parameters = (*parameters, 1.0 if span == "normalized" else length)
    return Piece(shape.tag, s, x, y, heading, length, parameters)


_PARAMETERS = {
    "line": (),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "poly3": ("a", "b", "c", "d"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
}


def gaps(pieces: tuple[Piece, ...]) -> int:
    """How many pieces start away from where the one before ended."""
    count = 0
    for piece, following in zip(pieces, pieces[1:], strict=False):
        (end,), _ = _along(piece, np.array([piece.length]))
        count += int(np.hypot(end[0] - following.x, end[1] - following.y) > GAP)
    return count


def places(pieces: tuple[Piece, ...], s: Values) -> tuple[Float[np.ndarray, "n 2"], Values]:
    """Positions and headings (rad) at `s` along a reference line; beyond its ends, its ends."""
    starts = np.array([piece.s for piece in pieces])
    chosen = np.maximum(np.searchsorted(starts, s + 1e-9, side="right") - 1, 0)
    position, heading = np.zeros((len(s), 2)), np.zeros(len(s))
    for index in np.unique(chosen):
        piece, rows = pieces[index], chosen == index
        position[rows], heading[rows] = _along(piece, np.clip(s[rows] - piece.s, 0.0, piece.length))
    return position, heading


def _along(piece: Piece, ds: Values) -> tuple[Float[np.ndarray, "n 2"], Values]:
    """Positions and headings `ds` metres into a piece."""
    if piece.shape == "line":
        x, y, turn = ds, np.zeros(len(ds)), np.zeros(len(ds))
    elif piece.shape == "arc":
        turn = piece.parameters[0] * ds
        chord = ds * np.sinc(0.5 * turn / np.pi)
        x, y = chord * np.cos(0.5 * turn), chord * np.sin(0.5 * turn)
    elif piece.shape == "spiral":
        x, y, turn = _clothoid(piece, ds)
    else:
        x, y, turn = _polynomial(piece, ds)
    cos, sin = np.cos(piece.heading), np.sin(piece.heading)
    return np.stack([piece.x + cos * x - sin * y, piece.y + sin * x + cos * y], axis=1), piece.heading + turn


def _clothoid(piece: Piece, ds: Values) -> tuple[Values, Values, Values]:
    first, last = piece.parameters
    slope = (last - first) / max(piece.length, 1e-9)

    def turn(s: np.ndarray) -> np.ndarray:
        return s * (first + 0.5 * slope * s)

    knots = np.linspace(0.0, piece.length, int(piece.length / CELL) + 2)
    cell = np.clip(np.searchsorted(knots, ds, side="right") - 1, 0, len(knots) - 2)
    result = []
    for rate in (lambda s: np.cos(turn(s)), lambda s: np.sin(turn(s))):
        table = np.concatenate([[0.0], np.cumsum(_integral(rate, knots[:-1], knots[1:]))])
        result.append(table[cell] + _integral(rate, knots[cell], ds))
    return result[0], result[1], turn(ds)


def _polynomial(piece: Piece, ds: Values) -> tuple[Values, Values, Values]:
    """A poly3 or paramPoly3 by arc length; the latter's own length is scaled to the piece's."""
    if piece.shape == "poly3":
        u, v, end = np.array([0.0, 1.0, 0.0, 0.0]), np.array(piece.parameters), piece.length
    else:
        u, v, end = np.array(piece.parameters[:4]), np.array(piece.parameters[4:8]), piece.parameters[8]

    def rate(p: np.ndarray) -> np.ndarray:
        return np.hypot(_slope(u, p), _slope(v, p))

    knots = np.linspace(0.0, end, int(piece.length / CELL) + 2)
    table = np.concatenate([[0.0], np.cumsum(_integral(rate, knots[:-1], knots[1:]))])
    target = ds if piece.shape == "poly3" else ds * (table[-1] / max(piece.length, 1e-9))
    target = np.minimum(target, table[-1])
    cell = np.clip(np.searchsorted(table, target, side="right") - 1, 0, len(knots) - 2)
    p = np.interp(target, table, knots)
    for _ in range(4):  # Newton: the table has brought it near
        off = table[cell] + _integral(rate, knots[cell], p) - target
        p = np.clip(p - off / np.maximum(rate(p), 1e-9), knots[cell], knots[cell + 1])
    return _value(u, p), _value(v, p), np.arctan2(_slope(v, p), _slope(u, p))


def _integral(rate: Callable[[np.ndarray], np.ndarray], start: Values, end: Values) -> Values:
    """∫ rate from each start to its end, by eight nodes."""
    half = 0.5 * (end - start)
    return half * (rate(start[:, None] + half[:, None] * (1.0 + _NODES)) @ _WEIGHTS)


def _value(c: Float[np.ndarray, "4"], p: np.ndarray) -> np.ndarray:
    return c[0] + p * (c[1] + p * (c[2] + p * c[3]))


def _slope(c: Float[np.ndarray, "4"], p: np.ndarray) -> np.ndarray:
    return c[1] + p * (2.0 * c[2] + 3.0 * p * c[3])

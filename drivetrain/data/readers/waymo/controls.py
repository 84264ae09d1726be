"""Stop lines of signs and lights, on lanes recovered from centre lines.

A stop sign governs the lanes that the layout gives it; where it gives none, the nearest lane that has the sign on its
right within 10 m (else the nearest lane), and any drawn over that. Its line lies across the lane where the sign is
level with it, or at the end of the lanes before where that is the lane's very start: before a junction rather than in
it. A light's line lies across its lane at the light's stop point.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int

from drivetrain.data.readers.centre_lines.lane_recovery import Piece
from drivetrain.data.recordings.recording import ControlLine, Light
from drivetrain.types import ControlKind

SIGN_REACH = 10.0  # m from a stop sign to the centre line of its lane
GIVEN_SIGN_REACH = 30.0  # m, to a lane that the layout gives the sign
LIGHT_REACH = 10.0  # m from a light's stop point to the centre line of its lane
OVERLAID = 1.0  # m; lanes closer than this in one direction are drawn over each other


@dataclass(frozen=True)
class StopSign:
    """Where a stop sign stands, and the lanes it governs where the layout says so."""

    position: Float[np.ndarray, "2"]
    lanes: tuple[int, ...] | None = None  # ids of centre lines; None: the layout does not say


@dataclass(frozen=True)
class SeenLight:
    """The light of one lane: where one stops for it, and its state at every step."""

    lane: int  # id of the centre line
    stop: Float[np.ndarray, "2"]
    states: Int[np.ndarray, "T"]  # LightState


@dataclass(frozen=True)
class Place:
    """A point on a recovered lane: between two of its cross-sections."""

    row: int  # of the piece
    section: int
    share: float
    off: float  # m from the point asked for; positive where that point lies on the lane's left


def _places(
    pieces: tuple[Piece, ...], point: Float[np.ndarray, "2"], rows: Sequence[int] | Int[np.ndarray, "_"]
) -> list[Place]:
    """The nearest place of each of some pieces to a point, nearest first."""
    places = []
    for row in rows:
        centre = pieces[row].centre
        chord = np.diff(centre, axis=0)
        gap = point - centre[:-1]
        share = np.clip((gap * chord).sum(axis=1) / np.maximum((chord**2).sum(axis=1), 1e-12), 0.0, 1.0)
        distance = np.linalg.norm(gap - share[:, None] * chord, axis=1)
        section = int(np.argmin(distance))
        side = chord[section, 0] * gap[section, 1] - chord[section, 1] * gap[section, 0]
        places.append(Place(int(row), section, float(share[section]), float(np.copysign(distance[section], side))))
    return sorted(places, key=lambda place: abs(place.off))


def _ends(piece: Piece, place: Place) -> Float[np.ndarray, "2 2"]:
    """The cross-section at a place: left end, right end."""
    rows = slice(place.section, place.section + 2)
    weights = np.array([1.0 - place.share, place.share])
    return np.stack([weights @ piece.lane.left[rows], weights @ piece.lane.right[rows]])


def stop_lines_of(
    pieces: tuple[Piece, ...], by_source: dict[int, list[int]], signs: Sequence[StopSign]
) -> list[list[ControlLine]]:
    """The lines of each stop sign: none where no lane is near."""
    if not pieces or not signs:
        return [[] for _ in signs]
    rows = np.repeat(np.arange(len(pieces)), [len(piece.centre) for piece in pieces])
    lines = shapely.linestrings(np.concatenate([piece.centre for piece in pieces]), indices=rows)
    tree = shapely.STRtree(np.asarray(lines))
    result = []
    for sign in signs:
        if sign.lanes:
            nearest = [_places(pieces, sign.position, by_source.get(lane, ()))[:1] for lane in sign.lanes]
            chosen = [place for places in nearest for place in places if abs(place.off) < GIVEN_SIGN_REACH]
        else:
            near = tree.query(shapely.points(sign.position), predicate="dwithin", distance=SIGN_REACH)
            places = [place for place in _places(pieces, sign.position, near) if pieces[place.row].lane.drivable]
            places = [place for place in places if place.off < 0] or places
            chosen = [place for place in places if _overlaid(pieces, places[0], place)]
        result.append(_lines_at(pieces, chosen))
    return result


def _lines_at(pieces: tuple[Piece, ...], places: Sequence[Place]) -> list[ControlLine]:
    """Stop lines at some places, before the junction rather than in it."""
    lines: dict[int, ControlLine] = {}
    for place in places:
        piece = pieces[place.row]
        behind = piece.lane.predecessors if place.section == 0 and place.share < 0.5 else ()
        for row in behind or (place.row,):
            where = Place(row, len(pieces[row].centre) - 2, 1.0, 0.0) if behind else place
            lines[row] = ControlLine(_ends(pieces[row], where), row, ControlKind.STOP_SIGN)
    return list(lines.values())


def _overlaid(pieces: tuple[Piece, ...], first: Place, other: Place) -> bool:
    a, b = (_ends(pieces[place.row], place) for place in (first, other))
    across = (a[1] - a[0]) @ (b[1] - b[0]) / max(float(np.linalg.norm(a[1] - a[0]) * np.linalg.norm(b[1] - b[0])), 1e-9)
    return bool(np.linalg.norm((a - b).mean(axis=0)) < OVERLAID and across > 0.9)


def lights_at(
    pieces: tuple[Piece, ...], by_source: dict[int, list[int]], seen: Sequence[SeenLight]
) -> tuple[tuple[Light, ...], tuple[ControlLine, ...]]:
    """Lights with their stop lines, of those whose lane is in the scene."""
    lights, lines = [], []
    for light in seen:
        places = _places(pieces, light.stop, by_source.get(light.lane, ()))
        if places and abs(places[0].off) <= LIGHT_REACH:
            row, number = places[0].row, len(lights)
            lights.append(Light(number, light.states, recorded=True, position=light.stop))
            lines.append(ControlLine(_ends(pieces[row], places[0]), row, ControlKind.LIGHT, light=number))
    return tuple(lights), tuple(lines)

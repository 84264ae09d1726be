"""Things of every kind on and beside a road, for pictures of what no recording holds: seeded. NumPy."""

import numpy as np

from drivetrain.camera.kinds import LOOKS, ROAD, Kind, Looks
from drivetrain.camera.things import Moment, Strewn
from drivetrain.types import Array, Cross, Map, replace

NEAR, FAR = 6.0, 70.0
"""m ahead of the camera's vehicle: nothing is nearer, and little is farther."""
FREE = 0.6
"""Least distance between circles around two of them, or around one and a road user, m."""
TRIES = 12
"""Places for each, before it is left out."""


def strew(map_: Map, moment: Moment, own: int, random: np.random.Generator, count: int) -> Moment:
    """The moment with so many things or fewer before the vehicle `own`, each on the road or beside it.

    Kinds are drawn as often as `LOOKS` says. Nothing lies within another thing or a road user; on roads without lanes
    nothing lies anywhere.
    """
    agents, bodies = moment.agents, moment.bodies
    eye, ahead = (np.asarray(part, np.float64)[own] for part in (agents.position, agents.heading))
    there = np.asarray(agents.valid, bool)
    taken = [
        (place, 0.5 * float(np.hypot(*size)))
        for place, size in zip(
            np.asarray(agents.position, np.float64)[there],
            np.stack([np.asarray(bodies.length), np.asarray(bodies.width)], -1)[there],
            strict=True,
        )
    ]
    rows = _ahead(map_, eye, ahead)
    kinds = random.choice(list(LOOKS), count, p=_shares())
    made = []
    for kind in map(Kind, kinds.tolist() if len(rows) else []):
        for _ in range(TRIES):
            one = _placed(kind, rows[random.integers(len(rows))], random)
            place, radius = one[:2], 0.5 * float(np.hypot(*one[4:6]))
            if all(np.linalg.norm(place - other) > radius + wide + FREE for other, wide in taken):
                taken.append((place, radius))
                made.append(one)
                break
    return replace(moment, strewn=_strewn(np.array(made).reshape(-1, _COLUMNS), count))


_COLUMNS = 12  # x, y, cos, sin, length, width, height, shape, red, green, blue, kind


def _strewn(rows: Array, count: int) -> Strewn:
    rows = np.pad(rows, [(0, count - len(rows)), (0, 0)])
    there = np.arange(count) < np.count_nonzero(rows[:, 6])
    numbers = rows.astype(np.float32)
    kind = np.where(there, rows[:, 11], -1).astype(np.int32)
    return Strewn(
        numbers[:, 0:2], numbers[:, 2:4], numbers[:, 4:7], rows[:, 7].astype(np.int32), numbers[:, 8:11], kind
    )


def _shares() -> np.ndarray:
    often = np.array([looks.often for looks in LOOKS.values()])
    return often / often.sum()


def _ahead(map_: Map, eye: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Stations of lanes before a vehicle; near ones stand more often."""
    lane, rows = np.asarray(map_.station_lane), np.asarray(map_.stations, np.float64)
    rows = rows[lane >= 0]
    to = rows[:, [Cross.CENTRE_X, Cross.CENTRE_Y]] - eye
    forward, aside = to @ ahead, np.abs(to @ np.array([-ahead[1], ahead[0]]))
    seen = (forward > NEAR) & (forward < FAR) & (aside < 0.6 * forward + 4.0)
    times = np.where(seen, np.ceil(FAR / np.maximum(forward, NEAR)), 0.0).astype(int)
    return np.repeat(rows, np.minimum(times, 6), axis=0)


def _placed(kind: Kind, row: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A thing of a kind by a station of a lane: within the lane, or to its right beyond it."""
    looks: Looks = LOOKS[kind]
    way = row[[Cross.COS, Cross.SIN]]
    half = 0.5 * np.linalg.norm(row[[Cross.LEFT_X, Cross.LEFT_Y]] - row[[Cross.RIGHT_X, Cross.RIGHT_Y]])
    size = np.array(looks.size) * random.uniform(0.9, 1.1, 3)
    on_road = looks.where == ROAD or (looks.where & ROAD and random.uniform() < 0.5)
    aside = random.uniform(-0.8, 0.8) * half if on_road else -half - random.uniform(0.2, 4.0) - 0.5 * size[1]
    angle = np.arctan2(way[1], way[0]) + looks.turned + random.uniform(-looks.loose, looks.loose)
    angle += np.pi * (random.uniform() < 0.5)
    place = row[[Cross.CENTRE_X, Cross.CENTRE_Y]] + aside * np.array([-way[1], way[0]])
    place = place + random.uniform(-2.0, 2.0) * way
    tint = np.clip(np.array(looks.tints[random.integers(len(looks.tints))]) * random.uniform(0.85, 1.1), 0.0, 1.0)
    shape = looks.shapes[random.integers(len(looks.shapes))]
    return np.concatenate([place, [np.cos(angle), np.sin(angle)], size, [float(shape)], tint, [float(kind)]])

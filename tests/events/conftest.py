"""A road drawn in arrays, straight into a bank: two lanes along +x, each 4 m wide, and a state on it of one's choice.

Lane 0 lies between y = −2 and y = 2, lane 1 between y = 2 and y = 6, both from x = −20 to x = 120 with a station every
2 m; station 10 is at x = 0. Edges of the drivable surface run at y = −3 and y = 7, the drivable side on their left.
`turn` and `shift` move the whole scene rigidly.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.sim.building import make_bank
from drivetrain.types import (
    Agents,
    Bodies,
    ControlKind,
    Egos,
    ElementKind,
    LightState,
    Log,
    Map,
    Motion,
    Route,
    RouteFlag,
    Scenario,
    State,
)

STATIONS, STEPS = 71, 30


class Scene:
    """Draws a bank and states on it; poses are (x, y, angle), bodies 4 m × 2 m, lines (left end, right end)."""

    def __init__(
        self,
        lines=(),
        kinds=(),
        judged=None,
        limit=15.0,
        edges=True,
        egos=1,
        agents=3,
        turn=0.0,
        shift=(0, 0),
        wide=(0.0, 0.0),
        gone=(),
    ):
        """`wide`: how far the corridor goes beyond the left and right of both lanes; `gone`: edges that are broken off
        from one number to another.
        """
        self.wide, self.gone = wide, gone
        self.turn, self.shift, self.agents, self.egos = turn, np.array(shift, float), agents, egos
        if not lines:  # a line of padding
            lines, kinds = [((0, 0), (0, 0))], [ControlKind.NONE]
        self.lines = len(lines)
        self.bank = make_bank([self._scenario(lines, kinds, judged, limit, edges)], dt=0.2, controlled=egos)

    def place(self, points):
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return np.asarray(points, float).reshape(-1, 2) @ np.array([[cos, sin], [-sin, cos]]) + self.shift

    def heading(self, angle):
        return np.stack([np.cos(np.asarray(angle) + self.turn), np.sin(np.asarray(angle) + self.turn)], -1)

    def _map(self, lines, kinds, judged, limit, edges):
        x = -20.0 + 2.0 * np.arange(STATIONS)
        rows = []
        for centre in (0.0, 4.0):
            borders = [self.place(np.stack([x, np.full_like(x, centre + dy)], 1)) for dy in (2.0, -2.0, 0.0)]
            rows.append(
                np.concatenate(
                    [
                        *borders,
                        np.tile(self.heading(0.0), (STATIONS, 1)),
                        np.full((STATIONS, 1), limit),
                        np.tile(self.wide, (STATIONS, 1)),
                    ],
                    1,
                )
            )
        drawn = [((-20 + 10 * i, -3), (-10 + 10 * i, -3)) for i in range(14)]
        drawn += [((-10 + 10 * i, 7), (-20 + 10 * i, 7)) for i in range(14)]
        elements = self.place(drawn).reshape(-1, 4) if edges else np.zeros((28, 4))
        kind = np.full(28, ElementKind.ROAD_EDGE if edges else ElementKind.NONE, np.int32)
        for first, last in self.gone:  # two marks in place of the edges between, just beyond the ends of those around
            kind[first:last], kind[[first, last - 1]] = ElementKind.NONE, ElementKind.NO_EDGE
            for row, at, other in ((first, 0, 1), (last - 1, 1, 0)):
                start, end = np.array(drawn[row][at], float), np.array(drawn[row][other], float)
                step = 0.001 * (end - start)  # 1 cm
                elements[row] = self.place([start + step, start + 2 * step]).reshape(-1)
        return Map(
            elements=elements.astype(np.float32),
            element_kind=kind,
            stations=np.concatenate(rows).astype(np.float32),
            station_lane=np.repeat([0, 1], STATIONS).astype(np.int32),
            lane_first=np.array([0, STATIONS], np.int32),
            lane_count=np.array([STATIONS, STATIONS], np.int32),
            lane_successors=np.full((2, 4), -1, np.int32),
            lane_neighbours=np.array([[1, -1], [-1, 0]], np.int32),
            lines=self.place(lines).reshape(-1, 4).astype(np.float32),
            line_kind=np.array(kinds, np.int32).reshape(-1),
            line_judged=np.ones(len(lines), bool) if judged is None else np.array(judged, bool),
            light_position=np.zeros((len(lines), 2), np.float32),
        )

    def _scenario(self, lines, kinds, judged, limit, edges):
        station = np.stack([np.arange(STATIONS), np.arange(STATIONS) + STATIONS], 1)
        sides = [RouteFlag.LINKED | RouteFlag.OPEN_RIGHT, RouteFlag.LINKED | RouteFlag.OPEN_LEFT]
        if any(self.wide):
            sides = [sides[0] | RouteFlag.WIDE_RIGHT, sides[1] | RouteFlag.WIDE_LEFT]
        flags = np.tile(np.array(sides, np.int64), (STATIONS, 1))
        flags[0] |= RouteFlag.OPEN_START
        flags[-2] |= RouteFlag.OPEN_END
        flags[-1] &= RouteFlag.WIDE_LEFT | RouteFlag.WIDE_RIGHT
        route = Route(
            stations=station.astype(np.int32),
            flags=flags.astype(np.uint32),
            reference=np.zeros(STATIONS, np.int32),
            length=np.array(STATIONS, np.int32),
            lines=np.append(np.arange(len(lines)), -1).astype(np.int32),  # the last is padding
            line_station=np.zeros(len(lines) + 1, np.float32),
        )
        egos = Egos(
            track=np.arange(self.egos, dtype=np.int32),
            first=np.zeros(self.egos, np.int32),
            last=np.full(self.egos, STEPS - 1, np.int32),
            route=jax.tree.map(lambda leaf: np.stack([leaf] * self.egos), route),
            cursor=np.full(self.egos, 10, np.int32),
            log_distance=np.full(self.egos, 50.0, np.float32),
        )
        poses = np.zeros((STEPS, self.agents, 2))
        poses[:] = self.place(np.stack([12.0 * np.arange(self.agents), np.zeros(self.agents)], 1))
        log = Log(
            agents=Agents(
                poses.astype(np.float32),
                np.tile(self.heading(0.0), (STEPS, self.agents, 1)).astype(np.float32),
                np.zeros((STEPS, self.agents, 2), np.float32),
                np.ones((STEPS, self.agents), bool),
            ),
            bodies=self.bodies(),
            lights=np.full((STEPS, len(lines)), LightState.RED, np.int32),
            steps=np.array(STEPS, np.int32),
        )
        return Scenario(self._map(lines, kinds, judged, limit, edges), log, egos)

    def bodies(self):
        return Bodies(
            np.full(self.agents, 4.0, np.float32), np.full(self.agents, 2.0, np.float32), np.ones(self.agents, np.int32)
        )

    def state(self, *poses, speed=10.0, light=LightState.RED, stopped=(), alive=None, time=0, along=None):
        """The first agents stand at `poses`, the first `egos` of them controlled; the rest are not there."""
        poses = np.array(poses, float)
        rest = self.agents - len(poses)
        position = np.concatenate([self.place(poses[:, :2]), np.zeros((rest, 2))])
        heading = np.concatenate([self.heading(poses[:, 2]), np.zeros((rest, 2))])
        mine = np.arange(self.egos)
        speeds = np.broadcast_to(np.asarray(speed, np.float32), (self.egos,))
        zeros = jnp.zeros(self.egos)
        latch = np.zeros((self.egos, self.lines), bool)
        latch[:, list(stopped)] = True
        x = poses[: self.egos, 0]
        return State(
            episode=jnp.int32(0),
            time=jnp.int32(time),
            agents=Agents(
                jnp.asarray(position, jnp.float32),
                jnp.asarray(heading, jnp.float32),
                jnp.zeros((self.agents, 2)),
                jnp.arange(self.agents) < len(poses),
            ),
            bodies=Bodies(*(jnp.asarray(leaf) for leaf in vars(self.bodies()).values())),
            lights=jnp.full(self.lines, light, jnp.int32),
            controlled=jnp.asarray(mine, jnp.int32),
            alive=jnp.ones(self.egos, bool) if alive is None else jnp.asarray(alive),
            motion=jax.vmap(Motion)(jnp.asarray(speeds), zeros, zeros, zeros),
            route=self.bank.episodes.route[0],
            cursor=jnp.asarray(np.clip(np.round(x / 2) + 10, 0, STATIONS - 1), jnp.int32),
            arc_length=jnp.asarray(x + 20.0 if along is None else along, jnp.float32),
            stopped=jnp.asarray(latch),
        )


LIGHT, SIGN, LINE = ControlKind.LIGHT, ControlKind.STOP_SIGN, ControlKind.LINE


@pytest.fixture(scope="session")
def draw():
    """`draw.scene(...)`; `draw.at_20`: the stop lines of both lanes, at x = 20."""
    return SimpleNamespace(
        scene=Scene, at_20=((20, 2), (20, -2)), beside_20=((20, 6), (20, 2)), light=LIGHT, sign=SIGN, line=LINE
    )

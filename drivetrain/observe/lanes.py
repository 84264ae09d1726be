"""The lanes around an agent that goes anywhere: stretches of them, each with the way from there to the agent's goal.

Cusumano-Towner et al. 2025 (arXiv 2502.03349, section on observations): 80 coarse features every 40 m that carry
routing distances; what the agent needs to know of its route is in them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Int

from drivetrain.geometry import root
from drivetrain.observe.errand import METRES
from drivetrain.observe.nearest import nearest
from drivetrain.observe.scales import SPEED, compress
from drivetrain.sim.bank import Bank
from drivetrain.sim.lane_graph import FeatureRow
from drivetrain.sim.placing import way_left, way_point, ways
from drivetrain.sim.reading import block_at
from drivetrain.types import Array, State, Tokens, component

FEATURES = 10
"""x, y · cos, sin of its direction · metres to the goal, as a logarithm · how much less than from the agent's own place
· whether any lead there · the agent's own lane · speed limit · length of its lane, as a logarithm."""
DETOUR = 100.0
"""m, at most, by which a stretch counts as farther than it is."""
NEARER = 0.02
"""Per metre less, held to ±2."""


@component
class LaneView:
    """How many stretches of lanes are seen: the nearest, or the nearest of those by which one comes to the goal."""

    count: int = 24
    onward: bool = True  # a stretch counts as farther by as much as a way over it is longer than the shortest

    @property
    def lanes(self) -> int:
        """To a policy that reads routes lane by lane, each stretch is a lane …"""
        return self.count

    @property
    def points(self) -> int:
        """… of one point."""
        return 1


def observe_lanes(bank: Bank, state: State, c: Int[Array, ""] | int, view: LaneView) -> Tokens:
    """The stretches of lanes nearest to controlled agent `c`, in its frame. Raises ValueError without a lane graph."""
    if bank.graph is None or state.place is None or state.errand is None:
        raise ValueError("lanes are seen where agents go anywhere: give Town a graph, and Anywhere chains")
    map_, own = bank.episodes.map[state.episode], jnp.maximum(state.controlled[c], 0)
    (x, y), (cos, sin) = state.agents.position[own], state.agents.heading[own]
    errand, place = (jax.tree.map(lambda leaf: leaf[c], each) for each in (state.errand, state.place))
    block = block_at(bank.graph.features, bank.graph.cells[map_, 1], map_, state.agents.position[own])
    goal = way_point(bank, map_, errand)
    lanes = block[FeatureRow.LANE].astype(jnp.int32) - 1
    lefts, mine = (
        ways(bank, map_, goal, (lanes, *block[FeatureRow.LEFT : FeatureRow.LIMIT])),
        way_left(bank, map_, goal, place),
    )
    away = root((block[FeatureRow.X] - x) ** 2 + (block[FeatureRow.Y] - y) ** 2)
    if view.onward:
        detour = jnp.where(jnp.isfinite(lefts) & jnp.isfinite(mine), lefts - mine + away, DETOUR)
        away += jnp.clip(detour, 0.0, DETOUR)
    index, mask = nearest(away, block[FeatureRow.LANE] > 0.0, view.count)
    rows = [jnp.take(row, index, mode="clip") for row in block]
    lane, left = (jnp.take(row, index, mode="clip") for row in (lanes, lefts))
    reachable = jnp.isfinite(left)
    metres = jnp.where(reachable, left, 0.0)
    nearer = jnp.where(reachable & jnp.isfinite(mine), jnp.where(jnp.isfinite(mine), mine, 0.0) - metres, 0.0)
    there = rows[FeatureRow.X] - x, rows[FeatureRow.Y] - y
    seen = [
        compress(there[0] * cos + there[1] * sin),
        compress(there[1] * cos - there[0] * sin),
        rows[FeatureRow.COS] * cos + rows[FeatureRow.SIN] * sin,
        rows[FeatureRow.SIN] * cos - rows[FeatureRow.COS] * sin,
        METRES * jnp.log1p(jnp.maximum(metres, 0.0)),
        jnp.clip(NEARER * nearer, -2.0, 2.0),
        reachable.astype(jnp.float32),
        (lane == place.lane).astype(jnp.float32),
        rows[FeatureRow.LIMIT] / SPEED,
        METRES * jnp.log1p(rows[FeatureRow.LENGTH]),
    ]
    return Tokens(features=jnp.where(mask, jnp.stack(seen), 0.0), mask=mask)

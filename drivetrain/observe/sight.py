"""What a driver sees: itself, the nearest road users and road elements, its route, and for the critic the time left."""

import jax.numpy as jnp
from jaxtyping import Float, Int

from drivetrain.observe import agents, ego, errand, lanes, road, route, traits, way
from drivetrain.observe.agents import observe_agents
from drivetrain.observe.base import Observer, Widths
from drivetrain.observe.blur import Blur
from drivetrain.observe.ego import observe_ego
from drivetrain.observe.errand import chain_left, observe_errand
from drivetrain.observe.lanes import LaneView, observe_lanes
from drivetrain.observe.road import observe_road
from drivetrain.observe.route import SPARSE, RouteView, observe_route
from drivetrain.observe.traits import observe_traits
from drivetrain.observe.way import observe_way, way_share
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Observation, State, Tokens, component


@component
class Sight(Observer):
    """State → Observation of one controlled agent. The fields say how much of each modality is seen."""

    agents: int = 12
    road: int = 16
    route: RouteView | LaneView = RouteView(stations=SPARSE)  # of those who go anywhere, the lanes around them
    episode_seconds: float = 30.0  # of a full episode: the unit of `remaining`
    traits: bool = False  # the agent's own stand at the end of its ego features
    errand: bool = False  # its next goal, after all of these
    blur: Blur | None = None  # what is overlooked and misjudged; None, as in evaluation: nothing

    @property
    def widths(self) -> Widths:
        """Features of each modality."""
        anywhere = isinstance(self.route, LaneView)
        goals, ways = (way.FEATURES, lanes.FEATURES) if anywhere else (errand.FEATURES, route.POINT_FEATURES)
        own = ego.FEATURES + (traits.FEATURES if self.traits else 0) + (goals if self.errand else 0)
        return Widths(own, agents.FEATURES, road.FEATURES, ways, self.route.lanes, self.route.points)

    def __call__(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> Observation:
        """What controlled agent `c` sees; `remaining` is how much its recording, or its chain of goals, still has."""
        own = [observe_ego(bank, state, c)]
        own += [observe_traits(state, c)] if self.traits else []
        goals = observe_way if isinstance(self.route, LaneView) else observe_errand
        own += [goals(bank, state, c)] if self.errand else []
        others, around = observe_agents(state, c, self.agents), observe_road(bank, state, c, self.road)
        ways = self._ways(bank, state, c)
        if self.blur is not None:
            others, around = self.blur.of_agents(state, c, others), self.blur.of_road(state, c, around)
            ways = self.blur.of_lanes(state, c, ways)
        return Observation(
            ego=jnp.concatenate(own) if len(own) > 1 else own[0],
            agents=others,
            road=around,
            route=ways,
            remaining=self._remaining(bank, state, c),
        )

    def _ways(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> Tokens:
        if isinstance(self.route, LaneView):
            return observe_lanes(bank, state, c, self.route)
        return observe_route(bank, state, c, self.route)

    def _remaining(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> Float[Array, ""]:
        if isinstance(self.route, LaneView):
            return way_share(bank, state, c)
        if state.errand is not None:
            return chain_left(bank, state, c)
        left = (bank.episodes.last[state.episode] - state.time) * bank.dt
        return jnp.clip(left / self.episode_seconds, 0.0, 1.0)


SMALL = Sight()
"""For CPUs: 12 agents, 16 road elements, 8 lanes × 11 points."""

PAPER = Sight(agents=64, road=128, route=RouteView())
"""Sizes of the Zoox paper (arXiv 2312.15122, figure 7): 64 agents, 128 road elements, 8 lanes × 64 points every 2 m."""

ANYWHERE = Sight(agents=20, road=80, route=LaneView(80, onward=False), traits=True, errand=True)
"""Sizes of Cusumano-Towner et al. 2025 (arXiv 2502.03349): 20 agents, 80 elements, 80 lane features, traits."""

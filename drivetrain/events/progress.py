"""How far did the agent come along its route, or on its way?"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.events.goal import goal
from drivetrain.sim.bank import Bank
from drivetrain.sim.placing import way_left, way_point
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State


def progress(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Metres along the route in this step; negative when it moved back.

    Of an agent that goes anywhere: metres by which its way to its goal, along the lanes, became shorter. It is the
    difference of a potential (a missed turning takes off what the way round adds), 0 where no lane leads to the goal;
    the step that reaches the goal pays what was left, as far as it went.
    """
    if before.errand is None or before.errand.chain is None:
        return after.arc_length[c] - before.arc_length[c]
    map_ = bank.episodes.map[before.episode]
    errand, was, is_ = (jax.tree.map(lambda leaf: leaf[c], each) for each in (before.errand, before.place, after.place))
    place, me = way_point(bank, map_, errand), after.controlled[c]
    left, now = way_left(bank, map_, place, was), way_left(bank, map_, place, is_)
    known = jnp.isfinite(left)
    gone = jnp.linalg.norm(after.agents.position[me] - before.agents.position[me])
    nearer = jnp.where(known & jnp.isfinite(now), left - now, 0.0)
    return jnp.where(goal(bank, before, after, c) > 0.0, jnp.where(known, jnp.minimum(left, gone), 0.0), nearer)

"""How does the agent drive, wherever it goes: along its lane or against it, in its middle, backwards, jerkily?"""

import jax.numpy as jnp

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Manner, State


def manner(bank: Bank, before: State, after: State, c: Index) -> Manner | None:
    """After the step, from the lane that the agent is nearest to; None where the bank has no lane graph."""
    if after.place is None:
        return None
    heading, lane = after.agents.heading[after.controlled[c]], after.place.heading[c]
    pulled = after.motion.acceleration[c] - before.motion.acceleration[c]
    swayed = after.motion.lateral[c] - before.motion.lateral[c]
    return Manner(
        alignment=jnp.sum(heading * lane),
        aside=after.place.aside[c],
        speed=after.motion.speed[c],
        jerk=jnp.maximum(jnp.abs(pulled), jnp.abs(swayed)) / bank.dt,
    )

"""Does the agent stop where a sign tells it to?"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.events.crossing import Crossings, crossings, line_margin
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Array, ControlKind, State

STOP_SPEED = 0.5
"""m/s; slower than this counts as stopped."""
STOP_REACH = 3.0
"""m; a stop counts when the front bumper is at most this far before the line."""


def stop_line(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Distance, m, from the front bumper to the line at which a stop is owed; negative in the step that crosses it.

    A stop is owed at stop signs alone, until the agent has stopped before the line: slower than 0.5 m/s, with its front
    bumper within 3 m. That is latched in `State.stopped` and holds for the rest of the episode.
    """
    met = crossings(bank, before, after, c)
    stopped = before.stopped[c, met.line] | _stops(before, c, met.height_before, met.distance_before)
    return line_margin(met, (met.kind == ControlKind.STOP_SIGN) & met.judged & ~stopped)


def latch_stops(bank: Bank, before: State, after: State, c: Index) -> Bool[Array, "S"]:
    """`State.stopped` of agent `c` after the step: the lines before which it stands, or has stood."""
    met: Crossings = crossings(bank, before, after, c)
    stands = _stops(before, c, met.height_before, met.distance_before) | _stops(after, c, met.height, met.distance)
    lines = before.stopped.shape[1]
    row = jnp.where(met.line >= 0, met.line, lines)  # one past the end: dropped
    return before.stopped[c].at[row].max(stands, mode="drop")


def _stops(state: State, c: Index, height: Float[Array, "K"], distance: Float[Array, "K"]) -> Bool[Array, "K"]:
    return (jnp.abs(state.motion.speed[c]) < STOP_SPEED) & (height <= 0.0) & (distance <= STOP_REACH)

"""The swept front bumper against the control lines of a route: what stop_line and red_light both read.

A line runs from its left end to its right end, seen in the direction of travel. `height` is the signed distance of the
bumper's middle past the line's infinite extension: negative before it, positive beyond it. A step crosses the line
when the height goes from ≤ 0 to > 0 while the middle passes between the line's ends, ends included. So

- a car that passes beside the line in the next lane does not cross it, though its bumper may overhang the line's end;
- a car that comes back over the line, or comes from the other side, does not cross it;
- a car that halts exactly on the line has not crossed it yet, and crosses it once when it drives on;
- however fast the car, it does not jump over the line: the whole path within the step counts.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.events.margin import LIMIT, worst
from drivetrain.sim.bank import Bank
from drivetrain.sim.placing import lines_near
from drivetrain.sim.reading import ControlLines, Index, control_lines
from drivetrain.types import Array, State, record

END_TOLERANCE = 1e-3
"""m; a path through the very end of a line crosses it, whatever float32 makes of the point."""


@record
class Crossings:
    """The K control lines of an agent's route during one step."""

    height_before: Float[Array, "K"]  # m past the line before the step; negative: the line is ahead
    height: Float[Array, "K"]  # m past the line after the step
    distance_before: Float[Array, "K"]  # from the bumper's middle to the line, m, never negative
    distance: Float[Array, "K"]
    crossed: Bool[Array, "K"]
    kind: Int[Array, "K"]  # ControlKind
    judged: Bool[Array, "K"]
    line: Int[Array, "K"]  # index into Map.lines, -1: padding


def bumper(state: State, c: Index) -> Float[Array, "2"]:
    """The middle of the front bumper of controlled agent `c`, map frame, m."""
    me = state.controlled[c]
    return state.agents.position[me] + 0.5 * state.bodies.length[me] * state.agents.heading[me]


def place_by_line(
    point: Float[Array, "2"], ends: Float[Array, "4"]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """A point seen from a line: height past it, offset from its right end to the left, the line's length, distance.

    A line of no length gives height 0, which no step crosses.
    """
    left, right = ends[:2], ends[2:]
    squared = jnp.sum((left - right) ** 2)
    exists = squared > 1e-12
    length = jnp.sqrt(jnp.where(exists, squared, 1.0))
    across = jnp.where(exists, (left - right) / length, 0.0)
    length = jnp.where(exists, length, 0.0)
    x, y = point - right
    height, offset = x * across[1] - y * across[0], x * across[0] + y * across[1]
    beside = offset - jnp.clip(offset, 0.0, length)
    squared = height**2 + beside**2
    distance = jnp.where(squared > 0.0, jnp.sqrt(jnp.where(squared > 0.0, squared, 1.0)), 0.0)
    return height, offset, length, distance


def _lines(bank: Bank, state: State, c: Index) -> ControlLines:
    """Those on the agent's route; all that are near where agents go anywhere."""
    if bank.graph is None:
        return control_lines(bank, state.route[c])
    me = state.controlled[c]
    return lines_near(bank, bank.episodes.map[state.episode], state.agents.position[me], state.agents.heading[me])


def crossings(bank: Bank, before: State, after: State, c: Index) -> Crossings:
    """Where the front bumper of agent `c` went, seen from every control line of its route, or near it."""
    lines = _lines(bank, after, c)
    # Both ends of the step in one call: a height is the same number as `after` and, a step later, as `before`.
    points = jnp.stack([bumper(before, c), bumper(after, c)])
    of_points = jax.vmap(place_by_line, in_axes=(0, None))
    height, offset, length, distance = jax.vmap(of_points, in_axes=(None, 0))(points, lines.ends)
    passes = (height[:, 0] <= 0.0) & (height[:, 1] > 0.0) & (lines.index >= 0)
    rise = jnp.where(passes, height[:, 1] - height[:, 0], 1.0)
    share = jnp.clip(-height[:, 0] / rise, 0.0, 1.0)
    at_line = offset[:, 0] + share * (offset[:, 1] - offset[:, 0])
    between = (at_line >= -END_TOLERANCE) & (at_line <= length[:, 0] + END_TOLERANCE)
    return Crossings(
        height_before=height[:, 0],
        height=height[:, 1],
        distance_before=distance[:, 0],
        distance=distance[:, 1],
        crossed=passes & between,
        kind=lines.kind,
        judged=lines.judged,
        line=lines.index,
    )


def line_margin(met: Crossings, owed: Bool[Array, "K"]) -> Float[Array, ""]:
    """The worst of the owed lines, m: distance to a line ahead, minus the distance past one just crossed, else +50."""
    ahead = met.height <= 0.0
    margins = jnp.where(met.crossed, -met.height, jnp.where(ahead, met.distance, LIMIT))
    return worst(jnp.where(owed & (met.line >= 0), margins, LIMIT))

"""The agent itself: its motion and size, its place in its lane, and what it must obey next."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.geometry import point_segment_distance, unrotate
from drivetrain.observe.scales import ACCELERATION, LENGTH, SPEED, STEERING, WIDTH, compress
from drivetrain.sim.bank import Bank
from drivetrain.sim.placing import lines_near
from drivetrain.sim.reading import control_lines, reference_window
from drivetrain.sim.route_tables import PathRow
from drivetrain.types import Array, ControlKind, LightState, State

FEATURES = 18 + len(LightState)
"""speed · steering · acceleration · lateral acceleration · length · width · speed limit, known, speed above it · offset
from the reference lane's centre · heading cos, sin relative to it · stop sign ahead, distance of its line, stop owed ·
light ahead, distance of its line, judged, state."""


def observe_ego(bank: Bank, state: State, c: Int[Array, ""] | int) -> Float[Array, "f"]:
    """Controlled agent `c` as it sees itself. Lights are seen whether judged or not; the flag says which."""
    own = jnp.maximum(state.controlled[c], 0)
    heading, motion = state.agents.heading[own], jax.tree.map(lambda x: x[c], state.motion)
    lane, exists = reference_window(bank, state.route[c], state.cursor[c], 0, 0)
    lane, exists = lane[:, 0], exists[0]
    limit, along = lane[PathRow.LIMIT], lane[PathRow.COS : PathRow.SIN + 1]
    offset = unrotate(state.agents.position[own] - lane[PathRow.CENTRE_X : PathRow.CENTRE_Y + 1], along)[1]
    if state.place is not None:  # it may have left its route
        exists, limit = state.place.lane[c] >= 0, state.place.limit[c]
        along, offset = state.place.heading[c], state.place.aside[c]
    direction = unrotate(heading, along)
    body = [state.bodies.length[own] / LENGTH, state.bodies.width[own] / WIDTH]
    moving = [motion.speed / SPEED, motion.steering / STEERING]
    moving += [motion.acceleration / ACCELERATION, motion.lateral / ACCELERATION]
    limits = [limit / SPEED, limit > 0.0, jnp.where(limit > 0.0, jnp.maximum(motion.speed - limit, 0.0), 0.0) / SPEED]
    place = [jnp.where(exists, x, 0.0) for x in (compress(offset), direction[0], direction[1])]
    scalars = jnp.stack([jnp.asarray(x, jnp.float32) for x in [*moving, *body, *limits, *place]])
    return jnp.concatenate([scalars, _control_lines(bank, state, c, own)])


def _control_lines(bank: Bank, state: State, c: Int[Array, ""] | int, own: Int[Array, ""]) -> Float[Array, "f"]:
    """The next stop line with a sign and the next light: seen along the route, ahead of the front bumper."""
    heading = state.agents.heading[own]
    if bank.graph is None:
        lines, least = control_lines(bank, state.route[c]), state.cursor[c] - 2.0
    else:
        map_ = bank.episodes.map[state.episode]
        lines, least = lines_near(bank, map_, state.agents.position[own], heading), 0.0
    bumper = state.agents.position[own] + 0.5 * state.bodies.length[own] * heading
    leftwards = lines.ends[:, :2] - lines.ends[:, 2:]
    ahead = leftwards[:, 1] * (lines.ends[:, 0] - bumper[0]) - leftwards[:, 0] * (lines.ends[:, 1] - bumper[1]) >= 0.0
    ahead &= lines.station > least  # lines lie between stations, and the cursor is the nearest one
    distance = jax.vmap(point_segment_distance, in_axes=(None, 0, 0))(bumper, lines.ends[:, :2], lines.ends[:, 2:])

    def next_line(kind: ControlKind) -> tuple[Bool[Array, ""], Float[Array, ""], Int[Array, ""]]:
        candidate = ahead & (lines.index >= 0) & (lines.kind == kind)
        row = jnp.argmin(jnp.where(candidate, lines.station, jnp.inf))
        return candidate[row], jnp.where(candidate[row], compress(distance[row]), 0.0), row

    stop, stop_distance, row = next_line(ControlKind.STOP_SIGN)
    owed = stop & ~state.stopped[c, lines.index[row]]
    light, light_distance, row = next_line(ControlKind.LIGHT)
    judged = light & lines.judged[row]
    shown = light & (state.lights[lines.index[row]] == jnp.arange(len(LightState)))
    columns = [stop, stop_distance, owed, light, light_distance, judged]
    return jnp.concatenate([jnp.stack([x.astype(jnp.float32) for x in columns]), shown.astype(jnp.float32)])

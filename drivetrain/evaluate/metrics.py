"""The figures of one drive: what happened at any step, how far it came, how close to the log, how smooth."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.events.off_road import is_unknown
from drivetrain.rollout import Trajectory
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import logged
from drivetrain.types import FAILURES, MARGINS, Array, happened, record

LEAST_DISTANCE = 5.0
"""Egos whose log covers less, m, do not count in the progress ratio."""

ACCELERATION = (-4.05, 2.40)  # m/s²; comfort bounds of nuPlan
LATERAL = 4.89  # m/s²
JERK = 4.13  # m/s³, longitudinal

RATES = ("failure", *MARGINS, "off_road_unknown")
"""What an ego counts towards that it happened to; `off_road_unknown`: at some step, and never known to be off."""


@record
class Outcome:
    """How one controlled agent fared in one episode. Padding, `exists` False, holds zeros."""

    exists: Bool[Array, "*n"]
    happened: dict[str, Bool[Array, "*n"]]  # at any step, each of `RATES` by its name
    progress: Float[Array, "*n"]  # m along the route
    log_distance: Float[Array, "*n"]  # m that the log covers
    ade: Float[Array, "*n"]  # mean distance to the log's position, m
    acceleration: Float[Array, "*n"]  # mean |longitudinal acceleration|, m/s²
    lateral: Float[Array, "*n"]  # mean |lateral acceleration|, m/s²
    comfort: Float[Array, "*n"]  # share of steps within the bounds on acceleration, lateral acceleration and jerk

    @property
    def failure(self) -> Bool[Array, "*n"]:
        """Any of `FAILURES`: a collision, or off route."""
        return self.happened["failure"]


def outcome(bank: Bank, episode: Int[Array, ""] | int, trajectory: Trajectory) -> Outcome:
    """The figures of every controlled agent ([C]) of one drive, over the steps that its mask counts."""
    mask, events = trajectory.mask, trajectory.events

    def any_step(margin: Float[Array, "T C"]) -> Bool[Array, "C"]:
        return jnp.any(happened(margin) & mask, axis=0)

    def mean_step(values: Float[Array, "T C"], counted: Bool[Array, "T C"]) -> Float[Array, "C"]:
        return jnp.sum(jnp.where(counted, values, 0.0), axis=0) / jnp.maximum(jnp.sum(counted, axis=0), 1)

    facts = {name: any_step(getattr(events, name)) for name in MARGINS}
    distance, known = _to_log(bank, episode, trajectory)
    exists = jnp.any(mask, axis=0)
    return Outcome(
        exists=exists,
        happened=facts
        | {
            "failure": functools.reduce(jnp.logical_or, (facts[name] for name in FAILURES)),
            "off_road_unknown": jnp.any(is_unknown(events.off_road) & mask, axis=0) & ~facts["off_road"],
        },
        progress=jnp.sum(jnp.where(mask, events.progress, 0.0), axis=0),
        log_distance=jnp.where(exists, bank.episodes.log_distance[episode], 0.0),
        ade=mean_step(distance, mask & known),
        acceleration=mean_step(jnp.abs(events.acceleration), mask),
        lateral=mean_step(jnp.abs(events.lateral), mask),
        comfort=mean_step(_comfortable(events.acceleration, events.lateral, bank.dt).astype(jnp.float32), mask),
    )


def _to_log(bank: Bank, episode: Int[Array, ""] | int, trajectory: Trajectory) -> tuple[Array, Array]:
    """Distance [T, C] to where the log has each controlled agent after each step, and whether it has it anywhere."""
    agents = jnp.arange(trajectory.controlled.shape[0])
    recorded = jax.vmap(lambda time: jax.vmap(lambda c: logged(bank, episode, c, time))(agents))(trajectory.time[1:])
    driven = trajectory.agents.position[1:, trajectory.controlled]
    return jnp.hypot(*jnp.moveaxis(driven - recorded.position, -1, 0)), recorded.valid


def _comfortable(
    acceleration: Float[Array, "T C"], lateral: Float[Array, "T C"], dt: Float[Array, ""]
) -> Bool[Array, "T C"]:
    """Which steps keep within the bounds. The first step has no jerk."""
    jerk = jnp.diff(acceleration, axis=0, prepend=acceleration[:1]) / dt
    low, high = ACCELERATION
    smooth = (acceleration >= low) & (acceleration <= high) & (jnp.abs(jerk) <= JERK)
    return smooth & (jnp.abs(lateral) <= LATERAL)

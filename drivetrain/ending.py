"""When an agent's episode ends.

*Terminated* means that nothing follows: a value of 0. *Truncated* means that life goes on unseen: bootstrap from the
state reached. Only a scene whose agents have all ended restarts, and only in a rollout. An agent that ends before the
others leaves the scene: its box is gone, its further transitions are masked.
"""

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Bool

from drivetrain.sim.bank import Bank
from drivetrain.sim.placing import next_goal
from drivetrain.types import Array, Events, State, component, happened, replace


@component
class Ending(ABC):
    """A rule for when episodes end."""

    truncates: ClassVar[bool] = True  # whether it may: then a rollout keeps every state that a step reached

    @abstractmethod
    def __call__(self, bank: Bank, state: State, events: Events) -> tuple[Bool[Array, "C"], Bool[Array, "C"]]:
        """(terminated, truncated) after a step that led to `state` with `events` [C]."""


@component
class Failures(Ending):
    """Which margins end an agent's episode once negative, by their names in `Events`. The end of the recording does."""

    truncates: ClassVar[bool] = False

    collision: bool = True
    off_route: bool = True
    red_light: bool = True
    stop_line: bool = True

    def __call__(self, bank: Bank, state: State, events: Events) -> tuple[Bool[Array, "C"], Bool[Array, "C"]]:
        """(terminated, truncated) after a step that led to `state` with `events` [C].

        The end of a recording terminates: the critic sees the time that is left, so the return is the finite sum.
        Nothing is truncated here; a rollout's window is, by the learner.
        """
        over = state.time >= bank.episodes.last[state.episode]
        terminated = over | jnp.zeros_like(state.alive)
        for fact in JUDGED:
            terminated = terminated | (happened(getattr(events, fact)) if getattr(self, fact) else False)
        terminated = terminated & state.alive
        return terminated, jnp.zeros_like(terminated)


JUDGED = tuple(field.name for field in dataclasses.fields(Failures))
"""The facts that may end an episode."""
TRAINING = Failures()
"""Every failure ends the episode."""
EVALUATION = Failures(*(False for _ in JUDGED))
"""Failures are counted, and the drive goes on to the end of the recording."""


@component
class Lives(Ending):
    """Of agents on errands: a life ends with a failure, off the road, at its last goal, or late for its next one.

    All of these terminate. What comes after an arrival is another life; the critic sees how much of the chain is left.
    """

    truncates: ClassVar[bool] = False

    failures: Failures = TRAINING
    off_road: bool = True
    patience: float = 45.0  # s without a goal; a light may be red for 32 of them

    def __call__(self, bank: Bank, state: State, events: Events) -> tuple[Bool[Array, "C"], Bool[Array, "C"]]:
        """(terminated, truncated) after a step that led to `state` with `events` [C]."""
        terminated, truncated = self.failures(bank, state, events)
        if self.off_road:
            terminated = terminated | happened(events.off_road)
        if state.errand is not None:
            goals = jax.vmap(next_goal, (None, None, 0, 0))
            place = goals(bank, bank.episodes.map[state.episode], state.route, state.errand)
            terminated = terminated | ~jnp.isfinite(place[:, 0])
            terminated = terminated | (state.errand.since * bank.dt >= self.patience)
        return terminated & state.alive, truncated


def retire(state: State, ended: Bool[Array, "C"]) -> State:
    """Take agents that have ended out of the scene: not alive, and no body that others could hit or see."""
    column = jnp.where(ended & (state.controlled >= 0), state.controlled, state.agents.valid.shape[0])
    valid = jnp.asarray(state.agents.valid).at[column].set(False, mode="drop")
    return replace(state, alive=state.alive & ~ended, agents=replace(state.agents, valid=valid))

"""The environment: simulator, events, reward, ending and observation of one scene, as pure functions of a bank."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from drivetrain.ending import TRAINING, Ending
from drivetrain.events import detect, latch
from drivetrain.observe.base import Observer
from drivetrain.observe.sight import Sight
from drivetrain.reward import Reward
from drivetrain.sim import simulator
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.oddity import braking_at_random
from drivetrain.sim.spawning.base import Replacing, Spawning
from drivetrain.sim.spawning.log import FromLog
from drivetrain.sim.traffic.base import Traffic
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import Array, Events, Key, Observation, State, Traits, component


@component
class Env:
    """One scene's rules. `step` never ends and never restarts an episode: a rollout does.

    Write your own reward as any component that maps `(events, traits, dt)` of one agent to a number; your own ending
    as a component derived from `Ending`, your own observer as one derived from `Observer`.
    """

    dynamics: Dynamics = Bicycle()
    traffic: Traffic = Replay()
    spawning: Spawning = FromLog()
    reward: Callable[[Events, Traits | None, Array], Array] = Reward()
    ending: Ending = TRAINING
    observer: Observer = Sight()
    swept: bool = False  # collisions are also looked for between steps: for steps of 0.3 s

    def reset(self, bank: Bank, episode: Int[Array, ""] | int, key: Key) -> State:
        """The first state of an episode, by the spawning rule, whose key it is."""
        return simulator.reset(bank, self.dynamics, episode, key, self.traffic, self.spawning)

    def renew(self, bank: Bank, state: State, key: Key) -> tuple[State, Bool[Array, "C"]]:
        """The same moment with others in place of agents that have ended, if the spawning rule replaces; who is new."""
        assert isinstance(self.spawning, Replacing)
        return simulator.renew(bank, self.dynamics, self.spawning, state, key)

    def step(self, bank: Bank, state: State, action: Float[Array, "C width"]) -> tuple[State, Events]:
        """One step of dt: the state it leads to, and what happened to each controlled agent ([C])."""
        action = braking_at_random(self.dynamics, bank.dt, state, action)
        after = simulator.step(bank, self.dynamics, self.traffic, state, action)
        return latch(bank, state, after), detect(bank, state, after, self.swept)

    def observe(self, bank: Bank, state: State) -> Observation:
        """What each controlled agent sees ([C])."""
        return jax.vmap(lambda c: self.observer(bank, state, c))(jnp.arange(state.alive.shape[0]))

    def rewards(self, bank: Bank, events: Events, traits: Traits | None) -> Float[Array, "C"]:
        """What the step was worth to each controlled agent, given what sets it apart (`State.traits`)."""
        return jax.vmap(self.reward, in_axes=(0, 0, None))(events, traits, bank.dt)

    def endings(self, bank: Bank, state: State, events: Events) -> tuple[Bool[Array, "C"], Bool[Array, "C"]]:
        """(terminated, truncated) of each controlled agent after the step that led to `state`."""
        return self.ending(bank, state, events)

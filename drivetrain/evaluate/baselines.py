"""Drivers that give the figures a meaning: the log itself, constant velocity, and IDM along the route."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.ending import EVALUATION
from drivetrain.env import Env
from drivetrain.rollout import Driver, Memory
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import logged
from drivetrain.sim.simulator import movers
from drivetrain.sim.traffic.constant import constant_velocity
from drivetrain.sim.traffic.idm import IDM
from drivetrain.types import Array, Key, Observation, State, replace


@dataclass(frozen=True)
class Baseline:
    """A driver and the rules under which it drives."""

    env: Env
    act: Driver


def log_driver(
    bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
) -> tuple[Float[Array, "C 4"], Memory]:
    """The recorded pose of the next step; straight on where the recording has none."""
    agents = jnp.arange(len(state.controlled))
    target = jax.vmap(lambda c: logged(bank, state.episode, c, state.time + 1))(agents)
    targets = jax.tree.map(lambda leaf: leaf[:, None], target)
    return jax.vmap(Playback().inverse, (0, 0, 0, None))(*movers(state), targets, bank.dt), memory


def constant_driver(
    bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
) -> tuple[Float[Array, "C 4"], Memory]:
    """Straight on at the velocity at the start."""
    return jax.vmap(lambda c: constant_velocity(bank, state, c))(jnp.arange(len(state.controlled))), memory


def idm_driver(
    bank: Bank, state: State, observation: Observation, memory: Memory, key: Key
) -> tuple[Float[Array, "C 2"], Memory]:
    """The Intelligent Driver Model along the route, on a bicycle with its usual limits."""
    return jax.vmap(lambda c: IDM()(bank, state, c, Bicycle()))(jnp.arange(len(state.controlled))), memory


def log_baseline(env: Env) -> Baseline:
    """The log, put in place step by step."""
    return Baseline(_under(env, Playback()), log_driver)


def constant_baseline(env: Env) -> Baseline:
    """Constant velocity."""
    return Baseline(_under(env, Playback()), constant_driver)


def idm_baseline(env: Env) -> Baseline:
    """IDM."""
    return Baseline(_under(env, Bicycle()), idm_driver)


def _under(env: Env, dynamics: Dynamics) -> Env:
    """The same rules with other dynamics, and no ending but the recording's."""
    return replace(env, dynamics=dynamics, ending=EVALUATION)


BASELINES = {"log": log_baseline, "constant": constant_baseline, "idm": idm_baseline}
"""By the names of `drivetrain evaluate` and `evaluation.json`."""

"""Spaces of one agent, as Gymnasium and PettingZoo describe them."""

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from drivetrain.adapters.worlds import begin
from drivetrain.env import Env
from drivetrain.sim.bank import Bank
from drivetrain.types import InputError


def observation_space(env: Env, bank: Bank, flat: bool) -> spaces.Space:
    """A box a part and a vector of bits a mask, by the names of `worlds.parts_of`; one box where it is `flat`."""
    keys = jax.random.split(jax.random.key(0), 1)
    _, seen = jax.eval_shape(lambda: begin(env, flat, bank, jnp.zeros(1, jnp.int32), keys))
    if not isinstance(seen, dict):
        return _box(seen.shape[2:])
    return spaces.Dict(
        {
            name: spaces.MultiBinary(part.shape[2]) if name.endswith("_mask") else _box(part.shape[2:])
            for name, part in seen.items()
        }
    )


def action_space(env: Env, discrete: bool) -> spaces.Space:
    """The dynamics' grid, an index a column; or its actions themselves, within their limits.

    Raises `InputError` where the dynamics have no grid.
    """
    dynamics = env.dynamics
    if discrete:
        sizes = [len(values) for values in dynamics.grid()]
        if not sizes:
            raise InputError(f"{type(dynamics).__name__}: grid: it offers none (pass discrete=False)")
        return spaces.MultiDiscrete(sizes)
    endless = jnp.full(dynamics.width, jnp.inf, jnp.float32)
    low, high = np.asarray(dynamics.limit(-endless)), np.asarray(dynamics.limit(endless))
    return spaces.Box(low, high, dtype=np.float32)


def _box(shape: tuple[int, ...]) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape, np.float32)

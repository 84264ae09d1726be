import jax
import numpy as np
import scenes

from drivetrain.env import Env
from drivetrain.sim.building import make_bank
from drivetrain.sim.traffic.nobody import Nobody


def test_nobody_moves_but_those_controlled():
    bank = make_bank([scenes.scenario(scenes.straight_road())], 0.2)
    env = Env(traffic=Nobody())
    state = jax.jit(env.reset)(bank, 0, jax.random.key(0))
    after, _ = jax.jit(env.step)(bank, state, np.zeros((1, 2), np.float32))
    moved = np.hypot(*np.asarray(after.agents.position - state.agents.position).T)
    me = int(state.controlled[0])
    assert moved[me] > 1.0 and not np.delete(moved, me).any()

"""Worlds of self-play: moments made by hand, and a drawn world that a policy drives by its first weights."""

import jax
import numpy as np
import pytest

from drivetrain.banks.towns import Worlds
from drivetrain.drivers.greedy import Greedy
from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.evaluate.worlds import Lived, drive_worlds
from drivetrain.events import NOTHING
from drivetrain.observe.sight import Sight
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.towns import Town
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import MARGINS, Events

W, T, C, DT = 2, 10, 2, 0.5


def drawn():
    """Everyone drives at 10 m/s; in world 0 agent 0 collides at step 4 and comes again at 6; agent 1 arrives at 7."""
    zeros = np.zeros((W, T, C), np.float32)
    facts = {name: np.full((W, T, C), 50.0, np.float32) for name in MARGINS}
    facts |= {name: zeros.copy() for name in ("progress", "overspeed", "acceleration", "lateral", "goal")}
    alive, fresh, ended = np.ones((W, T, C), bool), np.zeros((W, T, C), bool), np.zeros((W, T, C), bool)
    fresh[:, 0] = True
    facts["collision"][0, 4, 0] = -0.1
    facts["off_road"][0, 4, 0] = -0.1  # both in one step: the first that is named counts
    ended[0, 4, 0] = True
    alive[0, 5, 0] = False
    fresh[0, 6, 0] = True
    facts["goal"][0, [2, 7], 1] = 1.0
    ended[0, 7, 1] = True
    alive[0, 8:, 1] = False
    facts["goal"][1, 3, 0] = 1.0
    ended[1, 9, 1] = True  # for no other cause: late
    return Lived(
        position=np.zeros((W, T, C, 2), np.float32),
        heading=np.broadcast_to(np.array([1.0, 0.0], np.float32), (W, T, C, 2)),
        length=zeros + 4.0,
        width=zeros + 2.0,
        speed=zeros + 10.0,
        arc_length=zeros,
        route=zeros.astype(int),
        goal=np.zeros((W, T, C, 2), np.float32),
        lights=np.zeros((W, T, 3), int),
        alive=alive,
        fresh=fresh,
        events=jax.tree.unflatten(
            jax.tree.structure(NOTHING), [facts[name] for name in Events.__dataclass_fields__ if name in facts]
        ),
        ended=ended,
    )


@pytest.fixture(scope="session")
def lived(towns):
    worlds = Worlds(str(towns), Town(agents=5, programmes=2), ("crossing",))
    env = Env(Jerk(), Nobody(), Anywhere(), ending=Lives(), observer=Sight(agents=2, road=2, errand=True))
    policy = DeepSetsSizes(tokens=8, width=8).build(env, jax.random.key(0))
    moments = drive_worlds(env, worlds.bank, Greedy(policy, env.dynamics), np.array([0, 1, 1]), 60, jax.random.key(3))
    return worlds, moments

import jax.numpy as jnp
import numpy as np
import scenes

from drivetrain.drivers.placed import Placed
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate
from drivetrain.sim.building import make_bank


def test_an_agent_is_where_the_table_says_at_every_step():
    bank = make_bank([scenes.scenario(scenes.straight_road(lanes=2, length=400.0, steps=20))], 0.2)
    rng = np.random.default_rng(3)
    angle = rng.uniform(-3.0, 3.0, (2, 21))
    poses = np.concatenate(
        [rng.uniform(0.0, 100.0, (2, 21, 2)), np.cos(angle)[..., None], np.sin(angle)[..., None]], -1
    )
    drives = evaluate(Env(), bank, Placed(jnp.asarray(poses, jnp.float32))).drives
    np.testing.assert_allclose(drives.position[:, 1:, 0], poses[:, 1:20, :2], atol=1e-4)
    np.testing.assert_allclose(drives.heading[:, 1:, 0], poses[:, 1:20, 2:], atol=1e-5)

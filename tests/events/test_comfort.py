import jax
import jax.numpy as jnp

from drivetrain.events.comfort import acceleration, lateral
from drivetrain.types import Motion, replace


def test_of_the_step_that_was_taken(draw):
    scene = draw.scene()
    before = scene.state((10, 0, 0))
    motion = jax.vmap(Motion)(jnp.array([9.0]), jnp.array([0.1]), jnp.array([-2.5]), jnp.array([1.25]))
    after = replace(before, motion=motion)
    assert float(acceleration(scene.bank, before, after, jnp.int32(0))) == -2.5
    assert float(lateral(scene.bank, before, after, jnp.int32(0))) == 1.25

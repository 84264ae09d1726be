import jax
import jax.numpy as jnp
import pytest

from drivetrain.events.speed import overspeed as fact

overspeed = jax.jit(fact)


@pytest.mark.parametrize(
    ("speed", "limit", "expected"),
    [(17.0, 15.0, 2.0), (15.0, 15.0, 0.0), (3.0, 15.0, 0.0), (60.0, 0.0, 0.0), (-16.0, 15.0, 1.0)],
)
def test_above_the_limit(draw, speed, limit, expected):
    scene = draw.scene(limit=limit)
    state = scene.state((10, 0, 0), speed=speed)
    assert float(overspeed(scene.bank, state, state, jnp.int32(0))) == pytest.approx(expected)

import jax
import jax.numpy as jnp
import pytest

from drivetrain.events.progress import progress as fact

progress = jax.jit(fact)


@pytest.mark.parametrize(("after", "expected"), [(33.5, 3.5), (30.0, 0.0), (29.0, -1.0)])
def test_metres_along_the_route(draw, after, expected):
    scene = draw.scene()
    states = scene.state((10, 0, 0), along=[30.0]), scene.state((12, 0, 0), along=[after])
    assert float(progress(scene.bank, *states, jnp.int32(0))) == pytest.approx(expected)

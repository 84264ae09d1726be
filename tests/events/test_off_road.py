import jax
import jax.numpy as jnp
import pytest

from drivetrain.events.off_road import is_unknown
from drivetrain.events.off_road import off_road as fact
from drivetrain.types import replace

off_road = jax.jit(fact)


def margin(scene, *pose):
    state = scene.state(pose)
    return float(off_road(scene.bank, state, state, jnp.int32(0)))


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene()


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        ((30.0, 0.0, 0.0), 2.0),
        ((30.0, 2.0, 0.0), 4.0),  # the middle: both edges 4 m from the corners
        ((30.0, -2.0, 0.0), 0.0),
        ((30.0, -2.5, 0.0), -0.5),
        ((30.0, 6.75, 0.0), -0.75),
        ((33.7, 0.0, jnp.pi / 2), 1.0),
    ],
)
def test_worst_corner_to_the_nearest_edge(scene, pose, expected):
    assert margin(scene, *pose) == pytest.approx(expected, abs=1e-4)


def test_no_edges_is_the_clip(draw):
    assert margin(draw.scene(edges=False), 30.0, 500.0, 0.0) == 50.0


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        ((22.6, -2.0, 0.0), 50.0),  # in the gap: nobody knows
        ((30.0, 0.0, 0.0), 6.0),  # nearer to the other edge
        ((30.0, -8.0, 0.0), 50.0),
        ((30.0, 5.0, 0.0), 1.0),  # nearer to the other edge, which is whole
        ((17.0, -2.5, 0.0), -0.5),  # beside what is left of the edge
        ((20.5, -2.5, 0.0), -0.5),  # its rear is: off the road, whatever its front is
        ((20.5, -1.0, 0.0), 50.0),  # its rear is not: unknown, for its front
        ((30.0, 6.75, 0.0), -0.75),
    ],
)
def test_beyond_the_end_of_an_edge_nobody_knows(draw, pose, expected):
    """The right edge, y = −3, is broken off from x = 20 to x = 40."""
    found = margin(draw.scene(gone=((4, 6),)), *pose)
    assert found == pytest.approx(expected, abs=1e-4)
    assert bool(is_unknown(jnp.asarray(found))) == (expected == 50.0)


@pytest.mark.parametrize("pose", [(30.0, -2.0, 0.0), (30.0, 2.0, 0.0), (28.0, -2.0, 0.0), (30.0, 900.0, 0.0)])
def test_gradients_are_finite(scene, pose):
    state = scene.state(pose)

    def of_position(position):
        agents = replace(state.agents, position=state.agents.position.at[0].set(position))
        return off_road(scene.bank, state, replace(state, agents=agents), jnp.int32(0))

    assert bool(jnp.all(jnp.isfinite(jax.grad(of_position)(state.agents.position[0]))))

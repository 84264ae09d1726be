import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely
from shapely import affinity

from drivetrain.events.off_route import off_route as fact
from drivetrain.types import replace

LANES = shapely.box(-20, -2, 120, 6)

off_route = jax.jit(fact)


def corners(x, y, angle):
    turned = affinity.rotate(shapely.box(-2, -1, 2, 1), angle, (0, 0), use_radians=True)
    return [shapely.Point(p) for p in affinity.translate(turned, x, y).exterior.coords[:-1]]


def by_shapely(*pose, road=LANES):
    """The worst corner's signed distance to the lanes' outline; the window's far ends are no outline."""
    return min((1 if road.covers(p) else -1) * road.exterior.distance(p) for p in corners(*pose))


def margin(scene, *pose):
    state = scene.state(pose)
    return float(off_route(scene.bank, state, state, jnp.int32(0)))


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene()


@pytest.mark.parametrize(
    "pose",
    [
        (30.0, 0.0, 0.0),
        (30.0, 2.0, 0.0),  # across the seam of two lanes
        (31.3, 1.0, 0.6),
        (30.0, -1.5, 0.0),
        (50.0, 5.5, -0.2),
        (70.0, -3.0, 1.0),
        (-18.5, 0.0, 0.0),  # before the route's start
        (119.0, 2.0, 0.0),  # beyond its end
    ],
)
def test_worst_corner_to_the_outline_of_the_union(scene, pose):
    assert margin(scene, *pose) == pytest.approx(by_shapely(*pose), abs=1e-4)


@pytest.mark.parametrize(
    "pose",
    [(30.0, 0.0, 0.0), (30.0, -1.5, 0.0), (30.0, -2.5, 0.4), (31.3, 5.4, 0.3), (50.0, 6.8, -0.2), (119.0, 7.2, 0.3)],
)
@pytest.mark.parametrize("turn", [0.0, 2.1])
def test_worst_corner_to_the_outline_of_the_corridor(draw, pose, turn):
    """It goes 1.5 m beyond the left border of the left lane and 0.8 m beyond the right one of the right lane."""
    scene = draw.scene(wide=(1.5, 0.8), turn=turn)
    expected = by_shapely(*pose, road=shapely.box(-20, -2.8, 120, 7.5))
    assert margin(scene, *pose) == pytest.approx(expected, abs=2e-4)


def test_closed_form(scene):
    assert margin(scene, 30.0, 0.0, 0.0) == pytest.approx(1.0, abs=1e-5)
    assert margin(scene, 30.0, -1.5, 0.0) == pytest.approx(-0.5, abs=1e-5)


def test_far_away_is_the_clip(scene):
    assert margin(scene, 50.0, 500.0, 0.0) == -50.0


def test_a_border_that_is_touched_is_still_inside(scene):
    assert margin(scene, 30.0, -1.0, 0.0) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    "pose", [(30.0, 0.0, 0.0), (30.0, -1.0, 0.0), (30.0, 2.0, 0.0), (30.0, 3.0, 0.0), (30.0, 500.0, 0.0)]
)
def test_gradients_are_finite(scene, pose):
    state = scene.state(pose)

    def of_pose(position, heading):
        agents = replace(
            state.agents,
            position=state.agents.position.at[0].set(position),
            heading=state.agents.heading.at[0].set(heading),
        )
        return off_route(scene.bank, state, replace(state, agents=agents), jnp.int32(0))

    slopes = jax.grad(of_pose, (0, 1))(state.agents.position[0], state.agents.heading[0])
    assert all(np.isfinite(np.asarray(slope)).all() for slope in slopes)


def test_leaving_to_the_right_lowers_the_margin(scene):
    state = scene.state((30.0, -0.5, 0.0))

    def of_position(position):
        agents = replace(state.agents, position=state.agents.position.at[0].set(position))
        return off_route(scene.bank, state, replace(state, agents=agents), jnp.int32(0))

    slope = jax.grad(of_position)(state.agents.position[0])
    np.testing.assert_allclose(slope, [0.0, 1.0], atol=1e-5)
